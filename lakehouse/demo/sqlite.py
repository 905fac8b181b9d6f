"""The simulator's store in a SQLite file."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lakehouse.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from lakehouse.demo.store import Row, Value

BUSY_SECONDS = 60


class SqliteStore:
    """A SQLite file, made at the first session."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is opened yet."""
        self._path = path
        self.url = f"sqlite://{path}"
        self.name = str(path)

    def exists(self) -> bool:
        """Whether the file is there."""
        return self._path.exists()

    @contextmanager
    def open(self) -> Iterator[SqliteSession]:
        """A session on the file; see `store.Store`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self._path, BUSY_SECONDS, isolation_level=None)) as connection:
                connection.execute("PRAGMA cache_size = -65536")
                yield SqliteSession(connection)
        except sqlite3.Error as exc:
            raise SourceError(
                f"SQLite breaks off: {exc}", where=self.name, next_step="See that the file is whole and no other program holds it."
            ) from exc


class SqliteSession:
    """A connection to the file; see `store.Session`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use `SqliteStore.open`."""
        self._connection = connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """The one writing transaction of the file."""
        self._connection.execute("BEGIN IMMEDIATE")
        with self._connection:
            yield

    def tables(self) -> dict[str, str]:
        """All tables and views."""
        return {str(name).lower(): str(name) for (name,) in self.rows("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")}

    def rows(self, sql: str, **values: Value) -> list[Row]:
        """The rows of a query; SQLite keeps instants and days as the texts that went in."""
        return self._connection.execute(sql, values).fetchall()

    def execute(self, sql: str, **values: Value) -> None:
        """Run a statement."""
        self._connection.execute(sql, values)

    def insert(self, table: str, rows: Iterable[Row]) -> int:
        """Add rows by one prepared statement."""
        columns = self._connection.execute(f"SELECT * FROM {table} LIMIT 0").description
        marks = ", ".join("?" * len(columns))
        return self._connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows).rowcount

    def now(self) -> str:
        """This machine's clock."""
        return str(datetime.now(UTC).replace(tzinfo=None))
