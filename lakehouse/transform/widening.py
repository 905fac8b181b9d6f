"""The order of the lake's types: which of two holds all values of both, whichever came first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.model.types import MAX_PRECISION, DataType
from lakehouse.transform.arrow import arrow_type, lake_type

if TYPE_CHECKING:
    import pyarrow as pa

_CHAINS = (("smallint", "integer", "bigint"), ("float", "double"), ("date", "timestamp"))
_DIGITS = {"smallint": 5, "integer": 10, "bigint": 19}


def join(left: DataType, right: DataType) -> DataType | None:
    """The least type that holds every value of both without loss, or None where the lake has none.

    Commutative, associative (None with anything is None) and idempotent, so that the order in which types come does not matter.

    >>> str(join(DataType("integer"), DataType("decimal", 6, 2)))
    'decimal(12,2)'
    """
    if left == right:
        return left
    for chain in _CHAINS:
        if left.name in chain and right.name in chain:
            return max(left, right, key=lambda kind: chain.index(kind.name))
    one, other = _decimal(left), _decimal(right)
    if one is None or other is None:
        return None
    scale = max(one.scale, other.scale)
    digits = max(one.precision - one.scale, other.precision - other.scale)
    return DataType("decimal", digits + scale, scale) if digits + scale <= MAX_PRECISION else None


def _decimal(kind: DataType) -> DataType | None:
    if kind.name in _DIGITS:
        return DataType("decimal", _DIGITS[kind.name], 0)
    return kind if kind.name == "decimal" else None


def joined(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    """The same of Arrow types; None where one of them is no type of the lake."""
    kinds = lake_type(left), lake_type(right)
    found = join(kinds[0], kinds[1]) if kinds[0] and kinds[1] else None
    return None if found is None else arrow_type(found)
