"""Fixtures that every kind of test may use."""

from collections.abc import Iterator

import pytest

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
