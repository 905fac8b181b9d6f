"""MySQL and MariaDB: pymysql answers the questions about the database, connectorx brings the rows."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pymysql
from sqlglot import exp
from typing_extensions import override

from lakehouse.errors import LakehouseError, SourceError, SourceUnreachableError, UsageError
from lakehouse.model.cursor import TIMES
from lakehouse.model.types import DataType
from lakehouse.sources.address import Address
from lakehouse.sources.dialect import Dialect, ListedTable, SourceColumn, SourceTable, pick, require_ordered, the_one
from lakehouse.sources.mysql_types import declared, lake_type, obstacle, word_of

if TYPE_CHECKING:
    from lakehouse.model.run import Cursor

CONNECT_SECONDS = 5
_UTC = "SET time_zone = '+00:00'"  # a TIMESTAMP is shown, and compared, in the session's zone
_PATIENCE = "SET net_write_timeout = 3600"  # the server hangs up on a reader that pauses longer, as while a large file is written
_SSL = ("DISABLED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
_REFUSED = (1044, 1045, 1130, 1142, 1251, 1524, 1698, 1820, 1862, 3118, 3159, 4151)
_NO_DATABASE = 1049
_BROKEN = (0, 1053, 1927, 2006, 2013, 2055, 3024, 4031)
_STRING = DataType("string")
_TEXTS = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")
_TABLES = """
select table_schema, table_name from information_schema.tables
where lower(table_name) = lower(%s) and table_schema not in ('information_schema', 'mysql', 'performance_schema', 'sys')
"""
_COLUMNS = """
select column_name, column_type, is_nullable from information_schema.columns
where table_schema = %s and table_name = %s order by ordinal_position
"""
_LISTED = """
select table_schema, table_name, table_type = 'VIEW', table_rows from information_schema.tables
where table_schema = database() and table_type in ('BASE TABLE', 'SYSTEM VERSIONED', 'VIEW') order by table_name
"""
_INDEXES = """
select table_name, index_name, seq_in_index, column_name from information_schema.statistics
where table_schema = database() and column_name is not null order by table_name, index_name, seq_in_index
"""


class Mysql(Dialect):
    """One database of a MySQL or MariaDB server."""

    sql: ClassVar[str] = "mysql"
    has_head: ClassVar[bool] = False

    def __init__(self, url: str) -> None:
        """Connect within `CONNECT_SECONDS`.

        Raises:
            UsageError: The URL cannot be read, or has an option that does not exist.
            SourceUnreachableError: Nobody answers there.
            SourceError: The login or the database is refused.
        """
        address = Address.of(url, "MySQL", "mysql", 3306)
        self._where, self._database = address.where, address.database
        mode = address.options.get("ssl-mode", "DISABLED").upper()
        if mode not in _SSL or address.options.keys() - {"ssl-mode", "ssl-ca"}:
            raise UsageError(
                "the MySQL URL has an option that does not exist",
                where=self._where,
                expected=f"ssl-mode={'|'.join(_SSL)}, ssl-ca=<file>",
                next_step="Correct what follows `?`.",
            )
        self._url = address.url("mysql", address.options)
        try:
            self._connection = pymysql.connect(
                host=address.host,
                port=address.port,
                user=address.user,
                password=address.password,
                database=address.database,
                charset="utf8mb4",
                connect_timeout=CONNECT_SECONDS,
                read_timeout=CONNECT_SECONDS,
                autocommit=True,
                init_command=_UTC,
                ssl_disabled=mode == "DISABLED",
                ssl=_tls(mode, address.options.get("ssl-ca")),
            )
        except pymysql.err.MySQLError as exc:
            raise self._refused(exc) from None
        except OSError:
            raise UsageError(
                "the file that ssl-ca names cannot be read as certificates", where=self._where, next_step="Correct its path."
            ) from None
        self._connection._read_timeout = None  # noqa: SLF001  the driver has one limit for the login and for queries, which may take long

    def _refused(self, exc: pymysql.err.MySQLError) -> LakehouseError:
        code = exc.args[0] if exc.args else 0
        if code == _NO_DATABASE:
            return SourceError("MySQL has no such database", where=self._where, next_step="Correct the database in the connection's URL.")
        if code in _REFUSED:
            return SourceError(
                "MySQL refuses the login",
                where=self._where,
                next_step="Correct the user and password in the connection's URL, or grant the user this host and database.",
            )
        if isinstance(getattr(exc, "original_exception", None), ssl.SSLError):
            return SourceError(
                "the connection cannot be encrypted as the URL demands",
                where=self._where,
                next_step="Name the server's authority (`ssl-ca=<file>`), ask for less (`ssl-mode=REQUIRED`), or set the server up for it.",
            )
        return SourceUnreachableError(
            f"MySQL does not answer within {CONNECT_SECONDS} seconds",
            where=self._where,
            next_step="Correct host and port in the connection's URL, or start the server.",
        )

    @override
    def driver_url(self) -> str:
        return self._url

    @override
    def session(self) -> list[str]:
        return [_UTC, _PATIENCE]

    @override
    def describe(self, name: str) -> SourceTable:
        rows: list[tuple[str, ...]] = [(str(schema), str(table)) for schema, table in self._fetch(_TABLES, (name.rpartition(".")[2],))]
        if "." not in name:
            here = str(self._fetch("select database()")[0][0])
            rows = [parts for parts in rows if parts[0] == here]
        other = "; a table of another database is `database.table`"
        parts = the_one(name, pick(name, rows), self._where, "Write its exact case.", other)
        columns = self._fetch(_COLUMNS, parts)
        return SourceTable(
            parts,
            tuple(
                SourceColumn(column, native, lake_type(native), required=nullable == "NO", obstacle=obstacle(native))
                for column, native, nullable in columns
            ),
        )

    @override
    def described(self, query: exp.Query) -> tuple[SourceColumn, ...]:
        with self._execute(query.sql(dialect=self.sql)) as cursor:
            fields = cursor._result.fields  # noqa: SLF001  `description` leaves out the flags and the character set
        return tuple(
            SourceColumn(field.name, native, lake_type(native), obstacle=obstacle(native))
            for field in fields
            for native in [declared(field)]
        )

    @override
    def listed(self) -> list[ListedTable]:
        """The tables and views of the database, by their names; row counts are InnoDB's estimates."""
        keys: dict[str, list[str]] = {}
        first: dict[str, list[str]] = {}
        for table, index, place, column in self._fetch(_INDEXES):
            if index == "PRIMARY":
                keys.setdefault(table, []).append(column)
            if place == 1 and column not in first.setdefault(table, []):
                first[table].append(column)
        return [
            ListedTable(
                (schema, table),
                is_view=bool(is_view),
                keys=tuple(keys.get(table, ())),
                indexed=tuple(first.get(table, ())),
                rows=None if is_view or rows is None else int(rows),
            )
            for schema, table, is_view, rows in self._fetch(_LISTED)
        ]

    def _fetch(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._execute(statement, values) as cursor:
            return list(cursor.fetchall())

    def _execute(self, statement: str, values: tuple[object, ...] = ()) -> Any:  # noqa: ANN401  pymysql has no types
        cursor = self._connection.cursor()
        try:
            cursor.execute(statement, values or None)
        except pymysql.err.MySQLError as exc:
            text = str(exc.args[-1]) if exc.args else type(exc).__name__
            if isinstance(exc, pymysql.err.InterfaceError) or (exc.args and exc.args[0] in _BROKEN):
                raise SourceUnreachableError(f"the connection broke: {text}", where=self._where, next_step="Run again.") from exc
            raise SourceError(f"the query failed: {text}", where=self._where, next_step="See that the user may read the table.") from exc
        return cursor

    @override
    def bound(self, *, lagged: bool = False) -> datetime:
        """The server's clock less one second: MySQL tells nobody without the right PROCESS when other transactions began.

        A row that a transaction stamps before this instant and commits after the read is held for by the lag, or brought by the look-back.
        """
        return cast("datetime", self._fetch("select utc_timestamp(6) - interval 1 second")[0][0]).replace(tzinfo=UTC)

    @override
    def value(self, query: exp.Expr) -> object:
        rows = self._fetch(query.sql(dialect=self.sql))
        return rows[0][0] if rows else None

    @override
    def rows(self, query: exp.Expr) -> list[tuple[object, ...]]:
        return list(self._fetch(query.sql(dialect=self.sql)))

    @override
    def output(self, column: SourceColumn, kind: DataType) -> exp.Expr:
        native: exp.Expr = exp.column(column.name, quoted=True)
        word = word_of(column.native)
        if word == "bit":
            native = exp.cast(native, "unsigned", dialect=self.sql)
            return exp.cast(native, "char", dialect=self.sql) if kind.name == "string" else native
        if word in _TEXTS or column.type.name == "binary":
            return native
        if word == "float" and kind.name == "string":  # six digits only, where it is not made a double first
            native = exp.Add(this=native, expression=exp.Literal.number("0e0"))
        # dates travel as text: the driver ends in a panic at 0000-00-00, which the door refuses; decimals: at more than 28 digits
        textual = column.type.name in ("string", "date", "timestamp") or word == "decimal" or kind.name == "string"
        return exp.cast(native, "char", dialect=self.sql) if textual else native

    @override
    def head(self, kind: DataType) -> exp.Expr:
        return exp.null()

    @override
    def misfit(self, column: SourceColumn, kind: DataType) -> exp.Expr | None:
        return None

    @override
    def require_cursor(self, column: SourceColumn, kind: DataType) -> None:
        require_ordered(column, kind, self._where)

    @override
    def is_zoned(self, column: SourceColumn) -> bool:
        return word_of(column.native) == "timestamp"

    @override
    def unfit(self, column: SourceColumn, kind: DataType) -> exp.Expr | None:
        if kind.name not in TIMES:
            return None
        native = exp.column(column.name, quoted=True)
        return exp.or_(*(exp.Anonymous(this=part, expressions=[native.copy()]).eq(0) for part in ("MONTH", "DAYOFMONTH")))

    @override
    def at_least(self, column: SourceColumn, bound: Cursor) -> exp.Expr:
        if isinstance(bound, str):
            text = exp.cast(self.output(column, _STRING), "char character set utf8mb4", dialect=self.sql)
            return exp.GTE(this=exp.cast(text, "binary", dialect=self.sql), expression=exp.HexString(this=bound.encode().hex()))
        return exp.GTE(this=exp.column(column.name, quoted=True), expression=_literal(bound))

    @override
    def below(self, column: SourceColumn, bound: Cursor) -> exp.Expr:
        return exp.LT(this=exp.column(column.name, quoted=True), expression=_literal(bound))

    @override
    def close(self) -> None:
        if self._connection.open:
            self._connection.close()


def _tls(mode: str, authority: str | None) -> ssl.SSLContext | None:
    if mode == "DISABLED":
        return None
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = mode == "VERIFY_IDENTITY"
    context.verify_mode = ssl.CERT_NONE if mode == "REQUIRED" else ssl.CERT_REQUIRED
    return context


def _literal(bound: Cursor) -> exp.Expr:
    if isinstance(bound, int):
        return exp.Literal.number(bound)
    if isinstance(bound, str):
        return exp.Literal.string(bound)
    if isinstance(bound, datetime):
        text = bound.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
        return exp.cast(exp.Literal.string(text), "datetime(6)", dialect="mysql")
    return exp.cast(exp.Literal.string(bound.isoformat()), "date", dialect="mysql")
