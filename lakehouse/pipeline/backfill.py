"""A backfill: past windows down the same road, beside the live runs, whose watermark it never moves."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

from lakehouse.errors import UsageError
from lakehouse.model.run import Cursor, Window
from lakehouse.pipeline.run import gold, silver
from lakehouse.pipeline.walk import walk
from lakehouse.stages.bronze import append
from lakehouse.stages.extract import extract

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lakehouse.lake import Lake
    from lakehouse.model.run import Run, Step
    from lakehouse.pipeline.walk import Around, Part, Progress


def backfill(
    lake: Lake,
    select: Iterable[str] = (),
    *,
    from_: Cursor,
    to: Cursor,
    include_undone: bool = False,
    progress: Progress | None = None,
    around: Around | None = None,
) -> Run:
    """Read `from_ <= cursor < to` of the selected tables again, and bring all that follows from them up to date.

    Rows that bronze has observed last as they are now are skipped, so the same backfill again changes nothing.

    Args:
        lake: The opened lake.
        select: Words as for a run; none selects every incremental table. Tables without a cursor have no windows and stay out.
        from_: The first value read: an instant, a day, or an integer, as the tables' cursors are.
        to: The first value not read any more; what lies above the source's safe bound is not read in any case.
        include_undone: Let rows come back that bronze has observed last in batches which are taken back.
        progress: Called with each step as it ends.
        around: Does the work of each table or model; by default it is just done.

    Raises:
        UsageError: A word names nothing, no selected table has a cursor, or the bounds are no window.
    """
    window = _window(from_, to)
    words = list(select)
    graph = lake.catalog.graph
    chosen = graph.select(words)
    tables = {name for name in chosen if name in lake.catalog.tables and lake.catalog.tables[name].cursor}
    for word in words:
        if word in lake.catalog.tables and word not in tables:
            raise UsageError(
                f"{word} has no cursor, so it has no past windows",
                where=f"metadata/tables/{lake.catalog.tables[word].source}/{word}.yml",
                next_step=f"`lakehouse run --select {word}+` reads it whole.",
            )
    if not tables:
        raise UsageError(
            "the selection holds no table with a cursor", given=" ".join(words), next_step="Name incremental tables, or none for all."
        )
    following = {node for table in tables for node in graph.below(table)}

    def parts(node: str) -> list[Part]:
        if node in lake.catalog.models:
            return [gold(lake, node)]
        table = lake.catalog.tables[node]

        def act() -> Step:
            extraction = extract(lake, table, past=window)
            extraction.include_undone = include_undone
            return append(lake, extraction)

        return [("bronze", act), silver(lake, node)]

    nodes = [node for node in graph.order() if node in tables | following]
    return walk(lake, nodes, parts, progress=progress, around=around)


def _window(from_: Cursor, to: Cursor) -> Window:
    """The window of two bounds of one kind; days begin at midnight UTC."""
    low, high = _instant(from_), _instant(to)
    if isinstance(low, int) is not isinstance(high, int):
        raise UsageError("the two bounds are of different kinds", given=f"{from_} and {to}", next_step="Give two times or two integers.")
    if low >= high:  # type: ignore[operator]  # both are of one kind
        raise UsageError("the window is empty", expected="a `from` before `to`", given=f"from {from_} to {to}", next_step="Swap them.")
    return Window(low, high)


def _instant(bound: Cursor) -> datetime | int:
    if isinstance(bound, str):
        raise UsageError("a text is no bound", given=bound, next_step="Give two times or two integers.")
    if isinstance(bound, datetime):
        return bound.replace(tzinfo=UTC) if bound.tzinfo is None else bound.astimezone(UTC)
    return datetime.combine(bound, time(), UTC) if isinstance(bound, date) else bound
