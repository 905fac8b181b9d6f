"""A table's measure in DuckDB's dialect: the same numbers as `sources/measure.py` asks a database for."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.layout import BATCH, DELETE, EXTRACTED_AT, OP, REJECT
from lakehouse.model.measure import FACTORS, OTHER_PRIME, PRIME
from lakehouse.transform.names import quote
from lakehouse.transform.star import key_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lakehouse.model.measure import Axis, Measure, Span
    from lakehouse.model.run import Cursor


def text(column: str, kind: pa.DataType) -> str:
    """SQL for the one text of a value that the databases write too; NULL is `~`."""
    if pa.types.is_boolean(kind):
        written = f"{column}::integer::varchar"
    elif pa.types.is_binary(kind):
        written = f"lower(hex({column}))"
    elif pa.types.is_decimal(kind):
        written = f"{column}::varchar"
    else:
        written = key_text(column, kind)
    return f"coalesce({written}, '~')"


def number(column: str, kind: pa.DataType) -> str:
    """SQL for an integer, a day or an instant as a number: itself, epoch days, epoch microseconds."""
    if pa.types.is_timestamp(kind):
        return f"epoch_us({column})"
    return f"datediff('day', date '1970-01-01', {column})" if pa.types.is_date(kind) else f"{column}::bigint"


def mix(numbers: Sequence[str]) -> str:
    """SQL for a number of 31 bits that one or two numbers decide, such that sums of it tell sets of them apart."""
    parts = [f"({each} % {PRIME}) * {factor} % {PRIME}" for each, factor in zip(numbers, FACTORS, strict=False)]
    one = f"(({' + '.join(parts)}) % {PRIME})"
    return f"({one} * {one} % {OTHER_PRIME})"


def digest(columns: Sequence[str], schema: pa.Schema) -> str:
    """SQL for the checksum of some columns of a row: 60 bits."""
    texts = [text(quote(name), schema.field(name).type) for name in columns]
    return f"_key({' || chr(59) || '.join(texts)})"


def place(axis: Axis, schema: pa.Schema) -> str:
    """SQL for a row's place on an axis."""
    if axis.by == "nothing":
        return "0::bigint"
    if axis.by == "digest":
        return digest(axis.columns, schema)
    return number(quote(axis.columns[0]), schema.field(axis.columns[0]).type)


def within(measure: Measure) -> str:
    """SQL that is true for the rows between the measure's cursor bounds."""
    if measure.cursor is None or (measure.low is None and measure.high is None):
        return "true"
    column = quote(measure.cursor)
    bounds = [f"{column} >= {literal(measure.low)}"] * (measure.low is not None)
    return " and ".join([*bounds, *([f"{column} < {literal(measure.high)}"] * (measure.high is not None))])


def inside(axis: Axis, schema: pa.Schema, spans: Iterable[Span]) -> str:
    """SQL that is true for the rows in any of the spans."""
    at = place(axis, schema)
    return " or ".join(f"({at} >= {span.low} and {at} < {span.high})" for span in spans) or "true"


def counts(measure: Measure, schema: pa.Schema, width: int, span: Span | None, of: str) -> str:
    """A query that gives each bucket's base and counts."""
    at = place(measure.axis, schema)
    columns = [f"{at} - {at} % {width} as _base", "count(*)"]
    if measure.mixed:
        numbers = [number(quote(name), schema.field(name).type) for name in measure.mixed]
        columns += [f"sum({numbers[0]} % {PRIME})", *([] if measure.digested else [f"sum({mix(numbers)})"])]
    if measure.digested:
        columns.append(f"sum({digest(measure.digested, schema)})")
    if measure.extremes:
        kind = schema.field(measure.extremes).type
        columns += [number(f"{which}({quote(measure.extremes)})", kind) for which in ("min", "max")]
    where = f"({within(measure)})" + ("" if span is None else f" and {inside(measure.axis, schema, [span])}")
    return f"select {', '.join(columns)} from {of} where {where} group by all"


def sequence(column: str, schema: pa.Schema, *, may_be_odd: bool) -> str:
    """SQL for a row's place among the versions of its key: the column, or the time of extraction where an odd cursor is read once."""
    own = quote(column)
    if not may_be_odd or not (pa.types.is_timestamp(kind := schema.field(column).type) or pa.types.is_date(kind)):
        return own
    seen, first = (
        (EXTRACTED_AT, "timestamptz '0001-01-01 00:00:00+00'")
        if pa.types.is_timestamp(kind)
        else (f"{EXTRACTED_AT}::date", "date '0001-01-01'")
    )
    return f"case when {own} is null or {own} = {first} or {own} > {EXTRACTED_AT} + interval 1 day then {seen} else {own} end"


def last_batches(keys: Sequence[str], sequence: str | None, schema: pa.Schema, of: str) -> str:
    """A query that gives each key's newest batch, and as `_greatest` the greatest sequence among its rows that silver takes."""
    key = ", ".join(quote(name) for name in keys)
    taken = f" filter ({OP} is distinct from '{REJECT}')" if OP in schema.names else ""
    greatest = f", max({sequence}){taken} as _greatest" if sequence else ""
    return f"select {key}, max({BATCH}) as {BATCH}{greatest} from {of} group by {key}"


def alive(schema: pa.Schema, alias: str = "") -> str:
    """SQL that is true for rows that are no tombstones."""
    return f"{alias}{OP} is distinct from '{DELETE}'" if OP in schema.names else "true"


def same(columns: Iterable[str], left: str, right: str) -> str:
    """SQL that is true where two rows agree in the columns; NULL equals NULL."""
    return " and ".join(f"{left}.{quote(name)} is not distinct from {right}.{quote(name)}" for name in columns)


def literal(bound: Cursor | str | None) -> str:
    """A cursor's bound as SQL."""
    if isinstance(bound, str):
        return "'" + bound.replace("'", "''") + "'"
    if isinstance(bound, datetime):
        return f"timestamptz '{bound.isoformat()}'"
    return f"date '{bound.isoformat()}'" if isinstance(bound, date) else str(bound)
