"""A window's upper bound under a transaction that has not committed yet (PostgreSQL stamps rows with its start)."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from lakehouse.sources.database import Database, connect
from tests.servers import Postgres


def test_the_bound_stays_below_an_open_transaction(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.create_database("late")
    with psycopg.connect(url) as writer:
        began = writer.execute("select now()").fetchone()
        assert began is not None
        with closing(Database(connect(url, tmp_path), 1000)) as database:
            assert database.bound() <= began[0] < datetime.now(UTC)
        writer.commit()
        with closing(Database(connect(url, tmp_path), 1000)) as database:
            assert database.bound() < datetime.now(UTC)
