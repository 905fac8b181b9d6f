"""What silver makes of a value of bronze, as SQL in DuckDB's dialect: nothing is rounded, cut or guessed, and what cannot be is told."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from lakehouse.model.types import INTEGERS, DataType
from lakehouse.transform.arrow import arrow_type

if TYPE_CHECKING:
    from lakehouse.model.cleaning import Cleaning, Column, Derived, Scalar, Texts

_BLANKS = (*range(9, 14), 32, 133, 160, 5760, *range(8192, 8203), 8232, 8233, 8239, 8287, 12288)
_SPACE = " || ".join(f"chr({code})" for code in _BLANKS)
_INTEGER, _DOUBLE = r"[+-]?[0-9]+(\.0*)?", r"(0*\.?0*([0-9]\.?){1,15}0*\.?0*([eE][+-]?[0-9]{1,3})?)"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_INSTANT = _DAY + r"([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?\s*(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
_SQL = {"boolean": "boolean", "smallint": "smallint", "integer": "integer", "bigint": "bigint", "float": "float", "double": "double"}
_SQL |= {"string": "varchar", "binary": "blob", "date": "date", "timestamp": "timestamptz"}


class Made(NamedTuple):
    """A value of silver.

    Attributes:
        sql: The expression that gives it.
        kind: Its Arrow type.
        fails: A condition that is true where there was a value and cannot be one; None where that never happens.
    """

    sql: str
    kind: pa.DataType
    fails: str | None = None


def cleaned(table: Cleaning, field: pa.Field, sql: str, *, is_key: bool) -> Made:
    """The silver value of a column of bronze, whose own value `sql` gives."""
    shape = table.columns.get(field.name)
    if shape is not None and shape.pii:
        return Made(sql, field.type)  # what is said of its texts was done before it became a token
    if is_key and (pa.types.is_string(field.type) or pa.types.is_large_string(field.type)):
        sql = normalized(sql, table.normalize_keys)
    if shape is None:
        return Made(sql, field.type)
    source, kind = normalized(sql, shape), field.type
    fails = None
    if shape.nulls:
        source = f"case when {source} in ({', '.join(map(literal, shape.nulls))}) then null else {source} end"
    if shape.map:
        source = _mapped(source, shape)
    if shape.as_ is not None and shape.as_ != shape.type:
        kind = arrow_type(shape.as_)
        made = cast(source, shape.type, shape.as_, shape.format)
        fails, source = f"({source}) is not null and ({made}) is null", made
    if shape.default is not None:
        source = f"coalesce({source}, cast({literal(shape.default)} as {sql_type(shape.shown)}))"
    return Made(source, kind, fails)


def derived(made: Derived) -> Made:
    """The value of a column that is made of others; of whatever type its expression is, it becomes the declared one exactly or fails."""
    kind, own = sql_type(made.type), f"({made.sql})"
    tried = f"try_cast({own} as {kind})"
    exact = tried if made.type.name == "string" else f"case when try({own} is not distinct from {tried}) then {tried} end"
    return Made(exact, arrow_type(made.type), f"{own} is not null and ({exact}) is null")


def normalized(sql: str, how: Texts) -> str:
    """A text as SQL, trimmed, cased and composed as it is said."""
    if how.trim:
        sql = f"trim({sql}, {_SPACE})"
    if how.case:  # one that is lowered as it is may compose otherwise
        sql = f"{how.case}({f'nfc_normalize({sql})' if how.unicode else sql})"
    return f"nfc_normalize({sql})" if how.unicode else sql


def _mapped(source: str, shape: Column) -> str:
    cases = " ".join(f"when {literal(old)} then {'null' if new is None else literal(new)}" for old, new in shape.map.items())
    return f"case {source} {cases} else {source} end"


def sql_type(kind: DataType) -> str:
    """A type of the lake as the SQL engine calls it."""
    return f"decimal({kind.precision},{kind.scale})" if kind.name == "decimal" else _SQL[kind.name]


def literal(value: Scalar) -> str:
    """A value of metadata as SQL.

    >>> literal("it's")
    "'it''s'"
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    text = value.isoformat() if isinstance(value, date | datetime) else value
    return "'" + text.replace("'", "''") + "'"


def cast(sql: str, source: DataType, to: DataType, form: str | None = None) -> str:
    """The value as another type, and NULL where it cannot be exactly that."""
    kind = sql_type(to)
    if source.name == "string":
        return _from_text(sql, to, form)
    tried = f"try_cast({sql} as {kind})"
    if to.name == "string":
        return tried
    if to.name == "boolean":
        return f"case {sql} when 1 then true when 0 then false end"
    return f"case when try_cast({tried} as {sql_type(source)}) = {sql} then {tried} end"


def _from_text(sql: str, to: DataType, form: str | None) -> str:
    kind = sql_type(to)
    if form is not None:
        read = f"try_strptime({sql}, {literal(form)})"
        return (
            f"cast({read} as timestamptz)"
            if to.name == "timestamp"
            else f"case when {read} = cast({read} as date) then cast({read} as date) end"
        )
    if to.name in INTEGERS:
        return _where(sql, _INTEGER, f"try_cast(regexp_replace({sql}, '\\.0*$', '') as {kind})")
    if to.name == "decimal":
        return _where(sql, rf"[+-]?([0-9]+\.?[0-9]{{0,{to.scale}}}0*|\.[0-9]{{1,{max(to.scale, 1)}}}0*)", f"try_cast({sql} as {kind})")
    if to.name == "double":
        return _where(sql, f"[+-]?{_DOUBLE}", f"case when isfinite(try_cast({sql} as {kind})) then try_cast({sql} as {kind}) end")
    if to.name == "boolean":
        return f"case when lower({sql}) in {_TRUE} then true when lower({sql}) in {_FALSE} then false end"
    return _where(sql, _DAY if to.name == "date" else _INSTANT, f"try_cast({sql} as {kind})")


def _where(sql: str, pattern: str, then: str) -> str:
    return f"case when regexp_full_match({sql}, {literal(pattern)}) then {then} end"
