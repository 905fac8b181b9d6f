"""PostgreSQL: psycopg2 answers the questions about the database, connectorx brings the rows."""

from __future__ import annotations

import re
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg2
import psycopg2.extensions
from sqlglot import exp
from typing_extensions import override

from lakehouse.errors import ContractError, LakehouseError, SourceError, SourceUnreachableError, UsageError
from lakehouse.model.cursor import TIMES
from lakehouse.model.types import MAX_PRECISION, DataType
from lakehouse.sources.address import Address
from lakehouse.sources.dialect import Dialect, Frozen, ListedTable, SourceColumn, SourceTable, pick, the_one
from lakehouse.sources.horizon import Horizon

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakehouse.model.run import Cursor

CONNECT_SECONDS = 5
TYPES = {
    "bool": "boolean",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "float",
    "float8": "double",
    "bytea": "binary",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamp",
}
_ENDS = {
    "date": ("0001-01-01", "9999-12-31"),
    "timestamp": ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"),
    "timestamptz": ("0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00"),
}
_TEXT = DataType("string")
_ORDERED = ("UTF8", "LATIN1", "SQL_ASCII")
"""Encodings whose bytes have the order of UTF-8's."""
_COLUMNS = """
select a.attname, t.typname, a.atttypmod, a.attnotnull
from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
where a.attrelid = %s and a.attnum > 0 and not a.attisdropped order by a.attnum
"""
_ONE_MOMENT = "begin isolation level repeatable read read only"
_TYPES = "select oid, typname from pg_catalog.pg_type where oid = any(%s)"
_TABLES = """
select n.nspname, c.relname, c.oid, pg_catalog.pg_table_is_visible(c.oid)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not in ('pg_catalog', 'information_schema') and lower(c.relname) = lower(%s)
"""
_LISTED = """
select n.nspname, c.relname, c.relkind in ('v', 'm'),
    array(
        select a.attname::text
        from pg_catalog.pg_index i
            cross join lateral unnest(i.indkey::int2[]) with ordinality k(number, place)
            join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
        where i.indrelid = c.oid and i.indisprimary and k.place <= i.indnkeyatts
        order by k.place),
    array(
        select distinct a.attname::text
        from pg_catalog.pg_index i join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
        where i.indrelid = c.oid and i.indisvalid and i.indpred is null
        order by 1),
    (
        select sum(case when p.reltuples < 0 or p.relpages = 0 and p.reltuples = 0 then null else p.reltuples end)::bigint
        from pg_catalog.pg_class p
        where p.relkind in ('r', 'm') and (p.oid = c.oid
            or p.oid in (select h.inhrelid from pg_catalog.pg_inherits h where h.inhparent = c.oid and c.relkind = 'p')))
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
    and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
order by 1, 2
"""


def lake_type(native: str, modifier: int) -> DataType:
    """The lake's type for a type of pg_type; what has no like travels as its text.

    A numeric's modifier holds its precision and scale (PostgreSQL's numeric.c: ((p << 16) | s) + 4).

    >>> str(lake_type("numeric", ((12 << 16) | 2) + 4))
    'decimal(12,2)'
    """
    if native == "numeric" and modifier > 0:
        precision, scale = (modifier - 4) >> 16 & 0xFFFF, (modifier - 4) & 0x7FF
        if 1 <= precision <= MAX_PRECISION and scale <= precision:
            return DataType("decimal", precision, scale)
    return DataType(TYPES.get(native, "string"))


def _bytes(value: Any, cursor: psycopg2.extensions.cursor) -> bytes | None:  # noqa: ANN401  the driver's own buffer
    return None if value is None else bytes(psycopg2.BINARY(value, cursor))


_BYTES = psycopg2.extensions.new_type(psycopg2.BINARY.values, "BYTES", _bytes)


class Postgres(Dialect):
    """One PostgreSQL database."""

    sql: ClassVar[str] = "postgres"
    has_head: ClassVar[bool] = False

    def __init__(self, url: str) -> None:
        """Connect within `CONNECT_SECONDS`.

        Raises:
            SourceUnreachableError: Nobody answers there.
            SourceError: The login or the database is refused.
        """
        address = Address.of(url, "PostgreSQL", "postgresql", 5432)
        self._where = address.where
        self._url = address.url("postgresql", {key: value for key, value in address.options.items() if key == "sslmode"})
        self._own_url = url
        self._connection = self._connect()
        self._horizon = Horizon(self._fetch, self._where)

    def _connect(self) -> psycopg2.extensions.connection:
        try:
            connection = psycopg2.connect(self._own_url, connect_timeout=CONNECT_SECONDS, application_name="lakehouse")
        except psycopg2.OperationalError as exc:
            raise self._refused(exc) from None
        except psycopg2.Error:
            raise UsageError("the PostgreSQL URL cannot be read", next_step="Set the connection's URL right.") from None
        connection.autocommit = True
        psycopg2.extensions.register_type(_BYTES, connection)
        return connection

    def _refused(self, exc: psycopg2.OperationalError) -> LakehouseError:
        text = str(exc).lower()
        if re.search(r'database "[^"]*" does not exist', text):
            return SourceError(
                "PostgreSQL has no such database", where=self._where, next_step="Correct the database in the connection's URL."
            )
        if "invalid" in text and "value" in text:
            return UsageError(
                "the PostgreSQL URL has an option that does not exist", where=self._where, next_step="Correct what follows `?`."
            )
        if "password authentication failed" in text or "no password supplied" in text or "pg_hba" in text or "role" in text:
            return SourceError(
                "PostgreSQL refuses the login", where=self._where, next_step="Correct the user and password in the connection's URL."
            )
        return SourceUnreachableError(
            f"PostgreSQL does not answer within {CONNECT_SECONDS} seconds",
            where=self._where,
            next_step="Correct host and port in the connection's URL, or start the server.",
        )

    @override
    def driver_url(self) -> str:
        return self._url

    @override
    def describe(self, name: str) -> SourceTable:
        rows = self._fetch(_TABLES, (name.rpartition(".")[2],))
        found = pick(name, [(str(row[0]), str(row[1])) for row in rows])
        visible = [parts for parts in found if any(row[:2] == parts and row[3] for row in rows)]
        found = visible if len(found) > 1 and visible else found
        parts = the_one(name, found, self._where, "Write `from` with its schema.")
        oid = next(row[2] for row in rows if row[:2] == parts)
        columns = self._fetch(_COLUMNS, (oid,))
        return SourceTable(
            parts,
            tuple(
                SourceColumn(column, native, lake_type(native, modifier), required=required)
                for column, native, modifier, required in columns
            ),
        )

    @override
    def described(self, query: exp.Query) -> tuple[SourceColumn, ...]:
        found = self._execute(query.sql(dialect=self.sql)).description or ()
        names = dict(self._fetch(_TYPES, ([column.type_code for column in found],)))
        return tuple(
            SourceColumn(
                column.name,
                names[column.type_code],
                lake_type(names[column.type_code], 0 if column.precision is None else ((column.precision << 16) | (column.scale or 0)) + 4),
            )
            for column in found
        )

    @override
    def listed(self) -> list[ListedTable]:
        return [
            ListedTable((schema, name), is_view=is_view, keys=tuple(keys), indexed=tuple(indexed), rows=rows)
            for schema, name, is_view, keys, indexed, rows in self._fetch(_LISTED)
        ]

    @override
    @contextmanager
    def frozen(self) -> Iterator[Frozen | None]:
        """A snapshot that a connection of its own holds and exports ("Snapshot Synchronization Functions" of the manual)."""
        with closing(self._connect()) as connection:
            ask = partial(self._execute, connection=connection)
            for statement in ("set idle_in_transaction_session_timeout = 0", _ONE_MOMENT):
                ask(statement)
            ((name,),) = ask("select pg_export_snapshot()").fetchall()

            def value(query: exp.Expr) -> object:
                rows = ask(query.sql(dialect=self.sql)).fetchall()
                return rows[0][0] if rows else None

            yield Frozen([_ONE_MOMENT, f"set transaction snapshot '{name}'"], value)

    def _fetch(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        return self._execute(statement, values).fetchall()

    def _execute(
        self, statement: str, values: tuple[object, ...] = (), connection: psycopg2.extensions.connection | None = None
    ) -> psycopg2.extensions.cursor:
        try:
            cursor = (connection or self._connection).cursor()
            cursor.execute(statement, values or None)
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as exc:
            raise SourceUnreachableError(f"the connection broke: {_first_line(exc)}", where=self._where, next_step="Run again.") from exc
        except psycopg2.Error as exc:
            raise SourceError(
                f"the query failed: {_first_line(exc)}", where=self._where, next_step="See that the user may read the table."
            ) from exc
        return cursor

    @override
    def bound(self, *, lagged: bool = False) -> datetime:
        return self._horizon.bound(lagged=lagged)

    @override
    def value(self, query: exp.Expr) -> object:
        rows = self._fetch(query.sql(dialect=self.sql))
        return rows[0][0] if rows else None

    @override
    def rows(self, query: exp.Expr) -> list[tuple[object, ...]]:
        return list(self._fetch(query.sql(dialect=self.sql)))

    @override
    def output(self, column: SourceColumn, kind: DataType) -> exp.Expr:
        native = exp.column(column.name, quoted=True)
        if column.type.name not in ("string", "decimal") and kind.name != "string":
            return native  # decimals travel as text: the driver ends in a panic at NaN and at more than 28 digits, and is no faster
        return native if column.native in ("text", "varchar") else exp.cast(native, "text", dialect=self.sql)

    @override
    def head(self, kind: DataType) -> exp.Expr:
        return exp.cast(exp.null(), str(kind), dialect=self.sql)

    @override
    def misfit(self, column: SourceColumn, kind: DataType) -> exp.Expr | None:
        return None

    @override
    def require_cursor(self, column: SourceColumn, kind: DataType) -> None:
        if kind.name == "string" and (encoding := self._fetch("select current_setting('server_encoding')")[0][0]) not in _ORDERED:
            raise ContractError(
                f"a text cursor is compared by its bytes, and those of {encoding} have another order than those of UTF-8",
                where=self._where,
                next_step="Choose another cursor, or use `mode: full`.",
            )

    @override
    def is_zoned(self, column: SourceColumn) -> bool:
        return column.native == "timestamptz"

    @override
    def infinite(self, column: SourceColumn, kind: DataType) -> exp.Expr | None:
        if kind.name not in TIMES or column.type.name not in TIMES:
            return None
        native = exp.column(column.name, quoted=True)
        low, high = (exp.Literal.string(text) for text in _ENDS[column.native])
        return exp.or_(exp.GT(this=native, expression=high), exp.LT(this=native.copy(), expression=low))

    @override
    def cursor_output(self, column: SourceColumn, kind: DataType) -> exp.Expr:
        native = self.output(column, kind)
        if self.infinite(column, kind) is None:
            return native
        low, high = (exp.cast(exp.Literal.string(text), column.native, dialect=self.sql) for text in _ENDS[column.native])
        above, below = exp.GT(this=native, expression=high), exp.LT(this=native.copy(), expression=low)
        return exp.Case().when(above, high.copy()).when(below, low.copy()).else_(native.copy())

    @override
    def rows_where(self, table: exp.Expr, column: SourceColumn, condition: exp.Expr) -> exp.Query:
        """Look at both ends of the column's order, where NULL and infinity stand: a planner without statistics would scan the table."""
        if column.type.name == "string":
            return super().rows_where(table, column, condition)
        native = exp.column(column.name, quoted=True)
        orders = (exp.Ordered(this=native, desc=True, nulls_first=True), exp.Ordered(this=native, desc=False, nulls_first=False))
        last, first = (exp.select(native).from_(table).order_by(order).limit(1).subquery("e") for order in orders)
        ends = [exp.select(exp.Literal.number(1)).from_(end).where(condition.copy()) for end in (last, first)]
        return ends[0].union(ends[1], distinct=False)

    @override
    def at_least(self, column: SourceColumn, bound: Cursor) -> exp.Expr:
        if isinstance(bound, str):
            text = exp.Collate(this=self.output(column, _TEXT), expression=exp.to_identifier("C", quoted=True))
            return exp.GTE(this=text, expression=exp.Literal.string(bound))
        return exp.GTE(this=exp.column(column.name, quoted=True), expression=_literal(bound, column))

    @override
    def below(self, column: SourceColumn, bound: Cursor) -> exp.Expr:
        return exp.LT(this=exp.column(column.name, quoted=True), expression=_literal(bound, column))

    @override
    def close(self) -> None:
        self._connection.close()


def _first_line(exc: psycopg2.Error) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0]


def _literal(bound: Cursor, column: SourceColumn) -> exp.Expr:
    if isinstance(bound, int):
        return exp.Literal.number(bound)
    if isinstance(bound, str):
        return exp.Literal.string(bound)
    if isinstance(bound, datetime):
        text = bound.isoformat(sep=" ") if column.native == "timestamptz" else bound.replace(tzinfo=None).isoformat(sep=" ")
        return exp.cast(exp.Literal.string(text), "timestamptz" if column.native == "timestamptz" else "timestamp")
    return exp.cast(exp.Literal.string(bound.isoformat()), "date")
