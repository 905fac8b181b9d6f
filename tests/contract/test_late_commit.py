"""A window's upper bound under transactions that have not committed yet (PostgreSQL stamps rows with their start)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from lakehouse import Lakehouse
from lakehouse.errors import SourceBusyError
from lakehouse.sources import horizon
from lakehouse.sources.connect import connect
from lakehouse.sources.database import Database
from tests.lakes import write_project
from tests.servers import Postgres, address

if TYPE_CHECKING:
    from psycopg import Connection

FILES = {
    "metadata/sources/shop.yml": "connection: shop\n",
    "metadata/tables/shop/orders.yml": "from: orders\nmode: incremental\nkeys: id\ncursor: changed_at\n",
}
TABLE = "create table orders (id int primary key, changed_at timestamptz not null default now())"
INSERT = "insert into orders values (%s) on conflict (id) do update set changed_at = now()"
BLIND = "blind-password"
_numbers = count()


@pytest.fixture(scope="module")
def two_phase() -> Iterator[Postgres]:
    server = Postgres("max_prepared_transactions=4")
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"create role blind login password '{BLIND}'".encode())
    yield server
    server.stop()


@pytest.fixture
def url(two_phase: Postgres) -> str:
    """A database with the table of orders."""
    found = two_phase.create_database(f"late{next(_numbers)}")
    with psycopg.connect(found) as connection:
        connection.execute(TABLE)
        connection.execute("grant select on orders to blind")
    return found


def blind(two_phase: Postgres, url: str) -> str:
    """The same database for a login that may not look at other sessions."""
    return address(two_phase.port, url.rpartition("/")[2], BLIND).replace("//lake:", "//blind:")


@contextmanager
def opened(url: str, project: Path) -> Iterator[Database]:
    with closing(Database(connect(url, project), 1000)) as database:
        yield database


def began(writer: Connection[tuple[object, ...]]) -> datetime:
    row = writer.execute("select now()").fetchone()
    assert row is not None
    assert isinstance(row[0], datetime)
    return row[0]


class Road:
    """A lake over the database: what bronze holds after each run."""

    def __init__(self, project: Path, url: str) -> None:
        self._house = Lakehouse.open(write_project(project, FILES), connection={"shop": url})

    def run(self) -> list[int]:
        done = self._house.run()
        assert done.status in ("success", "unchanged"), [step.error for step in done.steps if step.error]
        return sorted(self._house.scan("bronze.orders").collect()["id"].to_list()) if done.steps[0].version is not None else []

    def error(self) -> dict[str, str]:
        found = self._house.run().steps[0].error
        assert found is not None
        return found


def settled() -> None:
    """Let the margin below the clock pass."""
    time.sleep(horizon.MARGIN.total_seconds() + 0.1)


def test_the_bound_stays_below_an_open_transaction(url: str, tmp_path: Path) -> None:
    with psycopg.connect(url) as writer, opened(url, tmp_path) as database:
        start = began(writer)
        assert database.bound() <= start < datetime.now(UTC)
        writer.commit()
        settled()
        assert start < database.bound() < datetime.now(UTC)


@pytest.mark.parametrize("subtransaction", [False, True])
def test_a_row_that_is_committed_late_arrives_once(url: str, tmp_path: Path, subtransaction: bool) -> None:
    road = Road(tmp_path, url)
    with psycopg.connect(url) as late, psycopg.connect(url, autocommit=True) as quick:
        late.execute("select 1")
        if subtransaction:
            late.execute("savepoint a")
        quick.execute(INSERT, (1,))
        late.execute(INSERT, (2,))
        if subtransaction:
            late.execute("release a")
            late.execute("savepoint b")
            late.execute(INSERT, (3,))
            late.execute("rollback to b")
        settled()
        quick.execute(INSERT, (4,))
        assert road.run() == []
        late.commit()
        settled()
        assert road.run() == [1, 2, 4]
        assert road.run() == [1, 2, 4]


def test_a_row_that_moves_between_the_bound_and_the_read_is_read_next(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    road = Road(tmp_path, url)
    with psycopg.connect(url, autocommit=True) as quick:
        for number in (1, 2, 3):
            quick.execute(INSERT, (number,))
        settled()
        read = Database.read
        monkeypatch.setattr(Database, "read", lambda *given: (quick.execute(INSERT, (2,)), read(*given))[1])
        assert road.run() == [1, 3]
        monkeypatch.undo()
        settled()
        assert road.run() == [1, 2, 3]


def test_a_prepared_transaction_holds_the_bound_where_it_was(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as database, psycopg.connect(url) as writer:
        before = database.bound()
        settled()
        writer.execute(INSERT, (1,))
        start = began(writer)
        writer.execute("prepare transaction 'a'")
        settled()
        assert before <= database.bound() < start
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("commit prepared 'a'")
        settled()
        assert database.bound() > start


def test_a_first_look_waits_for_a_prepared_transaction(url: str, tmp_path: Path) -> None:
    with psycopg.connect(url) as writer, psycopg.connect(url, autocommit=True) as other:
        writer.execute(INSERT, (1,))
        writer.execute("prepare transaction 'b'")
        ending = threading.Timer(1, other.execute, ("commit prepared 'b'",))
        ending.start()
        assert Road(tmp_path, url).run() in ([], [1])
        ending.join()
        settled()
        assert Road(tmp_path, url).run() == [1]


def test_a_forgotten_prepared_transaction_is_named(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(horizon, "PATIENCE", 0.2)
    road = Road(tmp_path, url)
    with psycopg.connect(url) as writer, psycopg.connect(url, autocommit=True) as other:
        writer.execute(INSERT, (1,))
        writer.execute("prepare transaction 'forgotten'")
        error = road.error()
        assert error["kind"] == "SourceBusyError"
        assert "forgotten" in error["message"]
        assert error["transient"] == "true"
        other.execute("rollback prepared 'forgotten'")
    assert road.run() == []


def test_a_login_that_cannot_look_at_others_waits_and_then_holds_back(
    two_phase: Postgres, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(horizon, "PATIENCE", 0.2)
    with psycopg.connect(url) as writer, opened(blind(two_phase, url), tmp_path) as database:
        start = began(writer)
        with pytest.raises(SourceBusyError, match="pg_read_all_stats"):
            database.bound()
        writer.commit()
        settled()
        first = database.bound()
        assert first > start
        settled()
        start = began(writer)
        settled()
        assert first <= database.bound() < start
        writer.commit()
        settled()
        assert database.bound() > start


def test_a_hidden_transaction_that_is_prepared_still_holds(
    two_phase: Postgres, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(horizon, "PATIENCE", 0.2)
    with psycopg.connect(url) as writer, opened(blind(two_phase, url), tmp_path) as database:
        writer.execute(INSERT, (1,))
        with pytest.raises(SourceBusyError):
            database.bound()
        writer.execute("prepare transaction 'hidden'")
        writer.execute("select 1")
        writer.commit()
        with pytest.raises(SourceBusyError):
            database.bound()
        writer.autocommit = True
        writer.execute("commit prepared 'hidden'")
        assert database.bound() < datetime.now(UTC)


def test_a_late_row_reaches_a_login_that_cannot_look_at_others(two_phase: Postgres, url: str, tmp_path: Path) -> None:
    road = Road(tmp_path, blind(two_phase, url))
    with psycopg.connect(url) as late, psycopg.connect(url, autocommit=True) as quick:
        late.execute(INSERT, (1,))
        settled()
        quick.execute(INSERT, (2,))
        ending = threading.Timer(1, late.commit)
        ending.start()
        assert road.run() in ([], [1, 2])
        ending.join()
        settled()
        assert road.run() == [1, 2]


def test_a_session_that_reports_nothing_is_waited_for(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(horizon, "PATIENCE", 0.2)
    with psycopg.connect(url) as writer, opened(url, tmp_path) as database:
        writer.execute("set track_activities = off")
        writer.commit()
        writer.execute(INSERT, (1,))
        with pytest.raises(SourceBusyError):
            database.bound()
        writer.commit()
        assert database.bound() < datetime.now(UTC)
