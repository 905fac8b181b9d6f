"""A reconciliation: every selected table beside its source; on demand what differs is read again and followed to the end of the road."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.errors import UsageError
from lakehouse.model.reconciliation import Reconciliation
from lakehouse.model.run import Cursor
from lakehouse.pipeline.audit import audited
from lakehouse.pipeline.comparing import Comparing
from lakehouse.pipeline.run import gold, silver
from lakehouse.pipeline.walk import exit_code as run_exit_code
from lakehouse.pipeline.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lakehouse.lake import Lake
    from lakehouse.pipeline.walk import Around, Part, Progress

DIFFERENT = 3


def reconcile(
    lake: Lake,
    select: Iterable[str] = (),
    *,
    heal: bool = False,
    since: Cursor | None = None,
    include_undone: bool = False,
    progress: Progress | None = None,
    around: Around | None = None,
) -> Reconciliation:
    """Compare the selected tables with their sources; with `heal`, read again what differs and bring all that follows up to date.

    Args:
        lake: The opened lake.
        select: Words as for a run; none selects every table.
        heal: Whether to bring right what differs.
        since: The first cursor value that is compared; tables without a cursor stay out.
        include_undone: Let rows come back that bronze has observed last in batches which are taken back.
        progress: Called with each step as it ends.
        around: Does the work of each table or model; by default it is just done.

    Raises:
        UsageError: A word names nothing, or the selection holds no table that can be compared.
    """
    words = list(select)
    graph = lake.catalog.graph
    tables = {name for name in graph.select(words) if name in lake.catalog.tables}
    if since is not None:
        tables = {name for name in tables if lake.catalog.tables[name].cursor}
    if not tables:
        raise UsageError(
            f"the selection holds no table{' with a cursor' if since is not None else ''}",
            given=" ".join(words),
            next_step="Name tables, or none for all.",
        )
    following = {node for table in tables for node in graph.below(table)} if heal else set()
    works = {name: Comparing(lake, lake.catalog.tables[name], since, include_undone=include_undone) for name in tables}

    def parts(node: str) -> list[Part]:
        if node not in works:
            return [gold(lake, node)] if node in lake.catalog.models else [silver(lake, node)]
        own = works[node].parts(heal=heal)
        return [*own, silver(lake, node)] if heal else own

    nodes = [node for node in graph.order() if node in tables | following]
    if heal:
        with audited(lake, "heal", what=" ".join(node for node in nodes if node in tables)) as told:
            run = walk(lake, nodes, parts, progress=progress, around=around)
            told.failed, told.counts["rows"] = run.status == "failed", sum(step.rows_out for step in run.steps if step.step == "heal")
    else:
        run = walk(lake, nodes, parts, progress=progress, around=around)
    failed = {step.table: step.error["message"] for step in run.steps if step.step == "reconcile" and step.error}
    compared = [works[node].report for node in graph.order() if node in works and works[node].difference and node not in failed]
    return Reconciliation(run, compared, failed)


def exit_code(done: Reconciliation) -> int:
    """What the command line returns: 0 equal or healed, 3 differences remain, else as for a run that failed."""
    failed = run_exit_code(done.run)
    return failed or (DIFFERENT if any(table.differing for table in done.tables) else 0)
