"""Lakes whose silver is built, with one more batch of changes in bronze, and the same changes as a file for others."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa

from lakehouse import Lakehouse
from lakehouse.lake import Lake
from lakehouse.model.run import Commit
from lakehouse.settings import Settings
from lakehouse.stages.silver import fold
from lakehouse.storage.frames import to_batches
from tests.lakes import write_project

SLICE = 250_000
MEMORY = "1GiB"
_STAMPS = {"_run_id": pl.lit("bench"), "_extracted_at": pl.lit(datetime(2025, 6, 1, tzinfo=UTC)).dt.cast_time_unit("us")}
_TABLES = {
    "orders": "from: public.orders\nmode: incremental\nkeys: id\ncursor: updated_at\n",
    "dim": "from: public.dim\nmode: incremental\nkeys: id\ncursor: changed_at\nhistory: scd2\n",
}


def _instant(start: datetime, seconds: pl.Expr) -> pl.Expr:
    return (pl.lit(start).dt.cast_time_unit("us") + pl.duration(seconds=seconds)).dt.replace_time_zone("UTC")


def orders(ids: pl.Series, turn: int = 0) -> pl.DataFrame:
    """Rows of eight mixed columns; those of a later turn have other amounts and later instants."""
    g = pl.col("id")
    start = datetime(2020 + 5 * turn, 1, 1)  # noqa: DTZ001  the zone comes with the column
    return pl.DataFrame({"id": ids}).select(
        "id",
        (g * 7919 % 100_000).cast(pl.Int32).alias("customer_id"),
        pl.concat_str(pl.lit("C"), g % 10).alias("country"),
        pl.concat_str(pl.lit("note "), g.hash(1).cast(pl.String), g.hash(2).cast(pl.String)).alias("note"),
        ((g * 31 % 1_000_003) / 7).alias("score"),
        ((g * 13 % 10_000_000 + 100 * turn).cast(pl.Decimal(14, 0)) / 100).cast(pl.Decimal(12, 2)).alias("amount"),
        _instant(datetime(2019, 1, 1), g).alias("created_at"),  # noqa: DTZ001
        _instant(start, g).alias("updated_at"),
    )


def versions(ids: pl.Series, turn: int) -> pl.DataFrame:
    """One version of each of these keys of a dimension."""
    g = pl.col("id")
    return pl.DataFrame({"id": ids}).select(
        "id",
        pl.concat_str(pl.lit("name "), g.hash(1).cast(pl.String)).alias("name"),
        pl.concat_str(pl.lit("C"), (g + turn) % 10).alias("country"),
        pl.concat_str(pl.lit("segment "), (g + turn) % 97).alias("segment"),
        ((g * 31 + turn) % 1_000_003 / 7).alias("score"),
        _instant(datetime(2019 + turn, 1, 1), g).alias("changed_at"),  # noqa: DTZ001
    )


def changed(kind: str, rows: int, count: int) -> pl.Series:
    """So many different keys among `rows`, one of twenty a new one: `skewed` to few hot ones, `uniform`, or `recent` (the last)."""
    new = count // 20
    old = count - new
    if kind == "recent":
        ids: Iterable[int] = range(rows - old + 1, rows + 1)
    elif kind == "uniform":
        ids = range(1, old * (rows // old) + 1, rows // old)
    else:
        dice, found = random.Random(7), set[int]()
        while len(found) < old:
            found.add(rows - int(rows * dice.random() ** 6))
        ids = sorted(found)
    return pl.Series("id", [*ids, *range(rows + 1, rows + new + 1)], dtype=pl.Int64)


@dataclass(frozen=True)
class State:
    """What each program starts from.

    Attributes:
        folder: Where it is; programs get copies of it.
        table: The table's name.
        base: The rows that are there, as Parquet.
        changes: The rows that come, as Parquet.
    """

    folder: Path
    table: str
    base: Path
    changes: Path

    @classmethod
    def make(cls, folder: Path, table: str, slices: list[pl.DataFrame]) -> State:
        """A lake whose bronze and silver hold these rows; the changes come by `with_changes`."""
        write_project(folder / "project", {"metadata/sources/bench.yml": "connection: bench\n"})
        write_project(folder / "project", {f"metadata/tables/bench/{table}.yml": _TABLES[table]})
        state = cls(folder / "lake", table, folder / "base.parquet", folder / "none.parquet")
        pl.concat(slices).write_parquet(state.base, row_group_size=SLICE)
        state.load(slices, 1)
        state.fold()
        return state

    @property
    def project(self) -> Path:
        return self.base.parent / "project"

    def settings(self, lake: Path) -> Settings:
        return Lakehouse.open(self.project, lake=str(lake), memory_limit=MEMORY).settings

    def environment(self, lake: Path) -> dict[str, str]:
        return {"LAKEHOUSE_LAKE": str(lake), "LAKEHOUSE_MEMORY_LIMIT": MEMORY}

    def load(self, slices: list[pl.DataFrame], batch: int, run_id: str = "bench") -> None:
        """Append one batch to bronze."""
        with Lake.open(self.project, self.settings(self.folder)) as lake:
            stamped = [
                rows.with_columns(pl.lit(batch, pl.Int64).alias("_batch"), **_STAMPS).with_columns(pl.lit(run_id).alias("_run_id"))
                for rows in slices
            ]
            schema = pa.schema(stamped[0].clear().to_arrow(compat_level=pl.CompatLevel.oldest()).schema)
            bronze = lake.table("bronze", self.table) or lake.make_table("bronze", self.table, schema)
            batches = (part for rows in stamped for part in to_batches(rows, bronze.schema))
            bronze.append(batches, lambda: Commit(lake.run_id, "bronze"))

    def fold(self) -> None:
        """Build silver."""
        with Lake.open(self.project, self.settings(self.folder)) as lake:
            fold(lake, lake.catalog.tables[self.table])

    def with_changes(self, name: str, rows: pl.DataFrame) -> State:
        """The same with one more batch in bronze that silver has not consumed."""
        state = State(self.copy(self.base.parent / name), self.table, self.base, self.base.parent / f"{name}.parquet")
        rows.write_parquet(state.changes)
        state.load([rows], 2)
        return state

    def copy(self, to: Path) -> Path:
        return copy(self.folder, to)

    def silver(self, lake: Path) -> Path:
        return lake / "silver" / self.table


def copy(folder: Path, to: Path) -> Path:
    """A copy that shares the data files, which nobody changes, with the first."""

    def one(source: str, target: str) -> None:
        (os.link if source.endswith(".parquet") else shutil.copy2)(source, target)

    shutil.copytree(folder, to, copy_function=one)
    return to


def sizes(folder: Path) -> dict[Path, int]:
    """The bytes of each file below a folder."""
    return {path.relative_to(folder): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
