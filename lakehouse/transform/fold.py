"""The fold: all versions of a key, in any order and any batches, become its current row or its history.

A frame of versions has the table's columns and
`_seq` (the sequence, never null), `_batch` (the ordinal of the commit that brought it) and `_hash` (the row's hash);
a key's versions are ordered by these three. Where keys can go, it also has `_op` (`delete` in a version that ends its key, else NULL)
and `_extracted_at` (when it was seen). The rules are numbers 4, 6, 7 and 8 of the design.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import polars_hash  # noqa: F401  registers the `nchash` namespace

from lakehouse.layout import BATCH, DELETE, EXTRACTED_AT, IS_CURRENT, OP, VALID_FROM, VALID_TO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SEQ, HASH = "_seq", "_hash"
_ORDER = (SEQ, BATCH, HASH)
_LIVES, _GONE, _END, _STARTS, _RUN, _THERE = "_lives", "_gone", "_end", "_starts", "_run", "_there"


def row_hash(schema: pl.Schema, columns: Iterable[str]) -> pl.Expr:
    """The md5 of a row's canonical text, as 32 hex digits.

    The text is the sorted (name, value) pairs without the NULL ones, so that a new nullable column changes no hash;
    integers and integral decimals have one text, instants are epoch microseconds, dates epoch days.
    """
    parts = [
        pl.concat_str(pl.lit(f"{name}="), canonical(pl.col(name), schema[name]), pl.lit(";")).fill_null("") for name in sorted(columns)
    ]
    text = pl.concat_str(parts) if parts else pl.lit("")
    hashed: pl.Expr = text.nchash.md5()  # type: ignore[attr-defined]  # the plugin's namespace
    return hashed.alias(HASH)


def canonical(value: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """One text for a value, equal wherever the value is equal; NULL stays NULL."""
    if kind == pl.String:
        return pl.concat_str(value.str.len_bytes().cast(pl.String), pl.lit(":"), value)
    if kind == pl.Binary:
        return value.bin.encode("hex")
    if kind == pl.Boolean:
        return value.cast(pl.Int8).cast(pl.String)
    if isinstance(kind, pl.Datetime):
        return value.dt.epoch("us").cast(pl.String)
    if kind == pl.Date:
        return value.cast(pl.Int32).cast(pl.String)
    if isinstance(kind, pl.Decimal):
        text = value.cast(pl.String)
        return pl.when(text.str.contains(".", literal=True)).then(text.str.strip_chars_end("0").str.strip_chars_end(".")).otherwise(text)
    return value.cast(pl.String)


def fold_current(versions: pl.LazyFrame, keys: Sequence[str], order: Sequence[str] = _ORDER) -> pl.LazyFrame:
    """One row a key that is not gone: its last version by `order` (SCD1). Columns as given, without the marks, in no promised order."""
    marked = OP in versions.collect_schema().names()
    last = versions.sort([*order, OP] if marked else list(order)).unique(subset=list(keys), keep="last", maintain_order=True)
    return _alive(last).drop(OP, EXTRACTED_AT) if marked else last


def fold_history(
    versions: pl.LazyFrame, keys: Sequence[str], tracked: Sequence[str], latest: Sequence[str] = (), order: Sequence[str] = _ORDER
) -> pl.LazyFrame:
    """The history of each key (SCD2): columns as given, without the marks, and `valid_from`, `valid_to`, `is_current`.

    Of versions with one sequence the last by `order` counts. A version with the tracked content of the one before it makes no row;
    the columns `latest` of that one's row take its values.
    Intervals are half open, do not overlap, and have the sequence's own type; the last one of a key is open, unless the key is gone.
    """
    key = list(keys)
    marked = OP in versions.collect_schema().names()
    last = _last_of_sequence(versions, key, order) if marked else _unique(versions.sort([*key, *order]), key)
    before = same_key(key, 1)
    changed = pl.any_horizontal([pl.col(name).ne_missing(pl.col(name).shift(1)) for name in tracked]) if tracked else pl.lit(value=False)
    starts = ~before | changed
    if not marked:
        kept = (_latest(last.with_columns(starts.alias(_STARTS)), latest).drop(_STARTS) if latest else last).filter(starts)
        until = pl.when(same_key(key, -1)).then(pl.col(SEQ).shift(-1)).otherwise(None)
    else:
        seen = last.with_columns((pl.col(_LIVES) & (starts | pl.col(_GONE).shift(1).fill_null(value=False))).alias(_STARTS))
        kept, until = _with_ends(_latest(seen, latest, pl.col(_LIVES)) if latest else seen, key)
    rows = kept.with_columns(pl.col(SEQ).alias(VALID_FROM), until.alias(VALID_TO))
    rows = rows.with_columns(pl.col(VALID_TO).is_null().alias(IS_CURRENT))
    return rows.filter(_STARTS).drop(_LIVES, _GONE, _END, _STARTS) if marked else rows


def _latest(rows: pl.LazyFrame, columns: Sequence[str], living: pl.Expr | None = None) -> pl.LazyFrame:
    """The rows, with the last values of those that show one, from one that starts an interval to the next."""
    own = [pl.col(name) if living is None else pl.col(name).filter(living) for name in columns]
    return rows.with_columns(pl.col(_STARTS).cum_sum().alias(_RUN)).with_columns(value.last().over(_RUN) for value in own).drop(_RUN)


def _unique(ordered: pl.LazyFrame, key: list[str]) -> pl.LazyFrame:
    return ordered.unique(subset=[*key, SEQ], keep="last", maintain_order=True)


def _alive(versions: pl.LazyFrame) -> pl.LazyFrame:
    return versions.filter(pl.col(OP).ne_missing(DELETE))


def same_key(key: list[str], offset: int) -> pl.Expr:
    """Whether the row so far before (above zero) or after this one is there and has its key."""
    place = pl.int_range(pl.len()) - offset
    same = pl.all_horizontal([pl.col(name).eq_missing(pl.col(name).shift(offset)) for name in key])
    return same & (place >= 0) & (place < pl.len())


def _last_of_sequence(versions: pl.LazyFrame, key: list[str], order: Sequence[str]) -> pl.LazyFrame:
    """One row a key and sequence, in their order: the last version that shows a row, and how it ended.

    `_lives`: it shows a row at all. `_gone`: a delete came after that. `_end`: when the first such delete was seen.
    """
    ordered = versions.sort([*key, *order, OP])
    of_one = [*key, SEQ]
    same = pl.all_horizontal([pl.col(name).eq_missing(pl.col(name).shift(-1)) for name in of_one])
    follows = pl.when(same).then(pl.col(OP).shift(-1)).otherwise(None) == DELETE  # the row after it is the delete that ends it
    seen = pl.when(follows).then(pl.col(EXTRACTED_AT).shift(-1))
    marked = ordered.with_columns(seen.otherwise(None).alias(_END))
    deleted = _unique(ordered, key).select(*of_one, (pl.col(OP) == DELETE).fill_null(value=False).alias(_GONE))
    shown = _unique(_alive(marked), key).with_columns(pl.lit(value=True).alias(_LIVES))
    only_gone = _unique(marked, key).join(shown, on=of_one, how="anti").with_columns(pl.lit(value=False).alias(_LIVES))
    return pl.concat([shown, only_gone]).join(deleted, on=of_one, how="left").drop(OP, EXTRACTED_AT).sort(of_one)


def _with_ends(last: pl.LazyFrame, key: list[str]) -> tuple[pl.LazyFrame, pl.Expr]:
    """The rows that start or end an interval, and the end of each that starts one.

    A delete with a sequence of its own ends the interval there; one that keeps the sequence of the version it ends (a tombstone),
    when it was seen, never after the next interval starts and never before the version itself.
    """
    schema = last.collect_schema()
    own, following = pl.col(SEQ), pl.when(same_key(key, -1)).then(pl.col(SEQ).shift(-1)).otherwise(None)
    again = pl.col(_GONE) & ~pl.col(_STARTS) & pl.col(_GONE).shift(1).fill_null(value=False) & same_key(key, 1)
    kept = last.filter(pl.col(_STARTS) | pl.col(_GONE)).filter(~again)
    ended = pl.min_horizontal(pl.max_horizontal(own, seen_as(schema[SEQ], _END)), following)
    close = pl.when(pl.col(_GONE)).then(pl.when(pl.col(_LIVES)).then(ended).otherwise(own)).otherwise(None)
    ender_next = same_key(key, -1) & ~pl.col(_STARTS).shift(-1)
    return kept, pl.when(pl.col(_GONE)).then(close).when(ender_next).then(close.shift(-1)).otherwise(following)


def seen_as(kind: pl.DataType, seen: str) -> pl.Expr:
    """When a delete was seen, in the sequence's type; a number has no time, so the next one, and a text has no next one."""
    if isinstance(kind, pl.Datetime):
        return pl.col(seen).cast(kind)
    if kind == pl.Date:
        return pl.col(seen).dt.date()
    if kind.is_integer():
        return pl.max_horizontal(SEQ, pl.col(SEQ) + 1)  # beyond the greatest number comes the smallest
    return pl.col(SEQ)


def difference(old: pl.DataFrame, new: pl.DataFrame, identity: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What turns `old` into `new`: (rows to take out, as their identity; rows to put in, whole).

    Both frames have the same columns, and `identity` is unique in `new`. Taking out goes by identity alone, so a row that stays
    is put in again where it shares its identity with one that goes, as under keys that were declared anew.
    """
    names = list(identity)
    columns, old = new.columns, old.select(new.columns)
    numbered = new.select(names).with_row_index(_THERE)
    there = old.select(names).join(numbered, on=names, how="left", nulls_equal=True, maintain_order="left")[_THERE]
    wanted = new.select(pl.all().gather(there))
    same = pl.select(pl.all_horizontal([pl.lit(there.is_not_null()), *(pl.lit(old[name].eq_missing(wanted[name])) for name in columns)]))
    stays = old.select(names).filter(same.to_series())
    lost = old.select(names).filter(~same.to_series())
    again = lost.join(stays, on=names, how="semi", nulls_equal=True)
    return lost, new.join(stays.join(again, on=names, how="anti", nulls_equal=True), on=names, how="anti", nulls_equal=True)
