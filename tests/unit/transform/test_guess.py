"""Which column could be a table's cursor, and what follows from it."""

import pytest

from lakehouse.model.types import parse_type
from lakehouse.transform.guess import Seen, cursor_candidates, propose


def seen(name: str, kind: str = "timestamp", *, required: bool = True, indexed: bool = False) -> Seen:
    return Seen(name, parse_type(kind), required, indexed)


def cursors(table: str, *columns: Seen, keys: tuple[str, ...] = ()) -> list[str]:
    return [candidate.column.name for candidate in cursor_candidates(table, keys, columns)]


@pytest.mark.parametrize("name", ["updated_at", "ModifiedDate", "LAST_CHANGED", "lastUpdate", "row_updated_on", "Aenderung_am"])
def test_the_name_of_a_time_tells_of_changes(name: str) -> None:
    assert cursors("t", seen("id", "bigint"), seen(name), seen("created_at")) == [name]


@pytest.mark.parametrize(
    "column",
    [seen("updated_at", "string"), seen("update_count", "bigint"), seen("created_at"), seen("next_update_at"), seen("outdated_at")],
)
def test_other_columns_are_no_cursor(column: Seen) -> None:
    assert cursors("customer", column) == []


def test_the_better_evidence_comes_first() -> None:
    columns = (
        seen("changed_on", "date"),
        seen("touched_at", required=False),
        seen("modified_at"),
        seen("updated_at"),
        seen("changed_at", indexed=True),
    )
    assert cursors("t", *columns) == ["changed_at", "updated_at", "modified_at", "touched_at", "changed_on"]


def test_a_table_that_only_grows_is_read_by_its_integer_key_or_by_arrival() -> None:
    columns = (seen("id", "bigint"), seen("created_at"), seen("deleted_at"))
    assert cursors("event_log", *columns, keys=("id",)) == ["id", "created_at"]
    assert cursors("event_log", *columns, keys=("id", "day")) == ["created_at"]
    assert cursors("catalog", *columns, keys=("id",)) == []


def test_a_log_with_a_time_of_change_is_read_by_that() -> None:
    assert cursors("messages", seen("id", "bigint"), seen("updated_at"), keys=("id",)) == ["updated_at"]


@pytest.mark.parametrize(
    ("table", "keys", "column", "lookback", "history"),
    [
        ("customer", ("id",), seen("updated_at"), "1d", "scd2"),
        ("customer", (), seen("updated_at"), "1d", "scd1"),
        ("customer", ("id",), seen("changed_on", "date"), "2d", "scd2"),
        ("events", ("id",), seen("id", "integer"), 10_000, "scd1"),
    ],
)
def test_what_is_proposed(table: str, keys: tuple[str, ...], column: Seen, lookback: str | int, history: str) -> None:
    candidate = cursor_candidates(table, keys, [column])[0]
    proposal = propose(keys, "the primary key", candidate, candidate.reasons)
    assert (proposal.mode, proposal.cursor, proposal.lookback, proposal.history) == ("incremental", column.name, lookback, history)


def test_without_a_cursor_the_table_is_read_whole() -> None:
    proposal = propose(("id",), "the primary key", None, ("why",))
    assert (proposal.mode, proposal.cursor, proposal.lookback, proposal.history) == ("full", None, None, "scd1")


def test_a_change_of_a_part_is_no_change_of_the_row() -> None:
    parts = (seen("status_changed_at", indexed=True), seen("price_changed_at"), seen("address_updated_at"))
    assert cursors("orders", *parts) == []
    assert cursors("orders", *parts, seen("order_updated_at")) == ["order_updated_at"]
