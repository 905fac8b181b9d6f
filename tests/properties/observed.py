"""What bronze should hold, in plain Python: what each read sees that it did not see last, by rules 1 and 2 of the windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple


class Row(NamedTuple):
    """A row of the source: a customer, or a visit, which has no key of its own."""

    key: int
    city: str | None
    day: int
    note: str | None = None
    is_gone: bool = False


@dataclass(frozen=True)
class Read:
    """One read of a source: days from `low` (None: the beginning) to below `high`; `anew` takes all as new, `past` moves no watermark."""

    low: int | None
    high: int
    anew: bool = False
    past: bool = False

    def rows(self, source: Iterable[Row]) -> list[Row]:
        """The rows that it shows."""
        return [row for row in source if (self.low is None or row.day >= self.low) and row.day < self.high]


@dataclass(frozen=True)
class Bronze:
    """A bronze table: its observations by batch, each with its number, those of one batch sorted; and how far its live windows came."""

    keyed: bool
    rows: tuple[tuple[Row, int], ...] = ()
    watermark: int | None = None

    @property
    def batches(self) -> int:
        """How many batches there are."""
        return max((batch for _, batch in self.rows), default=0)

    def after(self, source: Iterable[Row], read: Read) -> Bronze:
        """The table after a read."""
        shown = read.rows(source)
        rows = self.rows + tuple((row, self.batches + 1) for row in sorted(self._unseen(shown, anew=read.anew), key=str))
        reached = [] if read.past else [row.day for row in shown]
        reached += [] if self.watermark is None else [self.watermark]
        return replace(self, rows=rows, watermark=max(reached, default=None))

    def swept(self, source: Iterable[Row]) -> Bronze:
        """The table after a sweep: what the source shows no longer is buried with the values of its greatest version."""
        there, last = {row.key for row in source}, {row.key: row for row, _ in self.rows}
        living = [(row.day, batch, row) for row, batch in self.rows if not row.is_gone]
        ends = {row.key: row for _, _, row in sorted(living, key=lambda version: version[:2])}
        gone = [key for key, row in last.items() if key not in there and not row.is_gone]
        graves = sorted((ends[key]._replace(is_gone=True) for key in gone), key=str)
        return replace(self, rows=self.rows + tuple((row, self.batches + 1) for row in graves))

    def _unseen(self, shown: list[Row], *, anew: bool) -> list[Row]:
        if not self.keyed:
            return list((Counter(shown) - Counter(row for row, _ in self.rows)).elements())
        last = {row.key: row for row, _ in self.rows}
        return [row for row in shown if anew or last.get(row.key) != row]
