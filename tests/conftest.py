"""Fixtures that every kind of test may use."""

from collections.abc import Iterator

import pytest

from tests.servers import Postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL; each test worker starts one of its own at the first test that asks for it."""
    server = Postgres()
    yield server
    server.stop()
