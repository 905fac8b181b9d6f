"""What a change feed says beyond rows and deletes, put into the versions before they are folded.

That is a declared order, truncates, partial updates, and deletes that are rows: all functions of the set of versions, however they came.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from lakehouse.layout import BATCH, DELETE, EXTRACTED_AT, IS_DELETED, OP, TRUNCATE
from lakehouse.transform.fold import HASH, SEQ, same_key, seen_as

if TYPE_CHECKING:
    from collections.abc import Sequence

PLACE = "_place"
"""Where a version stands among those of its key; unique in a frame."""
_MADE, _ENDS, _RUN, _FIRST = "_made", "_ends", "_run", "_first"


def then(number: int) -> str:
    """The column of a frame of versions that holds the values of the `number`th column that orders versions of one sequence."""
    return f"_then_{number}"


@dataclass(frozen=True, slots=True)
class Changes:
    """How the versions of one table are prepared for the fold.

    Attributes:
        keys: The columns that name a row.
        columns: The table's own columns.
        descending: For each column that orders versions of one sequence, whether its greatest value comes first; NULL is always the least.
        filled: The columns in which NULL means that the value did not change.
        as_row: Whether a delete is a row.
    """

    keys: Sequence[str]
    columns: Sequence[str]
    descending: Sequence[bool]
    filled: Sequence[str]
    as_row: bool

    def prepared(self, versions: pl.LazyFrame, ends: pl.DataFrame | None) -> pl.LazyFrame:
        """The versions with `PLACE`, in the order of key and place, without truncates; with `as_row` without deletes, with `is_deleted`.

        Args:
            versions: As `transform.fold` describes them, with `_op`, `_extracted_at` and the columns that `then` names.
            ends: The instants (`_seq`, unique, and `_batch`) at which every key ends whose last version is older; None where none does.
        """
        names = [then(number) for number in range(len(self.descending))]
        rows = versions.filter(pl.col(OP).ne_missing(TRUNCATE)).with_columns(pl.lit(value=False).alias(_MADE))
        if ends is not None and not ends.is_empty():
            rows = pl.concat([rows, self._ended(rows, ends)], how="diagonal")
        by = [*self.keys, SEQ, _MADE, *names, BATCH, HASH, OP]
        upside = [False] * (len(self.keys) + 1) + [True, *self.descending, False, False, False]  # what an end made comes before its instant
        placed = rows.sort(by, descending=upside, nulls_last=False).drop(_MADE, *names).with_row_index(PLACE)
        if self.filled:
            placed = self._filled(placed)
        return self._with_deleted(placed) if self.as_row else placed

    def _ended(self, rows: pl.LazyFrame, ends: pl.DataFrame) -> pl.LazyFrame:
        """A delete of each key at the first end after each of its versions."""
        instants = pl.concat([rows.select(SEQ), ends.lazy().select(SEQ)]).unique()
        marked = instants.join(ends.lazy().select(SEQ, pl.col(BATCH).alias("_at")), on=SEQ, how="left").sort(SEQ)
        following = pl.when(pl.col("_at").is_not_null()).then(pl.col(SEQ)).shift(-1).fill_null(strategy="backward").alias(_ENDS)
        batch = pl.col("_at").shift(-1).fill_null(strategy="backward").alias(BATCH)
        after = marked.select(SEQ, following, batch).filter(pl.col(_ENDS).is_not_null())
        ended = rows.filter(pl.col(OP).is_null()).select(*self.keys, SEQ).join(after, on=SEQ).unique(subset=[*self.keys, _ENDS])
        marks = [pl.lit(DELETE).alias(OP), pl.lit(value=True).alias(_MADE), pl.lit("").alias(HASH)]
        return ended.drop(SEQ).rename({_ENDS: SEQ}).with_columns(marks)

    def _filled(self, placed: pl.LazyFrame) -> pl.LazyFrame:
        dead = pl.col(OP).eq_missing(DELETE)
        runs = placed.with_columns(dead.cum_sum().alias(_RUN))
        own = [pl.when(dead).then(None).otherwise(pl.col(name)).alias(name) for name in self.filled]
        return runs.with_columns(own).with_columns(pl.col(*self.filled).forward_fill().over([*self.keys, _RUN])).drop(_RUN)

    def _with_deleted(self, placed: pl.LazyFrame) -> pl.LazyFrame:
        """The first delete after a row as a row with its values, from when it ends that row; one that ends nothing is left out."""
        dead, before = pl.col(OP).eq_missing(DELETE), same_key(list(self.keys), 1)
        first = dead & before & ~dead.shift(1).fill_null(value=False)
        kept = placed.with_columns(
            first.alias(_FIRST),
            pl.when(first & (pl.col(SEQ) == pl.col(SEQ).shift(1))).then(seen_as(placed.collect_schema()[SEQ], EXTRACTED_AT)).alias(_ENDS),
            *(pl.when(first).then(pl.col(name).shift(1)).otherwise(pl.col(name)).alias(name) for name in self.columns),
        ).filter(~dead | pl.col(_FIRST))
        at = pl.max_horizontal(SEQ, _ENDS)
        follows = pl.when(same_key(list(self.keys), -1)).then(pl.col(SEQ).shift(-1))
        empty = pl.col(_FIRST) & (at >= follows).fill_null(value=False)
        rows = kept.with_columns(at.alias(SEQ), empty.alias(_ENDS), pl.col(_FIRST).alias(IS_DELETED)).filter(~pl.col(_ENDS))
        return rows.drop(_FIRST, _ENDS, OP, EXTRACTED_AT)
