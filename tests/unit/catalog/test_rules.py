"""Rules that name what is not there are faults with their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.catalog import load
from lakehouse.catalog.select import check_aggregate
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
        ("metric: {sql: amount, min: 1}", "expect.r.metric.sql", "given amount of each row: write what makes one number of them all"),
        ("metric: {sql: sum(amount) / id, min: 1}", "expect.r.metric.sql", "given id of each row"),
        ("drift: {sql: 1 + 1}", "expect.r.drift.sql", "expected an aggregate over a table's rows: write"),
        ("that: age(ordered_at) < interval 1 year", "expect.r.that", "function age is not allowed in a rule"),
        ("that: error(id)", "expect.r.that", "function error is not allowed in a rule"),
        ("that: current_user = 'x'", "expect.r.that", "function current_user is not allowed in a rule"),
        ("that: \"columns('.*') is not null\"", "expect.r.that", "expected a condition of named columns, given * or columns()"),
        ("that: id > 1;", "expect.r.that", "without a semicolon"),
        ("range: {column: amount, max: .inf}", "expect.r.range", "amount is compared with what it cannot be: expected decimal(12,2)"),
        ("range: {column: ordered_at, min: 3}", "expect.r.range", "expected timestamp such as"),
        ("in_set: {column: id, values: [1, b]}", "expect.r.in_set", "expected bigint, given 'b'"),
        ("freshness: {column: amount, within: 2d}", "expect.r.freshness", "amount is a decimal(12,2), which is no time"),
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


@pytest.mark.parametrize(
    "text",
    [
        "count(*)",
        "avg(a) / max(b)",
        "count(*) filter (where a > 0)",
        "entropy(a)",
        "quantile_cont(0.5) within group (order by a)",
        "1.0 * sum(a)",
    ],
)
def test_what_makes_one_number_of_all_rows_is_an_aggregate(text: str) -> None:
    assert check_aggregate(text) is None


def test_a_table_waits_for_the_one_that_it_points_to_and_circles_are_refused(tmp_path: Path) -> None:
    to = "expect:\n  r: {{foreign_key: {{columns: {}, table: {}}}, else: quarantine}}\n"
    one = {**SHOP, CUSTOMERS: SHOP[CUSTOMERS] + to.format("id", "orders")}
    assert load(write_project(tmp_path / "one", one)).graph.order()[:2] == ["orders", "customers"]
    both = {**one, ORDERS: SHOP[ORDERS] + to.format("customer_id", "customers")}
    with pytest.raises(MetadataError, match="the foreign keys form a circle"):
        load(write_project(tmp_path / "both", both))
    own = {**SHOP, ORDERS: SHOP[ORDERS] + to.format("customer_id", "orders")}
    assert "orders" in load(write_project(tmp_path / "own", own)).graph.order()


def test_values_of_rules_are_written_in_many_ways(tmp_path: Path) -> None:
    rules = (
        "range: {column: amount, min: 0.005, max: 1000000000000}",
        "range: {column: ordered_at, min: 2024-01-01, max: 2024-01-01T10:00:00}",
        "in_set: {column: id, values: [1, '2', 3.0]}",
    )
    listed = "".join(f"  r{number}: {{{rule}}}\n" for number, rule in enumerate(rules))
    assert load(write_project(tmp_path, {**SHOP, ORDERS: SHOP[ORDERS] + f"expect:\n{listed}"})).tables


def test_people_are_erased_in_a_table_that_is_there(tmp_path: Path) -> None:
    text = SHOP["metadata/tables/shop/orders.yml"] + "erase: {custmers: delete}\n"
    with pytest.raises(MetadataError) as refused:
        load(write_project(tmp_path, {**SHOP, "metadata/tables/shop/orders.yml": text}))
    (fault,) = refused.value.faults
    assert (fault.key, fault.what, fault.hint) == ("erase.custmers", "'custmers' is no table", "did you mean 'customers'?")
