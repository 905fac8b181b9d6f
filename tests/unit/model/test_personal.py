"""What a column may say of personal data, and what is told of it when it cannot be meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lakehouse.catalog import load
from lakehouse.catalog.personal import hidden
from lakehouse.errors import MetadataError
from lakehouse.model.personal import WORDS, State
from lakehouse.model.table import Table
from tests.lakes import SHOP, write_project

STATES = st.builds(State, st.sampled_from(WORDS), st.integers(0, 0xFFF), st.integers(0, 999), st.integers(0, 2**32 - 1))


def table(email: dict[str, Any], **words: Any) -> Table:  # noqa: ANN401  as the file says it
    columns = {"id": "bigint", "email": {"type": "string", **email}, "at": "timestamp"}
    given = {"name": "t", "source": "s", "from": "t", "mode": "incremental", "keys": "id", "cursor": "at", "columns": columns}
    return Table.model_validate({**given, **words})


@given(STATES)
def test_a_state_is_one_number_that_a_commit_can_carry(state: State) -> None:
    assert State.of(state.number) == state
    assert 0 <= state.number < 2**63


@pytest.mark.parametrize(
    ("email", "words", "told"),
    [
        ({"pii": "hash"}, {}, "'hmac', 'mask', 'drop' or 'tokenise'"),
        ({"pii": "hmac"}, {}, "needs a `key`"),
        ({"pii": "mask", "key": "people"}, {}, "takes no `key`"),
        ({"key": "people"}, {}, "say with `pii`"),
        ({"pii": "hmac", "key": "People"}, {}, "pattern"),
        ({"pii": "hmac", "key": "people@0"}, {}, "pattern"),
        ({"pii": "tokenise", "key": "people", "sealed": "vault"}, {}, "no use for it"),
        ({"pii": "hmac", "key": "people", "sealed": "people@2"}, {}, "a key of its own"),
        ({"pii": "hmac", "key": "people", "map": {"a": "b"}}, {}, "no value left for `map`"),
        ({"pii": "drop", "rename": "mail"}, {}, "no value left for `rename`"),
        ({"pii": "mask", "type": "double"}, {}, "no one text"),
        ({"pii": "mask"}, {"keys": "email"}, "leaves no name of a row"),
        ({"pii": "drop"}, {"keys": "email"}, "leaves no name of a row"),
        ({"pii": "hmac", "key": "people"}, {"cursor": "email"}, "table's `cursor`"),
        ({"pii": "hmac", "key": "people"}, {"sequence_by": "email"}, "table's `sequence_by`"),
        ({"pii": "drop"}, {"history": "scd2", "track": "email"}, "does not declare"),
    ],
)
def test_what_cannot_be_meant_is_told(email: dict[str, Any], words: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        table(email, **words)


def test_bronze_has_strings_of_what_is_protected_and_nothing_of_what_is_dropped() -> None:
    about = table({"pii": "hmac", "key": "people", "type": "date"})
    assert {name: str(kind) for name, kind in about.stored.items()} == {"id": "bigint", "email": "string", "at": "timestamp"}
    assert list(table({"pii": "drop"}).stored) == ["id", "at"] == list(table({"pii": "drop"}).shown)


def customers(city: str) -> str:
    return SHOP["metadata/tables/shop/customers.yml"].replace("city: string", city)


@pytest.mark.parametrize(
    ("city", "amount", "told"),
    [
        ("{type: string, pii: hmac, key: people@2}", "{type: bigint, pii: hmac, key: people}", "rotated together"),
        ("{type: string, pii: mask, sealed: people}", "{type: bigint, pii: hmac, key: people}", "a key of its own"),
    ],
)
def test_a_key_has_one_version_and_one_use(tmp_path: Path, city: str, amount: str, told: str) -> None:
    orders = SHOP["metadata/tables/shop/orders.yml"].replace("customer_id: bigint", f"customer_id: {amount}")
    write_project(tmp_path, {**SHOP, CUSTOMERS: customers(f"city: {city}"), ORDERS: orders})
    with pytest.raises(MetadataError, match=told):
        load(tmp_path)


def test_one_column_under_one_key_is_normalised_alike(tmp_path: Path) -> None:
    orders = SHOP["metadata/tables/shop/orders.yml"].replace("customer_id: bigint", "city: {type: string, pii: hmac, key: people}")
    write_project(tmp_path, {**SHOP, CUSTOMERS: customers("city: {type: string, pii: hmac, key: people, case: lower}"), ORDERS: orders})
    with pytest.raises(MetadataError, match="two tokens"):
        load(tmp_path)


def test_what_is_hidden_is_known_in_every_layer(tmp_path: Path) -> None:
    write_project(tmp_path, {**SHOP, CUSTOMERS: customers("city: {type: string, pii: hmac, key: people, rename: town}"), SQL: TOWN})
    catalog = load(tmp_path, deep=True)
    found = [hidden(catalog, *pair) for pair in (("bronze", "customers"), ("silver", "customers"), ("gold", "dim_customer"))]
    assert found == [{"city"}, {"town"}, {"place"}]
    assert not hidden(catalog, "silver", "orders")


CUSTOMERS, ORDERS = "metadata/tables/shop/customers.yml", "metadata/tables/shop/orders.yml"
SQL, TOWN = "sql/gold/dim_customer.sql", "select id, town as place, valid_from, valid_to, is_current from silver.customers\n"
