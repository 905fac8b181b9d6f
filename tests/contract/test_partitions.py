"""A large read in ranges over several connections: each row once, in one moment of the database where it has such a thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from threading import Event, Thread
from time import sleep
from typing import Any

import psycopg
import pytest

from lakehouse.errors import ContractError
from lakehouse.model.run import Odd, Window
from lakehouse.model.table import Table
from lakehouse.sources.database import Database
from lakehouse.sources.described import Described
from tests.contract.backend import Backend, define

ROWS = 300


def fill(backend: Backend, rows: int = ROWS) -> None:
    backend.execute("create table t (id bigint, at timestamp)")
    first = datetime(2024, 1, 1, tzinfo=UTC)
    backend.insert("t", *[(number, str(first + timedelta(minutes=number // 7)).removesuffix("+00:00")) for number in range(rows)])


def table(**more: object) -> Table:
    return define("t", columns={"id": "bigint", "at": "timestamp"}, partitions=4, **more)


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements of every read meanwhile."""
    seen: list[str] = []
    query = Database.query

    def ask(self: Database, what: Described, window: Window, rows: int | None = None, range_: Any = None) -> str:  # noqa: ANN401  a tree
        seen.append(query(self, what, window, rows, range_))
        return seen[-1]

    monkeypatch.setattr(Database, "query", ask)
    yield seen


def ids(backend: Backend, what: Table, window: Window | None = None) -> list[int]:
    return sorted(row["id"] for batch in backend.batches(what, window or Window(), batch_rows=20) for row in batch.to_pylist())


@pytest.mark.parametrize("cursor", ["id", "at"])
def test_every_row_comes_once_by_the_ranges_of_a_cursor(backend: Backend, monkeypatch: pytest.MonkeyPatch, cursor: str) -> None:
    fill(backend)
    with counted(monkeypatch) as statements:
        assert ids(backend, table(cursor=cursor, keys="id")) == list(range(ROWS))
    assert len(statements) == (1 if backend.is_sqlite else 4)


def test_windows_are_cut_within_their_bounds(backend: Backend) -> None:
    fill(backend)
    low, high = (datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes) for minutes in (5, 30))
    assert ids(backend, table(cursor="at"), Window(low, high)) == list(range(35, 210))
    assert ids(backend, table(cursor="id"), Window(None, 200)) == list(range(200))


def test_a_few_rows_are_read_in_one_piece(postgresql: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(postgresql, 20)
    with counted(monkeypatch) as statements:
        assert ids(postgresql, table(cursor="id")) == list(range(20))
    assert len(statements) == 1


def test_ties_make_fewer_ranges(postgresql: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    postgresql.execute("create table t (id bigint, at timestamp)")
    postgresql.insert("t", *[(number, "2024-01-01") for number in range(90)])
    with counted(monkeypatch) as statements:
        assert ids(postgresql, table(cursor="at")) == list(range(90))
    assert len(statements) == 1


def test_days_are_cut_too(postgresql: Backend) -> None:
    postgresql.execute("create table t (id bigint, at date)")
    postgresql.insert("t", *[(number, date(2024, 1, 1) + timedelta(days=number % 3)) for number in range(90)])
    what = define("t", columns={"id": "bigint", "at": "date"}, partitions=5, cursor="at")
    assert ids(postgresql, what) == list(range(90))
    assert ids(postgresql, what, Window(date(2024, 1, 2), date(2024, 1, 3))) == list(range(1, 90, 3))


def test_rows_without_a_key_are_in_one_range(postgresql: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    postgresql.execute("create table t (id bigint, at timestamp)")
    postgresql.insert("t", *[(None if number % 10 == 0 else number - 60, "2024-01-01") for number in range(100)])
    with counted(monkeypatch) as statements:
        found = [row["id"] for batch in postgresql.batches(table(keys="id"), batch_rows=20) for row in batch.to_pylist()]
    assert len(statements) == 4
    assert found.count(None) == 10
    assert sorted(one for one in found if one is not None) == [number - 60 for number in range(100) if number % 10]


def test_rows_that_no_window_holds_are_in_one_range_too(postgresql: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(postgresql, 90)
    postgresql.insert("t", (100, None), (101, "infinity"), (102, "-infinity"), (103, None))
    odd = Window(None, datetime(2025, 1, 1, tzinfo=UTC), Odd(datetime(2025, 1, 3, tzinfo=UTC)))
    with counted(monkeypatch) as statements:
        assert ids(postgresql, table(cursor="at", odd_cursors="read_once"), odd) == [*range(90), *range(100, 104)]
    assert len(statements) == 4


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_local_times_are_cut_as_they_stand(postgresql: Backend, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the hour that comes twice."""
    postgresql.execute("create table t (id bigint, at timestamp)")
    first = datetime(2024, 10, 26, 12, tzinfo=UTC)
    days = 9 if zone.startswith("America") else 1
    postgresql.insert(
        "t",
        *[(number, str(first + timedelta(days=days * number // 300, minutes=number * 10)).removesuffix("+00:00")) for number in range(300)],
    )
    with counted(monkeypatch) as statements:
        assert ids(postgresql, table(cursor="at", cursor_zone=zone)) == list(range(300))
    assert len(statements) == 4


@pytest.mark.parametrize("kind", ["mariadb", "sqlserver"])
def test_a_whole_table_is_not_read_at_several_moments(kind: str, request: pytest.FixtureRequest) -> None:
    backend: Backend = request.getfixturevalue(kind)
    fill(backend, 30)
    with pytest.raises(ContractError, match="several moments") as caught:
        ids(backend, table(keys="id"))
    assert caught.value.where == "metadata/tables/shop/tested.yml"


def test_a_key_that_is_no_integer_cannot_be_cut(postgresql: Backend) -> None:
    postgresql.execute("create table t (id text, at timestamp)")
    with pytest.raises(ContractError, match="cannot be cut by id, a text"):
        ids(postgresql, define("t", keys="id", partitions=2))


@contextmanager
def moving(url: str, change: Callable[[Any, int], None]) -> Iterator[None]:
    """Somebody changes the database all the time, one transaction after another."""
    end = Event()

    def write() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            number = 0
            while not end.is_set():
                with connection.transaction():
                    change(connection, number)
                number += 1

    writer = Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        end.set()
        writer.join()


def test_all_ranges_are_read_in_one_moment(postgresql: Backend) -> None:
    """A writer moves money between rows of different ranges: the sum is the same at every moment, and at no mixture of two."""
    postgresql.execute(
        "create table accounts (id bigint primary key, amount bigint)",
        "insert into accounts select g, 1000 from generate_series(0, 39999) g",
    )
    what = define("accounts", keys="id", partitions=4)

    def move(connection: Any, number: int) -> None:  # noqa: ANN401  psycopg's own
        connection.execute("update accounts set amount = amount - 7 where id = %s", (number % 500,))
        connection.execute("update accounts set amount = amount + 7 where id = %s", (39_500 + number % 500,))

    with moving(postgresql.url, move):
        for _ in range(6):
            batches = postgresql.batches(what, batch_rows=500)
            assert sum(batch.num_rows for batch in batches) == 40000
            assert sum(sum(batch.column("amount").to_pylist()) for batch in batches) == 40_000_000


def test_rows_that_change_under_a_read_of_a_window_come_now_or_in_the_next_one(mariadb: Backend) -> None:
    """Without a common snapshot: what moves above the bound meanwhile is not doubled and comes with the next window."""
    fill(mariadb, 200)
    bound = datetime(2024, 1, 2, tzinfo=UTC)
    what = table(cursor="at", keys="id")
    with mariadb.open(batch_rows=20) as database:
        stream = database.read(database.describe(what), Window(None, bound))
        first = next(stream)
        mariadb.execute("update t set at = '2024-01-03' where id % 2 = 0")
        now = [row["id"] for batch in (first, *stream) for row in batch.to_pylist()]
    later = ids(mariadb, what, Window(bound, None))
    assert len(now) == len(set(now))
    assert {*now, *later} == set(range(200))


def test_a_read_that_is_left_early_frees_its_snapshot(postgresql: Backend) -> None:
    fill(postgresql)
    with postgresql.open(batch_rows=20) as database:
        stream = database.read(database.describe(table(keys="id")), Window())
        next(stream)
        del stream
        with psycopg.connect(postgresql.url, autocommit=True) as connection:
            held = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'"
            for _ in range(200):  # a server hears of a closed connection a moment later; each statement looks anew
                if connection.execute(held).fetchone() == (0,):
                    return
                sleep(0.05)
            pytest.fail("a session still holds its snapshot")


def test_a_partitioned_parent_and_its_children_are_tables_with_their_rows_once(postgresql: Backend) -> None:
    postgresql.execute(
        "create table t (id bigint, at timestamp) partition by range (id)",
        "create table t_low partition of t for values from (0) to (100)",
        "create table t_high partition of t default",
        "insert into t select g, now() from generate_series(0, 299) g",
    )
    for partitions in (1, 4):
        assert ids(postgresql, define("t", keys="id", partitions=partitions)) == list(range(300))
        assert ids(postgresql, define("t_low", keys="id", partitions=partitions)) == list(range(100))
        assert ids(postgresql, define("t_high", keys="id", partitions=partitions)) == list(range(100, 300))
