"""The lake's types as Arrow types, and the one strict cast at the door."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.errors import SourceDataError
from lakehouse.model.types import DataType
from lakehouse.transform import kernels

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

_ARROW = {
    "boolean": pa.bool_(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}
_TEXT_INTEGER = r"^[+-]?[0-9]+(\.0*)?$"
_TEXT_DECIMAL = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)$"
_TEXT_DOUBLE = r"^[+-]?(0*\.?0*([0-9]\.?){1,15}0*\.?0*([eE][+-]?[0-9]{1,3})?|inf(inity)?|[Nn]a[Nn])$"
_SPAN = ((-62_135_596_800_000_000, 253_402_300_799_999_999), (-719_162, 2_932_896))


def arrow_type(kind: DataType) -> pa.DataType:
    """The Arrow type of a lake type."""
    return pa.decimal128(kind.precision, kind.scale) if kind.name == "decimal" else _ARROW[kind.name]


def lake_type(kind: pa.DataType) -> DataType | None:
    """The lake's type of an Arrow type, or None where the lake has none of it."""
    if pa.types.is_decimal(kind):
        return DataType("decimal", kind.precision, kind.scale)
    if pa.types.is_large_string(kind):
        return DataType("string")
    return next((DataType(name) for name, own in _ARROW.items() if own == kind), None)


def arrow_schema(columns: Mapping[str, DataType]) -> pa.Schema:
    """The Arrow schema of columns, in their order."""
    return pa.schema([(name, arrow_type(kind)) for name, kind in columns.items()])


def stamped(batches: Iterable[pa.RecordBatch], schema: pa.Schema, stamps: Mapping[str, object]) -> Iterator[pa.RecordBatch]:
    """The batches with the columns of `schema`: those that they lack hold the stamp of their name in each row, or NULL."""
    constants: dict[str, pa.Array] = {}
    for batch in batches:
        columns = []
        for field in schema:
            if field.name in batch.schema.names:
                columns.append(kernels.cast(batch.column(field.name), field.type))
                continue
            if len(constants.get(field.name, ())) < batch.num_rows:
                constants[field.name] = pa.repeat(pa.scalar(stamps.get(field.name), field.type), batch.num_rows)
            columns.append(constants[field.name].slice(0, batch.num_rows))
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def cast_batch(batch: pa.RecordBatch, schema: pa.Schema, where: str, hidden: Collection[str] = ()) -> pa.RecordBatch:
    """The batch with exactly the columns and types of `schema`; no value is cut, rounded or made NULL.

    Texts become dates, instants (without a zone: UTC), decimals and numbers where they say such a thing exactly.
    No error shows a value of a column that is `hidden`.

    Raises:
        SourceDataError: A value does not fit; the column, its type and the reason are named.
    """
    columns = []
    for field in schema:
        column = batch.column(field.name)
        try:
            columns.append(_cast(column, field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
            told = "" if field.name in hidden else f": {exc}"
            raise SourceDataError(
                f"column {field.name} has a value that is no {field.type}{told}",
                where=where,
                next_step="Declare the column with a type that holds the source's values.",
            ) from (None if field.name in hidden else exc)
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    textual = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if textual and not pa.types.is_string(kind):
        column = _from_text(column, kind)
    if pa.types.is_floating(column.type) and pa.types.is_boolean(kind):
        raise pa.ArrowInvalid("a number with a point")
    if pa.types.is_floating(column.type) and pa.types.is_integer(kind):
        column = kernels.cast(column, pa.int64())
    if pa.types.is_integer(column.type) and pa.types.is_boolean(kind):
        bad = kernels.not_equal(kernels.multiply(column, kernels.subtract(column, 1)), 0)
        if kernels.some_are(bad):
            raise pa.ArrowInvalid("a number other than 0 and 1")
    if pa.types.is_timestamp(column.type) and pa.types.is_timestamp(kind) and column.type.tz is None:
        column = kernels.cast(kernels.cast(column, pa.timestamp("us")), kind)
    cast = kernels.cast(column, kind)
    _require_exact(column, cast)
    return cast


def _require_exact(column: pa.Array, cast: pa.Array) -> None:
    """Refuse what Arrow's own checks let through: cut times, rounded numbers, times that no database means."""
    kind = cast.type
    if pa.types.is_date(kind) and pa.types.is_timestamp(column.type) and not kernels.cast(cast, column.type).equals(column):
        raise pa.ArrowInvalid("an instant with a time of day")
    if pa.types.is_float32(kind) and kernels.some_are(
        kernels.both_not(kernels.not_equal(kernels.cast(cast, pa.float64()), column), kernels.is_nan(column))
    ):
        raise pa.ArrowInvalid("a number that a float cannot hold exactly")
    if pa.types.is_float64(kind) and pa.types.is_integer(column.type) and not kernels.cast(cast, column.type).equals(column):
        raise pa.ArrowInvalid("a number that a double cannot hold exactly")
    if pa.types.is_decimal(kind) and pa.types.is_floating(column.type) and not kernels.cast(cast, column.type).equals(column):
        raise pa.ArrowInvalid("a number with more digits than the decimal has")
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        least, greatest = kernels.ends(kernels.cast(cast, pa.int64() if pa.types.is_timestamp(kind) else pa.int32()))
        first, last = _SPAN[pa.types.is_date(kind)]
        if greatest is not None and (greatest > last or least < first):
            raise pa.ArrowInvalid("a time outside the years 1 to 9999 (infinity?)")


def _from_text(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        naive = kernels.replaced(column, r"(?:Z|\+00(?::?00)?)$", "")
        return kernels.cast(kernels.cast(naive, pa.timestamp("us")), kind)
    if pa.types.is_date(kind):
        return kernels.replaced(column, r"[ T]00:00:00(?:\.0+)?$", "")
    pattern = _TEXT_INTEGER if pa.types.is_integer(kind) else None
    if pa.types.is_decimal(kind) and _may_have_exponent(column):
        pattern = _TEXT_DECIMAL  # an exponent is the one thing more that Arrow's own parser takes
    if pa.types.is_floating(kind):
        pattern = _TEXT_DOUBLE
    if pattern and not kernels.all_are(kernels.matched(column, pattern)):
        raise pa.ArrowInvalid("a text that is no such number, or has more digits than it can hold")
    return kernels.replaced(column, r"\.0*$", "") if pa.types.is_integer(kind) else column


def _may_have_exponent(column: pa.Array) -> bool:
    """Whether an e stands anywhere in the texts' bytes: a look that costs a hundredth of a pattern."""
    data = column.buffers()[2]
    text = b"" if data is None else data.to_pybytes()
    return b"e" in text or b"E" in text
