"""Which models a star publishes together: those that share a table, however far around."""

from __future__ import annotations

from pathlib import Path

from lakehouse.catalog import load
from tests.lakes import SHOP, write_project

ROOT = Path(__file__).parents[3]


def model(name: str, reads: str) -> dict[str, str]:
    return {f"metadata/models/{name}.yml": "kind: aggregate\nkeys: id\n", f"sql/gold/{name}.sql": f"select id from {reads}\n"}


def table(name: str) -> dict[str, str]:
    return {f"metadata/tables/shop/{name}.yml": "from: t\nmode: full\nkeys: id\ncolumns: {id: bigint}\n"}


def test_the_project_s_own_star_is_one() -> None:
    catalog = load(ROOT)
    assert catalog.connected() == [set(catalog.models)]


def test_models_that_share_nothing_are_apart(tmp_path: Path) -> None:
    files = {**SHOP, **table("a"), **table("b"), **model("one", "silver.a"), **model("two", "silver.b"), **model("three", "gold.two")}
    found = load(write_project(tmp_path, files)).connected()
    assert sorted(map(sorted, found)) == [["dim_customer", "fact_order"], ["one"], ["three", "two"]]
    both = model("bridge", "silver.a join silver.b using (id)")
    found = load(write_project(tmp_path, both)).connected()
    assert sorted(map(sorted, found)) == [["bridge", "one", "three", "two"], ["dim_customer", "fact_order"]]
