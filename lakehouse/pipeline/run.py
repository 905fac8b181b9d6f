"""One run: every selected table and model after all that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.errors import UsageError
from lakehouse.model.run import Run, Step
from lakehouse.pipeline.audit import audited
from lakehouse.pipeline.comparing import due_parts
from lakehouse.pipeline.rotation import in_turn, rekeyed
from lakehouse.pipeline.walk import walk
from lakehouse.stages.bronze import append
from lakehouse.stages.extract import extract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lakehouse.lake import Lake
    from lakehouse.pipeline.walk import Around, Part, Progress


def run(
    lake: Lake,
    select: Iterable[str] = (),
    *,
    full_refresh: bool = False,
    rebuild: Iterable[str] = (),
    progress: Progress | None = None,
    around: Around | None = None,
    record: Callable[[Run], bool] = lambda _: True,
) -> Run:
    """Run the selected tables and models; the report has a step for each thing done, failed or skipped.

    Args:
        lake: The opened lake.
        select: Words such as `users+`, `+fact_stream`, `tag:x`; none selects all.
        full_refresh: Read the sources anew from the beginning, as new batches.
        rebuild: Silver tables (`silver.users`) to fold again from all of bronze.
        progress: Called with each step as it ends.
        around: Does the work of each table or model; by default it is just done.
        record: Whether the ledger keeps this run; asked at its end.

    Raises:
        UsageError: A word names nothing, or a key is rotated and not all tables that share it are selected.
    """
    nodes = lake.catalog.graph.select(select)
    folded = {_silver_name(lake, word) for word in rebuild}
    if missed := sorted(folded - set(nodes)):
        raise UsageError(
            f"--rebuild silver.{missed[0]} is not among what --select names", next_step="Select it too, or leave --select out."
        )

    nodes, above = in_turn(lake, nodes)

    def parts(node: str) -> list[Part]:
        if node in lake.catalog.models:
            return [gold(lake, node)]
        table = lake.catalog.tables[node]
        return [
            *rekeyed(lake, node, full_refresh=full_refresh),
            ("bronze", lambda: append(lake, extract(lake, table, full_refresh=full_refresh))),
            *due_parts(lake, table),
            silver(lake, node, rebuild=node in folded),
        ]

    if not full_refresh:
        return walk(lake, nodes, parts, above=above, progress=progress, around=around, record=record)
    with audited(lake, "full refresh", what=" ".join(node for node in nodes if node in lake.catalog.tables)) as told:
        done = walk(lake, nodes, parts, above=above, progress=progress, around=around, record=record)
        told.failed, told.counts["rows"] = done.status == "failed", sum(step.rows_out for step in done.steps if step.step == "bronze")
        return done


def silver(lake: Lake, name: str, *, rebuild: bool = False) -> Part:
    """The step that brings a silver table up to its bronze table."""

    def act() -> Step:
        if not rebuild and lake.behind("silver", name) is None:
            if lake.catalog.tables[name].ages:
                from lakehouse.stages.silver import require_fresh  # noqa: PLC0415  as below

                require_fresh(lake, lake.catalog.tables[name])
            return _unchanged(lake, "silver", name)
        from lakehouse.stages.silver import fold  # noqa: PLC0415  a run without changes does not load Polars

        return fold(lake, lake.catalog.tables[name], rebuild=rebuild)

    return "silver", act


def gold(lake: Lake, name: str) -> Part:
    """The step that brings a gold model up to its inputs."""

    def act() -> Step:
        if lake.behind("gold", name) is None:
            return _unchanged(lake, "gold", name)
        from lakehouse.stages.gold import build  # noqa: PLC0415  as above

        return build(lake, lake.catalog.models[name])

    return "gold", act


def _silver_name(lake: Lake, word: str) -> str:
    name = word.removeprefix("silver.")
    if name not in lake.catalog.tables:
        raise UsageError(
            f"--rebuild {word!r} names no silver table",
            given=", ".join(sorted(lake.catalog.tables)),
            next_step="Name one as silver.<table>.",
        )
    return name


def _unchanged(lake: Lake, layer: str, name: str) -> Step:
    table = lake.table(layer, name)
    return Step(layer, name, "unchanged", version=None if table is None else table.version)
