"""Where every table of the lake stands."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from lakehouse.layout import FAILED_CHECKS
from lakehouse.pipeline.stars import Shown

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def status(lake: Lake) -> list[dict[str, Any]]:
    """One row a table: layer, table, rows, version, watermark, lag_seconds, freshness, last_run, failed_checks.

    `lag_seconds` is the run's clock less the watermark; `freshness` is the time of the table's last commit.
    A table that is not there yet has NULLs; a gold table is as readers see it, in the newest star.
    """
    last = lake.ledger.last_runs()
    names = [(layer, name) for layer in ("bronze", "silver") for name in lake.catalog.tables] + [
        ("gold", name) for name in lake.catalog.models
    ]
    rows = []
    shown = Shown(lake)
    for layer, name in names:
        table = shown.table(layer, name)
        row: dict[str, Any] = {
            "layer": layer,
            "table": name,
            "rows": None,
            "version": None,
            "watermark": None,
            "lag_seconds": None,
            "freshness": None,
        }
        if table is not None:
            row |= {"rows": table.rows(), "version": table.version, "freshness": table.committed_at().isoformat()}
            row |= _watermark(lake, name) if layer == "bronze" else {}
        ran = last.get((layer, name))
        failed = None if table is None else table.number(FAILED_CHECKS)
        rows.append(row | {"last_run": None if ran is None else ran["status"], "failed_checks": failed or 0})
    return rows


def _watermark(lake: Lake, name: str) -> dict[str, Any]:
    mark = lake.watermark(name)
    lag = round((lake.now() - mark).total_seconds(), 3) if isinstance(mark, datetime) else None
    return {} if mark is None else {"watermark": str(mark), "lag_seconds": lag}


def history(lake: Lake, limit: int = 20) -> list[dict[str, Any]]:
    """The newest runs with their steps, newest first; columns as in the ledger."""
    steps = lake.ledger.steps().collect()
    runs = steps.select("run_id", "run_started_at").unique().sort("run_started_at", descending=True).head(limit)
    found = runs.select("run_id").join(steps, on="run_id", how="left", maintain_order="left_right")
    return found.to_dicts()
