"""W2: 10 thousand changed rows into bronze, out of tables of different sizes: the cost follows the change, not the table."""

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

import connectorx
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse import Lakehouse
from lakehouse.lake import Lake
from lakehouse.stages.bronze import append
from lakehouse.stages.extract import extract
from tests.bench.harness import PROGRAMS, Taken, interleave, keep, measure, report, settle_disk
from tests.bench.source import CHANGED, COLUMNS, ROWS, Source, sums

pytestmark = pytest.mark.bench

SIZES = (ROWS // 5, ROWS, 4 * ROWS)
RESIDENT_ROUNDS = 15


class Changes:
    """A table, loaded into a lake by the product once, and then changed and loaded again and again."""

    def __init__(self, source: Source, rows: int, folder: Path) -> None:
        self.source, self.lake = source, folder / f"lake_{rows}"
        self.table = source.fill(rows)
        self.load()

    def load(self) -> Taken:
        """One run of the product as a process of its own."""
        command = [sys.executable, str(PROGRAMS / "product.py"), str(self.source.project), self.table]
        return measure(command, {**self.source.environment, "LAKEHOUSE_LAKE": str(self.lake)})

    def change_and_load(self) -> Taken:
        """What the load of a change takes; what it brought is compared with the source."""
        start = self.source.change(self.table)
        taken = self.load()
        self.require(self.scan(), start)
        return taken

    def scan(self) -> pl.LazyFrame:
        return Lakehouse.open(self.source.project, lake=str(self.lake)).scan(f"bronze.{self.table}")

    def require(self, rows: pl.LazyFrame, start: datetime) -> None:
        """The rows from `start` on are those of the source, once each."""
        found = sums(rows.filter(pl.col("updated_at") >= start))
        assert found[0] == CHANGED
        assert found == self.source.sums(self.table, f"updated_at >= '{start.isoformat()}'")


def test_changes_cost_the_same_in_small_and_large_tables(source: Source, tmp_path: Path) -> None:
    tables = [Changes(source, rows, tmp_path) for rows in SIZES]
    taken = interleave({f"lakehouse, of {rows} rows": table.change_and_load for rows, table in zip(SIZES, tables, strict=True)}, rounds=5)
    report("W2 changes, whole processes", taken, changed=CHANGED)


def test_changes_in_a_resident_process(source: Source, tmp_path: Path) -> None:
    loaded = Changes(source, ROWS, tmp_path)
    write_deltalake(tmp_path / "bare", _read(source, f"select {COLUMNS} from {loaded.table} where false"))
    bare = DeltaTable(tmp_path / "bare")
    settings = Lakehouse.open(source.project, lake=str(loaded.lake), connection={"bench": source.server.url}).settings
    seconds: dict[str, list[float]] = {"bare": [], "lakehouse": []}
    with Lake.open(source.project, settings) as lake:

        def by_product() -> None:
            append(lake, extract(lake, lake.catalog.tables[loaded.table]))

        def by_hand() -> None:
            query = f"select {COLUMNS} from {loaded.table} where updated_at >= '{start}' and updated_at < '{start + timedelta(hours=1)}'"
            write_deltalake(bare, _read(source, query), mode="append")

        for turn in range(RESIDENT_ROUNDS + 1):
            start = source.change(loaded.table)
            works = {"bare": by_hand, "lakehouse": by_product}
            for name in list(works)[:: 1 if turn % 2 else -1]:
                settle_disk()
                begun = time.perf_counter()
                works[name]()
                seconds[name].append(time.perf_counter() - begun)
            loaded.require(pl.scan_parquet(bare.file_uris()), start)
            loaded.require(loaded.scan(), start)
    middle = {name: median(each[1:]) for name, each in seconds.items()}
    print(f"\nW2 changes, resident: {', '.join(f'{name} {1000 * value:.1f} ms' for name, value in middle.items())}", end="; ")
    print(f"lakehouse is {middle['lakehouse'] / middle['bare']:.2f} x bare")
    keep("W2-resident", seconds=seconds)


def _read(source: Source, query: str) -> pa.RecordBatchReader:
    return connectorx.read_sql(source.server.url, query, return_type="arrow_stream", batch_size=65_536)
