"""How much of each table a sample has."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_ROWS, _SHARE = re.compile(r"^[1-9][0-9]{0,8}$"), re.compile(r"^(?:100|[0-9]{1,2}(?:\.[0-9]{1,4})?)%$")
DEFAULT_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Sample:
    """So many rows of each table, or such a share of them.

    Attributes:
        rows: How many.
        share: Between 0 and 1; then `rows` does not count.
    """

    rows: int = DEFAULT_ROWS
    share: float | None = None

    def of(self, count: int) -> int:
        """How many rows of a table that has so many; one at least.

        >>> Sample(share=0.1).of(25)
        3
        """
        return self.rows if self.share is None else max(1, math.ceil(self.share * count))


def parse_sample(text: str) -> Sample:
    """The sample that a person names: a number of rows or a share.

    >>> parse_sample("5%")
    Sample(rows=1000, share=0.05)

    Raises:
        ValueError: The text is neither.
    """
    word = text.strip().replace(",", "").replace("_", "")
    if _ROWS.match(word):
        return Sample(int(word))
    if _SHARE.match(word) and float(word[:-1]):
        return Sample(share=float(word[:-1]) / 100)
    raise ValueError(f"{text!r} is no sample; expected a number of rows such as 1000, or a share such as 1%")
