"""SQL databases through connectorx: a table's rows as typed Arrow batches in bounded memory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import connectorx
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from lakehouse.errors import ContractError, SourceDataError, SourceError, SourceUnreachableError, UsageError
from lakehouse.layout import COLUMN, IS_CURRENT, VALID_FROM, VALID_TO
from lakehouse.model.run import Window
from lakehouse.transform.arrow import arrow_schema, cast_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from lakehouse.model.table import Table
    from lakehouse.model.types import DataType
    from lakehouse.sources.dialect import Dialect, SourceColumn, SourceTable

_UNDECODABLE = re.compile(r'FromSql\((\d+)\), cause: Some\((?:ConversionTo\()?"([^"]*)"')
_AWAY = re.compile(r"ConnectionReset|ConnectionAborted|BrokenPipe|UnexpectedEof|NotConnected|kind: Closed|E57P0\d")
"""How a driver says that the server is gone: Rust's io::ErrorKind, or PostgreSQL's codes of an operator's intervention."""
_HEAD, _MISFIT = "_lakehouse_head", "_lakehouse_misfit"


def connect(url: str, project: Path) -> Dialect:
    """The dialect that the URL's scheme names, connected and seen to answer.

    Raises:
        UsageError: The scheme names no database that the product knows.
        SourceError: The database refuses, or nobody answers.
    """
    try:
        scheme = urlsplit(url).scheme.partition("+")[0]
    except ValueError:
        raise UsageError("the connection's URL cannot be read", next_step="Set the connection's URL right.") from None
    if scheme == "sqlite":
        from lakehouse.sources.sqlite import Sqlite  # noqa: PLC0415  each dialect loads its own driver

        return Sqlite(url, project)
    if scheme in ("postgresql", "postgres"):
        from lakehouse.sources.postgres import Postgres  # noqa: PLC0415

        return Postgres(url)
    try:
        if scheme in ("mysql", "mariadb"):
            from lakehouse.sources.mysql import Mysql  # noqa: PLC0415

            return Mysql(url)
        if scheme in ("mssql", "sqlserver"):
            from lakehouse.sources.sqlserver import SqlServer  # noqa: PLC0415

            return SqlServer(url)
    except ModuleNotFoundError as exc:
        extra = "mysql" if scheme in ("mysql", "mariadb") else "sqlserver"
        raise UsageError(
            f"the driver for {scheme}:// is not installed (there is no {exc.name})", next_step=f"pip install 'lakehouse[{extra}]'"
        ) from None
    raise UsageError(
        f"no database is known by the scheme {scheme!r}",
        expected="sqlite://, postgresql://, mysql:// or mssql://",
        next_step="Set the connection's URL right.",
    )


@dataclass(frozen=True, slots=True)
class Described:
    """A table of the lake beside the source's table behind it.

    Attributes:
        table: The metadata.
        source: The source's own table.
        columns: The columns that are read, by their lake name: the source's column and the lake's type.
    """

    table: Table
    source: SourceTable
    columns: dict[str, tuple[SourceColumn, DataType]]

    @property
    def types(self) -> dict[str, DataType]:
        """The lake's types of the columns."""
        return {name: kind for name, (_, kind) in self.columns.items()}


class Database:
    """A connected source database."""

    def __init__(self, dialect: Dialect, batch_rows: int) -> None:
        """Keep the dialect; `batch_rows` bounds one Arrow batch."""
        self._dialect, self._batch_rows = dialect, batch_rows

    def describe(self, table: Table) -> Described:
        """What of the source's table is read, and as which types.

        Raises:
            SourceError: The table is not there.
            ContractError: A declared column is not there, or a needed one.
        """
        source = self._dialect.describe(table.object)
        by_name = {column.name: column for column in source.columns}
        by_case = {column.name.lower(): column for column in source.columns}
        columns: dict[str, tuple[SourceColumn, DataType]] = {}
        wanted = {name: shape.type for name, shape in table.columns.items()} or {column.name: column.type for column in source.columns}
        needed = {*wanted, *table.keys, *(name for name in (table.cursor, table.sequence_by) if name)}
        missing = sorted(name for name in needed if name not in by_name and name.lower() not in by_case)
        if missing:
            raise ContractError(
                f"the source's table {'.'.join(source.parts)} has no column {', '.join(missing)}",
                where=f"metadata/tables/{table.source}/{table.name}.yml",
                given=f"columns {', '.join(by_name)}"[:400],
                next_step="Correct the table's file, or bring the column back in the source.",
            )
        _require_readable(table, [by_name.get(name) or by_case[name.lower()] for name in wanted])
        _require_names(table, wanted, needed)
        for name, kind in wanted.items():
            columns[name] = (by_name.get(name) or by_case[name.lower()], kind)
        return Described(table, source, columns)

    def bound(self) -> datetime:
        """An instant in UTC below which no row of a transaction still under way can appear, where the database stamps its rows."""
        return self._dialect.bound()

    def rows_without_cursor(self, what: Described) -> bool:
        """Whether a row exists that no window can hold, since its cursor is NULL, infinite or of another type."""
        column, kind = what.columns[what.table.cursor or ""]
        return self._dialect.value(self._dialect.rows_without_cursor(relation(what), column, kind)) is not None

    def greatest(self, what: Described) -> int | None:
        """The greatest value of an integer cursor, or None for an empty table."""
        column, _ = what.columns[what.table.cursor or ""]
        found = self._dialect.value(exp.select(exp.Max(this=exp.column(column.name, quoted=True))).from_(relation(what)))
        return None if found is None else int.from_bytes(found) if isinstance(found, bytes) else int(str(found))

    def query(self, what: Described, window: Window, rows: int | None = None) -> str:
        """The one statement that reads a window, or its first rows, in the database's dialect."""
        misfits = {
            name: misfit for name, (column, kind) in what.columns.items() if (misfit := self._dialect.misfit(column, kind)) is not None
        }
        outputs = [
            exp.alias_(_unless(misfits.get(name), self._dialect.output(column, kind)), name, quoted=True)
            for name, (column, kind) in what.columns.items()
        ]
        if self._dialect.has_head:
            marks = exp.Case()
            for name, misfit in misfits.items():
                marks = marks.when(misfit.copy(), exp.Literal.string(name))
            outputs += [exp.alias_(exp.Literal.number(0), _HEAD), exp.alias_(marks, _MISFIT)]
        query = exp.select(*outputs).from_(relation(what))
        if what.table.cursor:
            cursor, _ = what.columns[what.table.cursor]
            query = query.where(
                *([] if window.from_ is None else [self._dialect.at_least(cursor, window.from_)]),
                *([] if window.to is None else [self._dialect.below(cursor, window.to)]),
            )
        if self._dialect.has_head:
            heads = [
                exp.alias_(self._dialect.head(_travels_as(column, kind)), name, quoted=True)
                for name, (column, kind) in what.columns.items()
            ]
            query = exp.select(*heads, exp.alias_(exp.Literal.number(1), _HEAD), exp.alias_(exp.Literal.string(""), _MISFIT)).union(
                query, distinct=False
            )  # type: ignore[assignment]
        if rows is not None:
            query = query.limit(rows + self._dialect.has_head)
        return query.sql(dialect=self._dialect.sql)

    def read(self, what: Described, window: Window, rows: int | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of a window, or its first `rows`, as batches of exactly the described columns and types; one statement, so one snapshot.

        Raises:
            SourceError: The database breaks off.
            SourceDataError: A value does not fit its type.
        """
        where = f"{what.table.source}.{what.table.name}"
        schema = arrow_schema(what.types)
        for batch in self._stream(self.query(what, window, rows), list(what.columns), where):
            part = batch
            if self._dialect.has_head:
                part = part.filter(pc.equal(part.column(_HEAD), 0))
                _require_no_misfit(part, what, where)
            if part.num_rows:
                part = _cut(cast_batch(part, schema, where), what.table.cursor, window)
            if part.num_rows:
                yield part

    def _stream(self, query: str, columns: list[str], where: str) -> Iterator[pa.RecordBatch]:
        try:
            yield from connectorx.read_sql(
                self._dialect.driver_url(),
                [*self._dialect.rehearsal(query), query],
                return_type="arrow_stream",
                batch_size=self._batch_rows,
                pre_execution_query=self._dialect.session() or None,
            )
        except (GeneratorExit, KeyboardInterrupt, SystemExit, SourceDataError):
            raise
        except BaseException as exc:  # connectorx panics with an exception that is no Exception
            if not isinstance(exc, Exception) and type(exc).__name__ != "PanicException":
                raise
            raise _broken(exc, columns, where) from None

    def close(self) -> None:
        """End the connection."""
        self._dialect.close()


def _require_readable(table: Table, columns: Iterable[SourceColumn]) -> None:
    """Refuse columns that no reader of this database can bring whole, before anything is read."""
    blocked = [f"{column.name} ({column.native}): {column.obstacle}" for column in columns if column.obstacle]
    if blocked:
        raise ContractError(
            f"columns cannot be read: {'; '.join(blocked)}",
            where=f"metadata/tables/{table.source}/{table.name}.yml",
            next_step="List the other columns under `columns`, or read a view of the source that gives these as text or bytes.",
        )


def _require_names(table: Table, wanted: Iterable[str], needed: Iterable[str]) -> None:
    """Refuse names that cannot stand in the lake, and keys or cursors that are spelled otherwise than their column."""
    where = f"metadata/tables/{table.source}/{table.name}.yml"
    spelled = {name.lower(): name for name in wanted}
    odd = [name for name in spelled.values() if not COLUMN.match(name) or name.lower() in (VALID_FROM, VALID_TO, IS_CURRENT)]
    if odd:
        raise ContractError(
            f"the source's column names {', '.join(map(repr, odd))} cannot stand in the lake",
            where=where,
            expected="letters, digits and _, a letter first, and none of the lake's own names",
            next_step="List the other columns under `columns`, or give them other names in a view of the source.",
        )
    if len(spelled) < len(list(wanted)):
        raise ContractError("two columns differ only in case", where=where, next_step="List the one to read under `columns`.")
    other = [f"{name} (there: {spelled[name.lower()]})" for name in sorted(needed) if spelled.get(name.lower(), name) != name]
    if other:
        raise ContractError(
            f"names are spelled otherwise than in the source: {', '.join(other)}", where=where, next_step="Spell them alike."
        )


def _travels_as(column: SourceColumn, kind: DataType) -> DataType:
    """The type that a column has on its way: numbers only where the source declares one too."""
    numeric = ("boolean", "smallint", "integer", "bigint")
    return kind if kind.name not in numeric or column.type.name in numeric else column.type._replace(name="string")


def _unless(misfit: exp.Expr | None, value: exp.Expr) -> exp.Expr:
    """The value, or NULL where it cannot travel: the driver must not meet it."""
    return value if misfit is None else exp.Case().when(exp.not_(exp.paren(misfit.copy())), value)


def _require_no_misfit(rows: pa.RecordBatch, what: Described, where: str) -> None:
    marks = rows.column(_MISFIT)
    if marks.null_count < len(marks):
        name = pc.drop_null(marks)[0].as_py()
        raise SourceDataError(
            f"column {name} has a value that is no {what.columns[name][1]}",
            where=where,
            next_step="Correct the row in the source, or declare the column with a type that holds its values.",
        )


def _broken(exc: BaseException, columns: list[str], where: str) -> SourceError:
    """What the driver's error means: a value that it cannot decode, or a source that went away."""
    if (found := _UNDECODABLE.search(str(exc))) and int(found[1]) < len(columns):
        return SourceDataError(
            f"column {columns[int(found[1])]} has a value that its type cannot hold ({found[2]})",
            where=where,
            next_step="Declare the column as string, or correct the value in the source.",
        )
    if found := _AWAY.search(str(exc)):
        return SourceUnreachableError(
            f"the source ended the connection in the middle of the read ({found[0]}); nothing of it was kept",
            where=where,
            next_step="See that the source is up, then run again.",
        )
    return SourceError(
        f"the read broke off: {_first_line(exc)}",
        where=where,
        next_step="See that the source is up and the column types are declared, then run again.",
    )


def _first_line(exc: BaseException) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0][:300]


def relation(what: Described) -> exp.Table:
    """What a query of this table reads from."""
    parts = what.source.parts
    return exp.table_(parts[-1], db=parts[-2] if len(parts) > 1 else None, quoted=True)


def _cut(batch: pa.RecordBatch, cursor: str | None, window: Window) -> pa.RecordBatch:
    """The rows that are really inside the window: a dialect may bring a few more."""
    if cursor is None:
        return batch
    column = _comparable(batch.column(cursor))
    low, high = (bound.as_py() for bound in pc.min_max(column).values())
    if window.from_ is not None and (column.null_count or low < window.from_):
        batch = batch.filter(pc.greater_equal(column, pa.scalar(window.from_, column.type)))
        column = _comparable(batch.column(cursor))
    if window.to is not None and (column.null_count or high >= window.to):
        batch = batch.filter(pc.less(column, pa.scalar(window.to, column.type)))
    return batch


def _comparable(column: pa.Array) -> pa.Array:
    """Integers as wide as any bound: a bound may lie beyond a narrow type."""
    return column.cast(pa.int64()) if pa.types.is_integer(column.type) else column
