"""The simulator's store in a PostgreSQL database."""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg

from lakehouse.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lakehouse.demo.store import Row, Value

_LOCK = 1_819_239_275  # any number that no other program is likely to lock
_NAMED = re.compile(r":([a-z_]+)")
_TABLES = """
SELECT lower(c.relname), n.nspname || '.' || c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY pg_catalog.pg_table_is_visible(c.oid)
"""


class PostgresStore:
    """A database of a PostgreSQL server, by its URL."""

    def __init__(self, url: str) -> None:
        """Name the database; nothing is connected yet."""
        self.url = url
        parts = urlsplit(url)
        self.name = f"{parts.hostname}:{parts.port or 5432}{parts.path}"

    def exists(self) -> bool:
        """Always: the server's owner makes databases, the simulator does not."""
        return True

    @contextmanager
    def open(self) -> Iterator[PostgresSession]:
        """A session in the database; see `store.Store`."""
        try:
            with psycopg.connect(self.url, autocommit=True, application_name="lakehouse demo") as connection:
                yield PostgresSession(connection)
        except psycopg.Error as exc:
            raise SourceError(
                f"PostgreSQL breaks off: {(str(exc).splitlines() or [type(exc).__name__])[0]}",
                where=self.name,
                next_step="See that it is up, and that its user may make tables and write them.",
            ) from exc


class PostgresSession:
    """A connection to the database; see `store.Session`."""

    def __init__(self, connection: psycopg.Connection) -> None:
        """Use `PostgresStore.open`."""
        self._connection = connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction under a lock that every writer of the simulator takes."""
        with self._connection.transaction():
            try:
                self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                yield
            except (KeyboardInterrupt, SystemExit):
                self._connection.close()  # it was cut off in the middle of a command: there is no talking to the server any more
                raise

    def tables(self) -> dict[str, str]:
        """The tables and views of all schemas; of several with one name the one that a plain name means."""
        return {str(name): str(full) for name, full in self.rows(_TABLES)}

    def rows(self, sql: str, **values: Value) -> list[Row]:
        """The rows of a query, instants and days as text."""
        found = self._connection.execute(_marked(sql), values or None).fetchall()
        return [tuple(str(value) if isinstance(value, date) else value for value in row) for row in found]

    def execute(self, sql: str, **values: Value) -> None:
        """Run a statement."""
        self._connection.execute(_marked(sql), values or None)

    def insert(self, table: str, rows: Iterable[Row]) -> int:
        """Add rows by COPY."""
        count = 0
        with self._connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)
                count += 1
        return count

    def now(self) -> str:
        """The server's clock, which goes on inside a transaction."""
        return str(self.rows("SELECT clock_timestamp() AT TIME ZONE 'UTC'")[0][0])


def _marked(sql: str) -> bytes:
    """The statement with psycopg's marks for its `:name` values."""
    return _NAMED.sub(r"%(\1)s", sql).encode()
