"""How a source's table and the lake's are measured alike: what both sides of a comparison agree upon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lakehouse.model.run import Cursor

PRIME, OTHER_PRIME = 2_147_483_647, 2_147_483_629
FACTORS = (1_103_515_245, 1_664_525_123)
"""Of `mix`: products and squares of such numbers fit in 64 bits on every database."""


@dataclass(frozen=True, slots=True)
class Span:
    """The places `low <= place < high` of an axis."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Axis:
    """What a table is cut into buckets along: a number that every row has on both sides.

    Attributes:
        by: `key` is an integer column of the key, `cursor` the cursor as a number, `digest` the checksum of the key; `nothing` leaves
            the table whole.
        columns: The columns that the number is made of.
    """

    by: Literal["key", "cursor", "digest", "nothing"]
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measure:
    """What is counted in each bucket.

    Attributes:
        axis: What the table is cut along.
        mixed: Up to two columns of integers, days or instants: the first is summed, and their mix too where there is no checksum.
        digested: Columns whose text goes into the checksum; empty where there is none.
        extremes: The column whose least and greatest values are taken, if any.
        cursor: The column that limits the rows, if any.
        low: The least cursor value that is counted; None is unbounded.
        high: The first one above it that is not counted any more.
    """

    axis: Axis
    mixed: tuple[str, ...] = ()
    digested: tuple[str, ...] = ()
    extremes: str | None = None
    cursor: str | None = None
    low: Cursor | None = None
    high: Cursor | None = None


Counts = tuple[int | None, ...]
"""What was counted in one bucket: how many rows, then the other numbers; equal on both sides where the rows are."""


def bucket(base: int, width: int) -> Span:
    """The places whose number less its remainder by `width` is `base`, with the remainder's sign as in SQL.

    >>> bucket(20, 10), bucket(0, 10), bucket(-10, 10)
    (Span(low=20, high=30), Span(low=-9, high=10), Span(low=-19, high=-9))
    """
    if base > 0:
        return Span(base, base + width)
    return Span(base - width + 1, base + (width if base == 0 else 1))


def unequal(theirs: Mapping[int, Counts], ours: Mapping[int, Counts]) -> Iterator[tuple[int, int, int]]:
    """The bases whose counts differ, each with how many rows the source has more and how many the longer side has."""
    for base in sorted(theirs.keys() | ours.keys()):
        left, right = theirs.get(base), ours.get(base)
        if left != right:
            rows = [0 if counts is None else counts[0] or 0 for counts in (left, right)]
            yield base, rows[0] - rows[1], max(rows)


def merged(spans: Sequence[Span]) -> Iterator[Span]:
    """The same places in as few spans as can be; they are sorted."""
    open_: Span | None = None
    for span in spans:
        if open_ is not None and span.low <= open_.high:
            open_ = Span(open_.low, max(open_.high, span.high))
            continue
        if open_ is not None:
            yield open_
        open_ = span
    if open_ is not None:
        yield open_
