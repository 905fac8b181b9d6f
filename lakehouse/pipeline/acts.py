"""What a person does to rows of the lake: recorded as corrections, then followed down the road."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.errors import BusyError, ConflictError
from lakehouse.model.run import Step
from lakehouse.pipeline.audit import audited
from lakehouse.pipeline.run import gold, silver
from lakehouse.pipeline.walk import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lakehouse.lake import Lake
    from lakehouse.model.correction import Correction
    from lakehouse.model.run import Run
    from lakehouse.pipeline.walk import Around, Part, Progress

ATTEMPTS = 5


def act(lake: Lake, decide: Callable[[], Sequence[Correction]]) -> Sequence[Correction]:
    """Record what a person does; decided anew where somebody else corrected or wrote something meanwhile. Every human act passes here.

    Args:
        lake: The opened lake.
        decide: The corrections, from the lake as it is; raises where there is nothing to be done.

    Raises:
        ConflictError: Others went on correcting.
    """
    from lakehouse.quality.corrections import record  # noqa: PLC0415  a run that corrects nothing does not load Polars

    for attempt in range(ATTEMPTS):
        said = decide()
        try:
            tables = sorted({each.table for each in said})
            with audited(lake, said[0].kind, what=" ".join(filter(None, [said[0].run_id, *tables])), why=said[0].why) as told:
                record(lake, said)
                told.counts["corrections"] = len(said)
        except BusyError:
            raise
        except ConflictError:
            if attempt == ATTEMPTS - 1:
                raise
            lake.forget()
        else:
            return said
    raise AssertionError  # the last attempt returns or raises


def follow(
    lake: Lake,
    tables: Iterable[str],
    *,
    step: str = "",
    rows: Mapping[str, int] | None = None,
    progress: Progress | None = None,
    around: Around | None = None,
) -> Run:
    """Bring silver tables and all that is built on them to what corrections say.

    Args:
        lake: The opened lake.
        tables: The silver tables.
        step: The name of the act, for a step of each table in the report; none makes none.
        rows: Of how many rows of bronze each table's corrections speak.
        progress: Called with each step as it ends.
        around: Does the work of each table or model; by default it is just done.
    """
    graph, own = lake.catalog.graph, set(tables)
    following = own | {node for table in own for node in graph.below(table)}

    def parts(node: str) -> list[Part]:
        if node in lake.catalog.models:
            return [gold(lake, node)]
        count = (rows or {}).get(node, 0)
        told: list[Part] = [(step, lambda: Step(step, node, rows_in=count, rows_out=count))] if step and node in own else []
        return [*told, silver(lake, node)]

    return walk(lake, [node for node in graph.order() if node in following], parts, progress=progress, around=around)
