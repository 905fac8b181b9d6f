"""The fold: all versions of a key, in any order and any batches, become its current row or its history.

A frame of versions has the table's columns and
`_seq` (the sequence, never null), `_batch` (the ordinal of the commit that brought it) and `_hash` (the row's hash);
a key's versions are ordered by these three. The rules are numbers 4, 6, 7 and 8 of the design.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import polars_hash  # noqa: F401  registers the `nchash` namespace

from lakehouse.layout import BATCH, IS_CURRENT, VALID_FROM, VALID_TO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SEQ, HASH = "_seq", "_hash"
_ORDER = [SEQ, BATCH, HASH]


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


def fold_current(versions: pl.LazyFrame, keys: Sequence[str]) -> pl.LazyFrame:
    """One row a key: its last version (SCD1). Columns as given, in no promised order."""
    return versions.sort(_ORDER).unique(subset=list(keys), keep="last", maintain_order=True)


def fold_history(versions: pl.LazyFrame, keys: Sequence[str], tracked: Sequence[str]) -> pl.LazyFrame:
    """The history of each key (SCD2): columns as given, and `valid_from`, `valid_to`, `is_current`.

    Of versions with one sequence the last counts. A version with the tracked content of the one before it makes no row.
    Intervals are half open, do not overlap, and have the sequence's own type; the last one of a key is open.
    """
    key = list(keys)
    last = versions.sort([*key, *_ORDER]).unique(subset=[*key, SEQ], keep="last", maintain_order=True)
    first_of_key = (
        ~pl.struct(key).eq_missing(pl.struct(key).shift(1)) if len(key) > 1 else pl.col(key[0]).ne_missing(pl.col(key[0]).shift(1))
    )
    first_row = pl.int_range(pl.len()) == 0
    changed = pl.any_horizontal([pl.col(name).ne_missing(pl.col(name).shift(1)) for name in tracked]) if tracked else pl.lit(value=False)
    kept = last.filter(first_row | first_of_key | changed)
    same_key_next = pl.all_horizontal([pl.col(name).eq_missing(pl.col(name).shift(-1)) for name in key]) & (
        pl.int_range(pl.len()) < pl.len() - 1
    )
    return kept.with_columns(
        pl.col(SEQ).alias(VALID_FROM),
        pl.when(same_key_next).then(pl.col(SEQ).shift(-1)).otherwise(None).alias(VALID_TO),
        (~same_key_next).alias(IS_CURRENT),
    )


def difference(old: pl.DataFrame, new: pl.DataFrame, identity: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What turns `old` into `new`: (rows to take out, as their identity; rows to put in, whole).

    Both frames have the same columns, and `identity` is unique in `new`. Taking out goes by identity alone, so a row that stays
    is put in again where it shares its identity with one that goes, as under keys that were declared anew.
    """
    names = list(identity)
    columns, old = new.columns, old.select(new.columns)
    lost = old.join(new, on=columns, how="anti", nulls_equal=True).select(names)
    stays = new.join(old, on=columns, how="semi", nulls_equal=True).join(lost, on=names, how="semi", nulls_equal=True)
    return lost, pl.concat([new.join(old, on=columns, how="anti", nulls_equal=True), stays])
