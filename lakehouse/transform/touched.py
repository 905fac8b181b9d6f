"""What corrections touch of the rows that silver has consumed already: keys, counts, rejects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from lakehouse.layout import DROPPED, TAKEN
from lakehouse.transform.corrected import Moved
from lakehouse.transform.fold import SEQ
from lakehouse.transform.rejects import DROP, REASON, SCHEMA, frame
from lakehouse.transform.versions import ordinal

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Touched:
    """What differs between two states of the corrections; without arguments nothing does.

    Attributes:
        keys: Those whose versions differ.
        taken: How many more rows are taken than before.
        dropped: How many more a rule drops.
        greatest: The greatest sequence among those that are taken now, as a number, where it has one.
        moved: Which rows of bronze they speak of; their rejects are listed anew.
        rejects: What is listed of them now.
        all: Whether other keys may be touched than those of the rows themselves.
    """

    keys: pl.DataFrame = field(default_factory=pl.DataFrame)
    taken: int = 0
    dropped: int = 0
    greatest: int | None = None
    moved: Moved | None = None
    rejects: pl.DataFrame = field(default_factory=lambda: frame(SCHEMA))
    all: bool = False

    @classmethod
    def between(cls, before: pl.LazyFrame, now: pl.LazyFrame, keys: Sequence[str], moved: Moved, rejects: pl.DataFrame) -> Touched:
        """What differs between the versions, with `_reason`, that the rows which moved were and are.

        Args:
            before: The versions that they were.
            now: Those that they are.
            keys: The columns that name a row.
            moved: The rows.
            rejects: What is listed of the versions that they are.
        """
        was, is_ = (versions.select(*keys, SEQ, REASON).collect() for versions in (before, now))
        sides = [side.filter(pl.col(REASON).is_null()) for side in (was, is_)]
        told = pl.concat([side.select(list(keys)) for side in sides]).unique()
        dropped = [side.filter(pl.col(REASON) == DROP).height for side in (was, is_)]
        greatest = sides[1].select(ordinal(sides[1].schema[SEQ]).max()).item()
        return cls(told, sides[1].height - sides[0].height, dropped[1] - dropped[0], greatest, moved, rejects)

    def counted(self, numbers: dict[str, int]) -> dict[str, int]:
        """The numbers of rows taken and dropped, with these too; where nobody counted the first ones, none."""
        more = {TAKEN: self.taken, DROPPED: self.dropped}
        return {name: number + more.get(name, 0) for name, number in numbers.items()}
