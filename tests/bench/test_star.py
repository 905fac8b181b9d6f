"""A fact of `ROWS` rows to four dimensions, two of them with history: built in full, and brought up to changes."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from lakehouse.lake import Lake
from lakehouse.layout import consumed
from lakehouse.model.run import Commit
from lakehouse.settings import Settings
from lakehouse.stages.gold import build
from tests.bench.harness import PROGRAMS, ROUNDS, Taken, interleave, measure, middle, report
from tests.bench.source import ROWS
from tests.lakes import write_project

pytestmark = pytest.mark.bench

MEMORY, CHANGES = "1GiB", 10_000
_TABLE = "from: {0}\nmode: full\nkeys: {1}\n"
_VERSIONS = "kind: dimension\nkeys: id\nsurrogate_key: {0}_key\nhistory: scd2\n"
PROJECT = {
    "metadata/sources/s.yml": "connection: s\n",
    **{f"metadata/tables/s/{name}.yml": _TABLE.format(name, "id") for name in ("customers", "products", "stores")},
    "metadata/tables/s/sales.yml": _TABLE.format("sales", "n"),
    "metadata/models/dim_customer.yml": _VERSIONS.format("customer"),
    "metadata/models/dim_product.yml": _VERSIONS.format("product"),
    "metadata/models/dim_store.yml": "kind: dimension\nkeys: id\nsurrogate_key: store_key\n",
    "metadata/models/dim_date.yml": """
kind: dimension
keys: date
surrogate_key: date_key
calendar: {starts_on: 2020-01-01, ends_on: 2026-12-31}
""",
    "metadata/models/fact_sale.yml": """
kind: fact
keys: n
as_of: sold_at
references:
  customer_key: {dimension: dim_customer, match: {id: customer}}
  product_key: {dimension: dim_product, match: {id: product}}
  store_key: {dimension: dim_store, match: {id: store}}
  date_key: {dimension: dim_date, match: {date: day}}
measures: {amount: }
""",
    **{f"sql/gold/dim_{name}.sql": f"select * from silver.{name}s" for name in ("customer", "product", "store")},
    "sql/gold/fact_sale.sql": "select n, customer, product, store, cast(sold_at as date) as day, sold_at, amount from silver.sales",
}
MODELS = ("dim_customer", "dim_product", "dim_store", "dim_date", "fact_sale")
_AT = "timestamptz '2021-01-01' + to_seconds((i * 7919) % 126000000)"


def _history(keys: int, versions: int) -> str:
    begin = "timestamptz '2020-06-01' + interval 1 year * v"
    return f"""
        select k as id, 'name ' || md5((k * {versions} + v)::varchar) as name, 'C' || (k + v) % 20 as country, {begin} as valid_from,
            case when v < {versions - 1} then {begin} + interval 1 year end as valid_to, v = {versions - 1} as is_current
        from range({keys}) a(k), range({versions}) b(v)"""


def _sales(where: str, more: int = 0) -> str:
    return f"""
        select i as n, (i * 31) % {ROWS // 25} as customer, (i * 17) % {ROWS // 100} as product, i % 500 as store, {_AT} as sold_at,
            (((i * 13) % 1000000 + {more}) / 100)::decimal(12, 2) as amount
        from range({ROWS}) t(i) where {where}"""


def _write(lake: Lake, name: str, query: str) -> None:
    """Put the rows of a query into a silver table, in the place of those with the same keys."""
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        reader = con.sql(query).to_arrow_reader(131_072)
        table = lake.table("silver", name)
        if table is None:
            table = lake.make_table("silver", name, reader.schema)
            table.replace(iter(reader), lambda: Commit("bench", "silver", {consumed("bronze", name): 1}))
        else:
            came = pl.DataFrame(pl.from_arrow(pa.Table.from_batches(list(reader))))
            keys = ["n"] if "n" in came.columns else ["id", "valid_from"]
            table.apply(came.select(keys), came, keys, Commit("bench", "silver", {consumed("bronze", name): table.batch + 1}))
        lake.end_step("silver", name)


class Star:
    """A lake whose star is built, and copies of it in which silver moved on."""

    def __init__(self, folder: Path) -> None:
        self.project, self.turn = write_project(folder / "project", PROJECT), folder / "turn"
        self.base = folder / "base"
        with self.open(self.base) as lake:
            _write(lake, "customers", _history(ROWS // 25, 5))
            _write(lake, "products", _history(ROWS // 100, 3))
            _write(lake, "stores", "select k as id, 'store ' || k as name from range(500) t(k)")
            _write(lake, "sales", _sales("true"))
            for name in MODELS[:-1]:
                build(lake, lake.catalog.models[name])
                lake.end_step("gold", name)

    def open(self, lake: Path) -> Lake:
        return Lake.open(self.project, Settings.load(self.project, lake=str(lake), memory_limit=MEMORY))

    def run(self, base: Path, words: list[str]) -> Taken:
        shutil.rmtree(self.turn, ignore_errors=True)
        shutil.copytree(base, self.turn, copy_function=os.link)
        return measure(words, {"LAKEHOUSE_LAKE": str(self.turn), "LAKEHOUSE_MEMORY_LIMIT": MEMORY})

    def product(self, base: Path, *models: str) -> Taken:
        return self.run(base, [sys.executable, str(PROGRAMS / "gold.py"), str(self.project), *models])

    def moved(self, name: str, table: str, query: str) -> Path:
        folder = self.base.with_name(name)
        shutil.copytree(self.base, folder, copy_function=os.link)
        with self.open(folder) as lake:
            _write(lake, table, query)
        return folder


def _sums(table: Path) -> tuple[object, ...]:
    rows = pl.scan_parquet(DeltaTable(table).file_uris())
    keys = [pl.col(f"{name}_key").cast(pl.Int128).sum() for name in ("customer", "product", "store", "date")]
    return rows.select(pl.len(), *keys, pl.col("amount").sum()).collect(engine="streaming").row(0)


def test_star(tmp_path: Path) -> None:
    star, sums = Star(tmp_path), {}

    def by_hand() -> Taken:
        taken = star.run(star.base, [sys.executable, str(PROGRAMS / "star.py"), str(star.turn), MEMORY])
        sums["by hand"] = _sums(star.turn / "by_hand")
        return taken

    def full() -> Taken:
        taken = star.product(star.base, "fact_sale")
        sums["full"] = _sums(star.turn / "gold/fact_sale")
        return taken

    taken = interleave({"duckdb by hand": by_hand, "lakehouse": full})
    assert sums["by hand"] == sums["full"]
    report(f"star of {ROWS} rows in full", taken, memory=MEMORY, load=f"{os.getloadavg()[0]:.1f}")
    with star.open(star.base) as lake:
        build(lake, lake.catalog.models["fact_sale"])
    recent = star.moved("recent", "sales", _sales(f"i >= {ROWS - CHANGES}", 1))
    spread = star.moved("spread", "sales", _sales(f"i % {ROWS // CHANGES} = 0", 1))
    version = "select 7::bigint as id, 'late' as name, 'C1' as country, timestamptz '2021-11-01' as valid_from, "
    late = star.moved("late", "customers", version + "timestamptz '2022-06-01' as valid_to, false as is_current")
    variants = {
        "10 k recent facts": lambda: star.product(recent, *MODELS),
        "10 k spread facts": lambda: star.product(spread, *MODELS),
        "one late version": lambda: star.product(late, *MODELS),
        "nothing": lambda: star.product(star.base, *MODELS),
    }
    refreshed = interleave(variants, ROUNDS)
    report(f"star of {ROWS} rows, changes", refreshed, memory=MEMORY, load=f"{os.getloadavg()[0]:.1f}")
    assert middle(refreshed["one late version"]).wall < middle(taken["lakehouse"]).wall
