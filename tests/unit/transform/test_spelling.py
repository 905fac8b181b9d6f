"""Names of a source in the lake's spelling: always valid, never twice, by one rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.layout import COLUMN, NAME
from lakehouse.transform.spelling import lake_name, refused_columns, table_names, words


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("customer", "customer"),
        ("OrderLine", "order_line"),
        ("ORDER_LINE", "order_line"),
        ("HTTPServer", "http_server"),
        ("tblKunden 2024", "tbl_kunden_2024"),
        ("Straße", "strasse"),
        ("2024", "t_2024"),
        ("___", "t"),
        ("漢字", "t"),
        ("select", "select_table"),
        ("order", "order"),
        ("x" * 99, "x" * 63),
    ],
)
def test_a_table_is_called_by_the_rule(name: str, wanted: str) -> None:
    assert lake_name(name) == wanted


def test_words_are_parted_where_case_changes() -> None:
    assert words("lastUpdateDate") == words("LAST_UPDATE_DATE") == words("last update-date") == ("last", "update", "date")


def test_twins_get_schema_then_source_then_number() -> None:
    tables = [("a", "User"), ("b", "User"), ("b", "user"), ("b", "USER")]
    assert list(table_names(tables, "crm", {}, ()).values()) == ["user", "b_user", "crm_user", "user_2"]


def test_a_name_that_is_taken_elsewhere_is_not_given() -> None:
    assert table_names([("main", "orders")], "crm", {}, {"orders"}) == {("main", "orders"): "main_orders"}


def test_a_table_that_is_described_keeps_its_name() -> None:
    assert table_names([("s", "a"), ("s", "b")], "crm", {("s", "b"): "a"}, {"a"}) == {("s", "b"): "a", ("s", "a"): "s_a"}


@given(st.lists(st.lists(st.text(max_size=70), min_size=1, max_size=2).map(tuple), unique=True, max_size=20))
def test_every_list_of_tables_gets_valid_names_once(tables: list[tuple[str, ...]]) -> None:
    names = table_names(tables, "s", {}, ())
    assert len(set(names.values())) == len(tables)
    assert all(NAME.match(name) for name in names.values())


@given(st.lists(st.text(st.sampled_from("aAbB_1 é"), max_size=4) | st.sampled_from(["valid_from", "Is_Current"]), unique=True))
def test_the_columns_that_stay_are_valid_and_no_twins(columns: list[str]) -> None:
    refused = refused_columns(columns)
    kept = [name for name in columns if name not in refused]
    assert all(COLUMN.match(name) for name in kept)
    assert len({name.lower() for name in kept}) == len(kept)
    assert {"valid_from", "is_current"}.isdisjoint(name.lower() for name in kept)
    assert all(not COLUMN.match(name) or "case" in why or "history" in why for name, why in refused.items())


def test_of_two_twins_the_lower_case_one_stays() -> None:
    assert refused_columns(["ID", "Id", "id"]) == {"ID": "it differs from id in case alone", "Id": "it differs from id in case alone"}
