"""A source that lives on between the runs: bronze observes it, silver and gold are what all observations together say."""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lakes import SHOP, SHOP_TABLES, change_source, content, copy_layer, open_shop, require_success, versions, write_project
from tests.properties import model
from tests.properties.model import Version

START = datetime(2026, 1, 1, tzinfo=UTC)
Change = tuple[int, int, str | None]
"""A customer's new state: (id, day of the change, city). Upserted, it is an insert, an update in order, late, or without a change."""
Order = tuple[int, int | None, int]
"""(id, customer, day)."""

changes = st.tuples(st.integers(1, 3), st.integers(0, 5), st.sampled_from(["Rome", "Oslo", None]))
orders = st.tuples(st.integers(1, 4), st.one_of(st.none(), st.integers(1, 4)), st.integers(0, 6))
days = st.lists(st.tuples(st.lists(changes, max_size=3), st.lists(orders, max_size=2)), min_size=1, max_size=4)
CHECKS = [HealthCheck.too_slow]


def instant(day: int) -> datetime:
    return START + timedelta(days=day)


def text(value: object) -> str:
    return "null" if value is None else f"'{value:%Y-%m-%d %H:%M:%S}'" if isinstance(value, datetime) else repr(value)


def upserts(customers: list[Change], sold: list[Order]) -> str:
    rows: list[tuple[str, tuple[object, ...]]] = [("customers", (key, city, instant(day))) for key, day, city in customers]
    rows += [("orders", (key, customer, "1.00", instant(day))) for key, customer, day in sold]
    return "\n".join(f"insert or replace into {table} values ({', '.join(map(text, row))});" for table, row in rows)


class Observed:
    """Bronze in plain Python: what each run sees that differs from the last observation of its key."""

    def __init__(self) -> None:
        self.source: dict[int, tuple[Any, ...]] = {}
        self.last: dict[int, tuple[Any, ...]] = {}
        self.batch = 0
        self.rows: list[tuple[int, tuple[Any, ...], int]] = []

    def look(self) -> None:
        new = {key: row for key, row in self.source.items() if self.last.get(key) != row}
        self.batch += bool(new)
        self.rows += [(key, row, self.batch) for key, row in new.items()]
        self.last |= new


def walk(lived: list[tuple[list[Change], list[Order]]]) -> None:
    """Live each day, run after it, and compare every layer with plain Python; then build the star in one go."""
    customers, sold = Observed(), Observed()
    customers.source[1], sold.source[1] = ("Bonn", instant(3)), (1, instant(3))
    with tempfile.TemporaryDirectory() as place:
        project = write_project(Path(place), SHOP)
        change_source(project / "source.db", SHOP_TABLES + upserts([(1, 3, "Bonn")], [(1, 1, 3)]))
        for new_customers, new_orders in [([], []), *lived]:
            change_source(project / "source.db", upserts(new_customers, new_orders))
            customers.source |= {key: (city, instant(day)) for key, day, city in new_customers}
            sold.source |= {key: (customer, instant(day)) for key, customer, day in new_orders}
            require_success(open_shop(project))
            customers.look()
            sold.look()
            require_layers(project, customers, sold)
        copy_layer("bronze", project / "lake", project / "again")
        require_success(open_shop(project, lake="again"))
        for table in ("silver.customers", "silver.orders", "gold.dim_customer", "gold.fact_order"):
            assert content(open_shop(project), table) == content(open_shop(project, lake="again"), table), table
        stands = versions(project / "lake")
        require_success(open_shop(project))
        assert versions(project / "lake") == stands


def require_layers(project: Path, customers: Observed, sold: Observed) -> None:
    house = open_shop(project)
    technical = ("_run_id", "_extracted_at")
    assert content(house, "bronze.customers", technical) == Counter((k, *row, batch) for k, row, batch in customers.rows)
    assert content(house, "bronze.orders", ("amount", *technical)) == Counter((k, *row, batch) for k, row, batch in sold.rows)
    seen = [Version(k, at, city, batch) for k, (city, at), batch in customers.rows]
    history = model.history(seen, {instant(day): "" for day in range(7)})
    silver = house.scan("silver.customers").collect().select("id", "city", "_batch", "valid_from", "valid_to", "is_current")
    assert Counter(silver.rows()) == Counter(history)
    require_star(
        house.scan("gold.dim_customer").collect().rows(named=True), house.scan("gold.fact_order").collect().rows(named=True), history, sold
    )


def require_star(members: list[dict[str, Any]], facts: list[dict[str, Any]], history: set[model.Row], sold: Observed) -> None:
    """Each order is there once as its latest version says, and its key leads to the customer's version at that time."""
    latest: dict[int, tuple[Any, ...]] = {}
    for key, (customer, at), batch in sold.rows:
        latest[key] = max(latest.get(key, (START, 0, None)), (at, batch, customer), key=lambda row: row[:2])
    by_key = {member["customer_key"]: member for member in members}
    assert len(by_key) == len(members)
    assert sorted(row["id"] for row in facts) == sorted(latest)
    for row in facts:
        at, _, customer = latest[row["id"]]
        member, version = by_key[row["customer_key"]], model.member_at(history, customer, at)
        assert (row["ordered_at"], row["customer_id"], member["id"]) == (at, customer, customer)
        assert (row["customer_key"] == -1) == (customer is None)
        assert member["is_inferred"] == (customer is not None and version is None)
        assert version is None or (member["city"], member["valid_from"], member["valid_to"]) == (version[1], *version[3:5])


@settings(max_examples=6, deadline=None, suppress_health_check=CHECKS)
@given(days)
def test_every_layer_is_the_model(lived: list[tuple[list[Change], list[Order]]]) -> None:
    walk(lived)


@pytest.mark.long
@settings(max_examples=300, deadline=None, suppress_health_check=CHECKS)
@given(days)
def test_every_layer_is_the_model_long(lived: list[tuple[list[Change], list[Order]]]) -> None:
    walk(lived)


def test_late_tied_unchanged_and_back() -> None:
    walk(
        [
            ([(1, 4, "Oslo"), (2, 2, "Rome")], [(2, 2, 1), (3, 4, 2)]),
            ([(1, 4, "Rome")], [(4, None, 3)]),
            ([(1, 4, "Oslo"), (2, 1, "Oslo")], [(1, 2, 0)]),
            ([(1, 5, "Oslo"), (2, 0, None), (3, 0, "Rome")], [(4, 3, 3)]),
        ]
    )
