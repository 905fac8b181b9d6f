"""Rules that name what is not there are faults with their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.catalog import load
from lakehouse.errors import MetadataError
from tests.lakes import SHOP, write_project

ORDERS = "metadata/tables/shop/orders.yml"
CUSTOMERS = "metadata/tables/shop/customers.yml"


@pytest.mark.parametrize(
    ("rule", "key", "says"),
    [
        (
            "not_null: [id, amuont]",
            "expect.r.not_null",
            "names 'amuont'; there are: id, customer_id, amount, ordered_at (did you mean 'amount'?)",
        ),
        ("range: {column: price, min: 1}", "expect.r.range", "names 'price'"),
        ("metric: {sql: sum(price), min: 1}", "expect.r.metric.sql", "names price"),
        ("metric: {sql: sum(amount) over (), min: 1}", "expect.r.metric.sql", "without queries, windows"),
        ("drift: {sql: (select 1)}", "expect.r.drift.sql", "expected an aggregate over a table's rows"),
        ("metric: {sql: sum(amount) + random(), min: 1}", "expect.r.metric.sql", "function rand is not allowed in a rule"),
        (
            "foreign_key: {columns: customer_id, table: custmers}",
            "expect.r.foreign_key.table",
            "is no silver table (did you mean 'customers'?)",
        ),
        (
            "foreign_key: {columns: [id, customer_id], table: customers}",
            "expect.r.foreign_key.to",
            "expected 2 columns of customers, given id",
        ),
        ("foreign_key: {columns: customer_id, table: customers, to: nr}", "expect.r.foreign_key.to", "names nr; customers has: id"),
    ],
)
def test_what_a_rule_names_is_there(tmp_path: Path, rule: str, key: str, says: str) -> None:
    with pytest.raises(MetadataError) as caught:
        load(write_project(tmp_path, {**SHOP, ORDERS: SHOP[ORDERS] + f"expect:\n  r: {{{rule}}}\n"}))
    (fault,) = caught.value.faults
    assert (fault.file, fault.key, says in str(fault)) == (ORDERS, key, True), str(fault)


def test_a_table_waits_for_the_one_that_it_points_to_and_circles_are_refused(tmp_path: Path) -> None:
    to = "expect:\n  r: {{foreign_key: {{columns: {}, table: {}}}, else: quarantine}}\n"
    one = {**SHOP, CUSTOMERS: SHOP[CUSTOMERS] + to.format("id", "orders")}
    assert load(write_project(tmp_path / "one", one)).graph.order()[:2] == ["orders", "customers"]
    both = {**one, ORDERS: SHOP[ORDERS] + to.format("customer_id", "customers")}
    with pytest.raises(MetadataError, match="the foreign keys form a circle"):
        load(write_project(tmp_path / "both", both))
    own = {**SHOP, ORDERS: SHOP[ORDERS] + to.format("customer_id", "orders")}
    assert "orders" in load(write_project(tmp_path / "own", own)).graph.order()
