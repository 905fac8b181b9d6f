"""Rows whose cursor is NULL, infinite or far ahead, by the declared policy: each comes once, and none moves the watermark."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lakehouse.transform.zone import FIRST, LAST
from tests.contract.backend import Backend
from tests.contract.road import Road

WORDS = "keys: id\ncursor: at\ncolumns: {id: bigint, v: string, at: timestamp}\n"
ONCE, REJECT = WORDS + "odd_cursors: read_once\n", WORDS + "odd_cursors: reject\n"
ROWS = [(1, "a", "2024-01-01 00:00:00"), (2, "b", None), (3, "c", "9999-12-31 00:00:00")]
CLOCK = datetime(2030, 1, 1, tzinfo=UTC)


def filled(backend: Backend) -> Backend:
    kind = "varchar(80)" if backend.kind == "mariadb" else "text"
    backend.execute(f"create table things (id bigint, v {kind}, at timestamp)")
    backend.insert("things", *ROWS)
    return backend


def silver(road: Road) -> dict[int, str]:
    return {row["id"]: row["v"] for row in road.house().scan("silver.things").collect().to_dicts()}


@pytest.mark.parametrize("history", ["scd1", "scd2"])
def test_read_once(backend: Backend, history: str) -> None:
    road = Road(filled(backend), f"{ONCE}history: {history}\n")
    assert (road.run(), road.run(), road.watermark()) == (3, 0, "2024-01-01 00:00:00+00:00")
    backend.insert("things", (4, "d", "2025-01-01 00:00:00"), (5, "e", None))
    assert (road.run(), road.run(), road.watermark()) == (2, 0, "2025-01-01 00:00:00+00:00")
    backend.execute("update things set v = 'B' where id = 2", "update things set v = 'C' where id = 3")
    assert (road.run(clock="2030-01-02T00:00:00Z"), road.run(clock="2030-01-02T00:00:00Z")) == (2, 0)
    assert silver(road) == {1: "a", 4: "d", 5: "e", 3: "C", 2: "B"} if history == "scd1" else True
    backend.execute("update things set v = 'bb', at = '2030-01-03 00:00:00' where id = 2")
    assert (road.run(clock="2030-01-04T00:00:00Z"), road.watermark()) == (1, "2030-01-03 00:00:00+00:00")
    current = {row["id"]: row["v"] for row in road.house().scan("silver.things").collect().to_dicts() if row.get("is_current", True)}
    assert current == {1: "a", 2: "bb", 3: "C", 4: "d", 5: "e"}
    if history == "scd2":
        spans = {(row["id"], row["v"]): row["valid_from"] for row in road.house().scan("silver.things").collect().to_dicts()}
        assert (spans[2, "b"], spans[3, "c"], spans[3, "C"]) == (CLOCK, CLOCK, datetime(2030, 1, 2, tzinfo=UTC))


def test_silver_says_the_same_after_a_rebuild(backend: Backend) -> None:
    road = Road(filled(backend), ONCE + "history: scd2\n")
    assert road.run() == 3
    backend.execute("update things set at = '2024-06-01 00:00:00', v = 'z'")
    assert road.run(clock="2030-01-02T00:00:00Z") == 3
    backend.execute("update things set at = null, v = 'y' where id < 3")
    assert road.run(clock="2030-01-03T00:00:00Z") == 2
    before = road.house().scan("silver.things").collect().sort("id", "valid_from")
    rebuilt = road.house().run(rebuild=["silver.things"]).steps[1]
    assert rebuilt.error is None
    assert road.house().scan("silver.things").collect().sort("id", "valid_from").equals(before)


def test_rejected_rows_are_kept_and_counted_and_not_taken(backend: Backend) -> None:
    road = Road(filled(backend), REJECT)
    step = road.step()
    assert (step.rows_out, step.rejected) == (3, 2)
    assert silver(road) == {1: "a"}
    step = road.step()
    assert (step.status, step.rows_out, step.rejected) == ("unchanged", 0, 0)
    backend.execute("update things set at = '2024-01-02 00:00:00' where id = 2")
    step = road.step()
    assert (step.rows_out, step.rejected, road.run()) == (1, 0, 0)
    assert silver(road) == {1: "a", 2: "b"}
    assert road.watermark() == "2024-01-02 00:00:00+00:00"
    assert sorted(road.column("_op"), key=str) == [None, None, "reject", "reject"]


def test_a_row_far_ahead_is_taken_when_its_time_has_come(sqlite: Backend) -> None:
    sqlite.execute("create table things (id bigint, v text, at timestamp)")
    sqlite.insert("things", (1, "a", "2001-01-01 00:00:00"), (2, "b", "9999-06-01 00:00:00"))
    road = Road(sqlite, REJECT)
    assert (road.run(), silver(road)) == (2, {1: "a"})
    assert (road.run(clock="9999-07-01T00:00:00Z"), silver(road)) == (1, {1: "a", 2: "b"})


@pytest.mark.parametrize("keys", ["keys: id\n", ""])
@pytest.mark.parametrize("native", ["timestamp", "timestamptz", "date"])
def test_infinity_comes_as_the_ends_of_time(postgresql: Backend, native: str, keys: str) -> None:
    postgresql.execute(
        f"create table things (id int, at {native})",
        "insert into things values (1, '-infinity'), (2, 'infinity'), (3, '2024-01-01'), (4, null)",
        "insert into things values (5, '20000-01-01'), (6, '0044-03-15 BC')",
    )
    road = Road(postgresql, f"{keys}cursor: at\nodd_cursors: {'read_once' if keys else 'reject'}\n")
    assert (road.run(), road.run()) == (6, 0)
    assert "2023-12-31" <= str(road.watermark()) < "2024-01-02"
    postgresql.execute("insert into things values (7, '-infinity'), (8, '2024-02-01'), (9, 'infinity')")
    assert (road.run(), road.run()) == (3, 0)
    found = {row["id"]: row["at"] for row in road.house().scan("bronze.things").collect().to_dicts()}
    first, last = (FIRST.date(), LAST.date()) if native == "date" else (FIRST, LAST)
    assert [found[number] for number in (1, 2, 4, 5, 6, 7)] == [first, last, None, last, first, first]


@pytest.mark.parametrize("policy", ["read_once", "reject"])
def test_an_integer_cursor_may_be_null(backend: Backend, policy: str) -> None:
    backend.execute("create table things (id bigint, no bigint, at date)", "insert into things values (1, 1, '2024-01-01')")
    backend.insert("things", (2, None, "2024-01-01"))
    words = f"keys: id\ncursor: no\nsequence_by: at\nodd_cursors: {policy}\ncolumns: {{id: bigint, no: bigint, at: date}}\n"
    road = Road(backend, words)
    assert (road.run(), road.run(), road.watermark()) == (2, 0, "1")
    backend.insert("things", (3, 2, "2024-01-01"), (4, None, "2024-01-01"))
    assert (road.run(), road.run(), road.watermark()) == (2, 0, "2")
    taken = [1, 2, 3, 4] if policy == "read_once" else [1, 3]
    assert sorted(road.house().scan("silver.things").collect()["id"].to_list()) == taken


def test_without_keys_each_odd_row_comes_as_often_as_it_is_there(backend: Backend) -> None:
    filled(backend)
    backend.insert("things", *ROWS)
    road = Road(backend, ONCE.replace("keys: id\n", ""))
    assert (road.run(), road.run()) == (6, 0)
    backend.insert("things", ROWS[1])
    assert (road.run(), road.run()) == (1, 0)


def test_odd_rows_in_large_reads_come_once_too(sqlite: Backend) -> None:
    sqlite.execute("create table things (id bigint, v text, at timestamp)")
    sqlite.insert("things", *[(number, "x", None if number % 3 else "2024-01-01 00:00:00") for number in range(9_000)])
    for words in (ONCE, REJECT.replace("keys: id\n", "")):
        road = Road(sqlite, words, lake=words[-8:].strip())
        assert (road.run(), road.run()) == (9_000, 0)


def test_what_is_no_time_at_all_stops_under_every_policy(sqlite: Backend) -> None:
    sqlite.execute("create table things (id bigint, v text, at timestamp)", "insert into things values (1, 'a', 'tomorrow')")
    for words in (ONCE, REJECT):
        assert "cursor at is no timestamp in 1 row" in Road(sqlite, words).error()


def test_a_date_cursor(backend: Backend) -> None:
    backend.execute("create table things (id bigint, at date)")
    backend.insert("things", (1, "2024-01-01"), (2, None), (3, "9999-12-31"))
    road = Road(backend, "keys: id\ncursor: at\nodd_cursors: read_once\nhistory: scd2\ncolumns: {id: bigint, at: date}\n")
    assert (road.run(), road.run(), road.watermark()) == (3, 0, "2024-01-01")
    starts = {row["id"]: row["valid_from"] for row in road.house().scan("silver.things").collect().to_dicts()}
    assert starts == {1: datetime(2024, 1, 1, tzinfo=UTC).date(), 2: CLOCK.date(), 3: CLOCK.date()}


def test_a_local_time_that_is_odd(backend: Backend) -> None:
    road = Road(filled(backend), ONCE + "cursor_zone: America/New_York\n")
    assert (road.run(), road.run(), road.watermark()) == (3, 0, "2024-01-01 05:00:00+00:00")
