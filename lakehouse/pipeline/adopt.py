"""Adopt: what somebody else loaded before becomes a table's first batch in bronze, and the next run goes on from there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.errors import ContractError, UsageError
from lakehouse.layout import lake_uri
from lakehouse.pipeline.audit import audited
from lakehouse.pipeline.walk import walk
from lakehouse.stages.adopt import adopt as adopted
from lakehouse.stages.bronze import append
from lakehouse.storage.foreign import Foreign, open_foreign

if TYPE_CHECKING:
    from lakehouse.lake import Lake
    from lakehouse.model.run import Cursor, Run
    from lakehouse.model.table import Table
    from lakehouse.pipeline.walk import Progress


def adopt(lake: Lake, name: str, place: str, *, watermark: Cursor | None = None, progress: Progress | None = None) -> Run:
    """Make a Parquet or Delta history a table's first batch; silver and gold follow with the next run.

    Args:
        lake: The opened lake.
        name: The table.
        place: A Parquet file, a folder or pattern of such files, or a Delta table; here (from the working folder) or on Azure.
        watermark: Where the next run goes on, in the place of the greatest cursor; never above it.
        progress: Called with the step as it ends.

    Raises:
        UsageError: There is no such table, nothing at the place, or bronze has rows of the table already.
        ContractError: The columns do not fit.
    """
    table = lake.catalog.tables.get(name)
    if table is None:
        raise UsageError(
            f"{name!r} is no table of this project",
            given=", ".join(sorted(lake.catalog.tables)),
            next_step="Describe it in metadata/tables/ first.",
        )
    foreign = open_foreign(lake.places, lake_uri(place, Path.cwd(), "PATH_OR_URI"))
    _require_one_version(table, foreign)
    adopted(lake, table, foreign, watermark)  # what is wrong with its shape is misuse, not a failed run
    with audited(lake, "adopt", what=name) as told:
        done = walk(lake, [name], lambda _: [("bronze", lambda: append(lake, adopted(lake, table, foreign, watermark)))], progress=progress)
        told.failed, told.counts["rows"] = done.status == "failed", sum(step.rows_out for step in done.steps)
        return done


def _require_one_version(table: Table, foreign: Foreign) -> None:
    """Without a cursor or a sequence nothing says which version of a key is the newest: there must be one of each."""
    if not table.keys or table.sequence:
        return
    import polars as pl  # noqa: PLC0415  only here

    lacking = [key for key in table.keys if any(key not in part.collect_schema().names() for part in foreign.parts)]
    if lacking:
        return  # the columns' own check names them
    keys = pl.concat([part.select(table.keys) for part in foreign.parts], how="vertical_relaxed")
    several = keys.group_by(table.keys).len().filter(pl.col("len") > 1).select(pl.len()).collect(engine="streaming").item()
    if several:
        raise ContractError(
            f"{several} key{'s' * (several != 1)} come{'s' * (several == 1)} more than once, and nothing orders their versions",
            where=foreign.uri,
            next_step="Name a `sequence_by` in the table's file, or adopt the newest version of each key.",
        )
