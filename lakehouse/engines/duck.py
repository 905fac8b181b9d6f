"""DuckDB in this process: runs SQL over a lake's files within the memory limit, and spills beyond it."""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager, suppress
from itertools import chain, count, islice
from threading import Lock
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from lakehouse.errors import ModelError, UsageError
from lakehouse.layout import BATCH, LAYERS, REJECTS
from lakehouse.transform.names import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

KEPT_BATCHES = 4
_ABOUT_NAMES = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException, duckdb.SyntaxException)
"""Errors that are found before any row is read."""
_VALUE = re.compile(r"""'[^']*'?|"[^"]*"?|(?<![\w])[-+]?\d[\w.:+-]*""")
KEY_MACRO = "create macro _key(text) as ('0x' || left(md5(text), 15))::bigint"


class Duck:
    """One in-memory database for a whole run: its memory limit and spill folder hold for all sessions together."""

    def __init__(self, memory_limit: int, filesystems: Iterable[Any] = ()) -> None:
        """Open it in UTC, holding at most `memory_limit` bytes of its own, with file systems (of fsspec) beside the local one."""
        self._spill = tempfile.TemporaryDirectory(prefix="lakehouse-", ignore_cleanup_errors=True)
        self._numbers, self._lock = count(1), Lock()
        self._connection = duckdb.connect(
            config={
                "memory_limit": f"{max(memory_limit // 1024**2, 64)}MiB",
                "temp_directory": self._spill.name,
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        self._connection.execute("set global timezone = 'UTC'")
        for filesystem in filesystems:
            self._connection.register_filesystem(filesystem)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session with a catalogue of its own; its tables are gone when it ends."""
        with self._lock:
            name, connection = f"session_{next(self._numbers)}", self._connection.cursor()
        try:
            schemas = "; ".join(f"create schema {layer}" for layer in (*LAYERS, REJECTS, "ledger"))
            connection.execute(f"attach ':memory:' as {name}; use {name}; {KEY_MACRO}; {schemas}")
            yield Session(connection)
        finally:
            with suppress(duckdb.Error):
                connection.execute(f"use memory; detach {name}")  # or a long stream would keep every session's catalogue
            connection.close()

    def close(self) -> None:
        """End it and remove what it spilled."""
        self._connection.close()
        self._spill.cleanup()


class Session:
    """One step's work in SQL."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Use `Duck.session`."""
        self._connection = connection
        self._shapes = count(1)

    def table(self, name: str, schema: pa.Schema, files: Sequence[str], without: Iterable[int] = ()) -> None:
        """Make Parquet files readable as `name`, with the columns of `schema`, `without` the rows of some batches.

        Columns that a file lacks are NULL.
        """
        shape = f"_shape_{next(self._shapes)}"
        self._connection.register(shape, schema.empty_table())
        columns = ", ".join(quote(column) for column in schema.names)
        rows = f"select {columns} from {shape}"
        if files:
            listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
            rows += f" union all by name select * from read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
        batches = ", ".join(map(str, sorted(without)))
        kept = f" where {BATCH} not in ({batches})" if batches else ""
        self._connection.execute(f"create or replace view {name} as select {columns} from ({rows}){kept}")

    def show(self, name: str, rows: pa.Table) -> None:
        """Make rows in memory readable as `name`, such as `silver.users`."""
        shape = f"_shape_{next(self._shapes)}"
        self._connection.register(shape, rows)
        self._connection.execute(f"create or replace view {name} as select * from {shape}")

    def stream(self, name: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        """Make a stream of batches readable once as `name`."""
        self._connection.register(name, pa.RecordBatchReader.from_batches(schema, batches))

    def keep(self, name: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        """Take a whole stream in as table `name`: a short one as it is, a longer one as a temporary table that can spill."""
        held = list(islice(batches, KEPT_BATCHES))
        if len(held) < KEPT_BATCHES:
            self._connection.register(name, pa.Table.from_batches(held, schema))
            return
        self.stream(f"_{name}", schema, chain(held, batches))
        self._connection.execute(f"create temp table {name} as select * from _{name}")

    def execute(self, statement: str) -> None:
        """Run a statement of the product's own that returns nothing."""
        with _within_limit():
            self._connection.execute(statement)

    def reader(self, query: str, batch_rows: int = 131_072, where: str | None = None) -> Iterator[pa.RecordBatch]:
        """The result of one of the product's own queries as batches, streamed; over a model's rows, with the place of its SELECT.

        Raises:
            ModelError: The SELECT breaks at a value.
        """
        with _within_limit(), _model(where):
            yield from self._connection.sql(query).to_arrow_reader(batch_rows)

    def rows(self, query: str) -> pa.Table:
        """The whole result of one of the product's own queries."""
        with _within_limit():
            return self._connection.sql(query).to_arrow_table()

    def model(self, name: str, query: str, where: str, what: str = "the SELECT", *, view: bool = False) -> None:
        """Keep the result of a model's query as temporary table `name`, or the query itself as a view.

        Raises:
            ModelError: The query cannot be run as it is written.
        """
        with _model(where, what):
            self._connection.execute(f"create temp {'view' if view else 'table'} {name} as {query}")

    def lock(self, folders: Iterable[str]) -> None:
        """Let what follows read nothing but the lake's own folders, and change no setting."""
        listed = ", ".join("'" + folder.replace("'", "''") + "'" for folder in folders)
        self._connection.execute(f"set allowed_directories = [{listed}]")
        self._connection.execute("set enable_external_access = false")
        self._connection.execute("set lock_configuration = true")

    def ask(self, query: str) -> pa.Table:
        """The result of a person's query.

        Raises:
            UsageError: It is no single SELECT, or names what is not there.
        """
        try:
            statements = duckdb.extract_statements(query)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise UsageError("`query` takes one SELECT", given=query[:80], next_step="Name tables as silver.<table> or gold.<model>.")
            return self._connection.sql(query).to_arrow_table()
        except duckdb.Error as exc:
            raise UsageError(f"the query cannot be run: {_first_line(exc)}", next_step="`lakehouse status` lists the tables.") from exc


@contextmanager
def _model(where: str | None, what: str = "the SELECT") -> Iterator[None]:
    """What the engine refuses of a model's query at a place, as an error of ours."""
    try:
        yield
    except duckdb.Error as exc:
        if where is None:
            raise
        raise ModelError(
            f"{what} cannot be run: {_first_line(exc)}", where=where, next_step="Mend it; `lakehouse validate` checks names."
        ) from exc


@contextmanager
def _within_limit() -> Iterator[None]:
    """What the engine cannot do within the memory limit, as an error of ours."""
    try:
        yield
    except duckdb.OutOfMemoryException as exc:
        raise UsageError(
            f"the SQL engine needs more memory than it may have: {_first_line(exc)}",
            next_step="Raise LAKEHOUSE_MEMORY_LIMIT, or lower LAKEHOUSE_BATCH_ROWS.",
        ) from exc


def _first_line(exc: duckdb.Error) -> str:
    """The engine's own words; where it fails at a value, without the value."""
    lines = [line.strip() for line in str(exc).splitlines() if line.strip() and not line.startswith(("LINE ", " ", "Traceback"))]
    told = " ".join(lines)[:300]
    return told if isinstance(exc, _ABOUT_NAMES) else _VALUE.sub("***", told)
