"""Versions upon what stands, without a fold, for keys that what stands decides: one join gives what the fold and the difference give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from lakehouse.layout import BATCH, DELETE, IS_CURRENT, OP, VALID_FROM, VALID_TO
from lakehouse.transform.fold import HASH, SEQ

if TYPE_CHECKING:
    from collections.abc import Sequence

_STOOD, _BEATS, _SAME = "_stood", "_beats", "_same"


def several(rows: pl.DataFrame, columns: Sequence[str]) -> bool:
    """Whether the same values stand in these columns of more than one row."""
    distinct = rows[columns[0]].n_unique() if len(columns) == 1 else rows.select(columns).n_unique()
    return distinct < rows.height


def last_of_each(versions: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """The last version of each key; as they are, where there is one of each."""
    if not several(versions, keys):
        return versions
    order = [SEQ, BATCH, HASH, *([OP] if OP in versions.columns else [])]
    return versions.sort(order).unique(subset=list(keys), keep="last", maintain_order=True)


def current_upon(
    standing: pl.DataFrame, came: pl.DataFrame, keys: Sequence[str], place: str | None, also: Sequence[str] = ()
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What the new versions of a table with one row a key change: (keys of the rows to take out, versions to put in).

    Args:
        standing: The rows that stand of their keys: at least the keys, `place` and `also`.
        came: One version of each key, in a later batch than what stands, as `transform.fold` describes them.
        keys: The columns that name a row.
        place: The column of what stands that says its sequence; None where nothing does, and every new version counts.
        also: Other columns of the rows to take out that are wanted with their keys.
    """
    stood = pl.lit(None, came.schema[SEQ]) if place is None else pl.col(place)
    beats = pl.col(_STOOD).is_null() | (pl.col(SEQ) >= pl.col(_STOOD))
    there = standing.lazy().select(*keys, *also, stood.alias(_STOOD))
    pairs = there.join(came.lazy().select(*keys, SEQ), on=list(keys)).select(*keys, *also, beats.alias(_BEATS)).collect()
    if pairs[_BEATS].all():
        gone, shown = pairs.drop(_BEATS), came
    else:
        gone, behind = pairs.filter(_BEATS).drop(_BEATS), pairs.filter(~pl.col(_BEATS))
        shown = came.join(behind, on=list(keys), how="anti")
    return gone, shown.filter(pl.col(OP).ne_missing(DELETE)) if OP in shown.columns else shown


def history_upon(
    standing: pl.DataFrame, came: pl.DataFrame, keys: Sequence[str], tracked: Sequence[str], also: Sequence[str] = ()
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What the new versions change in a table that keeps histories: (identities of the rows to take out, rows to put in).

    The open row of a key ends where another content begins; the same content again changes nothing.

    Args:
        standing: The open row of each key that has one, whole.
        came: One version of each key that shows a row, above all that was consumed, as `transform.fold` describes them.
        keys: The columns that name a row.
        tracked: The columns of which another value makes another row.
        also: As in `current_upon`.
    """
    other = [pl.col(name).eq_missing(pl.col(f"{name}{_STOOD}")) for name in tracked]
    next_ = came.lazy().select(*keys, SEQ, *(pl.col(name).alias(f"{name}{_STOOD}") for name in tracked))
    pairs = standing.lazy().join(next_, on=list(keys)).with_columns(pl.all_horizontal(pl.lit(value=True), *other).alias(_SAME)).collect()
    same = pairs.filter(_SAME)
    begun = came.join(same, on=list(keys), how="anti") if same.height else came
    spans = {VALID_FROM: pl.col(SEQ), VALID_TO: pl.lit(None, came.schema[SEQ]), IS_CURRENT: pl.lit(value=True)}
    rows = [name for name in standing.columns if name not in also]
    new = begun.select((spans.get(name, pl.col(name))).alias(name) for name in rows)
    ended = pairs.filter(~pl.col(_SAME)) if same.height else pairs
    closes = {VALID_TO: pl.col(SEQ), IS_CURRENT: pl.lit(value=False)}
    closed = ended.select((closes.get(name, pl.col(name))).alias(name) for name in rows)
    return ended.select(*keys, VALID_FROM, *also), pl.concat([closed, new])
