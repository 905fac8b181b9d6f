"""Silver: fold the bronze batches that are new into one row a key, or into each key's history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from lakehouse.errors import QualityError
from lakehouse.layout import (
    BATCH,
    DEFINITION,
    DELETE,
    EXTRACTED_AT,
    FAILED_CHECKS,
    IS_CURRENT,
    OP,
    REJECT,
    RUN_ID,
    VALID_FROM,
    VALID_TO,
    consumed,
    sequence,
)
from lakehouse.model.run import Commit, Step
from lakehouse.storage.frames import to_batches
from lakehouse.transform.checks import failing_counts, require_no_stop
from lakehouse.transform.fold import SEQ, difference, fold_current, fold_history, row_hash
from lakehouse.transform.names import quote
from lakehouse.transform.order import cursor_or_extraction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lakehouse.lake import Lake
    from lakehouse.model.table import Table as Metadata
    from lakehouse.storage.delta import Table

_TECHNICAL = (BATCH, RUN_ID, EXTRACTED_AT, OP)
_BYTES_A_VALUE = 24
_FOLD_COPIES = 6


def fold(lake: Lake, metadata: Metadata, *, rebuild: bool = False) -> Step:
    """Bring one silver table to what all of bronze says, from the batches it has not consumed.

    Columns: the table's own, for SCD2 `valid_from`, `valid_to`, `is_current`, and `_batch`, the bronze batch a row came with.
    Unique: the keys (SCD1), or the keys and `valid_from` (SCD2).

    Raises:
        QualityError: A key or a sequence is NULL, or a rule says `fail`.
    """
    name = metadata.name
    step = Step("silver", name, "unchanged")
    bronze, silver = lake.table("bronze", name), lake.table("silver", name)
    step.version = None if silver is None else silver.version
    due = lake.behind("silver", name) is not None
    if bronze is None or not (due or rebuild):
        return step
    folding = _Folding(lake, metadata, bronze)
    numbers = {consumed("bronze", name): bronze.batch, DEFINITION: lake.catalog.definition(name)}
    schema = folding.schema()
    done = 0 if silver is None else silver.number(consumed("bronze", name)) or 0
    whole = rebuild or silver is None or silver.number(DEFINITION) != numbers[DEFINITION] or not schema.equals(silver.schema)
    new = folding.versions(above=0 if whole else done)
    step.rows_in, greatest = folding.require_sound(new)
    before = None if whole or silver is None else silver.number(folding.sequence_id)
    numbers |= {} if greatest is None else {folding.sequence_id: greatest if before is None else max(greatest, before)}

    def commit() -> Commit:
        step.failed_checks = dict(folding.failed)
        return Commit(
            lake.run_id,
            "silver",
            {**numbers, FAILED_CHECKS: len(folding.failed)},
            {"rows_in": step.rows_in, "failed_checks": step.failed_checks},
        )

    if silver is None:
        silver = lake.make_table("silver", name, schema)
    if whole:
        step.rows_out = folding.rebuild(silver, schema, commit, step.rows_in)
    elif not metadata.keys:
        step.rows_out = silver.append(folding.appended(new, schema), commit)
    else:
        gone, came = folding.change(silver, new)
        folding.judge(came)
        step.rows_out = _apply(silver, gone, came, folding.identity, commit())
    step.status, step.version = "success", silver.version
    return step


def _apply(silver: Table, gone: pl.DataFrame, came: pl.DataFrame, identity: list[str], commit: Commit) -> int:
    if gone.is_empty() and came.is_empty():
        silver.mark(commit)
    else:
        silver.apply(gone, came, identity, commit)
    return came.height


class _Folding:
    """How one table is folded: its columns' roles over the bronze handle of this run."""

    def __init__(self, lake: Lake, metadata: Metadata, bronze: Table) -> None:
        self._lake, self._metadata, self._bronze = lake, metadata, bronze
        self._columns = [
            name for name in bronze.schema.names if name not in _TECHNICAL and (not metadata.columns or name in metadata.columns)
        ]
        self._keys = list(metadata.keys)
        self._sequence = metadata.sequence or EXTRACTED_AT
        self.failed: dict[str, int] = {}
        self._tracked = [name for name in self._columns if name not in (*self._keys, self._sequence)]
        self.sequence_id = sequence(self._sequence, str(bronze.schema.field(self._sequence).type))
        self.history = metadata.history == "scd2"
        self.identity = [*self._keys, VALID_FROM] if self.history else self._keys
        self._odd = metadata.odd_cursors == "read_once" and self._sequence == metadata.cursor
        self._stands = self._sequence in self._columns and not self._odd
        """Whether a row of silver still says its place among the versions of its key."""
        self._marked = bool(self._keys) and (OP in bronze.schema.names or metadata.apply_as_deletes is not None)

    def schema(self) -> pa.Schema:
        """The silver table's Arrow schema."""
        there = self._bronze.schema
        kind = there.field(self._sequence).type
        spans = [pa.field(VALID_FROM, kind), pa.field(VALID_TO, kind), pa.field(IS_CURRENT, pa.bool_())] if self.history else []
        return pa.schema([*(there.field(name) for name in self._columns), *spans, pa.field(BATCH, pa.int64())])

    def versions(self, above: int = 0) -> pl.LazyFrame:
        """The bronze rows of later batches, as the fold takes them."""
        files = [file for file in self._bronze.files() if file.greatest.get(BATCH, above + 1) > above]
        rows = self._bronze.scan(files).filter(pl.col(BATCH) > above)
        if OP in self._bronze.schema.names:
            nowhere = (pl.col(OP) == DELETE) & self._order().is_null()  # of a key that silver never took
            rows = rows.filter(pl.col(OP).ne_missing(REJECT) & ~nowhere.fill_null(value=False))
        if self._metadata.apply_as_deletes:
            rows = with_deletes(self._lake, self._metadata, rows)
        return self._as_versions(rows, self._order())

    def _order(self) -> pl.Expr:
        """What orders the versions of a key, as an expression over bronze's rows."""
        if not self._odd:
            return pl.col(self._sequence)
        kind = pl.Date() if pa.types.is_date(self._bronze.schema.field(self._sequence).type) else pl.Datetime("us", "UTC")
        return cursor_or_extraction(self._sequence, kind, self._metadata.cursor_zone)

    def _as_versions(self, rows: pl.LazyFrame, sequence: pl.Expr) -> pl.LazyFrame:
        schema = rows.collect_schema()
        none = {OP: pl.lit(None, dtype=pl.String), EXTRACTED_AT: pl.lit(None, dtype=pl.Datetime("us", "UTC"))}
        marks = [pl.col(name) if name in schema else none[name].alias(name) for name in none] if self._marked else []
        return rows.select(*self._columns, BATCH, sequence.alias(SEQ), *marks).with_columns(row_hash(schema, self._columns))

    def require_sound(self, new: pl.LazyFrame) -> tuple[int, int | None]:
        """How many rows there are, and the greatest sequence as a number where it has one.

        Raises:
            QualityError: A key or the sequence is NULL.
        """
        required = [*self._keys, SEQ]
        kind = new.collect_schema()[SEQ]
        ordinal = (
            pl.col(SEQ).dt.epoch("us")
            if isinstance(kind, pl.Datetime)
            else pl.col(SEQ).cast(pl.Int64)
            if kind == pl.Date or kind.is_integer()
            else None
        )
        greatest = pl.lit(None, dtype=pl.Int64) if ordinal is None else ordinal.max()
        facts = new.select(
            pl.len().alias("_rows"), greatest.alias("_greatest"), *(pl.col(name).null_count().alias(name) for name in required)
        ).collect(engine="streaming")
        nulls = {self._sequence if name == SEQ else name: facts[name][0] for name in required if facts[name][0]}
        if nulls:
            raise QualityError(
                f"{', '.join(f'{count} rows have no {name}' for name, count in nulls.items())}: a row without key or sequence has no place",
                where=f"silver.{self._metadata.name}",
                next_step="Correct these rows in the source, or declare other `keys` or `sequence_by`; bronze keeps what came.",
            )
        return int(facts["_rows"][0]), facts["_greatest"][0]

    def judge(self, rows: pl.DataFrame) -> None:
        """Count the rows about to be published that break each rule; of a history only those that would be current.

        Raises:
            QualityError: One of the broken rules says `fail`.
        """
        rules = self._metadata.expect
        judged = rows.filter(pl.col(IS_CURRENT)) if self.history else rows
        if not rules or judged.is_empty():
            return
        schema = pa.schema([self._bronze.schema.field(name) for name in self._columns])
        with self._lake.engine() as engine:
            engine.stream("checked", schema, iter(to_batches(judged, schema)))
            counts = engine.rows(failing_counts("checked", rules)).to_pylist()[0]
        for name, count in require_no_stop(counts, rules, f"silver.{self._metadata.name}").items():
            self.failed[name] = self.failed.get(name, 0) + count

    def appended(self, new: pl.LazyFrame, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The rows of a table without keys, judged, as they stream by."""
        for part in new.collect_batches(chunk_size=131_072):
            rows = self.rows(part)
            self.judge(rows)
            yield from to_batches(rows, schema)

    def rows(self, versions: pl.DataFrame) -> pl.DataFrame:
        """Versions without the fold's own columns."""
        return versions.drop(SEQ, "_hash", OP, EXTRACTED_AT, strict=False)

    def _folded(self, versions: pl.LazyFrame) -> pl.DataFrame:
        if not self._keys:
            return self.rows(versions.collect())
        folded = fold_history(versions, self._keys, self._tracked) if self.history else fold_current(versions, self._keys)
        return self.rows(folded.collect())

    def rebuild(self, silver: Table, schema: pa.Schema, commit: Callable[[], Commit], rows: int) -> int:
        """Fold all of bronze, in as many parts of the keys as the memory limit asks for; how many rows changed."""
        parts = 1 + rows * len(self._columns) * _BYTES_A_VALUE * _FOLD_COPIES // int(self._lake.settings.memory_limit) if self._keys else 1
        if not silver.files() or not self._keys or not schema.equals(silver.schema):
            return self._first_build(silver, schema, commit, parts)
        gone, came = [], []
        for part in range(parts):
            old = self._part(silver.scan(), part, parts).collect()
            folded = self._folded(self._part(self.versions(), part, parts)).select(old.columns)
            self.judge(folded)
            lost, found = difference(old, folded, self.identity)
            gone.append(lost)
            came.append(found)
        return _apply(silver, pl.concat(gone), pl.concat(came), self.identity, commit())

    def _first_build(self, silver: Table, schema: pa.Schema, commit: Callable[[], Commit], parts: int) -> int:
        def batches() -> Iterator[pa.RecordBatch]:
            for part in range(parts):
                folded = self._folded(self._part(self.versions(), part, parts))
                self.judge(folded)
                yield from to_batches(folded, schema)

        return silver.replace(batches() if self._keys else self.appended(self.versions(), schema), commit, schema)

    def _part(self, frame: pl.LazyFrame, part: int, parts: int) -> pl.LazyFrame:
        return frame if parts == 1 else frame.filter(pl.struct(self._keys).hash(seed=0) % parts == part)

    def change(self, silver: Table, new: pl.LazyFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """What the new versions change: (identities to take out, rows to put in).

        Versions above all that was consumed extend the open row of their key;
        a key with any other is folded again from all its bronze rows.
        """
        came = new.collect()
        late = self._late_keys(silver, came)
        again = self.versions().join(late.lazy(), on=self._keys, how="semi")
        ahead = came.join(late, on=self._keys, how="anti")
        standing = silver.scan().join(ahead.select(self._keys).unique().lazy(), on=self._keys, how="semi")
        if self.history:
            standing = standing.filter(pl.col(IS_CURRENT))
        standing = standing.collect().lazy()
        # without a column that orders versions every key is late, and nothing stands
        own = pl.col(self._sequence) if self._stands else pl.lit(None, dtype=came.schema[SEQ])
        known = self._as_versions(standing, pl.col(VALID_FROM) if self.history else own).select(came.columns)
        rows = self._folded(pl.concat([known, ahead.lazy(), again], how="vertical"))
        old = pl.concat([standing, silver.scan().join(late.lazy(), on=self._keys, how="semi")], how="vertical").collect()
        return difference(old, rows.select(old.columns), self.identity)

    def _late_keys(self, silver: Table, came: pl.DataFrame) -> pl.DataFrame:
        """The keys that what stands in silver cannot decide: those with a version that is not above all that was consumed, and gone ones.

        A row that stands beats all versions consumed before it, so that an SCD1 key is decided by it; where it is gone, nothing stands.
        """
        keys = came.select(self._keys).unique()
        decided = not self.history and self._stands
        if decided and not self._marked:
            return keys.clear()
        greatest = silver.number(self.sequence_id)
        late = keys
        if greatest is not None:
            ordinal = pl.col(SEQ).dt.epoch("us") if isinstance(came.schema[SEQ], pl.Datetime) else pl.col(SEQ).cast(pl.Int64)
            late = came.filter(ordinal <= greatest).select(self._keys).unique()
        if self._marked and decided:
            return late.join(silver.scan().select(self._keys).collect(), on=self._keys, how="anti")
        if self._marked and self.history:
            ahead = silver.scan().join(keys.join(late, on=self._keys, how="anti").lazy(), on=self._keys, how="semi")
            ended = ahead.group_by(self._keys).agg(pl.col(IS_CURRENT).any()).filter(~pl.col(IS_CURRENT))
            return pl.concat([late, ended.select(self._keys).collect()])
        return late


def with_deletes(lake: Lake, metadata: Metadata, rows: pl.LazyFrame) -> pl.LazyFrame:
    """Rows of bronze, each marked as a delete where the table's `apply_as_deletes` says so.

    Raises:
        ModelError: The condition names what is not there.
    """
    schema = {**rows.collect_schema(), OP: pl.String()}
    shape = pa.schema(pl.DataFrame(schema=rows.collect_schema()).to_arrow(compat_level=pl.CompatLevel.oldest()).schema)
    others = ", ".join(quote(name) for name in schema if name != OP)
    own = OP if OP in shape.names else "null"
    query = f"select {others}, case when ({metadata.apply_as_deletes}) then '{DELETE}' else {own} end as {OP} from rows_of_bronze"

    def marked(part: pl.DataFrame) -> pl.DataFrame:
        with lake.engine() as engine:
            engine.stream("rows_of_bronze", shape, iter(to_batches(part, shape)))
            engine.model("_marked", query, f"metadata/tables/{metadata.source}/{metadata.name}.yml: apply_as_deletes")
            found = pl.DataFrame(pl.from_arrow(engine.rows("select * from _marked")))
        return found.select(pl.col(name).cast(kind) for name, kind in schema.items())

    marked(pl.DataFrame(schema=rows.collect_schema()))  # else the engine around it would hide the error
    return rows.map_batches(marked, projection_pushdown=False, schema=pl.Schema(schema), streamable=True)
