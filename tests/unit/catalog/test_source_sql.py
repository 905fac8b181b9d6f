"""SQL that a table's file has for its source, checked without the source."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.catalog import load
from lakehouse.catalog.source_sql import condition_fault, query_fault
from lakehouse.errors import MetadataError
from tests.lakes import SHOP, write_project

ORDERS = "metadata/tables/shop/orders.yml"


@pytest.mark.parametrize(
    ("text", "right_in"),
    [
        ("select 1;", {"postgres", "mysql", "tsql", "sqlite"}),
        ("with a as (select 1 as x) select x from a", {"postgres", "mysql", "sqlite"}),
        ("select top 5 [a] from [b]", {"tsql"}),
        ("select a::date from b", {"postgres", "mysql", "tsql", "sqlite"}),
        ("select `a` from b -- why", {"mysql", "sqlite"}),
    ],
)
def test_a_query_is_right_in_its_own_dialect_and_where_none_is_known(text: str, right_in: set[str]) -> None:
    assert {name for name in ("postgres", "mysql", "tsql", "sqlite") if query_fault(text, name) is None} == right_in
    assert query_fault(text, None) is None


@pytest.mark.parametrize(
    "text",
    [
        "insert into t select 1",
        "select 1; select 2",
        "select * into x from y",
        "with x as (delete from t returning *) select * from x",
        "select /*! sleep(9) */ 1",
        "select 'open",
        "call f()",
        "",
        ";",
    ],
)
def test_what_is_no_single_select_is_none_in_any_dialect(text: str) -> None:
    assert query_fault(text, None)


@pytest.mark.parametrize("text", ["a = 1", "a", "not b", "a in (select x from y)", "[a] = 1", "`a` > 1 or b is null", "a like '%;%'"])
def test_conditions(text: str) -> None:
    assert condition_fault(text, None) is None


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "'x'",
        "*",
        "a, b",
        "a as b",
        "a = 1;",
        "a = 1 -- x",
        "a = 1 /* x */",
        "a = 1 limit 5",
        "sum(a) > 1",
        "select 1",
        "a = 1) or (1 = 1",
    ],
)
def test_what_is_no_condition(text: str) -> None:
    assert condition_fault(text, None)


def faults(folder: Path, text: str, **dialects: str) -> list[str]:
    project = write_project(folder, {**SHOP, ORDERS: text})
    with pytest.raises(MetadataError) as caught:
        load(project, deep=True, dialects=dialects)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("mode: full\nquery: select 1; select 2\n", f"{ORDERS}:2: query: expected one SELECT, given 2 statements"),
        ("mode: full\nfrom: orders\nwhere: drop table orders\n", f"{ORDERS}:3: where: expected a condition, given DROP"),
        ("mode: full\nfrom: orders\nquery: select 1 as id\n", f"{ORDERS}:3: query: expected either `from` or `query`, given both"),
        ("mode: full\nkeys: id\n", f"{ORDERS}:1: from: expected either `from` or `query`"),
        ("mode: full\nfrom: orders\npartitions: 4\n", f"{ORDERS}:3: partitions: needs a `cursor` or `keys`"),
        ("mode: full\nfrom: orders\npartitions: 65\nkeys: id\n", f"{ORDERS}:3: partitions: "),
        ("mode: full\nfrom: o\npartitions: 2\nkeys: id\ncolumns: {id: string}\n", f"{ORDERS}:3: partitions: cannot cut by 'id', a string"),
    ],
)
def test_a_fault_names_file_line_and_key(tmp_path: Path, text: str, fault: str) -> None:
    assert any(one.startswith(fault) for one in faults(tmp_path, text)), faults(tmp_path, text)


def test_the_connection_decides_the_dialect_where_it_is_known(tmp_path: Path) -> None:
    text = "mode: full\nquery: select top 5 [id] from [orders]\n"
    assert "no SQL" in faults(tmp_path, text, shop="postgres")[0]
    load(write_project(tmp_path / "other", {**SHOP, ORDERS: text + "columns: {id: bigint}\n"}), dialects={"shop": "tsql"})
    assert "declare them" in faults(tmp_path, "mode: full\nquery: select id from orders\n", shop="sqlite")[0]
