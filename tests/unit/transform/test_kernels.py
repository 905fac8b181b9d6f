"""Arrow's functions by name are those of `pyarrow.compute`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lakehouse.transform import kernels

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBERS = pa.array([3, None, 1, 3, 0], pa.int32())
BOTH = pa.array([True, None, False, True, False])
OTHER = pa.array([None, None, True, True, False])
DOUBLES = pa.array([0.5, None, float("nan"), 2.0])
TEXTS = pa.array(["10.00", None, "abc", "7."])
TIMES = pa.array([None, 1_711_846_800_000_000, 1_729_996_200_000_000], pa.timestamp("us"))
TABLE = pa.table({"n": NUMBERS, "b": BOTH})

PAIRS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "where, a batch": (lambda: kernels.where(TABLE.to_batches()[0], BOTH), lambda: TABLE.to_batches()[0].filter(BOTH)),
    "where, a table": (lambda: kernels.where(TABLE, BOTH), lambda: TABLE.filter(BOTH)),
    "where, chunks": (lambda: kernels.where(TABLE["n"], TABLE["b"]), lambda: TABLE["n"].filter(TABLE["b"])),
    "cast": (lambda: kernels.cast(NUMBERS, pa.string()), lambda: NUMBERS.cast(pa.string())),
    "filled": (lambda: kernels.filled(BOTH, value=False), lambda: pc.fill_null(BOTH, fill_value=False)),
    "there": (lambda: kernels.there(TEXTS), TEXTS.drop_null),
    "among": (lambda: kernels.among(NUMBERS, pa.array([3, None], pa.int32())), lambda: pc.is_in(NUMBERS, pa.array([3, None], pa.int32()))),
    "replaced": (lambda: kernels.replaced(TEXTS, r"\.0*$", ""), lambda: pc.replace_substring_regex(TEXTS, r"\.0*$", "")),
    "matched": (lambda: kernels.matched(TEXTS, "^[0-9]"), lambda: pc.match_substring_regex(TEXTS, "^[0-9]")),
    "in_zone": (
        lambda: kernels.in_zone(TIMES, "Europe/Berlin"),
        lambda: pc.assume_timezone(TIMES, "Europe/Berlin", ambiguous="latest", nonexistent="raise"),
    ),
    "order": (
        lambda: kernels.order(TABLE, [("n", "descending"), ("b", "ascending")]),
        lambda: pc.sort_indices(TABLE, sort_keys=[("n", "descending"), ("b", "ascending")]),
    ),
    "taken": (lambda: kernels.taken(TABLE, pa.array([2, 0])), lambda: TABLE.take(pa.array([2, 0]))),
    "choose": (
        lambda: kernels.choose(OTHER, "a", pa.scalar(None, pa.string())),
        lambda: pc.if_else(OTHER, "a", pa.scalar(None, pa.string())),
    ),
    "both": (lambda: kernels.both(BOTH, OTHER), lambda: pc.and_(BOTH, OTHER)),
    "either": (lambda: kernels.either(BOTH, OTHER), lambda: pc.or_(BOTH, OTHER)),
    "both_not": (lambda: kernels.both_not(BOTH, OTHER), lambda: pc.and_not(BOTH, OTHER)),
    "opposite": (lambda: kernels.opposite(BOTH), lambda: pc.invert(BOTH)),
    "is_nan": (lambda: kernels.is_nan(DOUBLES), lambda: pc.is_nan(DOUBLES)),
    "not_equal": (lambda: kernels.not_equal(DOUBLES, 0.5), lambda: pc.not_equal(DOUBLES, 0.5)),
    "less": (lambda: kernels.less(NUMBERS, 3), lambda: pc.less(NUMBERS, 3)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_same_as_by_the_module(name: str) -> None:
    mine, theirs = (act() for act in PAIRS[name])
    assert mine.equals(theirs)


def test_the_figures_of_a_column() -> None:
    assert kernels.ends(NUMBERS) == (0, 3)
    assert kernels.ends(NUMBERS[1:2]) == (None, None)
    assert (kernels.total(BOTH), kernels.total(BOTH[:0])) == (2, 0)
    assert (kernels.some_are(BOTH), kernels.some_are(BOTH[1:3]), kernels.some_are(BOTH[:0])) == (True, False, False)
    assert (kernels.all_are(BOTH), kernels.all_are(BOTH[:2]), kernels.all_are(BOTH[:0])) == (False, True, True)
    assert kernels.distinct(NUMBERS) == 4


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(pa.ArrowInvalid):
        kernels.cast(pa.array([70_000]), pa.int16())
    with pytest.raises(pa.ArrowInvalid):
        kernels.in_zone(pa.array([1_711_850_400_000_000], pa.timestamp("us")), "Europe/Berlin")
