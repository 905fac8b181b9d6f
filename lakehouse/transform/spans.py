"""Spans of keys: where rows are cut so that each part has about as many of them, and all of one key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLE = 65_536
_ROW = "_row"


@dataclass(frozen=True, slots=True)
class Spans:
    """Parts of all keys in the order of the keys, one after another.

    Attributes:
        keys: The columns that name a row.
        firsts: The first key of each part but the first one, ascending; as expressions, one for each column.
    """

    keys: tuple[str, ...]
    firsts: tuple[tuple[pl.Expr, ...], ...] = ()

    @classmethod
    def of(cls, rows: pl.LazyFrame, keys: Sequence[str], count: int, parts: int) -> Self:
        """At most so many spans of some `count` rows, by the keys of a sample of them; a key with many rows takes a wide part of it.

        >>> spans = Spans.of(pl.LazyFrame({"id": [3, 1, 2, 4]}), ["id"], 4, 2)
        >>> [spans.part(pl.LazyFrame({"id": [4, None, 1]}), number).collect()["id"].to_list() for number in range(len(spans))]
        [[None, 1], [4]]
        """
        drawn = pl.col(_ROW).hash(seed=0) % max(1, count // SAMPLE) == 0  # not every n-th: rows may come in a rhythm of their own
        sample = rows.select(keys).with_row_index(_ROW).filter(drawn).select(keys).drop_nulls().sort(keys).collect(engine="streaming")
        places = [sample.height * part // parts for part in range(1, parts)] if sample.height else []
        firsts = sample[places].unique(maintain_order=True)
        kinds = sample.schema
        return cls(tuple(keys), tuple(tuple(_exact(value, kinds[name]) for name, value in row.items()) for row in firsts.to_dicts()))

    def __len__(self) -> int:
        """How many there are."""
        return len(self.firsts) + 1

    def part(self, rows: pl.LazyFrame, number: int) -> pl.LazyFrame:
        """The rows of one of them, counted from 0; each row is in one, those with NULL in a key before all others."""
        if number > 0:
            rows = rows.filter(~self._before(self.firsts[number - 1]))
        return rows if number == len(self.firsts) else rows.filter(self._before(self.firsts[number]))

    def _before(self, first: tuple[pl.Expr, ...]) -> pl.Expr:
        """Whether a key comes before one; never NULL."""
        found = pl.lit(value=False)
        for name, value in reversed(list(zip(self.keys, first, strict=True))):
            own = pl.col(name)
            found = own.is_null() | (own < value) | ((own == value) & found)
        return found


def _exact(value: Any, kind: pl.DataType) -> pl.Expr:  # noqa: ANN401  a key's value has any type
    return pl.lit(value, dtype=kind)
