"""Rows of bronze as corrections leave them: batches that are taken back are out, and other rows stand in the place of fixed ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from lakehouse.layout import BATCH, ROW_HASH
from lakehouse.model.correction import standing
from lakehouse.transform.fold import row_hash
from lakehouse.transform.rejects import frame
from lakehouse.transform.rowwise import TECHNICAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lakehouse.model.correction import Correction

    Where = Callable[[pl.LazyFrame], pl.LazyFrame]

POINTERS = pa.schema([(BATCH, pa.int64()), (ROW_HASH, pa.string())])
STANDING = POINTERS.append(pa.field("_correction", pa.string()))
_INSTANT, _DAY, _MIDNIGHT = "%Y-%m-%dT%H:%M:%S%.6f", "%Y-%m-%d", "T00:00:00.000000"


@dataclass(frozen=True)
class Corrected:
    """What corrections make of one table's rows of bronze.

    Attributes:
        undone: The batches that are taken back.
        out: The pointers of rows that are fixed or dropped, with the id of the correction that says so.
        fixed: What stands in the place of fixed ones: bronze's columns, and as `_row_hash` what points to the row in bronze.
        mended: Those of them that a person fixed; the others are what an erasure leaves of a row.
    """

    undone: frozenset[int] = frozenset()
    out: pl.DataFrame = field(default_factory=lambda: frame(STANDING))
    fixed: pl.DataFrame = field(default_factory=lambda: frame(POINTERS))
    mended: pl.DataFrame = field(default_factory=lambda: frame(POINTERS))

    @classmethod
    def by(cls, corrections: Iterable[Correction], bronze: pa.Schema) -> Corrected:
        """What these corrections of one table make of rows with bronze's columns."""
        held = standing(corrections)
        undone = frozenset(each.batch for each in held if each.kind == "undo" and each.row_hash is None and each.batch is not None)
        out = [(*each.pointer, each.id) for each in held if each.kind in ("fix", "drop", "erase") and each.pointer is not None]
        fixes = [each for each in held if each.kind in ("fix", "erase") and each.pointer is not None]
        mends = [each for each in fixes if each.kind == "fix"]
        return cls(undone, pl.DataFrame(out, schema=frame(STANDING).schema, orient="row"), _rows(fixes, bronze), _rows(mends, bronze))

    @property
    def standing_fixed(self) -> pl.DataFrame:
        """What stands in the place of fixed rows, but for those whose batch is taken back."""
        return self.fixed.filter(~pl.col(BATCH).is_in(sorted(self.undone)))

    @property
    def standing_mended(self) -> pl.DataFrame:
        """Those that a person fixed, but for those whose batch is taken back."""
        return self.mended.filter(~pl.col(BATCH).is_in(sorted(self.undone)))

    def of(self, rows: pl.LazyFrame, where: Where, *, hashed: bool = False) -> pl.LazyFrame:
        """Those rows of bronze for which `where` keeps them, as they are left; only rows in batches with fixed or dropped ones are hashed.

        Args:
            rows: Rows of bronze.
            where: Keeps some of such rows, by their values as they are left.
            hashed: Add `_row_hash`, which points to the row in bronze.
        """
        kept = where(rows)
        if self.undone:
            kept = kept.filter(~pl.col(BATCH).is_in(sorted(self.undone)))
        if self.out.is_empty():
            return with_pointer(kept) if hashed else kept
        concerned = pl.col(BATCH).is_in(self.out[BATCH].unique().implode())
        left = with_pointer(kept.filter(concerned)).join(self.out.lazy(), on=POINTERS.names, how="anti")
        others = kept.filter(~concerned)
        others = with_pointer(others) if hashed else others
        columns = others.collect_schema().names()
        return pl.concat([part.select(columns) for part in (others, left, where(self.standing_fixed.lazy()))])


@dataclass(frozen=True, slots=True)
class Moved:
    """The rows of bronze of which two states of the corrections do not say the same.

    Attributes:
        batches: Whole batches.
        pointers: Single rows.
    """

    batches: frozenset[int]
    pointers: pl.DataFrame

    @classmethod
    def between(cls, one: Corrected, other: Corrected, upto: int) -> Moved:
        """Those with a batch up to a number."""
        sides = [(one.out, other.out), (other.out, one.out)]
        differing = pl.concat([left.join(right, on=STANDING.names, how="anti") for left, right in sides])
        pointers = differing.select(POINTERS.names).unique().filter(pl.col(BATCH) <= upto)
        return cls(frozenset(batch for batch in one.undone ^ other.undone if batch <= upto), pointers)

    @property
    def is_empty(self) -> bool:
        """Whether there are none."""
        return not self.batches and self.pointers.is_empty()

    @property
    def all_batches(self) -> list[int]:
        """All batches that hold such a row."""
        return sorted(self.batches | set(self.pointers[BATCH].to_list()))

    def among(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Those of these rows, which have `_batch` and `_row_hash`."""
        is_whole = pl.col(BATCH).is_in(sorted(self.batches))
        if self.pointers.is_empty():
            return rows.filter(is_whole)
        single = rows.filter(~is_whole & pl.col(BATCH).is_in(self.pointers[BATCH].unique().implode()))
        return pl.concat([rows.filter(is_whole), single.join(self.pointers.lazy(), on=POINTERS.names, how="semi")])


@dataclass(frozen=True, slots=True)
class Rows:
    """A table's rows of bronze as corrections leave them.

    Attributes:
        source: Gives bronze's rows with a batch above one number and, where it is given, up to another.
        corrected: What corrections make of them.
    """

    source: Callable[[int, int | None], pl.LazyFrame]
    corrected: Corrected = Corrected()

    def above(self, batch: int = 0, *, hashed: bool = False) -> pl.LazyFrame:
        """Those of later batches; `hashed` ones have `_row_hash`, which points to the row in bronze."""
        return self.corrected.of(self.source(batch, None), lambda rows: rows.filter(pl.col(BATCH) > batch), hashed=hashed)

    def where(self, keep: Where) -> pl.LazyFrame:
        """Those that `keep` keeps."""
        return self.corrected.of(self.source(0, None), keep)

    def of_batches(self, batches: Sequence[int]) -> pl.LazyFrame:
        """Those of some batches, with `_row_hash`."""
        low, high = (min(batches) - 1, max(batches)) if batches else (0, 0)
        return self.corrected.of(self.source(low, high), lambda rows: rows.filter(pl.col(BATCH).is_in(list(batches))), hashed=True)


def with_pointer(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Rows of bronze with `_row_hash`, the hash over the source's own columns."""
    schema = rows.collect_schema()
    return rows.with_columns(row_hash(schema, [name for name in schema.names() if name not in TECHNICAL]).alias(ROW_HASH))


def as_texts(rows: pl.DataFrame) -> list[dict[str, str]]:
    """Rows of bronze as a correction keeps them: exact texts, NULL left out."""
    texts = rows.select(_text(pl.col(name), kind).alias(name) for name, kind in rows.schema.items())
    return [{name: value for name, value in row.items() if value is not None} for row in texts.iter_rows(named=True)]


def of_texts(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pl.DataFrame:
    """The same rows again, in bronze's columns as they are now."""
    kinds = frame(schema).schema
    texts = pl.DataFrame({name: [row.get(name) for row in rows] for name in kinds}, schema=dict.fromkeys(kinds, pl.String()))
    return texts.select(_value(pl.col(name), kind).alias(name) for name, kind in kinds.items())


def _rows(fixes: Sequence[Correction], bronze: pa.Schema) -> pl.DataFrame:
    shape = bronze if ROW_HASH in bronze.names else bronze.append(pa.field(ROW_HASH, pa.string()))
    rows = [{**row, ROW_HASH: each.row_hash, BATCH: str(each.batch)} for each in fixes for row in each.value.get("rows", ())]
    return of_texts(rows, shape)


def _text(value: pl.Expr, kind: pl.DataType) -> pl.Expr:
    if isinstance(kind, pl.Datetime):
        return value.dt.strftime(_INSTANT)
    if kind == pl.Date:
        return value.dt.strftime(_DAY)
    if kind == pl.Binary:
        return value.bin.encode("hex")
    return value.cast(pl.String)


def _value(text: pl.Expr, kind: pl.DataType) -> pl.Expr:
    if isinstance(kind, pl.Datetime):
        instant = pl.when(text.str.len_chars() == len("2024-05-01")).then(pl.concat_str(text, pl.lit(_MIDNIGHT))).otherwise(text)
        return instant.str.to_datetime(_INSTANT, time_unit="us").dt.replace_time_zone(kind.time_zone)
    if kind == pl.Date:
        return text.str.to_date(_DAY)
    if kind == pl.Binary:
        return text.str.decode("hex")
    if kind == pl.Boolean:
        return text == "true"
    return text.cast(kind)
