"""Every kind of cursor on every kind of database, run by run: nothing lost, nothing twice, the watermark never too high."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from lakehouse.model.run import Window
from tests.contract.backend import Backend, define
from tests.contract.road import Road

LOOSE = "columns: {id: bigint, v: string, at: timestamp}\n"
LONG = "x" * 40


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def text(backend: Backend) -> str:
    return "varchar(80)" if backend.kind == "mariadb" else "text"


def test_a_change_and_its_change_back_at_one_cursor_value(backend: Backend) -> None:
    backend.execute(f"create table things (id bigint, v {text(backend)}, at timestamp)", "insert into things values (1, 'a', '2024-01-01')")
    road = Road(backend, "keys: id\ncursor: at\nhistory: scd2\n" + LOOSE)
    assert road.run() == 1
    for value in ("b", "a"):
        backend.execute(f"update things set v = '{value}'")
        assert (road.run(), road.run()) == (1, 0)
    assert road.column("v") == ["a", "b", "a"]
    assert road.column("v", "silver.things") == ["a"]


@pytest.mark.parametrize("keys", ["keys: id\n", ""])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_sixteen_thousand_rows_on_one_cursor_value(request: pytest.FixtureRequest, kind: str, keys: str) -> None:
    backend: Backend = request.getfixturevalue(kind)
    backend.execute("create table things (id bigint, v text, at timestamp)")
    numbers = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 8000)"
    fill = f"insert into things {numbers} select i + {{}}, 'x', '2024-01-01 00:00:00' from n"
    if kind == "postgresql":
        fill = fill.replace("'2024-01-01 00:00:00'", "timestamp '2024-01-01 00:00:00'")
    backend.execute(fill.format(0), fill.format(8000 if keys else 0))
    road = Road(backend, f"cursor: at\n{keys}{LOOSE}", batch_rows=1000)
    assert (road.run(), road.run()) == (16_000, 0)
    backend.execute("insert into things values (0, 'x', '2024-01-01 00:00:00')")
    assert (road.run(), road.run()) == (1, 0)
    assert sorted(road.column("id")) == sorted([0, *range(1, 8001), *range(8001 if keys else 1, 16_001 if keys else 8001)])


def test_today_is_read_again(backend: Backend) -> None:
    backend.execute("create table things (id bigint, at date)", "insert into things values (1, '2024-05-01'), (2, '2024-05-02')")
    road = Road(backend, "keys: id\ncursor: at\ncolumns: {id: bigint, at: date}\n", clock="2024-05-02T10:00:00Z")
    assert road.run() == 2
    backend.execute("insert into things values (3, '2024-05-02'), (4, '2024-05-03'), (5, '2024-05-01')")
    assert (road.run(), road.run()) == (1, 0)
    assert road.run(clock="2024-05-03T00:00:00Z") == 1
    assert road.column("id") == [1, 2, 3, 4]


def test_a_lag_leaves_the_last_days_out(backend: Backend) -> None:
    backend.execute("create table things (id bigint, at date)", "insert into things values (1, '2024-05-01'), (2, '2024-05-02')")
    road = Road(backend, "keys: id\ncursor: at\nlag: 12h\ncolumns: {id: bigint, at: date}\n")
    assert road.run(clock="2024-05-02T10:00:00Z") == 1
    assert road.run(clock="2024-05-02T12:00:00Z") == 1


def test_a_lag_of_ids_waits_for_those_that_are_committed_late(backend: Backend) -> None:
    backend.execute("create table things (id bigint)", "insert into things values (1), (2), (4), (7), (9)")
    road = Road(backend, "keys: id\ncursor: id\nlag: 5\ncolumns: {id: bigint}\n")
    assert (road.run(), road.watermark()) == (3, "4")
    backend.execute("insert into things values (5), (6), (10)")
    assert road.run() == 1
    assert road.column("id") == [1, 2, 4, 5]
    backend.execute("insert into things values (3), (14)")
    assert road.run() == 3
    assert road.column("id") == [1, 2, 4, 5, 6, 7, 9]


def test_a_text_cursor_goes_by_its_bytes(keyed: Backend) -> None:
    backend = keyed  # the bridge that stands for SQL Server knows no collations
    backend.execute(f"create table things (id bigint, at {text(backend)})")
    backend.insert("things", (1, "Z"), (2, "a"), (3, "B"), (4, "_"))
    road = Road(backend, "keys: id\ncursor: at\ncolumns: {id: bigint, at: string}\n")
    assert (road.run(), road.run(), road.watermark()) == (4, 0, "a")
    backend.insert("things", (5, "a"), (6, "A"), (7, "ä"), (8, "o'b"), (9, "b"))
    assert (road.run(), road.run(), road.watermark()) == (4, 0, "ä")
    assert road.column("id") == [1, 2, 3, 4, 5, 7, 8, 9]
    backend.insert("things", (10, "ä" + LONG), (11, "z"))
    assert (road.run(), road.run(), road.watermark()) == (1, 0, "ä" + LONG)
    backend.insert("things", (12, "ä" + LONG[1:]), (13, "ä" + LONG))
    assert (road.run(), road.run()) == (1, 0)
    assert "a text cursor has no past windows" in str(
        road.house().backfill(["things"], from_=at("2024-01-01"), to=at("2024-01-02")).steps[0].error
    )


def test_no_collation_of_the_database_orders_a_text_cursor(keyed: Backend) -> None:
    keyed.execute(f"create table things (id bigint, at {text(keyed)})")
    with keyed.open() as database:
        query = database.query(database.describe(define("things", cursor="at")), Window("a'"))
    assert {"sqlite": "COLLATE BINARY >= 'a'''", "postgresql": "COLLATE \"C\" >= 'a'''", "mariadb": "AS BINARY) >= x'6127'"}[
        keyed.kind
    ] in query


AUTUMN = [
    ("2024-10-27T00:59:00Z", [(1, "2024-10-27 01:59:00"), (2, "2024-10-27 02:10:00"), (3, "2024-10-27 02:50:00")], [1]),
    ("2024-10-27T01:30:00Z", [(4, "2024-10-27 02:05:00"), (5, "2024-10-27 02:20:00")], [2, 4, 5]),
    ("2024-10-27T02:00:00Z", [(6, "2024-10-27 02:55:00"), (7, "2024-10-27 02:49:59.999999")], [3, 6, 7]),
    ("2024-10-27T03:00:00Z", [(8, "2024-10-27 03:00:00"), (9, "2024-10-27 03:10:00")], [8, 9]),
]
"""Clocks, the rows that were written since the one before in Berlin's local time, and which of them come then."""


def test_no_row_of_the_repeated_hour_is_lost(backend: Backend) -> None:
    backend.execute("create table things (id bigint, at timestamp)")
    road = Road(backend, "keys: id\ncursor: at\ncursor_zone: Europe/Berlin\ncolumns: {id: bigint, at: timestamp}\n")
    for clock, rows, come in AUTUMN:
        backend.insert("things", *rows)
        assert (road.run(clock=clock), road.run(clock=clock)) == (len(come), 0)
    assert road.column("id") == [number for _, _, come in AUTUMN for number in come]
    found = {row["id"]: row["at"] for row in road.house().scan("bronze.things").collect().to_dicts()}
    assert (found[1], found[2], found[8]) == (at("2024-10-26T23:59"), at("2024-10-27T01:10"), at("2024-10-27T02:00"))


def test_another_zone_starts_at_the_beginning(sqlite: Backend) -> None:
    sqlite.execute("create table things (id bigint, at timestamp)", "insert into things values (1, '2024-01-01 12:00:00')")
    words = "keys: id\ncursor: at\ncolumns: {id: bigint, at: timestamp}\n"
    assert Road(sqlite, words).run() == 1
    sqlite.execute("insert into things values (2, '2024-01-01 12:30:00')")
    road = Road(sqlite, words + "cursor_zone: America/New_York\n")
    assert (road.run(), road.run(), road.watermark()) == (2, 0, "2024-01-01 17:30:00+00:00")


def test_a_zone_is_for_cursors_without_one(postgresql: Backend) -> None:
    postgresql.execute("create table things (id bigint, at timestamptz)")
    assert "instants already" in Road(postgresql, "keys: id\ncursor: at\ncursor_zone: Europe/Berlin\n").error()


@pytest.mark.parametrize(("kind", "native"), [("sqlite", "blob"), ("postgresql", "bytea"), ("mariadb", "varbinary(8)")])
def test_bytes_are_no_cursor(request: pytest.FixtureRequest, kind: str, native: str) -> None:
    backend: Backend = request.getfixturevalue(kind)
    backend.execute(f"create table things (id bigint, at {native})")
    assert "'at' is a binary; allowed: " in Road(backend, "keys: id\ncursor: at\n").error()


def test_what_the_file_says_must_fit_the_type_that_the_source_gives(sqlite: Backend) -> None:
    sqlite.execute("create table things (id bigint, at bigint)")
    assert "does not fit a bigint cursor" in Road(sqlite, "keys: id\ncursor: at\nlag: 1d\n").error()


def test_odd_cursors_stop_the_load_with_their_counts(backend: Backend) -> None:
    backend.execute("create table things (id bigint, at timestamp)")
    backend.insert("things", (1, "2024-01-01 00:00:00"), (2, None), (3, None), (4, "9999-12-31 00:00:00"))
    error = Road(backend, "keys: id\ncursor: at\ncolumns: {id: bigint, at: timestamp}\n").error()
    assert "cursor at is NULL in 2 rows and more than a day ahead in 1 row" in error
    assert "odd_cursors" in error
    (shown,) = re.findall(r"\((SELECT \* FROM .*)\), or say", error)
    if backend.kind != "sqlserver":
        assert sorted(row[0] for row in backend.ask(shown)) == [2, 3, 4]


def test_the_next_days_only_wait(backend: Backend) -> None:
    backend.execute("create table things (id bigint, at timestamp)")
    backend.insert("things", (1, "2029-12-31 00:00:00"), (2, "2030-01-01 00:00:00"), (3, "2030-01-02 23:59:59.999"))
    words = "keys: id\ncursor: at\ncolumns: {id: bigint, at: timestamp}\n"
    road = Road(backend, words)
    assert (road.run(), road.watermark()) == (1, "2029-12-31 00:00:00+00:00")
    backend.insert("things", (4, "2030-01-03 00:00:00"))
    assert "more than a day ahead in 1 row" in road.error()
    assert road.run(clock="2030-01-02T00:00:00Z") == 1


def test_what_lies_between_the_set_clock_and_the_real_one_waits(sqlite: Backend) -> None:
    sqlite.execute("create table things (id bigint, at timestamp)", "insert into things values (1, '2001-01-01'), (2, '2002-01-01')")
    road = Road(sqlite, "keys: id\ncursor: at\ncolumns: {id: bigint, at: timestamp}\n")
    assert [road.run(clock=f"{year}-06-01T00:00:00Z") for year in (2001, 2001, 2002)] == [1, 0, 1]


@pytest.mark.parametrize("native", ["timestamp", "timestamptz", "date"])
def test_infinity_is_counted_by_name(postgresql: Backend, native: str) -> None:
    postgresql.execute(f"create table things (id int, at {native})", "insert into things values (1, '-infinity'), (2, 'infinity')")
    assert "is infinite in 2 rows" in Road(postgresql, "keys: id\ncursor: at\n").error()
