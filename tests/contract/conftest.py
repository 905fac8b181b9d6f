"""Each test of the source port runs once on every kind of database."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from tests.bridge import Bridge
from tests.contract.backend import Backend, Wire
from tests.mariadb import Mariadb
from tests.servers import Postgres

_numbers = count()


@pytest.fixture
def sqlite(tmp_path: Path) -> Backend:
    with closing(sqlite3.connect(tmp_path / "source.db")) as connection:
        connection.execute("vacuum")  # makes the file
    return Backend(f"sqlite://{tmp_path}/source.db", tmp_path)


@pytest.fixture
def postgresql(postgres: Postgres, tmp_path: Path) -> Backend:
    return Backend(postgres.create_database(f"source {next(_numbers)}"), tmp_path)


@pytest.fixture
def mariadb(maria_server: Mariadb, tmp_path: Path) -> Backend:
    return Backend(maria_server.create_database(f"source {next(_numbers)}"), tmp_path)


@pytest.fixture
def sqlserver(bridge: Bridge, tmp_path: Path) -> Iterator[Backend]:
    """SQL Server's wire, not SQL Server: see `tests/bridge.py`."""
    with closing(Wire(bridge, tmp_path)) as wire:
        yield wire


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "sqlserver"])
def backend(request: pytest.FixtureRequest) -> Backend:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Backend)
    return found


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def keyed(request: pytest.FixtureRequest) -> Backend:
    """The kinds that show their keys, indexes and views to a test: the bridge that stands for SQL Server has none."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Backend)
    return found
