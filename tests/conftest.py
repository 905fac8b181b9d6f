"""Fixtures that every kind of test may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bridge import Bridge
from tests.faults.counting import told
from tests.mariadb import Mariadb, installed
from tests.servers import Azurite, Postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL; each test worker starts one of its own at the first test that asks for it."""
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """A real Azurite; each test worker starts one of its own at the first test that asks for it."""
    server = Azurite()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def maria_server() -> Iterator[Mariadb]:
    """A real MariaDB, where there is one."""
    found = installed()
    if found is None:
        pytest.skip("MariaDB is missing: `make mariadb` fetches its server where there is apt, or install mariadb-server-core")
    server = Mariadb(found)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def bridge() -> Iterator[Bridge]:
    """SQL Server's wire, not SQL Server: see `tests/bridge.py`."""
    server = Bridge()
    yield server
    server.stop()


LONGEST = (
    "faults/test_every_effect.py",
    "flows/test_deployments.py",
    "properties/test_feeds.py",
    "demo/test_demo.py",
    "streams/test_stream.py",
)
"""The files that take longest, in the order in which they begin: no worker is left alone with one of them at the end."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files; within a file and for all others the order stays."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end how many faults were struck."""
    passed = terminalreporter.stats.get("passed", [])
    for line in told(pair for report in passed for pair in report.user_properties):
        terminalreporter.write_line(line)
