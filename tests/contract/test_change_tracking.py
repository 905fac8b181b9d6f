"""Change Tracking through the real drivers, on SQL Server's wire, over answers as its manual gives them; no real server proves them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lakehouse.layout import tracked
from tests.bridge import Bridge
from tests.contract.backend import Backend
from tests.contract.test_modes import House

NUMBER, LEAST, KEY = (
    r"CHANGE_TRACKING_CURRENT_VERSION\(\)",
    r"CHANGE_TRACKING_MIN_VALID_VERSION\(.*?\)+",
    r"\(SELECT \[c\]\.\[name\].*?\) AS k",
)
LIST = r"CHANGETABLE\(CHANGES \[dbo\]\.\[t\], \d+\)"
START = ("create table t (id integer primary key, v text)", "insert into t values (1, 'a'), (2, 'b'), (3, 'c')")


class Server:
    """A table `t` with Change Tracking: what its functions would answer is put in their place."""

    def __init__(self, source: Backend, bridge: Bridge) -> None:
        self.source, self._bridge = source, bridge
        source.execute(
            *START,
            "create table changes (SYS_CHANGE_VERSION integer, SYS_CHANGE_OPERATION text, id integer)",
            "create table key_columns (name text)",
            "insert into key_columns values ('id')",
        )
        bridge.record(KEY, "key_columns AS k")
        bridge.record(LIST, "changes")
        self.tell(5, 0)

    def tell(self, current: int | None, least: int | None, *changes: tuple[str, int]) -> None:
        """From now on the server is at this number, knows changes from that one on, and lists these (operation, key)."""
        self._bridge.record(NUMBER, "null" if current is None else str(current))
        self._bridge.record(LEAST, "null" if least is None else str(least))
        self.source.execute("delete from changes", *(f"insert into changes values ({current}, '{op}', {key})" for op, key in changes))

    def end(self) -> None:
        for part in (NUMBER, LEAST, KEY, LIST):
            self._bridge.record(part, None)


@contextmanager
def serving(source: Backend, bridge: Bridge) -> Iterator[Server]:
    server = Server(source, bridge)
    try:
        yield server
    finally:
        server.end()


@pytest.fixture
def server(sqlserver: Backend, bridge: Bridge) -> Iterator[Server]:
    with serving(sqlserver, bridge) as found:
        yield found


@pytest.fixture
def house(server: Server, tmp_path: Path) -> House:
    return House(tmp_path, server.source, "mode: change_tracking\nkeys: id\n")


def silver(house: House) -> list[tuple[object, ...]]:
    return house.rows("select id, v from silver.t")


def test_changes_come_and_quiet_runs_write_nothing(server: Server, house: House) -> None:
    assert house.live() == 3
    assert house.number(tracked("t")) == 5
    assert house.live() == 0
    server.tell(8, 0, ("U", 2), ("D", 3), ("I", 4))
    assert house.live("update t set v = 'B' where id = 2", "delete from t where id = 3", "insert into t values (4, 'd')") == 3
    assert (silver(house), house.number(tracked("t"))) == ([(1, "a"), (2, "B"), (4, "d")], 8)
    assert house.rows("select id, v from bronze.t where _op = 'delete'") == [(3, "c")]
    assert house.live() == 0  # the same list again
    server.tell(9, 0, ("I", 3))
    assert house.live("insert into t values (3, 'c')") == 1
    assert (3, "c") in silver(house)


def test_a_key_that_nobody_saw_and_one_that_is_back_already_are_not_buried(server: Server, house: House) -> None:
    house.live()
    server.tell(7, 0, ("D", 9), ("D", 2))
    assert house.live() == 0
    server.tell(8, 0, ("U", 8))
    assert house.live() == 0  # deleted while it was read: the next list has it
    assert len(silver(house)) == 3


def test_an_empty_table_s_first_changes(server: Server, house: House) -> None:
    house.source.execute("delete from t")
    assert house.run().steps[0].rows_out == 0
    server.tell(6, 0, ("I", 1), ("D", 2))
    assert house.live("insert into t values (1, 'a')") == 1
    assert house.rows("select id, v, _op from bronze.t") == [(1, "a", None)]


@pytest.mark.parametrize(("current", "least"), [(20, 10), (4, 0)], ids=["forgotten", "restored"])
def test_a_number_that_the_server_does_not_know_stops_the_load(server: Server, house: House, current: int, least: int) -> None:
    house.live()
    server.tell(current, least)
    server.source.execute("delete from t where id = 1", "insert into t values (5, 'e')")
    error = house.failed(house.run()).error or {}
    assert error["kind"] == "SourceError"
    assert re.search(r"no longer tells all changes.*--full-refresh", error["message"])
    assert house.run(full_refresh=True).steps[0].rows_out == 4
    assert silver(house) == [(2, "b"), (3, "c"), (5, "e")]
    assert house.number(tracked("t")) == current
    assert house.live() == 0


def test_it_may_read_all_again_by_itself(server: Server, house: House) -> None:
    house.declare("mode: change_tracking\nkeys: id\ntracking_gap: resync\n")
    house.live()
    server.tell(20, 10)
    assert house.live("delete from t where id = 1", "insert into t values (5, 'e')") == 2
    assert silver(house) == [(2, "b"), (3, "c"), (5, "e")]
    assert house.live() == 0


def test_a_quiet_table_moves_its_number_on_before_it_is_forgotten(server: Server, house: House) -> None:
    house.live()
    server.tell(7, 2)
    assert house.live() == 0
    assert house.number(tracked("t")) == 5
    server.tell(9, 4)
    assert house.run().steps[0].rows_out == 0
    assert house.number(tracked("t")) == 9
    assert house.live() == 0


def test_it_must_be_switched_on(server: Server, house: House) -> None:
    server.tell(None, None)
    assert "off for the database" in (house.failed(house.run()).error or {})["message"]
    server.tell(1, None)
    assert "off for table [dbo].[t]" in (house.failed(house.run()).error or {})["message"]


def test_the_keys_are_the_primary_key(server: Server, house: House) -> None:
    server.source.execute("insert into key_columns values ('v')")
    assert "primary key as `keys`" in (house.failed(house.run()).error or {})["message"]
