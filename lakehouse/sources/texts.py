"""One text for a value in each kind of database, the same as the lake writes, so that both sides have one checksum for a row.

Covered are integers, booleans, texts, bytes, days, instants, and decimals whose lake type is the column's own; numbers with a floating
point have no text that all databases agree upon. SQL Server has none of it: its texts are UTF-16.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import TYPE_CHECKING

from sqlglot import exp

from lakehouse.model.types import INTEGERS, MAX_PRECISION

if TYPE_CHECKING:
    from lakehouse.model.types import DataType
    from lakehouse.sources.dialect import Dialect, SourceColumn

NULL, SEPARATOR = exp.Literal.string("~"), exp.Literal.string(";")
FINGERPRINT, NUMBER = "lakehouse_fingerprint", "lakehouse_number"
"""Functions that SQLite gets from us."""
_ODD = exp.Literal.string("?")
_EXACT = Context(prec=MAX_PRECISION, traps=[Inexact, InvalidOperation])
_EPOCH, _EPOCH_DAY = datetime(1970, 1, 1, tzinfo=UTC), date(1970, 1, 1)


def has_text(dialect: Dialect, column: SourceColumn, kind: DataType) -> bool:
    """Whether the database writes the column's values as the lake does."""
    own = column.type
    if dialect.sql not in ("postgres", "mysql", "sqlite"):
        return False
    if dialect.sql == "sqlite":
        return kind.name not in ("float", "double")
    if kind.name == "decimal":
        return own == kind
    families = (INTEGERS, ("boolean",), ("date",), ("timestamp",), ("binary",))
    return kind.name == "string" or any(kind.name in family and own.name in family for family in families)


def has_number(dialect: Dialect, column: SourceColumn, kind: DataType) -> bool:
    """Whether the column's values are integers, days or instants that the database has as a number too."""
    if dialect.sql == "sqlite":
        return kind.name in (*INTEGERS, "date", "timestamp")
    own = column.type.name
    if dialect.sql == "tsql" and column.native in ("datetime", "datetimeoffset"):
        return False  # a datetime counts in 1/300 s, and leaves the server rounded
    return (kind.name in INTEGERS and own in INTEGERS and column.native != "timestamp") or (
        kind.name in ("date", "timestamp") and own == kind.name
    )


def number(dialect: Dialect, column: SourceColumn, kind: DataType, value: exp.Expr | None = None) -> exp.Expr:
    """An integer, a day or an instant (or what an aggregate makes of it) as a number: itself, epoch days, epoch microseconds."""
    native = exp.column(column.name, quoted=True) if value is None else value
    if dialect.sql == "sqlite" and kind.name in ("date", "timestamp"):
        return _call(NUMBER, exp.Literal.string(kind.name), native)
    if kind.name in INTEGERS:
        return exp.cast(native, "bigint")
    counted = _days(dialect.sql, native) if kind.name == "date" else _micros(dialect.sql, native)
    return counted if dialect.sql != "postgres" else exp.Case().when(_call("ISFINITE", native.copy()), counted)


def fingerprint(dialect: Dialect, columns: list[tuple[SourceColumn, DataType]]) -> exp.Expr:
    """The checksum of these columns of a row: 60 bits of the md5 of their texts."""
    if dialect.sql == "sqlite":
        kinds = exp.Literal.string(";".join(str(kind) for _, kind in columns))
        return _call(FINGERPRINT, kinds, *(dialect.output(column, kind) for column, kind in columns))
    texts: list[exp.Expr] = []
    for column, kind in columns:
        texts += [exp.Coalesce(this=_text(dialect, column, kind), expressions=[NULL.copy()]), SEPARATOR.copy()]
    if dialect.sql == "postgres":
        head = _call("SUBSTR", _call("MD5", _joined(texts[:-1])), exp.Literal.number(1), exp.Literal.number(15))
        bits = exp.DPipe(this=exp.Literal.string("x"), expression=head)
        return exp.cast(exp.cast(bits, "bit(60)", dialect="postgres"), "bigint", dialect="postgres")
    head = _call("LEFT", _call("MD5", _call("CONCAT", *texts[:-1])), exp.Literal.number(15))
    return exp.cast(_call("CONV", head, exp.Literal.number(16), exp.Literal.number(10)), "signed", dialect="mysql")


def total(dialect: Dialect, value: exp.Expr) -> list[exp.Expr]:
    """The sum of checksums as parts that `whole` puts together: SQLite's sums hold 64 bits."""
    if dialect.sql != "sqlite":
        return [exp.Sum(this=value)]
    half = exp.Literal.number(2**30)
    return [
        exp.Sum(this=exp.Mod(this=value, expression=half)),
        exp.Sum(this=exp.BitwiseRightShift(this=value.copy(), expression=exp.Literal.number(30))),
    ]


def whole(dialect: Dialect, parts: tuple[int | None, ...]) -> int | None:
    """The sum whose parts a query for `total` gave."""
    if dialect.sql != "sqlite" or parts[0] is None or parts[1] is None:
        return parts[0]
    return parts[0] + (parts[1] << 30)


def _text(dialect: Dialect, column: SourceColumn, kind: DataType) -> exp.Expr:
    native: exp.Expr = exp.column(column.name, quoted=True)
    postgres = dialect.sql == "postgres"
    written = "text" if postgres else "char"
    match kind.name:
        case "string":
            value = dialect.output(column, kind)
            length = exp.cast(_call("OCTET_LENGTH", value), written, dialect=dialect.sql)
            colon = exp.Literal.string(":")
            return _joined([length, colon, value.copy()]) if postgres else _call("CONCAT", length, colon, value.copy())
        case "boolean":
            native = exp.cast(native, "int" if postgres else "signed", dialect=dialect.sql)
        case "binary":
            return _call("ENCODE", native, exp.Literal.string("hex")) if postgres else _call("LOWER", _call("HEX", native))
        case "date":
            native = _finite(dialect.sql, native, _days(dialect.sql, native.copy()))
        case "timestamp":
            native = _finite(dialect.sql, native, _micros(dialect.sql, native.copy()))
        case "decimal":
            pass
        case _:
            native = native if postgres else exp.cast(native, "signed", dialect=dialect.sql)  # a bit would else be its bytes
    return exp.cast(native, written, dialect=dialect.sql)


def _finite(sql: str, native: exp.Expr, value: exp.Expr) -> exp.Expr:
    """The value as a text, or a text of no value where PostgreSQL's days and instants are infinite."""
    if sql != "postgres":
        return value
    return (
        exp.Case()
        .when(_call("ISFINITE", native), exp.cast(value, "text", dialect=sql))
        .when(exp.not_(native.copy().is_(exp.null())), _ODD.copy())
    )


def _days(sql: str, native: exp.Expr) -> exp.Expr:
    first = exp.Literal.string("1970-01-01")
    if sql == "mysql":
        return _call("DATEDIFF", native, first)
    if sql == "tsql":
        return exp.cast(_call("DATEDIFF", exp.var("day"), first, native), "bigint")
    return exp.paren(exp.Sub(this=native, expression=exp.cast(first, "date")))


def _micros(sql: str, native: exp.Expr) -> exp.Expr:
    first = exp.Literal.string("1970-01-01")
    if sql == "mysql":
        return _call("TIMESTAMPDIFF", exp.var("MICROSECOND"), first, native)
    if sql == "tsql":
        return _call("DATEDIFF_BIG", exp.var("microsecond"), first, native)
    seconds = exp.Extract(this=exp.var("epoch"), expression=native)
    return exp.cast(exp.Mul(this=seconds, expression=exp.Literal.number(1_000_000)), "bigint")


def _joined(texts: list[exp.Expr]) -> exp.Expr:
    whole_text = texts[0]
    for each in texts[1:]:
        whole_text = exp.DPipe(this=whole_text, expression=each)
    return whole_text


def _call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(arguments))


def sqlite_number(kind: str, value: object) -> int | None:
    """A day or an instant, as SQLite holds it in a text, as a number; None where it is none."""
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return None
    instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant
    return (instant.date() - _EPOCH_DAY).days if kind == "date" else (instant - _EPOCH) // timedelta(microseconds=1)


def sqlite_fingerprint(kinds: str, *values: object) -> int:
    """The checksum of a row's values as they leave SQLite; what is no value of its type has another one than anything in the lake."""
    texts = ["~" if value is None else _sqlite_text(kind, value) for kind, value in zip(kinds.split(";"), values, strict=True)]
    digits = hashlib.md5(";".join(texts).encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
    return int(digits[:15], 16)


def _sqlite_text(kind: str, value: object) -> str:
    if kind == "string":
        written = str(value)
        return f"{len(written.encode('utf-8', 'surrogateescape'))}:{written}"
    if kind == "binary":
        return value.hex() if isinstance(value, bytes) else "?"
    if kind in ("date", "timestamp"):
        found = sqlite_number(kind, value)
        return "?" if found is None else str(found)
    return _sqlite_decimal(kind, str(value)) if kind.startswith("decimal") else str(value)


def _sqlite_decimal(kind: str, value: str) -> str:
    scale = int(kind.rstrip(")").rpartition(",")[2])
    try:
        exact = Decimal(value).quantize(Decimal(1).scaleb(-scale), context=_EXACT) + 0
    except ArithmeticError:
        return "?"
    return f"{exact:f}"
