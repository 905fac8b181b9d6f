"""The simulated source is the same, row for row, in every kind of database, and touches no table of others."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from itertools import count
from pathlib import Path

import psycopg
import pytest

from lakehouse.demo import state
from lakehouse.demo.postgres import PostgresStore
from lakehouse.demo.rows import TABLES
from lakehouse.demo.simulator import Simulator
from lakehouse.demo.sqlite import SqliteStore
from lakehouse.demo.store import Row, Store
from lakehouse.errors import SourceError, UsageError
from tests.servers import Postgres, address, free_port

_numbers = count()


@pytest.fixture
def database(postgres: Postgres) -> str:
    return postgres.create_database(f"demo {next(_numbers)}")


def content(store: Store) -> dict[str, list[Row]]:
    with store.open() as session:
        return {table: session.rows(f"SELECT * FROM {table} ORDER BY 1") for table in (*TABLES, "sim_state")}


def test_days_are_the_same_in_every_store(database: str, tmp_path: Path) -> None:
    stores: tuple[Store, ...] = (SqliteStore(tmp_path / "source.db"), PostgresStore(database))
    days = [[Simulator(store, streams=1_000, seed=3).live_day() for _ in range(3)] for store in stores]
    one, other = map(content, stores)
    assert days[0] == days[1]
    assert one.keys() == other.keys()
    assert len(one["FactStream"]) > 1_000
    for table in one:
        assert one[table] == other[table], table


@pytest.mark.parametrize("statement", ["create table DimUser (id int)", 'create view "DIMDATE" as select 1 as day'])
def test_tables_of_others_are_refused_before_anything_is_written(database: str, statement: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(f"create schema crm; set search_path = crm; {statement}".encode())
    store = PostgresStore(database)
    for act in (lambda: Simulator(store).days_lived, Simulator(store).live_day):
        with pytest.raises(UsageError, match="did not make") as caught:
            act()
        assert "crm.dim" in caught.value.given.lower()
    with store.open() as session:
        assert len(session.tables()) == 1
        with pytest.raises(UsageError, match="did not make"):
            state.forget(session, store.name)
        assert len(session.tables()) == 1


def test_a_source_is_forgotten_whole_and_nothing_else(database: str) -> None:
    store = PostgresStore(database)
    with psycopg.connect(database) as connection:
        connection.execute("create table kept (id int)")
    Simulator(store, streams=100).live_day()
    with store.open() as session:
        state.forget(session, store.name)
        assert set(session.tables()) == {"kept"}
    assert Simulator(store).days_lived == 0


def test_a_day_that_breaks_leaves_the_day_before(database: str) -> None:
    store = PostgresStore(database)
    simulator = Simulator(store, streams=100)
    simulator.live_day()
    before = content(store)
    with psycopg.connect(database) as connection:
        connection.execute("alter table FactStream add check (stream_timestamp < '2026-02-01')")
    with pytest.raises(SourceError, match="violates check constraint"):
        simulator.live_day()
    assert content(store) == before


def test_each_store_has_a_clock_in_utc(database: str, tmp_path: Path) -> None:
    stores: tuple[Store, ...] = (SqliteStore(tmp_path / "source.db"), PostgresStore(database))
    seen = []
    for store in stores:
        with store.open() as session, session.transaction():
            seen.append([datetime.fromisoformat(session.now()) for _ in range(2)])
    assert all(first < second for first, second in seen)
    assert abs((seen[0][0] - seen[1][0]).total_seconds()) < 60


def test_what_breaks_off_is_an_error_of_the_source(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "source.db")) as connection:
        connection.execute("create table sim_state (other int)")
    with pytest.raises(UsageError, match="did not make"):
        Simulator(SqliteStore(tmp_path / "source.db")).live_day()
    (tmp_path / "no.db").write_text("no database, and longer than nothing at all")
    with pytest.raises(SourceError, match="not a database"):
        Simulator(SqliteStore(tmp_path / "no.db")).live_day()
    gone = PostgresStore(address(free_port(), "gone"))
    with pytest.raises(SourceError, match="breaks off") as caught:
        Simulator(gone).live_day()
    assert "p%40ss" not in str(caught.value)
