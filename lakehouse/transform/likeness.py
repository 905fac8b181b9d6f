"""Rows that are expected against rows that came, in any order: which are missing, unexpected, or differ in a column."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = dict[str, Any]
ALIKE = 0.5
"""Rows without common keys are told as one that differs where more than this share of the expected columns is equal."""


def same(expected: object, given: object) -> bool:
    """Whether two values are one; floats up to their last digits."""
    if isinstance(expected, float) and isinstance(given, float):
        return math.isclose(expected, given, rel_tol=1e-9) or (math.isnan(expected) and math.isnan(given))
    return expected == given


def paired(expected: Sequence[Row], given: Sequence[Row], keys: Sequence[str]) -> tuple[list[tuple[Row, Row]], list[Row], list[Row]]:
    """(pairs of an expected row and one that came but differs, expected rows that are missing, rows that nobody expects).

    Each expected row says what it says and no more: columns that it leaves out are not compared. As many rows as can be are
    taken as equal; of the others those are pairs that share their keys, or else most of their values.
    """
    taken = _equal(expected, given)
    missing = [row for number, row in enumerate(expected) if number not in taken.values()]
    unexpected = [row for number, row in enumerate(given) if number not in taken]
    differing = []
    for wanted in list(missing):
        near = max(unexpected, key=lambda row: _likeness(wanted, row, keys), default=None)
        if near is not None and _likeness(wanted, near, keys) > ALIKE:
            differing.append((wanted, near))
            missing.remove(wanted)
            unexpected = [row for row in unexpected if row is not near]
    return differing, missing, unexpected


def _likeness(wanted: Row, row: Row, keys: Sequence[str]) -> float:
    own = [name for name in keys if name in wanted]
    if own and len(own) == len(keys) and not all(same(wanted[name], row.get(name)) for name in own):
        return 0.0
    equal = sum(same(value, row.get(name)) for name, value in wanted.items())
    return (1.0 if own else 0.0) + equal / max(len(wanted), 1)


def _equal(expected: Sequence[Row], given: Sequence[Row]) -> dict[int, int]:
    """The greatest matching of rows that came with expected rows that they fulfil, by augmenting paths (Kuhn)."""
    fits = [[n for n, row in enumerate(given) if all(same(v, row.get(name)) for name, v in wanted.items())] for wanted in expected]
    taken: dict[int, int] = {}

    def place(wanted: int, tried: set[int]) -> bool:
        for number in fits[wanted]:
            if number not in tried:
                tried.add(number)
                if number not in taken or place(taken[number], tried):
                    taken[number] = wanted
                    return True
        return False

    for wanted in range(len(expected)):
        place(wanted, set())
    return taken
