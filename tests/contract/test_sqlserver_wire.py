"""What only SQL Server's dialect does, over its wire; `tests/bridge.py` says what this does not prove."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from lakehouse.errors import ContractError, SourceError
from lakehouse.model.run import Window
from lakehouse.sources.dialect import ListedTable
from lakehouse.sources.sqlserver import SqlServer
from tests.contract.backend import Backend, define


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_datetime_arrives_as_it_is_shown_and_its_window_is_exact(sqlserver: Backend) -> None:
    sqlserver.execute("create table t (id integer, at datetime)")
    sqlserver.insert("t", *enumerate(["2024-01-02 10:00:00.000", "2024-01-02 10:00:00.003", "2024-01-02 10:00:00.007", None]))
    assert [row["at"] for row in sqlserver.read(define("t"))] == [
        instant("2024-01-02 10:00:00"),
        instant("2024-01-02 10:00:00.003"),
        instant("2024-01-02 10:00:00.007"),
        None,
    ]
    table, tick = define("t", columns={"id": "integer", "at": "timestamp"}, cursor="at"), timedelta(microseconds=1)
    middle = instant("2024-01-02 10:00:00.003")
    windows = [Window(middle, middle + tick), Window(middle + tick, None), Window(None, middle), Window(middle, None)]
    assert [[row["id"] for row in sqlserver.read(table, window)] for window in windows] == [[1], [2], [0], [1, 2]]


def test_a_datetime_may_be_read_as_a_text(sqlserver: Backend) -> None:
    assert sqlserver.through("datetime", [None, "2024-01-02 10:00:00.007"], "string") == [None, "2024-01-02 10:00:00.007"]


def test_a_schema_may_be_named(sqlserver: Backend) -> None:
    sqlserver.execute("create table t (a integer)", "insert into t values (7)")
    assert sqlserver.read(define("dbo.t")) == sqlserver.read(define("DBO.T")) == [{"a": 7}]
    with pytest.raises(SourceError, match=r"sales\.t does not exist"):
        sqlserver.describe("sales.t")


@pytest.mark.parametrize("value", [None, "", "tomorrow", "2024-02-30", "24-01-01"])
def test_a_text_that_says_no_day_is_no_cursor(sqlserver: Backend, value: str | None) -> None:
    sqlserver.execute("create table t (at text)")
    sqlserver.insert("t", ("2024-01-02T10:00:00.123456Z",))
    what = define("t", columns={"at": "timestamp"}, cursor="at")
    with sqlserver.open() as database:
        assert not database.rows_without_cursor(database.describe(what))
    sqlserver.insert("t", (value,))
    with sqlserver.open() as database:
        assert database.rows_without_cursor(database.describe(what))


@pytest.mark.parametrize(("native", "lake"), [("text", "bigint"), ("float", "bigint"), ("float", "timestamp")])
def test_a_cursor_that_the_database_orders_otherwise_is_refused(sqlserver: Backend, native: str, lake: str) -> None:
    sqlserver.execute(f"create table t (at {native})")
    with sqlserver.open() as database, pytest.raises(ContractError, match="cursor at is a"):
        database.rows_without_cursor(database.describe(define("t", columns={"at": lake}, cursor="at")))


def test_tables_are_listed(sqlserver: Backend) -> None:
    sqlserver.execute("create table b (id integer)", "create table a (id integer)")
    with closing(SqlServer(sqlserver.url)) as dialect:
        assert dialect.listed() == [ListedTable(("dbo", name), is_view=False, keys=(), indexed=(), rows=None) for name in ("a", "b")]


def test_a_long_text_and_many_rows_arrive(sqlserver: Backend) -> None:
    sqlserver.execute("create table t (id integer, what text)")
    sqlserver.insert("t", *[(number, "😀ü" * 900 if number % 97 == 0 else str(number)) for number in range(5000)])
    rows = sqlserver.read(define("t"))
    assert sorted(row["id"] for row in rows) == list(range(5000))
    assert all(row["what"] == ("😀ü" * 900 if row["id"] % 97 == 0 else str(row["id"])) for row in rows)
