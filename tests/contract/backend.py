"""One source database of a test, of any kind, filled by SQL and read through the product's port."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import pyarrow as pa
import pymysql

from lakehouse.model.run import Window
from lakehouse.model.table import Table
from lakehouse.sources.connect import connect
from lakehouse.sources.database import Database
from lakehouse.sources.described import Described
from tests.bridge import Bridge, address

ALWAYS = Window()
KINDS = {"sqlite": "sqlite", "postgresql": "postgresql", "mysql": "mariadb", "mssql": "sqlserver"}


def define(name: str, **more: object) -> Table:
    """The metadata of a table that the source calls `name`."""
    mode = "incremental" if "cursor" in more else "full"
    return Table.model_validate({"name": "tested", "source": "shop", "from": name, "mode": mode, **more})


class Backend:
    """A database of its own behind `url`; its SQL is PostgreSQL's where the kinds differ in a type's name only."""

    def __init__(self, url: str, project: Path) -> None:
        self.url, self.project = url, project
        self.kind = KINDS[url.partition("://")[0]]
        self.is_sqlite = self.kind == "sqlite"
        self.takes_texts = self.kind in ("sqlite", "sqlserver")
        """Whether days and instants are stored as texts."""

    def execute(self, *statements: str) -> None:
        """Run statements in one transaction."""
        with self._connection() as connection:
            for statement in statements:
                connection.execute(self._own(statement))

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query, as the kind's own driver gives them."""
        with self._connection() as connection:
            asked = connection.execute(query)
            return list((connection if isinstance(asked, int) else asked).fetchall())

    def insert(self, table: str, *rows: Sequence[object]) -> None:
        """Add rows; `table` is quoted by the caller where it must be."""
        places = ", ".join(["?" if self.takes_texts else "%s"] * len(rows[0]))
        with self._connection() as connection:
            for row in rows:
                connection.execute(f"insert into {table} values ({places})", tuple(row))

    def _own(self, statement: str) -> str:
        """The statement with this kind's types: MariaDB's `timestamp` is a zoned one, its own default."""
        if self.kind != "mariadb" or not statement.startswith("create table"):
            return statement
        for type_, own in ((r"timestamptz", "timestamp(6) null"), (r"timestamp(?!\()", "datetime(6)")):
            statement = re.sub(rf"\b{type_}\b", own, statement)
        return statement

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        if self.is_sqlite:
            with closing(sqlite3.connect(self.url.removeprefix("sqlite://"))) as file, file:
                yield file
        elif self.kind == "mariadb":
            with maria(self.url) as connection, connection.cursor() as cursor:
                yield cursor
                connection.commit()
        else:
            with psycopg.connect(self.url) as connection:
                yield connection

    @contextmanager
    def open(self, batch_rows: int = 1000) -> Iterator[Database]:
        """The database as the product opens it."""
        with closing(Database(connect(self.url, self.project), batch_rows)) as database:
            yield database

    def describe(self, name: str, **more: object) -> Described:
        """What the product would read of a table."""
        return self.describe_table(define(name, **more))

    def describe_table(self, table: Table) -> Described:
        """The same for a table's metadata."""
        with self.open() as database:
            return database.describe(table)

    def batches(self, table: Table, window: Window = ALWAYS, batch_rows: int = 1000) -> list[pa.RecordBatch]:
        """A window of a table as the product reads it."""
        with self.open(batch_rows) as database:
            return list(database.read(database.describe(table), window))

    def read(self, table: Table, window: Window = ALWAYS) -> list[dict[str, Any]]:
        """The same as rows."""
        return [row for batch in self.batches(table, window) for row in batch.to_pylist()]

    def through(self, native: Mapping[str, str] | str, values: Sequence[object], lake: str | None = None) -> list[Any]:
        """Values after their way through a column of a native type, read as a lake type (default: the discovered one)."""
        declared = native if isinstance(native, str) else native[self.kind]
        self.execute(f"create table passage (id integer, v {declared})")
        self.insert("passage", *enumerate(values))
        columns = {} if lake is None else {"columns": {"id": "integer", "v": lake}}
        return [row["v"] for row in sorted(self.read(define("passage", **columns)), key=lambda row: int(row["id"]))]


def maria(url: str) -> Any:  # noqa: ANN401  pymysql has no types
    """A connection of a test's own to the MariaDB database behind a URL: in UTC, with "names" as the other kinds write them."""
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname or "",
        port=parts.port or 0,
        user=parts.username,
        password=unquote(parts.password or ""),
        database=unquote(parts.path[1:]),
        init_command="set time_zone = '+00:00', sql_mode = 'ANSI_QUOTES'",
    )


class Wire(Backend):
    """Tables on SQL Server's wire: SQL fills a scratch SQLite file, whose tables and views the bridge then shows.

    See `tests/bridge.py` for what this does not prove. Texts, days, instants and decimals are nvarchar there.
    """

    def __init__(self, bridge: Bridge, project: Path) -> None:
        super().__init__(address(bridge.port), project)
        self._bridge, self._shown = bridge, set[str]()
        self._scratch = sqlite3.connect(project / "scratch.db")

    def execute(self, *statements: str) -> None:
        super().execute(*statements)
        self._show()

    def insert(self, table: str, *rows: Sequence[object]) -> None:
        super().insert(table, *rows)
        self._show()

    def close(self) -> None:
        """Show nothing any more."""
        for name in self._shown:
            self._bridge.show(name)
        self._scratch.close()

    def _own(self, statement: str) -> str:
        """The statement with `text` for what SQLite would make a number of."""
        texts = r"\b(?:numeric|decimal)\(\d+(?:,\d+)?\)|\btimestamp(?:tz)?\b(?:\(\d\))?|\bdate\b"
        return re.sub(texts, "text", statement) if statement.startswith("create table") else statement

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        with self._scratch as connection:
            yield connection

    def _show(self) -> None:
        there = [str(name) for (name,) in self._scratch.execute("select name from sqlite_schema where type in ('table', 'view')")]
        for gone in self._shown.difference(there):
            self._bridge.show(gone)
        for name in there:
            quoted = '"' + name.replace('"', '""') + '"'
            columns = [(str(row[1]), self._type(str(row[2]).lower())) for row in self._scratch.execute(f"pragma table_info({quoted})")]
            self._bridge.show(name, columns, self._scratch.execute(f"select * from {quoted}").fetchall())
        self._shown = set(there)

    @staticmethod
    def _type(declared: str) -> str:
        if "int" in declared or "bool" in declared:
            return "bigint" if "big" in declared else "int"
        return declared if declared == "datetime" else "float" if re.search("real|floa|doub", declared) else "nvarchar"
