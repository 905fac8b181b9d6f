"""W4: a reconciliation of a table that is equal on both sides, beside the same SQL with its checksum in the source alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import psycopg
import pytest

from lakehouse import Lakehouse
from lakehouse.lake import Lake
from lakehouse.sources.measure import Measured
from tests.bench.harness import PROGRAMS, interleave, measure, report
from tests.bench.source import ROWS, Source

pytestmark = pytest.mark.bench


def test_an_equal_table(source: Source, tmp_path: Path) -> None:
    table = source.fill(ROWS)
    environment = {**source.environment, "LAKEHOUSE_LAKE": str(tmp_path / "lake")}
    house = Lakehouse.open(source.project, lake=environment["LAKEHOUSE_LAKE"], connection={"bench": source.server.url})
    with Lake.open(house.project, house.settings) as lake:
        database = lake.database("bench")
        measured = Measured(database, database.describe(lake.catalog.tables[table]))
        query = measured.statement(measured.measure(), max(ROWS // 4096, 1)).sql(dialect="postgres")
    measure([sys.executable, str(PROGRAMS / "product.py"), str(source.project), table], environment)
    program = str(Path(sys.executable).with_name("lakehouse"))
    words = [program, "reconcile", table, "--project", str(source.project), "-o", "json"]
    variants = {
        "the same SQL in the source": lambda: measure([sys.executable, str(PROGRAMS / "ask.py"), source.server.url, query], {}),
        "lakehouse reconcile": lambda: measure(words, environment),
    }
    report("W4 reconcile of an equal table", interleave(variants), rows=ROWS)
    row = house.reconcile([table]).tables[0]
    assert (row.compared, row.missing, row.stale, row.surplus, row.rows_read) == (ROWS, 0, 0, 0, 0)
    with psycopg.connect(source.server.url, autocommit=True) as connection:
        connection.execute(f"update {table} set note = 'other' where id = 4321".encode())
    found = house.reconcile([table]).tables[0]
    assert (found.stale, found.keys["stale"], found.buckets_read) == (1, [4321], 1)
    print(json.dumps({"rows_read of one differing row": found.rows_read, "statements": found.statements}))
    with psycopg.connect(source.server.url, autocommit=True) as connection:
        connection.execute(f"drop table {table}".encode())
