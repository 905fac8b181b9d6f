"""Arrow's compute functions by name, without `pyarrow.compute`: its import builds and documents a wrapper of each function there is.

A method that goes through that module (`cast`, `filter`, `take`, `drop_null` of an array, a batch or a table) loads it as well. So what
runs when nothing has changed calls these; they take what Arrow's own take: arrays, chunked arrays, scalars, plain values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
from pyarrow import _compute

if TYPE_CHECKING:
    from collections.abc import Callable

Rows = TypeVar("Rows", pa.Array, pa.ChunkedArray, pa.RecordBatch, pa.Table, "pa.Array | pa.ChunkedArray")


def _named(name: str) -> Callable[..., Any]:
    def call(*values: Any) -> Any:  # noqa: ANN401  whatever Arrow takes and gives
        return _compute.call_function(name, list(values))

    return call


equal, not_equal = _named("equal"), _named("not_equal")
less, greater, greater_equal = _named("less"), _named("greater"), _named("greater_equal")
both, either, both_not, opposite = _named("and"), _named("or"), _named("and_not"), _named("invert")
multiply, subtract = _named("multiply"), _named("subtract")
is_null, is_valid, is_nan = _named("is_null"), _named("is_valid"), _named("is_nan")
choose = _named("if_else")


def where(rows: Rows, mask: pa.BooleanArray | pa.ChunkedArray) -> Rows:
    """The rows, or values, for which the mask is true."""
    return _compute.call_function("filter", [rows, mask], _compute.FilterOptions("drop"))


def cast(values: Rows, kind: pa.DataType) -> Rows:
    """The values as another type.

    Raises:
        pyarrow.ArrowInvalid: One does not fit.
        pyarrow.ArrowNotImplementedError: No value of the one type is one of the other.
    """
    return values if values.type == kind else _compute.call_function("cast", [values], _compute.CastOptions.safe(kind))


def filled(values: Rows, value: object) -> Rows:
    """The values, with this one for NULL."""
    return _compute.call_function("coalesce", [values, pa.scalar(value, values.type)])


def there(values: Rows) -> Rows:
    """The values that are not NULL."""
    return _compute.call_function("drop_null", [values])


def among(values: Rows, some: pa.Array | pa.ChunkedArray) -> Rows:
    """True where a value is one of some; NULL is one where some have it. Never NULL."""
    return _compute.call_function("is_in", [values], _compute.SetLookupOptions(some, skip_nulls=False))


def ends(values: pa.Array | pa.ChunkedArray) -> tuple[Any, Any]:
    """The least and the greatest value; None and None where there are only NULLs."""
    found = _compute.call_function("min_max", [values]).as_py()
    return found["min"], found["max"]


def total(values: pa.Array | pa.ChunkedArray) -> Any:  # noqa: ANN401  a number of the values' kind
    """The sum of what is not NULL; 0 for nothing."""
    return _compute.call_function("sum", [values], _compute.ScalarAggregateOptions(min_count=0)).as_py()


def some_are(values: pa.Array | pa.ChunkedArray) -> bool:
    """Whether a value is true."""
    return bool(_compute.call_function("any", [values], _compute.ScalarAggregateOptions(min_count=0)).as_py())


def all_are(values: pa.Array | pa.ChunkedArray) -> bool:
    """Whether no value is false; NULL is not."""
    return bool(_compute.call_function("all", [values], _compute.ScalarAggregateOptions(min_count=0)).as_py())


def distinct(values: pa.Array | pa.ChunkedArray) -> int:
    """How many different values there are, NULL among them."""
    return int(_compute.call_function("count_distinct", [values], _compute.CountOptions("all")).as_py())


def replaced(texts: pa.Array, pattern: str, replacement: str) -> pa.Array:
    """The texts with another text in the place of what a regular expression (RE2) matches."""
    return _compute.call_function("replace_substring_regex", [texts], _compute.ReplaceSubstringOptions(pattern, replacement))


def matched(texts: pa.Array, pattern: str) -> pa.BooleanArray:
    """True where a regular expression (RE2) matches somewhere in the text."""
    return _compute.call_function("match_substring_regex", [texts], _compute.MatchSubstringOptions(pattern))


def in_zone(local: pa.Array, zone: str) -> pa.Array:
    """The instants of a zone's local times; the later one of two.

    Raises:
        pyarrow.ArrowInvalid: There is no such time in the zone.
    """
    options = _compute.AssumeTimezoneOptions(zone, ambiguous="latest", nonexistent="raise")
    return _compute.call_function("assume_timezone", [local], options)


def order(rows: pa.Table, keys: list[tuple[str, str]]) -> pa.Array:
    """The places of the rows in the order of these columns, each `ascending` or `descending`."""
    return _compute.call_function("sort_indices", [rows], _compute.SortOptions(keys))


def taken(rows: Rows, places: pa.Array) -> Rows:
    """The rows at these places."""
    return _compute.call_function("take", [rows, places], _compute.TakeOptions())


def trimmed(texts: pa.Array) -> pa.Array:
    """The texts without white space at their ends."""
    return _compute.call_function("utf8_trim_whitespace", [texts])


def cased(texts: pa.Array, case: str) -> pa.Array:
    """The texts in `lower` or `upper` case."""
    return _compute.call_function(f"utf8_{case}", [texts])


def composed(texts: pa.Array) -> pa.Array:
    """The texts in Unicode's form NFC."""
    return _compute.call_function("utf8_normalize", [texts], _compute.Utf8NormalizeOptions("NFC"))
