"""Keys that go: tombstones that a search for deletes writes, and rows that say it themselves; what silver and gold make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakehouse.lake import Lake
from lakehouse.model.run import Step
from lakehouse.stages.bronze import bury
from tests.lakes import SHOP, SHOP_TABLES, change_source, open_shop, require_success, versions, write_project

CUSTOMERS, ORDERS = "metadata/tables/shop/customers.yml", "metadata/tables/shop/orders.yml"
START = (
    SHOP_TABLES
    + """
insert into customers values (1, 'Rome', '2024-01-01 00:00:00'), (2, 'Oslo', '2024-01-02 00:00:00');
insert into orders values (1, 1, '5.00', '2024-01-05 00:00:00'), (2, 2, '6.00', '2024-01-06 00:00:00');
"""
)


def project_of(folder: Path, *, history: str = "scd2", more: str = "") -> Path:
    """The shop, its customers with a history or without."""
    files = {**SHOP, CUSTOMERS: SHOP[CUSTOMERS].replace("scd2", history) + more}
    if history == "scd1":
        files["metadata/models/dim_customer.yml"] = files["metadata/models/dim_customer.yml"].replace("scd2", "scd1")
        files["sql/gold/dim_customer.sql"] = "select id, city from silver.customers"
    project = write_project(folder, files)
    change_source(project / "source.db", START)
    require_success(open_shop(project))
    return project


def end(project: Path, table: str, *keys: int) -> Step:
    house = open_shop(project)
    with Lake.open(project, house.settings) as lake:
        return bury(lake, lake.catalog.tables[table], pa.table({"id": pa.array(keys, pa.int64())}))


def rows(project: Path, query: str) -> list[tuple[Any, ...]]:
    return sorted(open_shop(project).sql(query).rows())


@pytest.mark.parametrize("history", ["scd1", "scd2"])
def test_a_buried_key_is_gone_until_it_is_seen_again(tmp_path: Path, history: str) -> None:
    project = project_of(tmp_path, history=history)
    current = "select id, city from silver.customers" + (" where is_current" if history == "scd2" else "")
    change_source(project / "source.db", "delete from customers where id = 1")
    assert (end(project, "customers", 1, 9).rows_out, end(project, "customers", 1).status) == (1, "unchanged")
    assert rows(project, "select id, city, changed_at::varchar from bronze.customers where _op = 'delete'") == [
        (1, "Rome", "2024-01-01 00:00:00+00")
    ]
    require_success(open_shop(project))
    assert rows(project, current) == [(2, "Oslo")]
    change_source(project / "source.db", "insert into customers values (1, 'Rome', '2024-01-01 00:00:00')")
    require_success(open_shop(project))
    assert rows(project, current) == [(1, "Rome"), (2, "Oslo")]
    stands = versions(project / "lake")
    require_success(open_shop(project))
    assert versions(project / "lake") == stands


@pytest.mark.parametrize("history", ["scd1", "scd2"])
def test_a_fact_outlives_its_member_and_goes_with_its_own_row(tmp_path: Path, history: str) -> None:
    project = project_of(tmp_path, history=history)
    facts = "select id, customer_key from gold.fact_order"
    before = rows(project, facts)
    change_source(project / "source.db", "delete from customers where id = 1")
    end(project, "customers", 1)
    require_success(open_shop(project))
    assert rows(project, facts) == before
    member = f"select d.id, d.is_inferred from gold.dim_customer d where customer_key = {before[0][1]}"
    assert rows(project, member) == [(1, history == "scd1")]
    end(project, "orders", 1)
    change_source(project / "source.db", "delete from orders where id = 1")
    require_success(open_shop(project))
    assert rows(project, facts) == before[1:]


def test_the_last_row_of_a_history_ends_when_the_delete_was_seen(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    end(project, "customers", 1)
    change_source(project / "source.db", "delete from customers where id = 1")
    require_success(open_shop(project))
    shown = "select valid_from::varchar, valid_to::varchar, is_current from silver.customers where id = 1"
    assert rows(project, shown) == [("2024-01-01 00:00:00+00", "2030-01-01 00:00:00+00", False)]
    change_source(project / "source.db", "insert into customers values (1, 'Rome', '2025-01-01 00:00:00')")
    require_success(open_shop(project))
    assert rows(project, shown) == [
        ("2024-01-01 00:00:00+00", "2025-01-01 00:00:00+00", False),
        ("2025-01-01 00:00:00+00", None, True),
    ]


@pytest.mark.parametrize("history", ["scd1", "scd2"])
def test_rows_that_say_that_they_are_gone(tmp_path: Path, history: str) -> None:
    project = project_of(tmp_path, history=history, more="deletes: column\napply_as_deletes: city = 'gone'\n")
    change_source(project / "source.db", "update customers set city = 'gone', changed_at = '2024-02-01 00:00:00' where id = 1")
    require_success(open_shop(project))
    assert rows(project, "select city from bronze.customers where id = 1") == [("Rome",), ("gone",)]
    if history == "scd1":
        assert rows(project, "select id from silver.customers") == [(2,)]
    else:
        ended = rows(project, "select city, valid_to::varchar from silver.customers where id = 1")
        assert ended == [("Rome", "2024-02-01 00:00:00+00")]
    change_source(project / "source.db", "update customers set city = 'Bern', changed_at = '2024-03-01 00:00:00' where id = 1")
    require_success(open_shop(project))
    current = " where is_current" if history == "scd2" else ""
    assert rows(project, f"select id, city from silver.customers{current}") == [(1, "Bern"), (2, "Oslo")]
    write_project(project, {CUSTOMERS: (project / CUSTOMERS).read_text().replace("'gone'", "'Oslo'")})
    require_success(open_shop(project))
    assert rows(project, f"select id, city from silver.customers{current}") == [(1, "Bern")]


def test_a_condition_that_names_no_column_is_a_failed_step(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    own = SHOP[CUSTOMERS].partition("columns:")[0] + "deletes: column\napply_as_deletes: not_there = 1\n"
    write_project(project, {CUSTOMERS: own})
    (step,) = [step for step in open_shop(project).run().steps if step.status == "failed"]
    assert (step.step, (step.error or {})["kind"]) == ("silver", "ModelError")
    assert "not_there" in (step.error or {})["message"]
