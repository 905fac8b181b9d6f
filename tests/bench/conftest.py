"""The one source that all workloads share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bench.source import SETTINGS, Source
from tests.servers import Postgres


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    """A PostgreSQL fit for loading, empty until a workload fills its tables."""
    server = Postgres(*SETTINGS)
    yield Source(server, tmp_path_factory.mktemp("bench"))
    server.stop()
