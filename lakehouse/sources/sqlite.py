"""SQLite: columns hold values of any type, so all that is not a number or bytes travels as text and is parsed at the door."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, unquote

from sqlglot import exp
from typing_extensions import override

from lakehouse.errors import ContractError, SourceError, UsageError
from lakehouse.model.cursor import TIMES
from lakehouse.model.types import INTEGERS, MAX_PRECISION, DataType
from lakehouse.sources import texts
from lakehouse.sources.dialect import Dialect, ListedTable, SourceColumn, SourceTable, pick
from lakehouse.transform.names import quote as identifier

if TYPE_CHECKING:
    from lakehouse.model.run import Cursor

COUNTED_ROWS = 1_000_000
_REAL_DIGITS = 15
_ISO_DAY = "[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]*"
_DECIMAL = re.compile(r"^(?:DECIMAL|NUMERIC)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)$")


def lake_type(native: str) -> DataType:
    """The lake's type for a declared type, by SQLite's own affinity rules (its manual, "Datatypes In SQLite", 3.1).

    >>> str(lake_type("DECIMAL(12,2)"))
    'decimal(12,2)'
    """
    word = native.strip().upper()
    if match := _DECIMAL.match(word):
        precision, scale = int(match[1]), int(match[2] or 0)
        fits = 1 <= precision <= MAX_PRECISION and scale <= precision
        return DataType("decimal", precision, scale) if fits else DataType("string")
    if "BOOL" in word:
        return DataType("boolean")
    if "DATETIME" in word or "TIMESTAMP" in word:
        return DataType("timestamp")
    if word == "DATE":
        return DataType("date")
    if "INT" in word:
        return DataType("bigint")
    if "BLOB" in word:
        return DataType("binary")
    if any(part in word for part in ("REAL", "FLOA", "DOUB")):
        return DataType("double")
    return DataType("string")


class Sqlite(Dialect):
    """One SQLite file, opened read-only."""

    sql: ClassVar[str] = "sqlite"
    has_head: ClassVar[bool] = True
    parallel: ClassVar[bool] = False
    types_queries: ClassVar[bool] = False

    def __init__(self, url: str, project: Path) -> None:
        """Open the file that `sqlite://<path>` names.

        Raises:
            SourceError: There is no such file, or it is no SQLite database.
        """
        path = Path(unquote(url.partition("://")[2].partition("?")[0]))
        if not str(path) or path == Path():
            raise UsageError(
                "the SQLite URL names no file", expected="sqlite:///path/to/file.db", next_step="Set the connection's URL right."
            )
        self._path = (project / path).resolve()
        if not self._path.is_file():
            raise SourceError("there is no such SQLite file", where=path.name, next_step="Correct the path in the connection's URL.")
        self._connection = sqlite3.connect(f"file:{quote(str(self._path))}?mode=ro", uri=True, check_same_thread=False)
        self._connection.create_function(texts.NUMBER, 2, texts.sqlite_number, deterministic=True)
        self._connection.create_function(texts.FINGERPRINT, -1, texts.sqlite_fingerprint, deterministic=True)
        try:
            self._tables = [
                row[0] for row in self._rows("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'")
            ]
        except sqlite3.DatabaseError as exc:
            raise SourceError(
                f"the file cannot be read as SQLite: {exc}", where=path.name, next_step="Correct the path in the connection's URL."
            ) from exc

    def _rows(self, statement: str) -> list[tuple[object, ...]]:
        with closing(self._connection.execute(statement)) as cursor:
            return cursor.fetchall()

    @override
    def driver_url(self) -> str:
        return "sqlite://" + quote(str(self._path))

    @override
    def describe(self, name: str) -> SourceTable:
        found = pick(name.rpartition(".")[2], [(str(table),) for table in self._tables])
        if not found:
            raise SourceError(
                f"table {name} does not exist",
                where=self._path.name,
                given=", ".join(map(str, self._tables))[:300],
                next_step="Correct `from` in the table's file.",
            )
        rows = self._fetch(f"PRAGMA table_info({identifier(found[0][0])})")
        # SQLite takes NULL even in a primary key, unless the key is the rowid itself
        rowid = [row[1] for row in rows if row[5]] if any(row[5] and str(row[2]).upper() == "INTEGER" for row in rows) else []
        return SourceTable(
            found[0],
            tuple(
                SourceColumn(str(row[1]), str(row[2]), lake_type(str(row[2])), required=bool(row[3]) or rowid == [row[1]]) for row in rows
            ),
        )

    @override
    def described(self, query: exp.Query) -> tuple[SourceColumn, ...]:
        """The columns by their names alone: in SQLite an expression has no type."""
        try:
            with closing(self._connection.execute(query.sql(dialect=self.sql))) as cursor:
                return tuple(SourceColumn(str(column[0]), "", lake_type("")) for column in cursor.description)
        except (sqlite3.Error, sqlite3.Warning) as exc:
            raise SourceError(f"the query failed: {exc}", where=self._path.name, next_step="Mend the query.") from exc

    @override
    def listed(self) -> list[ListedTable]:
        kinds = self._fetch("SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow' ORDER BY name")
        return [self._listed(str(name), is_view=kind == "view") for name, kind in kinds if name in self._tables]

    def _listed(self, name: str, *, is_view: bool) -> ListedTable:
        try:
            columns = self._fetch(f"PRAGMA table_info({identifier(name)})")
            indexes = self._fetch(f"PRAGMA index_list({identifier(name)})")
            rows = None if is_view else self._about(name)
        except SourceError:  # a view over what is gone, a virtual table without its module: who reads it will be told
            return ListedTable((name,), is_view=is_view, keys=(), indexed=(), rows=None)
        keys = tuple(str(row[1]) for row in sorted((row for row in columns if row[5]), key=lambda row: int(str(row[5]))))
        first = [
            str(part[2])
            for index in indexes
            for part in self._fetch(f"PRAGMA index_info({identifier(str(index[1]))})")[:1]
            if not index[4] and part[2] is not None
        ]
        return ListedTable((name,), is_view=is_view, keys=keys, indexed=tuple(dict.fromkeys([*keys[:1], *first])), rows=rows)

    def _about(self, name: str) -> int | None:
        """How many rows a table has: counted where that is quick, else as ANALYZE left it."""
        counted = self._fetch(f"SELECT count(*) FROM (SELECT 1 FROM {identifier(name)} LIMIT {COUNTED_ROWS + 1})")[0][0]
        if int(str(counted)) <= COUNTED_ROWS:
            return int(str(counted))
        if not self._fetch("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'"):
            return None
        literal = name.replace("'", "''")
        found = self._fetch(f"SELECT max(CAST(stat AS integer)) FROM sqlite_stat1 WHERE tbl = '{literal}'")
        return None if found[0][0] is None else int(str(found[0][0]))

    def _fetch(self, statement: str) -> list[tuple[object, ...]]:
        try:
            return self._rows(statement)
        except sqlite3.Error as exc:
            raise SourceError(
                f"the query failed: {exc}", where=self._path.name, next_step="See that the file is whole and not locked."
            ) from exc

    @override
    def bound(self, *, lagged: bool = False) -> datetime:
        """The machine's clock: SQLite has one writer at a time, so rows are committed in the order of their stamps."""
        return datetime.now(UTC)

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
        if kind.name in (*INTEGERS, "boolean") and column.type.name in (*INTEGERS, "boolean"):
            return native
        if kind.name in ("float", "double", "binary"):
            return native
        return exp.cast(native, "text", dialect=self.sql)

    @override
    def head(self, kind: DataType) -> exp.Expr:
        if kind.name in (*INTEGERS, "boolean"):
            return exp.Literal.number(0)
        if kind.name in ("float", "double"):
            return exp.Literal.number("0.0")
        return exp.HexString(this="") if kind.name == "binary" else exp.Literal.string("")

    @override
    def misfit(self, column: SourceColumn, kind: DataType) -> exp.Expr | None:
        native = exp.column(column.name, quoted=True)
        classes = exp.func("typeof", native)
        if kind.name in (*INTEGERS, "boolean") and column.type.name not in (*INTEGERS, "boolean"):
            return classes.eq("blob")
        if kind.name in INTEGERS:
            return exp.not_(classes.isin("integer", "null"))
        if kind.name == "boolean":
            return exp.not_(exp.or_(native.is_(exp.null()), exp.and_(classes.eq("integer"), native.copy().isin(0, 1))))
        if kind.name in ("float", "double"):
            wide = exp.and_(classes.copy().eq("integer"), exp.not_(native.copy().between(-(2**53), 2**53)))
            return exp.or_(exp.not_(classes.isin("real", "integer", "null")), wide)
        if kind.name == "binary":
            return exp.not_(classes.isin("blob", "null"))
        if kind.name == "decimal":
            limit = exp.Literal.number(f"1e{_REAL_DIGITS - kind.scale}")
            vague = exp.and_(classes.copy().eq("real"), exp.GTE(this=exp.Abs(this=native.copy()), expression=limit))
            return exp.or_(classes.eq("blob"), vague)
        return classes.eq("blob") if kind.name == "string" else exp.not_(classes.isin("text", "null"))

    @override
    def require_cursor(self, column: SourceColumn, kind: DataType) -> None:
        if kind.name == "string" and (encoding := self._fetch("PRAGMA encoding")[0][0]) != "UTF-8":
            raise ContractError(
                f"a text cursor is compared by its bytes, and those of {encoding} have another order than those of UTF-8",
                where=self._path.name,
                next_step="Choose another cursor, or use `mode: full`.",
            )

    @override
    def unfit(self, column: SourceColumn, kind: DataType) -> exp.Expr | None:
        native = exp.column(column.name, quoted=True)
        other = exp.not_(exp.func("typeof", native).isin("integer" if kind.name in INTEGERS else "text", "null"))
        if kind.name not in TIMES:
            return other
        return exp.or_(other, exp.not_(exp.Glob(this=native.copy(), expression=exp.Literal.string(_ISO_DAY))))

    @override
    def at_least(self, column: SourceColumn, bound: Cursor) -> exp.Expr:
        if isinstance(bound, str):
            text = exp.Collate(this=exp.column(column.name, quoted=True), expression=exp.Var(this="BINARY"))
            return exp.GTE(this=text, expression=exp.Literal.string(bound))
        return exp.GTE(this=exp.column(column.name, quoted=True), expression=_bound(bound, 0))

    @override
    def below(self, column: SourceColumn, bound: Cursor) -> exp.Expr:
        return exp.LT(this=exp.column(column.name, quoted=True), expression=_bound(bound, 1))

    @override
    def close(self) -> None:
        self._connection.close()


def _bound(bound: Cursor, days: int) -> exp.Expr:
    """A bound that every spelling of an instant compares rightly with: its day, or the day after; the door cuts exactly."""
    if isinstance(bound, int):
        return exp.Literal.number(bound)
    if isinstance(bound, str):
        return exp.Literal.string(bound)
    day = bound.date() if isinstance(bound, datetime) else bound
    if isinstance(bound, datetime):
        day = min(day, date.max - timedelta(days=days)) + timedelta(days=days)
    return exp.Literal.string(day.isoformat())
