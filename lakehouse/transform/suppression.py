"""Erased people by keyed hashes of their keys, and rows of a source without them."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import polars as pl
import polars_hash  # noqa: F401  registers the `nchash` namespace
import pyarrow as pa

from lakehouse.transform import kernels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lakehouse.model.erasing import OnErase

MARK_DIGITS = 8
_TEXT = "_text"


class Told(Protocol):
    """Who counts what was left out."""

    suppressed: int


def key_text(schema: Mapping[str, pl.DataType], columns: Sequence[str]) -> pl.Expr:
    """The one text of a key, whatever the width of its types; NULL where a part is. Of several parts each has its length before it."""
    parts = [_text(name, schema[name]) for name in columns]
    if len(parts) == 1:
        return parts[0].alias(_TEXT)
    lengths = [pl.concat_str(part.str.len_bytes().cast(pl.String), pl.lit(":"), part) for part in parts]
    return pl.concat_str(lengths, separator=";").alias(_TEXT)


def _text(name: str, kind: pl.DataType) -> pl.Expr:
    value = pl.col(name)
    if isinstance(kind, pl.Decimal) and kind.scale:
        return value.cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")
    if isinstance(kind, pl.Datetime):
        return value.dt.epoch("us").cast(pl.String)
    return value.cast(pl.String)


def keyed_hash(text: str, secret: bytes) -> str:
    """HMAC-SHA-256 (RFC 2104) of a key's text, in hex."""
    return hmac.digest(secret, text.encode(), "sha256").hex()


def mark(text: str, secret: bytes) -> str:
    """A short keyed mark of a key's text, by which nearly all others are left out before the hash is made."""
    return str(pl.select(_mark(pl.lit(text), secret)).item())


def _mark(text: pl.Expr, secret: bytes) -> pl.Expr:
    prefix = hmac.digest(secret, b"lakehouse marks", "sha256").hex()
    return (pl.lit(prefix) + text).nchash.md5().str.head(MARK_DIGITS)  # type: ignore[attr-defined,no-any-return]  # polars-hash


@dataclass(frozen=True, slots=True)
class Suppressed:
    """The keys of erased people in some columns of one table.

    Attributes:
        columns: The columns that hold such a key, as bronze calls them.
        on_erase: What becomes of a row that has one.
        hashes: Their keyed hashes, each with its mark.
    """

    columns: tuple[str, ...]
    on_erase: OnErase
    hashes: Mapping[str, str]

    def among(self, rows: pl.DataFrame, secret: bytes) -> list[str]:
        """The texts of such keys in these rows; distinct keys alone are hashed, and of these few by more than their mark."""
        distinct = rows.lazy().select(key_text(rows.schema, self.columns)).drop_nulls().unique()
        near = distinct.filter(_mark(pl.col(_TEXT), secret).is_in(sorted(set(self.hashes.values())))).collect()[_TEXT]
        return [text for text in near if keyed_hash(text, secret) in self.hashes]


class Suppression:
    """All that is erased of one table."""

    def __init__(self, secret: bytes, entries: Sequence[Suppressed]) -> None:
        """Take the key of the hashes and what is suppressed, column set by column set."""
        self._secret, self._entries = secret, entries

    def of(self, batches: Iterator[pa.RecordBatch], told: Told) -> Iterator[pa.RecordBatch]:
        """The rows without those of erased people; where these stay, without what points to the person."""
        for batch in batches:
            rows, count = self._without(batch)
            told.suppressed += count
            yield rows

    def _without(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, int]:
        count = 0
        for entry in self._entries:
            if not batch.num_rows or not set(entry.columns) <= set(batch.schema.names):
                continue
            frame = pl.DataFrame(pl.from_arrow(batch.select(list(entry.columns))))
            texts = entry.among(frame, self._secret)
            if not texts:
                continue
            hit = frame.select(key_text(frame.schema, entry.columns).is_in(texts).fill_null(value=False))[_TEXT].to_arrow()
            count += kernels.total(hit)
            if entry.on_erase == "delete":
                batch = kernels.where(batch, kernels.opposite(hit))
            else:
                nulls = {name: pa.scalar(None, batch.schema.field(name).type) for name in entry.columns}
                columns = [kernels.choose(hit, nulls[f.name], batch.column(f.name)) if f.name in nulls else batch.column(f.name)
                           for f in batch.schema]  # fmt: skip
                batch = pa.RecordBatch.from_arrays(columns, schema=batch.schema)
        return batch, count
