"""The simulator's store in a PostgreSQL database."""

from __future__ import annotations

import re
from contextlib import closing, contextmanager
from datetime import date
from io import StringIO
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg2
import psycopg2.extensions

from lakehouse.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lakehouse.demo.store import Row, Value

COPIED_AT_ONCE = 10_000
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
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
            with closing(psycopg2.connect(self.url, application_name="lakehouse demo")) as connection:
                connection.autocommit = True
                yield PostgresSession(connection)
        except psycopg2.Error as exc:
            raise SourceError(
                f"PostgreSQL breaks off: {(str(exc).splitlines() or [type(exc).__name__])[0]}",
                where=self.name,
                next_step="See that it is up, and that its user may make tables and write them.",
            ) from exc


class PostgresSession:
    """A connection to the database; see `store.Session`."""

    def __init__(self, connection: psycopg2.extensions.connection) -> None:
        """Use `PostgresStore.open`."""
        self._connection = connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction under a lock that every writer of the simulator takes."""
        self.execute("BEGIN")
        try:
            self.execute("SELECT pg_advisory_xact_lock(:lock)", lock=_LOCK)
            yield
        except (KeyboardInterrupt, SystemExit):
            self._connection.close()  # it was cut off in the middle of a command: there is no talking to the server any more
            raise
        except BaseException:
            if not self._connection.closed:
                self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")

    def tables(self) -> dict[str, str]:
        """The tables and views of all schemas; of several with one name the one that a plain name means."""
        return {str(name): str(full) for name, full in self.rows(_TABLES)}

    def rows(self, sql: str, **values: Value) -> list[Row]:
        """The rows of a query, instants and days as text."""
        with self._connection.cursor() as cursor:
            cursor.execute(_marked(sql), values or None)
            return [tuple(str(value) if isinstance(value, date) else value for value in row) for row in cursor.fetchall()]

    def execute(self, sql: str, **values: Value) -> None:
        """Run a statement."""
        with self._connection.cursor() as cursor:
            cursor.execute(_marked(sql), values or None)

    def insert(self, table: str, rows: Iterable[Row]) -> int:
        """Add rows by COPY, in its text format."""
        lines, count = map(_line, rows), 0
        with self._connection.cursor() as cursor:
            while part := "".join(islice(lines, COPIED_AT_ONCE)):
                cursor.copy_expert(f"COPY {table} FROM STDIN", StringIO(part))
                count += cursor.rowcount
        return count

    def now(self) -> str:
        """The server's clock, which goes on inside a transaction."""
        return str(self.rows("SELECT clock_timestamp() AT TIME ZONE 'UTC'")[0][0])


def _marked(sql: str) -> str:
    """The statement with psycopg2's marks for its `:name` values."""
    return _NAMED.sub(r"%(\1)s", sql)


def _line(row: Row) -> str:
    return "\t".join("\\N" if value is None else str(value).translate(_ESCAPED) for value in row) + "\n"
