"""Delta tables: opened once, read by files, and changed by one verb that commits rows and state together."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
from deltalake import DeltaTable, Field
from deltalake.transaction import AddAction, RemoveAction
from obstore.exceptions import BaseError

from lakehouse.errors import StorageError
from lakehouse.layout import FENCE
from lakehouse.storage.commits import Written, conflict, is_overtaken, properties, settle
from lakehouse.storage.files import LiveFile, live_files
from lakehouse.storage.parquet import CHECKSUM, WrittenFile, read_file, write_each, write_files
from lakehouse.storage.refusal import reading, reason
from lakehouse.storage.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import polars as pl

    from lakehouse.model.run import Commit
    from lakehouse.storage.effects import Effects
    from lakehouse.storage.leases import Turn
    from lakehouse.storage.place import Place

Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)
BOUNDED = "delta.dataSkippingStatsColumns"
"""The property that lists the columns of which a writer may keep statistics."""


class Table:
    """A handle on one Delta table: what it read is what it commits upon.

    Attributes:
        uri: Where it is.
        place: The same as readers of files take it: a plain path for a local table.
        name: `layer.table`, for messages.
    """

    def __init__(
        self,
        place: Place,
        name: str,
        delta: DeltaTable,
        options: dict[str, str],
        *,
        effects: Effects,
        turn: Turn | None,
        hidden: frozenset[str] = frozenset(),
    ) -> None:
        """Keep a table opened with these options; use `open_table` or `create_table`. No statistics tell of `hidden` columns."""
        self.uri, self.place, self.name = place.uri, place.path, name
        self._home, self._handle, self._options, self._effects = place, delta, options, effects
        self._turn, self._hidden = turn, hidden
        self._written = Written()
        self._seen = Seen(delta)

    @property
    def _delta(self) -> DeltaTable:
        """The handle, opened again at the same version where its credential was renewed meanwhile."""
        options = self._home.options()
        if options != self._options:
            self._handle = DeltaTable(self.uri, self._handle.version(), options)
            self._options = options
        return self._handle

    @property
    def _current(self) -> Seen:
        """What was read of it at this version; of a handle that was opened again nothing yet."""
        self._seen = self._seen if self._seen.delta is self._delta else Seen(self._handle)
        return self._seen

    @property
    def version(self) -> int:
        """The Delta version that this handle reads."""
        return self._delta.version()

    @property
    def identity(self) -> str:
        """What tells this table from another one that is made anew at its place."""
        return str(self._delta.metadata().id)

    @property
    def schema(self) -> pa.Schema:
        """The table's Arrow schema."""
        return self._current.schema

    @property
    def batch(self) -> int:
        """The ordinal of the table's last commit: the fence that every commit raises by one."""
        return self.number(FENCE) or 0

    def number(self, app_id: str) -> int | None:
        """The number that the last commit with this app transaction gave it."""
        with reading(self.name):
            return self._current.number(app_id)

    def refresh(self) -> None:
        """Read on to the newest version.

        Raises:
            StorageError: The table cannot be read any more.
        """
        with reading(self.name):
            self._delta.update_incremental()
        self._seen = Seen(self._handle)

    def files(self, bounds: Iterable[str] | None = None) -> list[LiveFile]:
        """The table's data files at this version, with the bounds of these columns; by default of all."""
        with reading(self.name):
            actions = self._current.actions()
        shown = self.schema if bounds is None else [self.schema.field(name) for name in set(bounds)]
        return live_files(actions, self.place, shown)

    def committed_at(self) -> datetime:
        """When the table's newest commit was made, in UTC."""
        return datetime.fromtimestamp(self.history(1)[0]["timestamp"] / 1000, UTC)

    def rows(self) -> int:
        """How many rows the table has, from its log."""
        return sum(file.rows for file in self.files(()))

    def scan(self, files: Iterable[LiveFile] | None = None, *, paths_as: str | None = None) -> pl.LazyFrame:
        """The table's rows (of some of its files) with the table's own columns and types; lazy.

        Columns that a file was written without are NULL. `paths_as` adds a column that names each row's file.
        """
        import polars as pl  # noqa: PLC0415  a run without changes does not load it

        chosen = [file.uri for file in (self.files(()) if files is None else files)]
        schema = pl.Schema(pl.from_arrow(self.schema.empty_table()).schema)  # type: ignore[union-attr]  # a table gives a frame
        if not chosen:
            return pl.LazyFrame(schema=schema if paths_as is None else {**schema, paths_as: pl.String()})
        reached = self._home.scanning()
        return pl.scan_parquet(chosen, schema=schema, missing_columns="insert", include_file_paths=paths_as, glob=False, **reached)

    def read(self, files: Iterable[LiveFile]) -> pa.Table:
        """The rows of some of its files with the table's own columns and types; for small ones, since all are held.

        Raises:
            StorageError: A file is not there or cannot be read.
        """
        schema, rows = self.schema, []
        for file in files:
            try:
                rows.append(read_file(self._home.store(), file.path, schema))
            except (BaseError, OSError, pa.ArrowException) as exc:
                where = f"{self.name}: {file.path}"
                raise StorageError(f"a data file cannot be read: {reason(exc)}", where=where, next_step="Restore it from a copy.") from exc
        return pa.concat_tables(rows) if rows else schema.empty_table()

    def history(self, limit: int | None = None) -> list[dict[str, Any]]:
        """The table's commits, newest first, each with its metadata."""
        with reading(self.name):
            return self._delta.history(limit)

    def append(self, batches: Iterable[pa.RecordBatch], commit: Callable[[], Commit]) -> int:
        """Add rows in one commit, which is asked for when all are written; how many they were. No rows: no commit.

        Raises:
            ConflictError: Another writer committed since this handle read the table.
        """
        written = write_files(self._home, self.schema, self._led(batches), self._effects, self.name, hidden=self._hidden)
        if written:
            self._commit(commit(), written, [], "append")
        return sum(file.rows for file in written)

    def replace(self, batches: Iterable[pa.RecordBatch], commit: Callable[[], Commit], schema: pa.Schema | None = None) -> int:
        """Put these rows, with a new schema where one is given, in the place of all there are, in one commit; how many they are."""
        from lakehouse.storage.rewriting import apart  # noqa: PLC0415  as in `scan`

        shape = self.schema if schema is None else schema
        self._take_turn()
        written = write_each(self._home, apart(shape, batches), self._effects, self.name, hidden=self._hidden)
        self._commit(commit(), written, [], "replace", shape)
        return sum(file.rows for file in written)

    def add_columns(self, fields: Iterable[pa.Field], commit: Commit) -> None:
        """Widen the table by nullable columns; the rows that are there have NULL in them."""
        batch = self.batch + 1
        new = [Field.from_arrow(field) for field in fields]
        carried = properties(commit, batch, {**commit.facts, "change": f"add columns {', '.join(field.name for field in new)}"})
        act = partial(self._delta.alter.add_columns, new, commit_properties=carried)
        self._settle(act, commit, batch)
        self._require_alone(batch)

    def describe(self, schema: pa.Schema, commit: Commit) -> None:
        """Give the columns the descriptions that `schema` has, one commit for each that differs."""
        there = self.schema
        for field in schema:
            if (there.field(field.name).metadata or {}) != (field.metadata or {}):
                comment = {key.decode(): value.decode() for key, value in (field.metadata or {b"comment": b""}).items()}
                batch = self.batch + 1
                carried = properties(commit, batch, {"change": f"describe {field.name}"})
                act = partial(self._delta.alter.set_column_metadata, field.name, comment, commit_properties=carried)
                self._settle(act, commit, batch)
                self._require_alone(batch)

    def hide(self, commit: Commit) -> None:
        """Let no writer keep statistics of the hidden columns, one commit; nothing where that is said already."""
        said = self._delta.metadata().configuration.get(BOUNDED)
        if self._hidden and (said is None or self._hidden & set(said.split(","))):
            batch, shown = self.batch + 1, ",".join(name for name in self.schema.names if name not in self._hidden)
            carried = properties(commit, batch, {"change": "hide statistics"})
            act = partial(self._delta.alter.set_table_properties, {BOUNDED: shown}, commit_properties=carried)
            self._settle(act, commit, batch)

    def _require_alone(self, batch: int) -> None:
        """After a step's first commit: what it still plans was made for this table, not for one that another run went on with."""
        if self.batch != batch:
            raise conflict(self.name)

    def mark(self, commit: Commit) -> None:
        """Commit numbers without rows."""
        self._commit(commit, [], [], "mark")

    def lookup(
        self, keys: pl.DataFrame, columns: Sequence[str] | None = None, *, current: bool = False, placed: bool = False
    ) -> pl.DataFrame:
        """Columns (all) of the rows with one of these keys (distinct, none NULL), of a history on request only the current ones; unordered.

        They come with `rewriting.PLACED` if `placed`. An `apply` at this version that takes out some of them does not search for them.
        """
        from lakehouse.storage.rewriting import PLACED, look_up  # noqa: PLC0415  as in `scan`

        found = look_up(self, keys, columns, current=current)
        self._current.found.append(found)
        return found.rows if placed else found.rows.drop(PLACED)

    def apply(self, gone: pl.DataFrame, came: pl.DataFrame, match: Sequence[str], commit: Commit) -> int:
        """Take out the rows whose `match` columns stand in `gone` and add `came`, in one commit; how many files it rewrote.

        `storage/rewriting.py` chooses how, and the commit's facts say what it chose. NULL matches NULL; `placed` rows are not searched.
        """
        from lakehouse.storage.rewriting import plan, sections  # noqa: PLC0415  as in `scan`

        self._take_turn()
        chosen = plan(self, gone, match, self._current.found)
        tables = sections(self, chosen, came)
        written = write_each(self._home, self._led(tables), self._effects, self.name, hidden=self._hidden)
        commit = replace(commit, facts={**commit.facts, "rewriting": chosen.facts})
        self._commit(commit, written, chosen.removed, "apply")
        return len(chosen.touched)

    def _led(self, parts: Iterable[Rows]) -> Iterator[Rows]:
        """The parts; before the first row is written no other run writes the table."""
        for part in parts:
            if part.num_rows:
                self._take_turn()
            yield part

    def _take_turn(self) -> None:
        if self._turn is not None and self._turn.take() and is_overtaken(self._home, self.version):
            raise conflict(self.name)

    def take_written(self) -> Written:
        """What was committed through this handle since this was asked last."""
        written, self._written = self._written, Written()
        return written

    def _commit(
        self,
        commit: Commit,
        written: Sequence[WrittenFile],
        removed: Sequence[LiveFile],
        operation: str,
        overwrite: pa.Schema | None = None,
    ) -> None:
        stamp = int(time.time() * 1000)
        actions: list[AddAction | RemoveAction] = [AddAction(f.path, f.size, {}, stamp, True, f.statistics) for f in written]  # noqa: FBT003
        actions += [RemoveAction(f.path, True, stamp, f.size, {}) for f in removed]  # noqa: FBT003  delta-rs takes them by place
        batch = self.batch + 1
        facts = {
            **commit.facts,
            "files": [{"path": f.path, "rows": f.rows, "size": f.size, CHECKSUM: f.checksum} for f in written],
            "change": operation,
        }
        act = partial(
            self._delta.create_write_transaction,
            actions,
            "append" if overwrite is None else "overwrite",
            self.schema if overwrite is None else overwrite,
            commit_properties=properties(commit, batch, facts),
        )
        self._settle(act, commit, batch, written)

    def _settle(self, act: Callable[[], None], commit: Commit, batch: int, written: Sequence[WrittenFile] = ()) -> None:
        self._take_turn()

        def lasting() -> None:
            settle(self._home, self.name, commit, act, batch=batch, version=self.version)
            self._written.add(self.version, written)

        self._effects.do(f"commit {self.name}", lasting)
        if self._turn is not None:
            self._turn.give_back()
        self.refresh()
