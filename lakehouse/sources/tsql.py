"""What SQL Server's types mean, and the T-SQL that brings them through the driver: trees of sqlglot, no connection."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, cast

from sqlglot import exp

from lakehouse.model.cursor import TIMES
from lakehouse.model.types import DataType
from lakehouse.sources.dialect import SourceColumn, require_ordered

if TYPE_CHECKING:
    from lakehouse.model.run import Cursor

TYPES = {
    "bit": "boolean",
    "tinyint": "smallint",
    "smallint": "smallint",
    "int": "integer",
    "bigint": "bigint",
    "timestamp": "bigint",
    "real": "float",
    "float": "double",
    "binary": "binary",
    "varbinary": "binary",
    "image": "binary",
    "date": "date",
    "datetime": "timestamp",
    "datetime2": "timestamp",
    "smalldatetime": "timestamp",
    "datetimeoffset": "timestamp",
}
_STRING, _BINARY = DataType("string"), "Latin1_General_BIN2"
_TEXTS = ("char", "varchar", "text", "nchar", "nvarchar", "ntext")
OBSTACLES = {
    "sql_variant": "its values have a type each",
    "geography": "shapes have no text that keeps every digit (STAsText() and STAsBinary() give what there is)",
    "geometry": "shapes have no text that keeps every digit (STAsText() and STAsBinary() give what there is)",
    "vector": "the driver does not know vectors",
}
_WIRE = {
    34: "image", 35: "text", 36: "uniqueidentifier", 40: "date", 41: "time", 42: "datetime2", 43: "datetimeoffset", 48: "tinyint",
    50: "bit", 52: "smallint", 56: "int", 58: "smalldatetime", 59: "real", 60: "money", 61: "datetime", 62: "float", 98: "sql_variant",
    99: "ntext", 104: "bit", 106: "decimal", 108: "numeric", 122: "smallmoney", 127: "bigint", 165: "varbinary", 167: "varchar",
    173: "binary", 175: "char", 231: "nvarchar", 239: "nchar", 240: "geography", 241: "xml",
}  # fmt: skip
_WIRE_SIZED = {
    38: {1: "tinyint", 2: "smallint", 4: "int", 8: "bigint"},
    109: {4: "real", 8: "float"},
    110: {4: "smallmoney", 8: "money"},
    111: {4: "smalldatetime", 8: "datetime"},
}
_FIRST_DATETIME, _LAST_DATETIME = datetime(1753, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 993_000, UTC)
_TICK = timedelta(milliseconds=4)  # a datetime counts in 1/300 s


def lake_type(native: str, precision: int | None, scale: int | None) -> DataType:
    """The lake's type for a DATA_TYPE of INFORMATION_SCHEMA.COLUMNS; what has no like travels as its text.

    `timestamp` is what a rowversion is called there: a number that every change in the database raises.

    >>> str(lake_type("money", 19, 4))
    'decimal(19,4)'
    """
    if native in ("money", "smallmoney"):
        precision, scale = (19, 4) if native == "money" else (10, 4)
    if native in ("decimal", "numeric", "money", "smallmoney") and precision is not None and scale is not None:
        return DataType("decimal", precision, scale)
    return DataType(TYPES.get(native, "string"))


def declared(code: int, size: int) -> str:
    """The DATA_TYPE for a column of a result, by its type on the wire ([MS-TDS] 2.2.5.4); what is not known is read as text.

    >>> declared(38, 8)
    'bigint'
    """
    return _WIRE_SIZED.get(code, {}).get(size) or _WIRE.get(code, "nvarchar")


def output(column: SourceColumn, kind: DataType) -> exp.Expr:
    """Numbers, nvarchar and bytes as they are; all else as a text that the server writes.

    The driver ends in a panic at xml and at long decimals, makes doubles of money, and shifts what a datetime or a datetimeoffset says.
    """
    native = exp.column(column.name, quoted=True)
    textual = kind.name == "string"
    match column.native:
        case "nvarchar" | "binary" | "varbinary" | "image":
            return native
        case "bit" | "tinyint" | "smallint" | "int" | "bigint":
            return _cast(native, "nvarchar(20)") if textual else native
        case "real" | "float":
            return _text(native, 40, 3) if textual else native
        case "timestamp" if kind.name == "binary":
            return native
        case "timestamp":
            number = _cast(native, "bigint")
            return _cast(number, "nvarchar(20)") if textual else number
        case "money" | "smallmoney":
            return _cast(_cast(native, "decimal(19,4)"), "nvarchar(41)")
        case "date":
            return _text(native, 10, 23)
        case "datetimeoffset" if not textual:
            utc = exp.Anonymous(this="SWITCHOFFSET", expressions=[native, exp.Literal.string("+00:00")])
            return _micros(_cast(utc, "datetime2(7)"))
        case "datetime" | "smalldatetime" | "datetime2" | "datetimeoffset":
            return _text(native, 34, 121) if textual else _micros(native)
        case _:
            return _cast(native, "nvarchar(max)")


def require_cursor(column: SourceColumn, kind: DataType, where: str) -> None:
    """Refuse a column that the server does not order as its lake type; texts of days are ordered by their day.

    Raises:
        ContractError: It is such a column.
    """
    if not (kind.name in TIMES and column.native in _TEXTS):
        require_ordered(column, kind, where)


def unfit(column: SourceColumn, kind: DataType) -> exp.Expr | None:
    """True for a text that says no day, or for a text cursor with signs that the server does not order as their bytes.

    A binary collation orders the 16-bit units of UTF-16, and pads the shorter text with blanks: that is the order of UTF-8's bytes
    for texts without control characters and without what stands above U+D7FF.
    """
    if kind.name == "string":
        odd = exp.National(this="%[^ -\ud7ff]%")
        return exp.Like(this=exp.Collate(this=output(column, kind), expression=exp.Var(this=_BINARY)), expression=odd)
    if kind.name in TIMES and column.native in _TEXTS:
        native = exp.column(column.name, quoted=True)
        return exp.and_(exp.not_(native.is_(exp.null())), _day(column).is_(exp.null()))
    return None


def at_least(column: SourceColumn, bound: Cursor) -> exp.Expr:
    """A condition that holds for every row whose cursor is at or above `bound`, and for few others."""
    if isinstance(bound, str):
        text = exp.Collate(this=output(column, _STRING), expression=exp.Var(this=_BINARY))
        return exp.GTE(this=text, expression=exp.National(this=bound))
    if column.native in _TEXTS:
        return exp.GTE(this=_day(column), expression=_cast(exp.Literal.string(_date(bound).isoformat()), "date"))
    return exp.GTE(this=exp.column(column.name, quoted=True), expression=_literal(bound, column, -_TICK))


def below(column: SourceColumn, bound: Cursor) -> exp.Expr:
    """A condition that holds for every row whose cursor is below `bound`, and for few others."""
    if column.native in _TEXTS:
        last = _date(bound) + timedelta(days=isinstance(bound, datetime) and _date(bound) < date.max)
        return exp.LT(this=_day(column), expression=_cast(exp.Literal.string(last.isoformat()), "date"))
    return exp.LT(this=exp.column(column.name, quoted=True), expression=_literal(bound, column, _TICK))


def _cast(value: exp.Expr, kind: str) -> exp.Expr:
    return exp.cast(value, kind, dialect="tsql")


def _text(value: exp.Expr, length: int, style: int) -> exp.Expr:
    """The value as the server's own text of a style (its manual, "CAST and CONVERT": 3 is 17 digits, 23 and 121 are ISO)."""
    return exp.Convert(this=exp.DataType.build(f"nvarchar({length})", dialect="tsql"), expression=value, style=exp.Literal.number(style))


def _micros(value: exp.Expr) -> exp.Expr:
    """An instant's text down to the microsecond: the seventh digit of a datetime2 is left out, so that windows and values agree."""
    return exp.Left(this=_text(value, 34, 121), expression=exp.Literal.number(26))


def _day(column: SourceColumn) -> exp.Expr:
    """The day that a text begins with, or NULL: coarse, the door compares exactly."""
    first = exp.Left(this=exp.column(column.name, quoted=True), expression=exp.Literal.number(10))
    return exp.TryCast(this=first, to=exp.DataType.build("date", dialect="tsql"))


def least_open(column: SourceColumn) -> exp.Expr | None:
    """A query for the least rowversion that a transaction under way may give; None for other columns."""
    if column.native != "timestamp":
        return None
    return exp.select(_cast(exp.Anonymous(this="MIN_ACTIVE_ROWVERSION"), "bigint"))


def _date(bound: Cursor) -> date:
    return bound.date() if isinstance(bound, datetime) else cast("date", bound)


def _literal(bound: Cursor, column: SourceColumn, margin: timedelta) -> exp.Expr:
    """A bound of the column's own type, so that an index serves; a datetime, which has no microseconds, gets a margin."""
    if isinstance(bound, int):
        number = exp.Literal.number(max(bound, 0) if column.native == "timestamp" else bound)
        return _cast(_cast(number, "bigint"), "binary(8)") if column.native == "timestamp" else number
    if isinstance(bound, str):
        return exp.National(this=bound)
    if not isinstance(bound, datetime):
        return _cast(exp.Literal.string(bound.isoformat()), "date")
    if column.native == "datetime":
        near = (min(max(bound.astimezone(UTC), _FIRST_DATETIME), _LAST_DATETIME) + margin).replace(tzinfo=None)
        return _cast(exp.Literal.string(near.isoformat(timespec="milliseconds")), "datetime")
    if column.native == "datetimeoffset":
        return _cast(exp.Literal.string(bound.astimezone(UTC).isoformat()), "datetimeoffset(7)")
    return _cast(exp.Literal.string(bound.astimezone(UTC).replace(tzinfo=None).isoformat()), "datetime2(7)")
