"""A table's rows as versions of their keys: which column plays which role in the fold, and which keys what stands cannot decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from lakehouse.errors import ModelError
from lakehouse.layout import BATCH, EXTRACTED_AT, IS_CURRENT, IS_DELETED, OP, TRUNCATE, VALID_FROM, VALID_TO, sequence
from lakehouse.transform.changes import PLACE, Changes, then
from lakehouse.transform.checks import BREAKS
from lakehouse.transform.extending import current_upon, history_upon, last_of_each, several
from lakehouse.transform.fold import HASH, SEQ, fold_current, fold_history, row_hash
from lakehouse.transform.order import cursor_or_extraction
from lakehouse.transform.rejects import UNCAST
from lakehouse.transform.respelled import without_respelled
from lakehouse.transform.rowwise import SPELLING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakehouse.model.table import Table
    from lakehouse.transform.rowwise import Rowwise


class Versions:
    """How the rows of one table are versions; pure.

    Attributes:
        columns: The table's own columns in silver.
        keys: Those that name a row, in silver's names; empty where the table has none.
        history: Whether silver keeps each key's history (SCD2).
        identity: What is unique in silver.
        stands: Whether a row of silver still says its place among the versions of its key.
        marked: Whether keys can go.
        again: Whether what stands in silver never decides: every key that a new version touches is folded again from all of its own.
        ending: Whether a row can end other keys than its own: by a truncate, or by a snapshot that lacks them.
        sequence_id: The app transaction that holds the greatest sequence that silver has consumed.
    """

    def __init__(self, metadata: Table, rowwise: Rowwise) -> None:
        """Take each column's role from the metadata; names and types from what the row-wise plan gives."""
        self._metadata, self._given = metadata, rowwise.schema
        self.columns = list(rowwise.columns)
        self.keys = [rowwise.named(name) for name in metadata.keys]
        self.sequence = rowwise.named(metadata.sequence) if metadata.sequence else EXTRACTED_AT
        self._then = [(rowwise.named(name), descending) for name, descending in metadata.then]
        places = {self.sequence, *(rowwise.named(name) for name in metadata.sequence_by)}
        contents = [name for name in self.columns if name not in self.keys and name not in places]
        self._require(metadata, contents)
        self.tracked = [name for name in contents if metadata.tracks(name)]
        self.latest = [name for name in contents if not metadata.tracks(name)]
        filled = [name for name in contents if metadata.fills(name)]
        self._as_row = metadata.deletes.as_row
        self._changes = Changes(self.keys, self.columns, [descending for _, descending in self._then], filled, self._as_row)
        self.ending = metadata.apply_as_truncates is not None or (metadata.snapshot_column is not None and metadata.absence == "delete")
        self._respells = rowwise.respells
        self.again = bool(self.keys) and (self.ending or bool(self._then or self.latest or filled) or self._as_row or self._respells)
        self.sequence_id = sequence(self.sequence, str(self._given.field(self.sequence).type))
        self.history = metadata.history == "scd2"
        self.identity = [*self.keys, VALID_FROM] if self.history else self.keys
        self._odd = metadata.odd_cursors == "read_once" and metadata.sequence == metadata.cursor
        self.stands = self.sequence in self.columns and not self._odd
        self.marked = bool(self.keys) and (OP in self._given.names or self.again)

    def _require(self, metadata: Table, contents: list[str]) -> None:
        if metadata.deletes.as_row and IS_DELETED in self.columns:
            raise ModelError(
                f"the source has a column {IS_DELETED}, as silver calls its own",
                where=f"metadata/tables/{metadata.source}/{metadata.name}.yml: deletes.as_row",
                next_step="`exclude` it, or take `as_row` out.",
            )
        there = {metadata.named(name).lower() for name in self._given.names if name not in metadata.derive}
        for name in metadata.derive:
            if name.lower() in there or self._given.names.count(name) > 1:
                raise ModelError(
                    f"the source has a column {name} too, however it is written",
                    where=f"metadata/tables/{metadata.source}/{metadata.name}.yml: derive.{name}",
                    next_step="Give the derived column another name, or list those to read under `columns`.",
                )
        for word, names in metadata.named_contents.items():
            for name in names:
                if name not in contents and (word != "exclude" or name in self.keys or name not in self._given.names):
                    raise ModelError(
                        f"names {name!r}, which is none of the columns that it can speak of: {', '.join(contents)}",
                        where=f"metadata/tables/{metadata.source}/{metadata.name}.yml: {word}",
                        next_step="Correct the file, or bring the column back in the source.",
                    )

    @property
    def schema(self) -> pa.Schema:
        """The silver table's Arrow schema."""
        kind = self._given.field(self.sequence).type
        spans = [pa.field(VALID_FROM, kind), pa.field(VALID_TO, kind), pa.field(IS_CURRENT, pa.bool_())] if self.history else []
        deleted = [pa.field(IS_DELETED, pa.bool_())] if self._as_row else []
        return pa.schema([*(self._given.field(name) for name in self.columns), *deleted, *spans, pa.field(BATCH, pa.int64())])

    def of(
        self, rows: pl.LazyFrame, reason: Callable[[Sequence[str]], pl.Expr] | None = None, also: Sequence[str] = (), *, hashed: bool = True
    ) -> pl.LazyFrame:
        """The rows that the row-wise plan gave, as versions, each with the reason against it and the verdicts that it comes from.

        Args:
            rows: What the plan gave.
            reason: Makes `_reason` of the rows' columns, `_seq` among them; None where nobody asks.
            also: Other columns of the rows to keep.
            hashed: Without, `_hash` is empty: where there are keys, `with_hashes` comes next.
        """
        placed = rows.with_columns(self._order().alias(SEQ))
        names = placed.collect_schema().names()
        judged = [name for name in names if name.startswith(BREAKS) or name in (UNCAST, SPELLING)]
        kept = [*([reason(names)] if reason else []), *(pl.col(name) for name in (*judged, *also))]
        return self._as_versions(placed, pl.col(SEQ), kept, hashed=hashed)

    def with_hashes(self, versions: pl.DataFrame) -> pl.DataFrame:
        """Versions that came without hashes, with those that their order needs: of what has key, sequence and batch in common."""
        if not several(versions, self.keys):
            return versions
        tied = versions.select(*self.keys, SEQ, BATCH).is_duplicated()
        hashed = row_hash(versions.schema, self.columns)
        return pl.concat([versions.filter(tied).with_columns(hashed), versions.filter(~tied)])

    def standing(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Rows of silver, as versions that stand for all those of their key that were consumed."""
        # without a column that orders versions every key is late, and nothing stands
        field = pa.schema([self._given.field(self.sequence)])
        kind = pl.DataFrame(pl.from_arrow(field.empty_table())).schema[self.sequence]
        own = pl.col(self.sequence) if self.stands else pl.lit(None, dtype=kind)
        own = pl.col(VALID_FROM) if self.history else own
        return self._as_versions(rows, own, hashed=False)  # no new version has the batch of one that was consumed

    def _order(self) -> pl.Expr:
        """What orders the versions of a key."""
        if not self._odd:
            return pl.col(self.sequence)
        kind = pl.Date() if pa.types.is_date(self._given.field(self.sequence).type) else pl.Datetime("us", "UTC")
        return cursor_or_extraction(self.sequence, kind, self._metadata.cursor_zone)

    def _as_versions(self, rows: pl.LazyFrame, order: pl.Expr, also: Sequence[pl.Expr] = (), *, hashed: bool) -> pl.LazyFrame:
        schema = rows.collect_schema()
        none = {OP: pl.lit(None, dtype=pl.String), EXTRACTED_AT: pl.lit(None, dtype=pl.Datetime("us", "UTC"))}
        marks = [pl.col(name) if name in schema else none[name].alias(name) for name in none] if self.marked else []
        places = [pl.col(name).alias(then(number)) for number, (name, _) in enumerate(self._then)]
        own = [order.alias(SEQ), *(mark for mark in marks if mark.meta.output_name() not in {each.meta.output_name() for each in also})]
        return rows.select(*self.columns, BATCH, *own, *places, *also).with_columns(
            row_hash(schema, self.columns) if hashed else pl.lit("").alias(HASH)
        )

    def ends(self, versions: pl.LazyFrame) -> pl.DataFrame | None:
        """When every older key ends, by all versions of the table: `_seq`, unique, and `_batch`; None where a row ends its own key only."""
        if not self.ending:
            return None
        telling = versions if self._metadata.snapshot_column else versions.filter(pl.col(OP) == TRUNCATE)
        return telling.group_by(SEQ).agg(pl.col(BATCH).min()).collect()

    def folded(self, versions: pl.LazyFrame, ends: pl.DataFrame | None = None) -> pl.DataFrame:
        """The rows of silver that these versions are; with what `ends` gave, where rows can end other keys than their own."""
        if not self.keys:
            return self.rows(versions.collect())
        if self.again:
            versions = without_respelled(versions, self.keys) if self._respells else versions
            rows, order = self._changes.prepared(versions, ends), (SEQ, PLACE)
            tracked = [*self.tracked, IS_DELETED] if self._as_row else self.tracked
            folded = fold_history(rows, self.keys, tracked, self.latest, order) if self.history else fold_current(rows, self.keys, order)
            return self.rows(folded.drop(PLACE).collect())
        folded = fold_history(versions, self.keys, self.tracked) if self.history else fold_current(versions, self.keys)
        return self.rows(folded.collect())

    def rows(self, versions: pl.DataFrame) -> pl.DataFrame:
        """Versions without the fold's own columns."""
        return versions.drop(SEQ, HASH, OP, EXTRACTED_AT, strict=False)

    def extend(
        self, came: pl.DataFrame, stands: Callable[[pl.DataFrame, Sequence[str] | None], pl.DataFrame], also: Sequence[str]
    ) -> tuple[pl.DataFrame, pl.DataFrame] | None:
        """What new versions of keys that what stands decides change, without a fold: (identities to take out, rows to put in).

        None where they must be folded: several versions of a key, or its end, make more of a history than its next row.

        Args:
            came: The versions, none of an undecided key.
            stands: Gives what stands of keys, of a history the open rows: some or all columns, and those of `also`.
            also: What comes with an identity to take out.
        """
        if self.history:
            ends = OP in came.columns and came[OP].null_count() < came.height
            if ends or several(came, self.keys):
                return None
            return history_upon(stands(came.select(self.keys), None), came, self.keys, self.tracked, also)
        last = last_of_each(came, self.keys)
        place = self.sequence if self.stands else None
        standing = stands(last.select(self.keys), list({*self.keys, *([] if place is None else [place])}))
        gone, shown = current_upon(standing, last, self.keys, place, also)
        return gone, self.rows(shown)

    def undecided(self, came: pl.DataFrame, silver: Callable[[], pl.LazyFrame], greatest: int | None) -> pl.DataFrame:
        """The keys that what stands in silver cannot decide: those with a version not above all that was consumed, and gone ones.

        A row that stands beats all versions consumed before it, so that an SCD1 key is decided by it; where it is gone, nothing stands.

        Args:
            came: The versions that are new.
            silver: Gives the rows of the silver table.
            greatest: The greatest sequence that it has consumed, as a number, or None where that is not known.
        """
        decided = not self.history and self.stands
        if decided and not self.marked:
            return came.select(self.keys).clear()
        keys = came.select(self.keys).unique()
        late = keys if greatest is None else came.filter(ordinal(came.schema[SEQ]) <= greatest).select(self.keys).unique()
        if self.marked and decided:
            if late.is_empty():
                return late
            there = silver().select(self.keys).join(late.lazy(), on=self.keys, how="semi")
            return late.join(there.collect(engine="streaming"), on=self.keys, how="anti")
        if self.marked and self.history:
            ahead = silver().join(keys.join(late, on=self.keys, how="anti").lazy(), on=self.keys, how="semi")
            ended = ahead.group_by(self.keys).agg(pl.col(IS_CURRENT).any()).filter(~pl.col(IS_CURRENT))
            return pl.concat([late, ended.select(self.keys).collect()])
        return late


def ordinal(kind: pl.DataType) -> pl.Expr:
    """The sequence as an integer, or NULL where its type has no such number."""
    if isinstance(kind, pl.Datetime):
        return pl.col(SEQ).dt.epoch("us")
    return pl.col(SEQ).cast(pl.Int64) if kind == pl.Date or kind.is_integer() else pl.lit(None, dtype=pl.Int64)
