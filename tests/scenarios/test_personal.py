"""Personal data by declaration: tokens that join, keys that are rotated, and nothing in clear anywhere."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lakehouse import Lakehouse
from lakehouse.errors import LakehouseError
from lakehouse.lake import Lake
from lakehouse.stages.gold import build
from lakehouse.stages.rekey import rekey
from lakehouse.stages.silver import fold
from tests.lakes import CLOCK, SHOP, write_project
from tests.shop import CUSTOMERS, NO_LOOKBACK, ORDERS, Make, Shop

ONE, TWO, VAULT = "11" * 32, "22" * 32, "33" * 32
KEYS = {"people": ONE, "people_2": TWO, "vault": VAULT}
NORMAL = "case: lower, unicode: NFC, trim: true"


@pytest.fixture
def small(tmp_path: Path) -> Make:
    """Over SQLite alone: what the story is about lies behind the door."""

    def build(files: dict[str, str], name: str = "shop") -> Shop:
        (tmp_path / name).mkdir()
        return Shop(tmp_path / name, f"sqlite://{tmp_path / name}/source.db", {**NO_LOOKBACK, **files})

    return build


def files(email: str) -> dict[str, str]:
    """The shop with people: customers by e-mail, and orders that name them by it."""
    customers = f"""
from: people
mode: incremental
keys: email
cursor: changed_at
history: scd2
columns:
  email: {{type: string, {email}, {NORMAL}}}
  city: string
  changed_at: timestamp
"""
    orders = f"""
from: buys
mode: incremental
keys: id
cursor: ordered_at
columns: {{id: bigint, email: {{type: string, {email}, {NORMAL}}}, amount: "decimal(12,2)", ordered_at: timestamp}}
"""
    return {
        **SHOP,
        "metadata/tables/shop/customers.yml": customers,
        "metadata/tables/shop/orders.yml": orders,
        "metadata/models/dim_customer.yml": "kind: dimension\nkeys: email\nsurrogate_key: customer_key\nhistory: scd2\n",
        "metadata/models/fact_order.yml": "kind: fact\nkeys: id\nas_of: ordered_at\n"
        "references:\n  customer_key: {dimension: dim_customer, match: {email: email}}\nmeasures: {amount: }\n",
        "sql/gold/dim_customer.sql": "select email, city, valid_from, valid_to, is_current from silver.customers\n",
        "sql/gold/fact_order.sql": "select id, email, ordered_at, amount from silver.orders\n",
    }


SOURCE = (
    "create table people (email varchar(80) primary key, city text, changed_at timestamp)",
    "create table buys (id integer primary key, email varchar(80), amount numeric(12,2), ordered_at timestamp)",
    "insert into people values ('Ada.Canary@Example.org', 'Rome', '2024-01-01 00:00:00')",
    "insert into people values ('bob@example.org', 'Oslo', '2024-01-02 00:00:00')",
    "insert into buys values (1, ' ada.canary@example.org', 5, '2024-02-01 00:00:00'), (2, 'BOB@example.org', 7, '2024-02-02 00:00:00')",
)
LATER = (
    "update people set city = 'Bern', changed_at = '2024-03-01 00:00:00' where email like 'Ada%'",
    "insert into buys values (3, 'Ada.Canary@example.org', 9, '2024-04-01 00:00:00')",
)
PLAIN = """
from: people
mode: incremental
keys: email
cursor: changed_at
history: scd2
columns: {email: string, city: string, changed_at: timestamp}
"""
PLAIN_ORDERS = """
from: buys
mode: incremental
keys: id
cursor: ordered_at
columns: {id: bigint, email: string, amount: "decimal(12,2)", ordered_at: timestamp}
"""
WITH_NAMES = {
    "metadata/tables/shop/people.yml": """
from: people
mode: incremental
keys: id
cursor: changed_at
columns:
  id: integer
  email: {type: string, pii: drop}
  phone: {type: string, pii: mask}
  born: {type: date, pii: mask}
  changed_at: timestamp
"""
}
STAR = "select d.email, d.city, f.id, f.amount from gold.fact_order f join gold.dim_customer d using (customer_key)"


def told(make: Make, email: str, name: str = "shop") -> Shop:
    shop = make(files(email), name=name)
    shop.change(*SOURCE)
    return shop


def house(shop: Shop, **keys: str) -> Lakehouse:
    return Lakehouse.open(shop.folder, clock=CLOCK, lake="lake", connection={"shop": shop.url}, key=keys or KEYS)


def redeclare(shop: Shop, email: str) -> None:
    write_project(shop.folder, files(email))


def content(there: Lakehouse) -> dict[str, Counter[tuple[Any, ...]]]:
    names = ("bronze.customers", "bronze.orders", "silver.customers", "silver.orders", "gold.dim_customer", "gold.fact_order")
    own = ("_batch", "_run_id", "_extracted_at")
    return {name: Counter(there.scan(name).drop(own, strict=False).collect().rows()) for name in names}


def succeed(there: Lakehouse, **how: Any) -> None:  # noqa: ANN401  as Lakehouse.run
    report = there.run(**how)
    assert report.status in ("success", "unchanged"), [step.error for step in report.steps if step.error]


def canaries(folder: Path) -> list[Path]:
    """The files of a folder that have the canary in their bytes, Parquet decoded."""
    import polars as pl  # noqa: PLC0415

    found = []
    for file in folder.rglob("*"):
        if file.is_file():
            seen = file.read_bytes()
            seen += pl.read_parquet(file).write_csv().encode() if file.suffix == ".parquet" else b""
            found += [file] if b"canary" in seen.lower() else []
    return found


@pytest.mark.parametrize("email", ["pii: hmac, key: people", "pii: tokenise, key: people", "pii: hmac, key: people, sealed: vault"])
def test_tables_that_share_a_key_join_and_nothing_is_in_clear(make: Make, email: str) -> None:
    shop = told(make, email)
    succeed(house(shop))
    shop.change(*LATER)
    succeed(house(shop))
    succeed(house(shop))
    rows = house(shop).sql(STAR).rows()
    assert sorted((city, number) for _, city, number, _ in rows) == [("Bern", 3), ("Oslo", 2), ("Rome", 1)]
    assert len({token for token, _, _, _ in rows}) == 2
    assert house(shop).sql("select count(*) as n from bronze.customers").rows() == [(3,)]
    assert canaries(shop.folder / "lake") == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("pii: hmac, key: people, sealed: vault", "pii: hmac, key: people@2, sealed: vault"),
        ("pii: tokenise, key: people", "pii: tokenise, key: people@2"),
    ],
)
def test_a_key_rotated_is_as_if_it_had_been_the_new_one_from_the_start(make: Make, before: str, after: str) -> None:
    shop = told(make, before)
    always = told(make, after, name="always")
    for each in (shop, always):
        succeed(house(each))
        each.change(*LATER)
    redeclare(shop, after)
    plan = house(shop).plan()
    assert {row["table"] for row in plan if "is rotated from version 1 to 2" in row["reason"]} == {"customers", "orders"}
    with pytest.raises(LakehouseError, match="customers, orders"):
        house(shop).run(["customers+"])
    for each in (shop, always):
        succeed(house(each))
    assert content(house(shop)) == content(house(always))


def test_an_hmac_that_is_not_sealed_is_rotated_by_a_full_refresh_and_says_so_first(small: Make) -> None:
    shop = told(small, "pii: hmac, key: people")
    succeed(house(shop))
    redeclare(shop, "pii: hmac, key: people@2")
    steps = {row["table"]: row["reason"] for row in house(shop).plan() if row["action"] == "stop"}
    assert set(steps) == {"customers", "orders"}
    assert all("--full-refresh" in reason for reason in steps.values())
    report = house(shop).run()
    assert {step.step: step.status for step in report.steps if step.table in ("customers", "fact_order")} == {
        "rekey": "failed",
        "bronze": "skipped",
        "silver": "skipped",
        "gold": "skipped",
    }
    succeed(house(shop), full_refresh=True)
    always = told(small, "pii: hmac, key: people@2", name="always")
    succeed(house(always))
    assert content(house(shop)) == content(house(always))
    shop.change(*LATER)
    succeed(house(shop))
    assert len(house(shop).sql(STAR).rows()) == 3


def test_values_in_clear_are_protected_from_the_next_run_on_and_back(small: Make) -> None:
    shop = small({**files("pii: tokenise, key: people"), CUSTOMERS: PLAIN, ORDERS: PLAIN_ORDERS})
    shop.change(*SOURCE)
    succeed(house(shop))
    before = content(house(shop))
    write_project(shop.folder, files("pii: tokenise, key: people"))
    succeed(house(shop))
    always = told(small, "pii: tokenise, key: people", name="always")
    succeed(house(always))
    assert content(house(shop)) == content(house(always))
    write_project(shop.folder, {CUSTOMERS: PLAIN, ORDERS: PLAIN_ORDERS})
    succeed(house(shop))
    lowered = {value.strip().lower() for value, *_ in house(shop).sql("select email from bronze.customers").rows()}
    assert lowered == {row[0].strip().lower() for row in before["bronze.customers"]}


def test_another_key_by_the_same_name_is_refused_and_nothing_is_mixed(small: Make) -> None:
    shop = told(small, "pii: hmac, key: people")
    succeed(house(shop))
    shop.change(*LATER)
    report = house(shop, people=TWO).run()
    failed = [step.error["message"] for step in report.steps if step.error and step.status == "failed"]
    assert failed
    assert all("key people is not the one" in message and TWO not in message for message in failed)
    assert house(shop).sql("select count(*) as n from bronze.customers").rows() == [(2,)]


def test_a_model_over_tables_of_two_versions_is_refused(small: Make) -> None:
    shop = told(small, "pii: tokenise, key: people")
    succeed(house(shop))
    redeclare(shop, "pii: tokenise, key: people@2")
    with Lake.open(shop.folder, house(shop).settings) as lake:
        rekey(lake, lake.catalog.tables["customers"])
        fold(lake, lake.catalog.tables["customers"])
        with pytest.raises(LakehouseError, match="several versions of key people"):
            build(lake, lake.catalog.models["dim_customer"])


def test_dropped_columns_are_not_read_and_masks_keep_the_shape(small: Make) -> None:
    shop = small(WITH_NAMES)
    shop.change(
        "create table people (id integer primary key, email varchar(80), phone varchar(40), born date, changed_at timestamp)",
        "insert into people values (1, 'Ada.Canary@Example.org', '+44 20 canary', '1815-12-10', '2024-01-01 00:00:00')",
    )
    succeed(house(shop), select=["people"])
    assert house(shop).sql("select * exclude (_batch, changed_at) from silver.people").to_dicts() == [
        {"id": 1, "phone": "+99 99 xxxxxx", "born": "9999-99-99"}
    ]
    assert canaries(shop.folder / "lake") == []
    shop.change("update people set email = 'other', phone = '+44 21 heron_', changed_at = '2024-01-02 00:00:00'")
    succeed(house(shop), select=["people"])
    assert house(shop).sql("select count(*) as n from bronze.people").rows() == [(2,)]
