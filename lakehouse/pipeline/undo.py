"""Undo: a run's batches are taken back by corrections, their keys folded again, and later runs stay; so is an act of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from lakehouse.errors import UsageError
from lakehouse.layout import BATCH, RUN_ID
from lakehouse.model.correction import Correction, standing
from lakehouse.model.undoing import Undoing
from lakehouse.pipeline.acts import act, follow
from lakehouse.quality.corrections import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakehouse.lake import Lake
    from lakehouse.pipeline.walk import Around, Progress


def undo(
    lake: Lake, of: str, *, why: str = "", dry_run: bool = False, progress: Progress | None = None, around: Around | None = None
) -> Undoing:
    """Take back what a run brought to bronze, or what a person did: an undo itself is brought back so.

    Args:
        lake: The opened lake.
        of: The id of the run, or of the act.
        why: The reason, for the record.
        dry_run: Only say what it would do.
        progress: Called with each step as it ends.
        around: Does the work of each table or model; by default it is just done.

    Raises:
        UsageError: There is no such run, it brought nothing, it is under way, or it is taken back already.
    """
    if dry_run:
        return _undoing(lake, _decided(lake, of, why), of, dry_run=True)
    said = act(lake, lambda: _decided(lake, of, why))
    done = _undoing(lake, said, of, dry_run=False)
    counts = {str(table["table"]): int(table["rows"]) for table in done.tables}
    done.run = follow(lake, counts, step=done.kind, rows=counts, progress=progress, around=around)
    return done


def _decided(lake: Lake, of: str, why: str) -> Sequence[Correction]:
    """The corrections that take a run or an act back."""
    said: dict[str, Any] = {"by": lake.settings.who(), "at": lake.now(), "why": why}
    everything = read(lake.corrections())
    mine = [each for each in everything if each.act == of]
    held = standing(everything)
    if mine:
        if any(each.kind == "erase" for each in mine):
            raise UsageError("who was erased cannot come back", given=of, next_step="Nothing of that person is kept.")
        ids = {each.id for each in held}
        left = [each for each in mine if each.id in ids]
        if not left:
            raise _already(of, next((each for each in held if each.supersedes in {own.id for own in mine}), None))
        return [
            Correction(
                "redo" if each.kind == "undo" else "undo",
                each.table,
                **said,
                run_id=each.run_id or of,
                batch=each.batch,
                row_hash=each.row_hash,
                supersedes=each.id,
            )
            for each in left
        ]
    batches = _batches(lake, of)
    if not batches:
        raise _unknown(lake, of)
    _require_ended(lake, of, [name for name, _ in batches])
    out = {(each.table, each.batch): each for each in held if each.kind == "undo" and each.row_hash is None}
    left_ = [place for place in batches if place not in out]
    if not left_:
        raise _already(of, out[batches[0]])
    return [Correction("undo", name, **said, run_id=of, batch=batch) for name, batch in left_]


def _batches(lake: Lake, run_id: str) -> list[tuple[str, int]]:
    """The (table, batch) that a run wrote, told by the rows themselves: compaction and cleaned logs change nothing."""
    found = []
    for name in sorted(lake.catalog.tables):
        bronze = lake.table("bronze", name)
        if bronze is not None:
            own = bronze.scan().filter(pl.col(RUN_ID) == run_id).select(pl.col(BATCH).unique().sort()).collect()
            found += [(name, batch) for batch in own[BATCH]]
    return found


def _undoing(lake: Lake, said: Sequence[Correction], of: str, *, dry_run: bool) -> Undoing:
    kind = "redo" if any(each.kind == "redo" for each in said) else "undo"
    names = sorted({each.table for each in said if each.table in lake.catalog.tables})
    graph = lake.catalog.graph
    following = set(names) | {node for name in names for node in graph.below(name)}
    tables = [_touched(lake, name, [each for each in said if each.table == name]) for name in names]
    return Undoing(of, "redo" if kind == "redo" else "undo", dry_run, tables, [node for node in graph.order() if node in following])


def _touched(lake: Lake, name: str, said: Sequence[Correction]) -> dict[str, Any]:
    """What of a table it takes back or brings back."""
    batches = sorted({each.batch for each in said if each.row_hash is None and each.batch is not None})
    single = len([each for each in said if each.row_hash is not None])
    bronze, keys = lake.table("bronze", name), list(lake.catalog.tables[name].keys)
    rows, distinct = single, None
    if bronze is not None and batches:
        own = bronze.scan().filter(pl.col(BATCH).is_in(batches))
        counted = own.select(pl.len().alias("rows"), *([pl.struct(keys).n_unique().alias("keys")] if keys else [])).collect()
        rows, distinct = rows + int(counted["rows"][0]), int(counted["keys"][0]) if keys else None
    return {"table": name, "batches": batches, "rows": rows, "keys": distinct}


def _already(of: str, by: Correction | None) -> UsageError:
    how = "" if by is None else f", by {by.by} at {by.at:%Y-%m-%d %H:%M:%S} UTC in {by.act}"
    next_step = f"`lakehouse undo {by.act}` takes that back." if by is not None else "There is nothing left to take back."
    return UsageError(f"{of} is taken back already{how}", next_step=next_step)


def _unknown(lake: Lake, of: str) -> UsageError:
    steps = lake.ledger.steps().filter(pl.col("run_id") == of).collect()
    if steps.is_empty():
        return UsageError(f"there is no run {of[:64]!r}", next_step="`lakehouse history` lists the runs, and what people corrected.")
    return UsageError(
        f"run {of} brought no row to bronze, so there is nothing to take back", next_step="`lakehouse history` shows its steps."
    )


def _require_ended(lake: Lake, of: str, names: Sequence[str]) -> None:
    """Nothing, unless the run is under way: it is not in the ledger yet, and the process that wrote its tables lives.

    Raises:
        UsageError: It is.
    """
    if not lake.ledger.steps().filter(pl.col("run_id") == of).select("run_id").head(1).collect().is_empty():
        return
    if any(lake.is_under_way(of, "bronze", name) for name in sorted(set(names))):
        raise UsageError(f"run {of} is under way", next_step="Wait until it has ended, or end it; then run again.")
