"""What ran and what happened: one row a step, in a Delta table of its own.

The lake never depends on it: windows, watermarks and counts of what was committed travel in the tables' own commits.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakehouse.errors import ConflictError
from lakehouse.layout import table_uri
from lakehouse.model.run import Commit
from lakehouse.storage.delta import create_table, open_table

if TYPE_CHECKING:
    import polars as pl

    from lakehouse.model.run import Run, Step
    from lakehouse.storage.effects import Effects
    from lakehouse.storage.place import Places

ATTEMPTS = 20
STEPS = pa.schema(
    [
        ("run_id", pa.string()),
        ("run_status", pa.string()),
        ("run_started_at", pa.timestamp("us", "UTC")),
        ("run_seconds", pa.float64()),
        ("step", pa.string()),
        ("table", pa.string()),
        ("status", pa.string()),
        ("rows_in", pa.int64()),
        ("rows_out", pa.int64()),
        ("rejected", pa.int64()),
        ("seconds", pa.float64()),
        ("version", pa.int64()),
        ("window", pa.string()),
        ("failed_checks", pa.string()),
        ("error", pa.string()),
    ]
)


class Ledger:
    """The ledger of one lake."""

    def __init__(self, folder: str, places: Places, effects: Effects) -> None:
        """Name the ledger in its folder; nothing is opened yet."""
        self._place, self._effects = places.at(table_uri(folder, "steps")), effects

    def record(self, run: Run) -> None:
        """Add a run with its steps, in one commit that is tried again while other runs write theirs.

        A run without steps has one row whose step is NULL.
        """
        steps: list[Step | None] = [*run.steps] or [None]
        about = {"run_id": run.run_id, "run_status": run.status, "run_started_at": run.started_at, "run_seconds": run.seconds}
        rows = pa.Table.from_pylist([{**about, **_row(step)} for step in steps], STEPS).to_batches()
        for attempt in range(ATTEMPTS):
            try:
                table = open_table(self._place, "ledger.steps", self._effects)
                if table is None:
                    table = create_table(self._place, "ledger.steps", STEPS, self._effects)
                table.append(rows, lambda: Commit(run.run_id, "ledger"))
            except ConflictError:
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                return

    def steps(self) -> pl.LazyFrame:
        """All recorded steps, with the columns of `STEPS`; lazy, in no promised order."""
        import polars as pl  # noqa: PLC0415  a run without changes does not load it

        table = open_table(self._place, "ledger.steps", self._effects)
        return pl.DataFrame(pl.from_arrow(STEPS.empty_table())).lazy() if table is None else table.scan()

    def last_runs(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The newest step of each (step, table)."""
        recorded = self.steps().drop_nulls("step").sort("run_started_at")
        newest = recorded.unique(["step", "table"], keep="last", maintain_order=True).collect()
        return {(row["step"], row["table"]): row for row in newest.iter_rows(named=True)}


def _row(step: Step | None) -> dict[str, Any]:
    if step is None:
        return {}
    filled = {name: value for name, value in asdict(step).items() if value not in (None, {})}
    return {name: json.dumps(value) if isinstance(value, dict) else value for name, value in filled.items()}
