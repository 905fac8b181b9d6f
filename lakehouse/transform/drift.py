"""How far a number lies from a table's own past, measured so that a few odd values of the past do not blur it."""

from __future__ import annotations

import math
from statistics import fmean, median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST = 5
"""With fewer recorded values there is no past to speak of."""


def robust_z(value: float, past: Sequence[float]) -> float | None:
    """The robust z-score of a value beside past ones, or None where they are too few.

    0.6745 x distance from the median / median absolute deviation (Iglewicz and Hoaglin); where more than half of the past values are equal,
    the mean absolute deviation takes the median's place; beside a past of one value every other one is infinitely far.

    >>> round(robust_z(20.0, [9, 10, 11, 10, 12]), 2)
    6.74
    >>> robust_z(10.0, [10, 10, 10, 10, 10]), robust_z(10.5, [10, 10, 10, 10, 10])
    (0.0, inf)
    """
    if len(past) < LEAST:
        return None
    middle = median(past)
    distance = abs(value - middle)
    distances = [abs(each - middle) for each in past]
    spread = median(distances) / 0.6745 or fmean(distances) * 1.253314
    return distance / spread if spread else math.inf if distance else 0.0
