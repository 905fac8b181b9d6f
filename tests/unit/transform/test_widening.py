"""The join of two types obeys the laws of a lattice, so that no order of arrival decides a column's type."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.model.types import PLAIN, DataType, parse_type
from lakehouse.transform.widening import join

DECIMALS = st.integers(1, 38).flatmap(lambda digits: st.integers(0, digits).map(lambda scale: DataType("decimal", digits, scale)))
KINDS = st.one_of(st.sampled_from([DataType(name) for name in PLAIN]), DECIMALS)


def together(left: DataType | None, right: DataType | None) -> DataType | None:
    """The join where None, what no type holds, stays None."""
    return join(left, right) if left and right else None


@given(KINDS, KINDS)
def test_it_is_commutative(left: DataType, right: DataType) -> None:
    assert join(left, right) == join(right, left)


@given(KINDS, KINDS, KINDS)
def test_it_is_associative(one: DataType, two: DataType, three: DataType) -> None:
    assert together(together(one, two), three) == together(one, together(two, three))


@given(KINDS, KINDS)
def test_it_is_idempotent_and_an_upper_bound(left: DataType, right: DataType) -> None:
    assert join(left, left) == left
    wide = join(left, right)
    assert wide is None or (join(wide, left), join(wide, right)) == (wide, wide)


@pytest.mark.parametrize(
    ("left", "right", "wide"),
    [
        ("smallint", "integer", "integer"),
        ("bigint", "smallint", "bigint"),
        ("bigint", "decimal(5,0)", "decimal(19,0)"),
        ("integer", "decimal(12,4)", "decimal(14,4)"),
        ("decimal(12,2)", "decimal(10,6)", "decimal(16,6)"),
        ("float", "double", "double"),
        ("date", "timestamp", "timestamp"),
    ],
)
def test_what_is_wider(left: str, right: str, wide: str) -> None:
    assert join(parse_type(left), parse_type(right)) == parse_type(wide)


LOSSY = [
    ("integer", "string"),
    ("bigint", "double"),
    ("decimal(38,0)", "decimal(2,1)"),
    ("string", "timestamp"),
    ("boolean", "smallint"),
    ("string", "binary"),
    ("decimal(5,2)", "double"),
]


@pytest.mark.parametrize(("left", "right"), LOSSY)
def test_what_no_type_holds(left: str, right: str) -> None:
    assert join(parse_type(left), parse_type(right)) is None


def test_all_plain_types_are_known() -> None:
    for left, right in product(PLAIN, PLAIN):
        assert join(DataType(left), DataType(right)) == join(DataType(right), DataType(left))
