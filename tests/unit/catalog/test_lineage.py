from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.catalog import load
from lakehouse.catalog.lineage import lineage
from lakehouse.model.lineage import ColumnEdge, Lineage, TableEdge
from tests.cli.project import FILES

CLEANED = """\
from: Users
mode: incremental
keys: user_id
cursor: updated_at
columns:
  user_id: integer
  name: {type: string, trim: true, rename: full_name}
  secret: string
  updated_at: timestamp
exclude: secret
derive:
  initial: {sql: "substr(full_name, 1, 1)", type: string}
"""
TOTALS = """\
with paid as (select user_id, sum(amount) as total from silver.orders where amount > 0 group by user_id)
select u.user_id, p.total * 2 as doubled, count(*) over () as n, u.full_name as name
from silver.users as u join paid as p using (user_id)
"""


@pytest.fixture
def found(tmp_path: Path) -> Lineage:
    files = FILES | {
        "metadata/tables/shop/users.yml": CLEANED,
        "metadata/models/totals.yml": "kind: aggregate\nkeys: user_id\n",
        "sql/gold/totals.sql": TOTALS,
        "sql/gold/dim_user.sql": "select user_id, full_name, updated_at from silver.users\n",
        "metadata/models/dim_user.yml": "kind: dimension\nkeys: user_id\nsurrogate_key: user_key\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return lineage(load(tmp_path), {})


def above(found: Lineage, table: str, column: str) -> set[tuple[str, str, str]]:
    return {(edge.from_, edge.from_column, edge.how) for edge in found.columns if (edge.to, edge.to_column) == (table, column)}


def test_a_renamed_and_cleaned_column(found: Lineage) -> None:
    assert above(found, "silver.users", "full_name") == {("bronze.users", "name", "trim")}
    assert above(found, "bronze.users", "name") == {("source.shop.Users", "name", "as it is")}


def test_a_derived_column_comes_from_what_its_expression_names(found: Lineage) -> None:
    assert above(found, "silver.users", "initial") == {("bronze.users", "name", "substr(full_name, 1, 1)")}


def test_an_excluded_column_ends_in_bronze(found: Lineage) -> None:
    assert above(found, "bronze.users", "secret")
    assert not [edge for edge in found.columns if edge.from_column == "secret" and edge.from_ == "bronze.users"]


def test_a_column_through_a_cte_and_an_expression(found: Lineage) -> None:
    assert above(found, "gold.totals", "doubled") == {("silver.orders", "amount", "p.total * 2")}
    assert above(found, "gold.totals", "name") == {("silver.users", "full_name", "renamed")}


def test_a_surrogate_key_comes_from_the_natural_key_and_a_fact_s_from_what_it_is_looked_up_by(found: Lineage) -> None:
    assert above(found, "gold.dim_user", "user_key") == {("silver.users", "user_id", "surrogate key")}
    assert above(found, "gold.fact_order", "user_key") == {
        ("gold.dim_user", "user_key", "looked up"),
        ("silver.orders", "user_id", "looked up"),
        ("silver.orders", "ordered_at", "looked up"),
    }


def test_one_column_with_all_above_and_below(found: Lineage) -> None:
    near = found.around("silver.orders", "amount")
    assert {(edge.to, edge.to_column) for edge in near.columns} == {
        ("bronze.orders", "amount"),
        ("silver.orders", "amount"),
        ("gold.totals", "doubled"),
        ("gold.fact_order", "amount"),
    }


def test_a_circle_s_worth_of_edges_is_walked_once() -> None:
    edges = (TableEdge("a", "b", "x"), TableEdge("b", "a", "x"), TableEdge("c", "d", "x"))
    assert Lineage(edges, (ColumnEdge("a", "i", "b", "j", "x"),), {}).around("a").tables == edges[:2]
