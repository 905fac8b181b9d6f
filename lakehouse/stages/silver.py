"""Silver: fold the bronze batches that are new into one row a key, or into each key's history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from lakehouse.errors import QualityError
from lakehouse.layout import BATCH, DEFINITION, EXTRACTED_AT, FAILED_CHECKS, IS_CURRENT, OP, REJECT, RUN_ID, consumed
from lakehouse.model.run import Commit, Step
from lakehouse.storage.frames import to_batches
from lakehouse.transform.checks import failing_counts, require_no_stop
from lakehouse.transform.fold import SEQ, difference
from lakehouse.transform.rowwise import Rowwise
from lakehouse.transform.versions import Versions, ordinal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from lakehouse.engines.duck import Session
    from lakehouse.lake import Lake
    from lakehouse.model.table import Table as Metadata
    from lakehouse.storage.delta import Table

    Engine = Callable[[], AbstractContextManager[Session]]

_BYTES_A_VALUE = 24
_FOLD_COPIES = 6


@dataclass(frozen=True, slots=True)
class Built:
    """What silver is of some rows of bronze: its `rows`, and the `rejects` among what came."""

    rows: pl.DataFrame
    rejects: pl.DataFrame


def fold(lake: Lake, metadata: Metadata, *, rebuild: bool = False) -> Step:
    """Bring one silver table to what all of bronze says, from the batches it has not consumed.

    Columns: the table's own, for SCD2 `valid_from`, `valid_to`, `is_current`, and `_batch`, the bronze batch a row came with.
    Unique: the keys (SCD1), or the keys and `valid_from` (SCD2).

    Raises:
        QualityError: A key or a sequence is NULL, or a rule says `fail`.
        ModelError: A condition of the table names what is not there.
    """
    name = metadata.name
    step = Step("silver", name, "unchanged")
    bronze, silver = lake.table("bronze", name), lake.table("silver", name)
    step.version = None if silver is None else silver.version
    due = lake.behind("silver", name) is not None
    if bronze is None or not (due or rebuild):
        return step
    folding = _Folding(metadata, bronze.schema, lambda above: _rows_above(bronze, above), lake.engine)
    roles = folding.roles
    numbers = {consumed("bronze", name): bronze.batch, DEFINITION: lake.catalog.definition(name)}
    schema = roles.schema
    done = 0 if silver is None else silver.number(consumed("bronze", name)) or 0
    whole = rebuild or silver is None or silver.number(DEFINITION) != numbers[DEFINITION] or not schema.equals(silver.schema)
    new = folding.versions(above=0 if whole else done)
    step.rows_in, greatest = folding.require_sound(new)
    before = None if whole or silver is None else silver.number(roles.sequence_id)
    numbers |= {} if greatest is None else {roles.sequence_id: greatest if before is None else max(greatest, before)}

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
        parts = folding.parts(step.rows_in, int(lake.settings.memory_limit))
        step.rows_out = folding.rebuild(silver, commit, parts)
    elif not metadata.keys:
        step.rows_out = silver.append(folding.appended(new), commit)
    else:
        gone, came = folding.change(silver, new)
        folding.judge(came)
        step.rows_out = _apply(silver, gone, came, roles.identity, commit())
    step.status, step.version = "success", silver.version
    return step


def fold_in_memory(metadata: Metadata, bronze: pl.DataFrame, engine: Engine) -> Built:
    """What silver is of these rows of bronze, by the very path that a run in the lake takes; for tests of people and of properties.

    Args:
        metadata: The table.
        bronze: Its rows: the source's columns, and of the lake's own `_batch`, `_run_id`, `_extracted_at`, `_op` those that matter;
            without them all rows came with batch 1, at the beginning of 1970, as the source showed them.
        engine: Opens a session of the SQL engine, as `Lake.engine` does; asked only where the table needs one.

    Raises:
        QualityError: A key or a sequence is NULL, or a rule says `fail`.
        ModelError: A condition of the table names what is not there.
    """
    stamps = {
        BATCH: pl.lit(1, pl.Int64),
        RUN_ID: pl.lit(""),
        EXTRACTED_AT: pl.lit(datetime(1970, 1, 1, tzinfo=UTC)).dt.cast_time_unit("us"),
    }
    bronze = bronze.with_columns(stamp.alias(name) for name, stamp in stamps.items() if name not in bronze.columns)
    schema = pa.schema(bronze.clear().to_arrow(compat_level=pl.CompatLevel.oldest()).schema)
    folding = _Folding(metadata, schema, lambda above: bronze.lazy().filter(pl.col(BATCH) > above), engine)
    versions = folding.versions()
    folding.require_sound(versions)
    rows = folding.roles.folded(versions)
    folding.judge(rows)
    return Built(rows.select(folding.roles.schema.names), pl.DataFrame())


def _rows_above(bronze: Table, batch: int) -> pl.LazyFrame:
    files = [file for file in bronze.files() if file.greatest.get(BATCH, batch + 1) > batch]
    return bronze.scan(files).filter(pl.col(BATCH) > batch)


def _apply(silver: Table, gone: pl.DataFrame, came: pl.DataFrame, identity: list[str], commit: Commit) -> int:
    if gone.is_empty() and came.is_empty():
        silver.mark(commit)
    else:
        silver.apply(gone, came, identity, commit)
    return came.height


class _Folding:
    """How one table is folded, over rows of bronze wherever they are.

    Attributes:
        roles: Which of its columns plays which role.
        failed: How many rows broke each rule, as far as they were judged.
    """

    def __init__(self, metadata: Metadata, bronze: pa.Schema, above: Callable[[int], pl.LazyFrame], engine: Engine) -> None:
        """Take the schema of bronze, and what gives its rows with a batch above a number."""
        self._metadata, self._bronze, self._above, self._engine = metadata, bronze, above, engine
        self._rowwise = Rowwise(metadata, bronze)
        self.roles = Versions(metadata, self._rowwise)
        self.failed: dict[str, int] = {}

    def versions(self, above: int = 0) -> pl.LazyFrame:
        """The bronze rows of later batches, as the fold takes them."""
        rows = self._above(above)
        if OP in self._bronze.names:
            rows = rows.filter(pl.col(OP).ne_missing(REJECT))
        return self.roles.of(self._through(rows) if self._rowwise.needed else rows)

    def _through(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """The rows as the table's row-wise plan gives them, chunk by chunk.

        Raises:
            ModelError: A condition names what is not there.
        """
        plan, where = self._rowwise, f"metadata/tables/{self._metadata.source}/{self._metadata.name}.yml: {self._rowwise.words}"
        schema = pl.DataFrame(pl.from_arrow(plan.schema.empty_table())).schema

        def planned(part: pl.DataFrame) -> pl.DataFrame:
            with self._engine() as engine:
                engine.stream("rows_of_bronze", self._bronze, iter(to_batches(part, self._bronze)))
                engine.model("_planned", plan.query("rows_of_bronze"), where)
                found = pl.DataFrame(pl.from_arrow(engine.rows("select * from _planned")))
            return found.select(pl.col(name).cast(kind) for name, kind in schema.items())

        planned(pl.DataFrame(pl.from_arrow(self._bronze.empty_table())))  # else the engine around it would hide the error
        return rows.map_batches(planned, projection_pushdown=False, schema=schema, streamable=True)

    def require_sound(self, new: pl.LazyFrame) -> tuple[int, int | None]:
        """How many rows there are, and the greatest sequence as a number where it has one.

        Raises:
            QualityError: A key or the sequence is NULL.
        """
        required = [*self.roles.keys, SEQ]
        greatest = ordinal(new.collect_schema()[SEQ]).max()
        facts = new.select(
            pl.len().alias("_rows"), greatest.alias("_greatest"), *(pl.col(name).null_count().alias(name) for name in required)
        ).collect(engine="streaming")
        nulls = {self.roles.sequence if name == SEQ else name: facts[name][0] for name in required if facts[name][0]}
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
        judged = rows.filter(pl.col(IS_CURRENT)) if self.roles.history else rows
        if not rules or judged.is_empty():
            return
        schema = pa.schema([self.roles.schema.field(name) for name in self.roles.columns])
        with self._engine() as engine:
            engine.stream("checked", schema, iter(to_batches(judged, schema)))
            counts = engine.rows(failing_counts("checked", rules)).to_pylist()[0]
        for name, count in require_no_stop(counts, rules, f"silver.{self._metadata.name}").items():
            self.failed[name] = self.failed.get(name, 0) + count

    def appended(self, new: pl.LazyFrame) -> Iterator[pa.RecordBatch]:
        """The rows of a table without keys, judged, as they stream by."""
        for part in new.collect_batches(chunk_size=131_072):
            rows = self.roles.rows(part)
            self.judge(rows)
            yield from to_batches(rows, self.roles.schema)

    def parts(self, rows: int, memory: int) -> int:
        """In how many parts of the keys so many rows are folded under a memory limit in bytes."""
        return 1 + rows * len(self.roles.columns) * _BYTES_A_VALUE * _FOLD_COPIES // memory if self.roles.keys else 1

    def rebuild(self, silver: Table, commit: Callable[[], Commit], parts: int) -> int:
        """Fold all of bronze, in so many parts of the keys; how many rows changed."""
        identity, schema = self.roles.identity, self.roles.schema
        if not silver.files() or not self.roles.keys or not schema.equals(silver.schema):
            return silver.replace(self._all(parts) if self.roles.keys else self.appended(self.versions()), commit, schema)
        gone, came = [], []
        for part in range(parts):
            old = self._part(silver.scan(), part, parts).collect()
            folded = self.roles.folded(self._part(self.versions(), part, parts)).select(old.columns)
            self.judge(folded)
            lost, found = difference(old, folded, identity)
            gone.append(lost)
            came.append(found)
        return _apply(silver, pl.concat(gone), pl.concat(came), identity, commit())

    def _all(self, parts: int) -> Iterator[pa.RecordBatch]:
        for part in range(parts):
            folded = self.roles.folded(self._part(self.versions(), part, parts))
            self.judge(folded)
            yield from to_batches(folded, self.roles.schema)

    def _part(self, frame: pl.LazyFrame, part: int, parts: int) -> pl.LazyFrame:
        return frame if parts == 1 else frame.filter(pl.struct(self.roles.keys).hash(seed=0) % parts == part)

    def change(self, silver: Table, new: pl.LazyFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """What the new versions change: (identities to take out, rows to put in).

        Versions above all that was consumed extend the open row of their key;
        a key with any other is folded again from all its bronze rows.
        """
        roles, came = self.roles, new.collect()
        late = roles.undecided(came, silver.scan(), silver.number(roles.sequence_id))
        again = self.versions().join(late.lazy(), on=roles.keys, how="semi")
        ahead = came.join(late, on=roles.keys, how="anti")
        standing = silver.scan().join(ahead.select(roles.keys).unique().lazy(), on=roles.keys, how="semi")
        if roles.history:
            standing = standing.filter(pl.col(IS_CURRENT))
        standing = standing.collect().lazy()
        known = roles.standing(standing).select(came.columns)
        rows = roles.folded(pl.concat([known, ahead.lazy(), again], how="vertical"))
        old = pl.concat([standing, silver.scan().join(late.lazy(), on=roles.keys, how="semi")], how="vertical").collect()
        return difference(old, rows.select(old.columns), roles.identity)
