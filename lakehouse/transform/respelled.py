"""Keys that the source writes in several ways: one of silver ends when the source shows none of them any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from lakehouse.layout import BATCH, DELETE, OP
from lakehouse.transform.rowwise import SPELLING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LIVES, _CHANGE, _LIVING = "_lives", "_change", "_living"


def without_respelled(versions: pl.LazyFrame, keys: Sequence[str]) -> pl.LazyFrame:
    """The versions but those tombstones of the lake that end one way to write a key while another one is shown, without `SPELLING`.

    A function of the set of versions: how many ways to write a key are shown is counted batch by batch, whatever order they come in.
    A row and a tombstone of one batch that are written alike: the tombstone counts.

    Args:
        versions: All versions of their keys, with `_op`, `_batch` and `SPELLING`, which is NULL where a row itself ended its key.
        keys: The columns that name a row.
    """
    ends = pl.col(OP).eq_missing(DELETE)
    told = versions.filter(pl.col(SPELLING).is_not_null() & (pl.col(OP).is_null() | ends))
    each = told.group_by(*keys, SPELLING, BATCH).agg(ends.any().not_().cast(pl.Int64).alias(_LIVES)).sort(*keys, SPELLING, BATCH)
    changes = each.with_columns((pl.col(_LIVES) - pl.col(_LIVES).shift(1, fill_value=0).over(*keys, SPELLING)).alias(_CHANGE))
    batches = changes.group_by(*keys, BATCH).agg(pl.col(_CHANGE).sum()).sort(*keys, BATCH)
    living = batches.select(*keys, BATCH, pl.col(_CHANGE).cum_sum().over(keys).alias(_LIVING))
    counted = versions.join(living, on=[*keys, BATCH], how="left", nulls_equal=True)
    goes_on = ends & pl.col(SPELLING).is_not_null() & (pl.col(_LIVING) > 0)
    return counted.filter(~goes_on.fill_null(value=False)).drop(SPELLING, _LIVING)
