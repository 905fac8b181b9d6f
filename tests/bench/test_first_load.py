"""W1: a whole table out of PostgreSQL into bronze, beside connectorx's stream only drained and a bare script."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from lakehouse import Lakehouse
from tests.bench.harness import PROGRAMS, Taken, interleave, measure, report
from tests.bench.source import COLUMNS, ROWS, Source, sums

pytestmark = pytest.mark.bench


class Loads:
    """The programs that load one table, each into a folder that is checked and removed."""

    def __init__(self, source: Source, rows: int, folder: Path) -> None:
        self.source, self.folder = source, folder
        self.table = source.fill(rows)
        self.query = f"select {COLUMNS} from {self.table}"
        self.expected = source.sums(self.table)

    def drained(self) -> Taken:
        return measure([sys.executable, str(PROGRAMS / "drain.py"), self.source.server.url, self.query], {})

    def bare(self) -> Taken:
        to = self.folder / "bare"
        taken = measure([sys.executable, str(PROGRAMS / "bare.py"), self.source.server.url, self.query, str(to)], {})
        assert sums(pl.scan_parquet(DeltaTable(to).file_uris())) == self.expected
        shutil.rmtree(to)
        return taken

    def product(self) -> Taken:
        lake = self.folder / "lake"
        command = [sys.executable, str(PROGRAMS / "product.py"), str(self.source.project), self.table]
        taken = measure(command, {**self.source.environment, "LAKEHOUSE_LAKE": str(lake)})
        assert sums(Lakehouse.open(self.source.project, lake=str(lake)).scan(f"bronze.{self.table}")) == self.expected
        shutil.rmtree(lake)
        return taken


def test_first_load(source: Source, tmp_path: Path) -> None:
    loads = Loads(source, ROWS, tmp_path)
    taken = interleave({"connectorx, drained": loads.drained, "connectorx to Delta, bare": loads.bare, "lakehouse": loads.product})
    report("W1 first load", taken, rows=ROWS)


def test_first_load_of_four_times_the_rows(source: Source, tmp_path: Path) -> None:
    small, large = Loads(source, ROWS, tmp_path), Loads(source, 4 * ROWS, tmp_path)
    taken = interleave({f"lakehouse, {ROWS} rows": small.product, f"lakehouse, {4 * ROWS} rows": large.product}, rounds=1)
    report("W1-peak of a first load", taken)
