"""SQL Server: python-tds answers the questions about the database, connectorx brings the rows.

A read is one SELECT under READ COMMITTED. It sees one moment of the database where READ_COMMITTED_SNAPSHOT is on (Azure SQL's default);
without, rows that others move during the read can be missed or seen twice, until a later window or `--full-refresh` brings them right.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytds
from OpenSSL import SSL
from sqlglot import exp
from typing_extensions import override

from lakehouse.errors import LakehouseError, SourceError, SourceUnreachableError, UsageError
from lakehouse.sources import tsql
from lakehouse.sources.address import Address
from lakehouse.sources.dialect import Dialect, ListedTable, SourceColumn, SourceTable, pick, the_one
from lakehouse.sources.tds import Encryption, connect

if TYPE_CHECKING:
    from lakehouse.model.run import Cursor
    from lakehouse.model.types import DataType

CONNECT_SECONDS = 5
_REFUSED = (18401, 18452, 18456, 18470, 18486, 18487, 18488, 40532, 40615)
_NO_DATABASE = (4060, 4063, 4064, 911)
_OPTIONS = {"encrypt", "trust_server_certificate", "trust_server_certificate_ca"}
_TABLES = "select TABLE_SCHEMA, TABLE_NAME from INFORMATION_SCHEMA.TABLES where lower(TABLE_NAME) = lower(%s)"
_COLUMNS = """
select COLUMN_NAME, DATA_TYPE, NUMERIC_PRECISION, NUMERIC_SCALE, IS_NULLABLE from INFORMATION_SCHEMA.COLUMNS
where TABLE_SCHEMA = %s and TABLE_NAME = %s order by ORDINAL_POSITION
"""
_LISTED = "select TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE from INFORMATION_SCHEMA.TABLES order by TABLE_SCHEMA, TABLE_NAME"
_INDEXES = """
select s.name, o.name, i.is_primary_key, x.key_ordinal, c.name
from sys.indexes i
    join sys.index_columns x on x.object_id = i.object_id and x.index_id = i.index_id
    join sys.columns c on c.object_id = x.object_id and c.column_id = x.column_id
    join sys.objects o on o.object_id = i.object_id
    join sys.schemas s on s.schema_id = o.schema_id
where x.key_ordinal > 0 and o.is_ms_shipped = 0 and i.has_filter = 0 and i.is_disabled = 0 and i.is_hypothetical = 0
order by s.name, o.name, i.index_id, x.key_ordinal
"""
_ROWS = """
select s.name, o.name, sum(p.rows)
from sys.partitions p
    join sys.objects o on o.object_id = p.object_id
    join sys.schemas s on s.schema_id = o.schema_id
where p.index_id in (0, 1) and o.is_ms_shipped = 0
group by s.name, o.name
"""


class SqlServer(Dialect):
    """One database of a SQL Server, or of Azure SQL."""

    sql: ClassVar[str] = "tsql"
    has_head: ClassVar[bool] = False

    def __init__(self, url: str) -> None:
        """Connect within `CONNECT_SECONDS`, encrypted unless the URL says `encrypt=false`.

        Raises:
            UsageError: The URL cannot be read, or has an option that does not exist.
            SourceUnreachableError: Nobody answers there.
            SourceError: The login or the database is refused, or the certificate is not trusted.
        """
        address = Address.of(url, "SQL Server", "mssql", 1433)
        self._where = address.where
        options = address.options
        words = {options.get(name, "true").lower() for name in ("encrypt", "trust_server_certificate")}
        if options.keys() - _OPTIONS or words - {"true", "false"}:
            raise UsageError(
                "the SQL Server URL has an option that does not exist",
                where=self._where,
                expected="encrypt=true|false, trust_server_certificate=true|false, trust_server_certificate_ca=<file>",
                next_step="Correct what follows `?`.",
            )
        encryption = Encryption(
            whole=options.get("encrypt", "true").lower() == "true",
            trusting=options.get("trust_server_certificate", "false").lower() == "true",
            authority=options.get("trust_server_certificate_ca"),
        )
        if encryption.authority and not Path(encryption.authority).is_file():
            raise UsageError(
                "there is no file of the name that trust_server_certificate_ca gives", where=self._where, next_step="Correct its path."
            )
        # the driver takes a spelling of "true" for a wish, and a "false" of trust beside an authority for a contradiction
        wishes = {"encrypt": str(encryption.whole).lower()} | ({"trust_server_certificate": "true"} if encryption.trusting else {})
        authority = {"trust_server_certificate_ca": encryption.authority} if encryption.authority and not encryption.trusting else {}
        self._url = address.url("mssql", {**wishes, **authority})
        try:
            self._connection = connect(address, encryption, CONNECT_SECONDS)
        except (pytds.Error, SSL.Error, OSError) as exc:
            raise self._refused(exc) from None

    def _refused(self, exc: Exception) -> LakehouseError:
        said = exc.__cause__ if isinstance(exc, TimeoutError) and isinstance(exc.__cause__, pytds.Error) else exc
        number = getattr(said, "msg_no", 0)
        if number in _REFUSED:
            return SourceError(
                "SQL Server refuses the login", where=self._where, next_step="Correct the user and password in the connection's URL."
            )
        if number in _NO_DATABASE:
            return SourceError(
                "SQL Server has no such database, or not for this user",
                where=self._where,
                next_step="Correct the database in the connection's URL, or grant the right.",
            )
        if isinstance(said, SSL.Error):
            return SourceError(
                "SQL Server's certificate is not trusted",
                where=self._where,
                next_step="Name its authority (`trust_server_certificate_ca=<file>`), or trust any (`trust_server_certificate=true`).",
            )
        return SourceUnreachableError(
            f"SQL Server does not answer within {CONNECT_SECONDS} seconds",
            where=self._where,
            next_step="Correct host and port in the connection's URL, or start the server.",
        )

    @override
    def driver_url(self) -> str:
        return self._url

    @override
    def rehearsal(self, query: str) -> list[str]:
        """The driver learns its columns by running the first statement and dropping its rows: this one has none to drop."""
        return [f"SELECT TOP 0 * FROM ({query}) AS rehearsed"]

    @override
    def describe(self, name: str) -> SourceTable:
        rows: list[tuple[str, ...]] = [(str(schema), str(table)) for schema, table in self._fetch(_TABLES, (name.rpartition(".")[2],))]
        found = pick(name, rows)
        if len(found) > 1:
            own = self._fetch("select schema_name()")[0][0]
            found = [parts for parts in found if parts[0] == own] or found
        parts = the_one(name, found, self._where, "Write `from` with its schema.")
        return SourceTable(
            parts,
            tuple(
                SourceColumn(
                    column,
                    native,
                    tsql.lake_type(native, precision, scale),
                    required=nullable == "NO",
                    obstacle=tsql.OBSTACLES.get(native, ""),
                )
                for column, native, precision, scale, nullable in self._fetch(_COLUMNS, parts)
            ),
        )

    @override
    def described(self, query: exp.Query) -> tuple[SourceColumn, ...]:
        with self._execute(query.sql(dialect=self.sql)) as cursor:
            found = cursor.description or ()
        return tuple(
            SourceColumn(name, native, tsql.lake_type(native, precision, scale), obstacle=tsql.OBSTACLES.get(native, ""))
            for name, code, _, size, precision, scale, _ in found
            for native in [tsql.declared(code, size)]
        )

    @override
    def listed(self) -> list[ListedTable]:
        """The tables and views of the database, by their names; row counts are the server's own."""
        keys: dict[tuple[str, str], list[str]] = {}
        first: dict[tuple[str, str], list[str]] = {}
        for schema, table, primary, place, column in self._fetch(_INDEXES):
            if primary:
                keys.setdefault((schema, table), []).append(column)
            if place == 1 and column not in first.setdefault((schema, table), []):
                first[schema, table].append(column)
        try:
            rows = {(schema, table): int(count) for schema, table, count in self._fetch(_ROWS)}
        except SourceError:  # what speaks SQL Server's language need not keep its statistics
            rows = {}
        return [
            ListedTable(
                (schema, table),
                is_view=kind == "VIEW",
                keys=tuple(keys.get((schema, table), ())),
                indexed=tuple(first.get((schema, table), ())),
                rows=rows.get((schema, table)),
            )
            for schema, table, kind in self._fetch(_LISTED)
        ]

    def _fetch(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._execute(statement, values) as cursor:
            return list(cursor.fetchall())

    def _execute(self, statement: str, values: tuple[object, ...] = ()) -> Any:  # noqa: ANN401  python-tds has no types
        cursor = self._connection.cursor()
        try:
            cursor.execute(statement, values or None)
        except (pytds.InterfaceError, SSL.Error, OSError) as exc:
            raise SourceUnreachableError(f"the connection broke: {_said(exc)}", where=self._where, next_step="Run again.") from exc
        except pytds.Error as exc:
            raise SourceError(
                f"the query failed: {_said(exc)}", where=self._where, next_step="See that the user may read the table."
            ) from exc
        return cursor

    @override
    def bound(self, *, lagged: bool = False) -> datetime:
        """The server's clock less one second: who may not VIEW SERVER STATE is not told when other transactions began.

        A row that a transaction stamps before this instant and commits after the read is held for by the lag, or brought by the look-back.
        """
        return cast("datetime", self._fetch("select dateadd(second, -1, sysutcdatetime())")[0][0]).replace(tzinfo=UTC)

    @override
    def value(self, query: exp.Expr) -> object:
        rows = self._fetch(query.sql(dialect=self.sql))
        return rows[0][0] if rows else None

    @override
    def rows(self, query: exp.Expr) -> list[tuple[object, ...]]:
        return list(self._fetch(query.sql(dialect=self.sql)))

    @override
    def output(self, column: SourceColumn, kind: DataType) -> exp.Expr:
        return tsql.output(column, kind)

    @override
    def head(self, kind: DataType) -> exp.Expr:
        return exp.null()

    @override
    def misfit(self, column: SourceColumn, kind: DataType) -> exp.Expr | None:
        return None

    @override
    def least_open(self, column: SourceColumn) -> exp.Expr | None:
        return tsql.least_open(column)

    @override
    def require_cursor(self, column: SourceColumn, kind: DataType) -> None:
        tsql.require_cursor(column, kind, self._where)

    @override
    def is_zoned(self, column: SourceColumn) -> bool:
        return column.native == "datetimeoffset"

    @override
    def unfit(self, column: SourceColumn, kind: DataType) -> exp.Expr | None:
        return tsql.unfit(column, kind)

    @override
    def at_least(self, column: SourceColumn, bound: Cursor) -> exp.Expr:
        return tsql.at_least(column, bound)

    @override
    def below(self, column: SourceColumn, bound: Cursor) -> exp.Expr:
        return tsql.below(column, bound)

    @override
    def close(self) -> None:
        self._connection.close()


def _said(exc: Exception) -> str:
    return str(exc.args[0] if exc.args else type(exc).__name__)[:300]
