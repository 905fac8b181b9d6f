"""The parts of a run that look at what a cursor cannot see: sweeps for deletes, comparisons, and their healing; and when they are due."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lakehouse.model.reconciliation import Reconciled
from lakehouse.model.run import Cursor, Step
from lakehouse.stages.bronze import append, bury
from lakehouse.stages.extract import extract, reread
from lakehouse.transform.vanished import require_plausible

if TYPE_CHECKING:
    from datetime import timedelta

    from lakehouse.lake import Lake
    from lakehouse.model.reconciliation import Difference
    from lakehouse.model.table import Table
    from lakehouse.pipeline.walk import Part

DONE = ("success", "unchanged")


def due_parts(lake: Lake, table: Table) -> list[Part]:
    """What is due for a table after its bronze step: its sweep, its reconciliation."""
    parts: list[Part] = []
    if lake.sample is not None:  # which does not show all keys that there are
        return parts
    if table.deletes.detect == "sweep" and is_due(lake, "sweep", table.name, table.deletes.every):
        parts.append(("sweep", lambda: _sweep(lake, table)))
    if table.reconcile is not None and is_due(lake, "heal", table.name, table.reconcile.every):
        parts += Comparing(lake, table).parts(heal=True)
    return parts


def is_due(lake: Lake, step: str, name: str, every: timedelta | None) -> bool:
    """Whether a step was last done so long ago, for the whole table, by the ledger; without one, or where it failed, it is due."""
    if every is None:
        return True
    if lake.done is None:
        rows = lake.ledger.last_runs().items()
        lake.done = {place: row["run_started_at"] for place, row in rows if place[0] in ("sweep", "heal") and _is_whole(row)}
    last = lake.done.get((step, name))
    return last is None or lake.now() >= last + every


def _is_whole(row: dict[str, Any]) -> bool:
    """Whether a recorded step was done, and not from some cursor value on only."""
    return row["status"] in DONE and not json.loads(row["window"] or "{}").get("from")


def _told(lake: Lake, step: Step) -> Step:
    """The step; a stream's next poll knows that it was done."""
    if lake.done is not None:
        lake.done[step.step, step.table] = lake.now()
    return step


def _sweep(lake: Lake, table: Table) -> Step:
    from lakehouse.stages.compare import sweep  # noqa: PLC0415  a run without sweeps does not load the SQL engine

    found = sweep(lake, table)
    step = Step("sweep", table.name, "unchanged")
    if found.gone is not None and found.gone.num_rows:
        step = bury(lake, table, found.gone)
    step.rows_in = found.report.compared
    return _told(lake, step)


class Comparing:
    """One table's comparison and healing, as parts of a run.

    Attributes:
        difference: What the comparison found, once it was made.
    """

    def __init__(self, lake: Lake, table: Table, since: Cursor | None = None, *, include_undone: bool = False) -> None:
        """Compare this table when its part's turn comes; what batches say that are taken back counts as not observed on request."""
        self._lake, self._table, self._since, self._include_undone = lake, table, since, include_undone
        self.difference: Difference | None = None
        self._judged_at: int | None = None

    @property
    def report(self) -> Reconciled:
        """The figures; empty ones before the comparison."""
        return Reconciled(self._table.name) if self.difference is None else self.difference.report

    def parts(self, *, heal: bool) -> list[Part]:
        """The comparison, and what brings right what it found."""
        return [("reconcile", self._compare), *([("heal", self._heal)] if heal else [])]

    def _compare(self) -> Step:
        from lakehouse.stages.compare import compare  # noqa: PLC0415  a run without changes does not load the SQL engine

        self.difference = compare(self._lake, self._table, since=self._since, without=self._without)
        self._judged_at = self._batch()
        report = self.difference.report
        if report.surplus and not self._table.buries:
            report.note = (
                "rows that are gone from the source stay in the lake, since its deletes are not detected: declare `deletes: sweep`."
                if self._table.keys
                else "rows without keys that the source changed or deleted stay in the lake as they came."
            )
        found = {name: count for name in ("missing", "stale", "surplus") if (count := getattr(report, name))}
        return Step("reconcile", self._table.name, "unchanged", rows_in=report.compared, failed_checks=found)

    @property
    def _without(self) -> frozenset[int]:
        if not self._include_undone:
            return frozenset()
        from lakehouse.quality.corrections import undone  # noqa: PLC0415  as above

        return undone(self._lake, self._table.name)

    def _batch(self) -> int | None:
        bronze = self._lake.table("bronze", self._table.name)
        return None if bronze is None else bronze.batch

    def _heal(self) -> Step:
        """Bring right what was found; where another run wrote meanwhile, it is looked at again first: a key that was gone may be back."""
        if self._batch() != self._judged_at:
            self._compare()
        step = self._healed()
        if self._since is not None:
            step.window = {"from": str(self._since), "to": None}
            return step
        return _told(self._lake, step)

    def _healed(self) -> Step:
        step, found = Step("heal", self._table.name, "unchanged"), self.difference
        if found is None or not found.report.differing:
            return step
        report = found.report
        report.healed = 0
        if found.again is not None and found.again.num_rows:
            read = reread(self._lake, self._table, found.again)
            read.include_undone = self._include_undone
            step = append(self._lake, read)
            report.healed = found.again.num_rows
        elif found.window is not None:
            whole = isinstance(found.window.to, str)  # texts have no past windows; rows without keys are counted, so none comes twice
            past = found.window if self._table.cursor and not whole else None
            read = extract(self._lake, self._table, full_refresh=whole, past=past)
            read.step, read.include_undone = "heal", self._include_undone
            step = append(self._lake, read)
            report.healed = min(step.rows_out, report.missing)
        if found.gone is not None and found.gone.num_rows and self._table.buries:
            require_plausible(self._table, shown=report.compared, gone=report.surplus, held=lambda: found.held)
            buried = bury(self._lake, self._table, found.gone, "heal", include_undone=self._include_undone)
            buried.rows_out += step.rows_out
            buried.status = "success" if buried.rows_out else "unchanged"
            step = buried
            report.healed += found.gone.num_rows
        step.step = "heal"
        return step
