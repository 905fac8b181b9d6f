"""What ran and what happened: one row a step, in a Delta table of its own.

The lake never depends on it: windows, watermarks and counts of what was committed travel in the tables' own commits.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl

from lakehouse.layout import LEDGER, table_uri
from lakehouse.model.run import Commit
from lakehouse.storage.delta import create_table, open_table, to_batches

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from lakehouse.model.run import Run, Step
    from lakehouse.storage.effects import Effects

STEPS: dict[str, pl.DataType | type[pl.DataType]] = {
    "run_id": pl.String,
    "run_status": pl.String,
    "run_started_at": pl.Datetime("us", "UTC"),
    "run_seconds": pl.Float64,
    "step": pl.String,
    "table": pl.String,
    "status": pl.String,
    "rows_in": pl.Int64,
    "rows_out": pl.Int64,
    "rejected": pl.Int64,
    "seconds": pl.Float64,
    "version": pl.Int64,
    "window": pl.String,
    "failed_checks": pl.String,
    "error": pl.String,
}


class Ledger:
    """The ledger of one lake."""

    def __init__(self, lake: str, effects: Effects, options: Mapping[str, str]) -> None:
        """Name the ledger; nothing is opened yet."""
        self._uri, self._effects, self._options = table_uri(lake, LEDGER, "steps"), effects, options

    def record(self, run: Run) -> None:
        """Add a run with its steps, in one commit; a run without steps has one row whose step is NULL."""
        steps: list[Step | None] = [*run.steps] or [None]
        rows = [
            {
                "run_id": run.run_id,
                "run_status": run.status,
                "run_started_at": run.started_at,
                "run_seconds": run.seconds,
                **(
                    {}
                    if step is None
                    else {
                        "step": step.step,
                        "table": step.table,
                        "status": step.status,
                        "rows_in": step.rows_in,
                        "rows_out": step.rows_out,
                        "rejected": step.rejected,
                        "seconds": step.seconds,
                        "version": step.version,
                        "window": json.dumps(step.window) if step.window else None,
                        "failed_checks": json.dumps(step.failed_checks) if step.failed_checks else None,
                        "error": json.dumps(step.error) if step.error else None,
                    }
                ),
            }
            for step in steps
        ]
        frame = pl.DataFrame(rows, schema=STEPS)
        schema: pa.Schema = frame.clear().to_arrow(compat_level=pl.CompatLevel.oldest()).schema
        table = open_table(self._uri, "ledger.steps", self._effects, self._options)
        if table is None:
            table = create_table(self._uri, "ledger.steps", schema, self._effects, self._options)
        table.append(to_batches(frame, table.schema), lambda: Commit(run.run_id, "ledger"))

    def steps(self) -> pl.LazyFrame:
        """All recorded steps, with the columns of `STEPS`; lazy, in no promised order."""
        table = open_table(self._uri, "ledger.steps", self._effects, self._options)
        return pl.LazyFrame(schema=STEPS) if table is None else table.scan()

    def last_runs(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The newest step of each (step, table)."""
        newest = (
            self.steps()
            .filter(pl.col("step").is_not_null())
            .sort("run_started_at")
            .unique(["step", "table"], keep="last", maintain_order=True)
            .collect()
        )
        return {(row["step"], row["table"]): row for row in newest.iter_rows(named=True)}
