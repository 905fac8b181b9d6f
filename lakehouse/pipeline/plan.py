"""What a run would do, from the lake and the metadata alone: nothing is written and no source is asked."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from lakehouse.layout import tracked
from lakehouse.model.run import Window
from lakehouse.pipeline.comparing import is_due
from lakehouse.pipeline.rotation import rotated, told
from lakehouse.stages.extract import watermark_less_lookback

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lakehouse.lake import Lake
    from lakehouse.model.table import Table


def plan(lake: Lake, select: Iterable[str] = ()) -> list[dict[str, Any]]:
    """One row a step that a run would take: `step`, `table`, `action`, `reason`, `from`, `to`.

    Raises:
        UsageError: A word of the selection names nothing.
    """
    rows: list[dict[str, Any]] = []
    moving: set[tuple[str, str]] = set()
    turning = rotated(lake) if lake.catalog.keys else {}
    for node in lake.catalog.graph.select(select):
        if node in lake.catalog.tables:
            table = lake.catalog.tables[node]
            if first := told(lake, node):
                rows.append({"step": "rekey", "table": node, **_row(first["action"], first["reason"])})
            rows.append({"step": "bronze", "table": node, **_bronze(lake, table)})
            rows += [{"step": step, "table": node, **_row("compare", reason)} for step, reason in _looks(lake, table)]
            moving.add(("bronze", node))
            silver = _built(lake, "silver", node, moving)
            if turns := [tables[node] for tables in turning.values() if node in tables]:
                silver["reason"] = "; ".join([*turns, silver["reason"]])
            rows.append({"step": "silver", "table": node, **silver})
            moving.add(("silver", node))
        else:
            rows.append({"step": "gold", "table": node, **_built(lake, "gold", node, moving)})
            moving |= {("gold", node)} if moving & lake.inputs("gold", node).keys() else set()
    return rows


def _row(action: str, reason: str, window: Window | None = None) -> dict[str, Any]:
    return {"action": action, "reason": reason, **(window or Window()).facts()}


def _bronze(lake: Lake, table: Table) -> dict[str, Any]:
    if table.mode == "change_tracking":
        bronze = lake.table("bronze", table.name)
        version = None if bronze is None else bronze.number(tracked(table.object))
        since = f"what changed in {table.origin} since version {version}"
        return _row("read", f"the whole of {table.origin}, and from then on its changes" if version is None else since)
    if table.cursor is None:
        gone = ", and keys that are gone are buried" if table.mode == "snapshot" else ""
        return _row("read", f"the whole of {table.origin}; rows that differ are kept{gone}")
    mark = lake.watermark(table.name)
    if mark is None:
        since = "the beginning" if table.start_at is None else str(table.start_at)
        return _row("read", f"first load of {table.origin} from {since} up to the source's clock")
    kind = "date" if not isinstance(mark, datetime) and isinstance(mark, date) else ""
    window = Window(watermark_less_lookback(lake, table, kind))
    return _row("read", f"{table.cursor} from the watermark {mark} less the look-back {table.lookback}", window)


def _looks(lake: Lake, table: Table) -> list[tuple[str, str]]:
    """What is due beside the window."""
    looks = []
    if table.deletes.detect == "sweep" and is_due(lake, "sweep", table.name, table.deletes.every):
        looks.append(("sweep", f"the keys of {table.origin} with those of bronze; a key that is gone is ended"))
    if table.reconcile is not None and is_due(lake, "reconcile", table.name, table.reconcile.every):
        looks.append(("reconcile", f"{table.origin} with bronze's last observations; what differs is read again"))
    return looks


def _built(lake: Lake, layer: str, name: str, moving: set[tuple[str, str]]) -> dict[str, Any]:
    reason = lake.behind(layer, name)
    if reason:
        from lakehouse.stages.gold import why_in_full  # noqa: PLC0415  loads the engines, which a plan of tables does not need

        whole = why_in_full(lake, lake.catalog.models[name]) if layer == "gold" else None
        return _row("build", reason if whole is None or whole in reason else f"{reason}; in full, since {whole}")
    following = [".".join(pair) for pair in lake.inputs(layer, name) if pair in moving]
    return _row("wait", f"up to date; follows what comes to {', '.join(following)}" if following else "up to date")
