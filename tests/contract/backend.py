"""One source database of a test, of either kind, filled by SQL and read through the product's port."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa

from lakehouse.model.run import Window
from lakehouse.model.table import Table
from lakehouse.sources.database import Database, Described, connect

ALWAYS = Window()


def define(name: str, **more: object) -> Table:
    """The metadata of a table that the source calls `name`."""
    mode = "incremental" if "cursor" in more else "full"
    return Table.model_validate({"name": "tested", "source": "shop", "from": name, "mode": mode, **more})


class Backend:
    """A database of its own behind `url`."""

    def __init__(self, url: str, project: Path) -> None:
        self.url, self.project = url, project
        self.is_sqlite = url.startswith("sqlite:")

    def execute(self, *statements: str) -> None:
        """Run statements in one transaction."""
        with self._connection() as connection:
            for statement in statements:
                connection.execute(statement)

    def insert(self, table: str, *rows: Sequence[object]) -> None:
        """Add rows; `table` is quoted by the caller where it must be."""
        places = ", ".join(["?" if self.is_sqlite else "%s"] * len(rows[0]))
        with self._connection() as connection:
            for row in rows:
                connection.execute(f"insert into {table} values ({places})", tuple(row))

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        if self.is_sqlite:
            with closing(sqlite3.connect(self.url.removeprefix("sqlite://"))) as file, file:
                yield file
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
        with self.open() as database:
            return database.describe(define(name, **more))

    def batches(self, table: Table, window: Window = ALWAYS, batch_rows: int = 1000) -> list[pa.RecordBatch]:
        """A window of a table as the product reads it."""
        with self.open(batch_rows) as database:
            return list(database.read(database.describe(table), window))

    def read(self, table: Table, window: Window = ALWAYS) -> list[dict[str, Any]]:
        """The same as rows."""
        return [row for batch in self.batches(table, window) for row in batch.to_pylist()]

    def through(self, native: Mapping[str, str] | str, values: Sequence[object], lake: str | None = None) -> list[Any]:
        """Values after their way through a column of a native type, read as a lake type (default: the discovered one)."""
        declared = native if isinstance(native, str) else native["sqlite" if self.is_sqlite else "postgresql"]
        self.execute(f"create table passage (id integer, v {declared})")
        self.insert("passage", *enumerate(values))
        columns = {} if lake is None else {"columns": {"id": "integer", "v": lake}}
        return [row["v"] for row in sorted(self.read(define("passage", **columns)), key=lambda row: int(row["id"]))]
