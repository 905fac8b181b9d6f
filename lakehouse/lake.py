"""Everything a run needs, opened once and handed to each step."""

from __future__ import annotations

import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Self

from lakehouse.catalog import Catalog, load
from lakehouse.catalog.personal import hidden
from lakehouse.errors import StorageError, UsageError
from lakehouse.layout import (
    COMMITS,
    CORRECTIONS,
    DEFINITION,
    LEDGER,
    REJECTS,
    STARS,
    consumed,
    corrected,
    lake_uri,
    layer_uris,
    table_uri,
    watermark,
    watermark_batch,
)
from lakehouse.ledger import Ledger
from lakehouse.model.run import Cursor, cursor_from_number
from lakehouse.settings import Settings
from lakehouse.sources.connections import Connections
from lakehouse.storage.commits import Written, conflict
from lakehouse.storage.delta import Table
from lakehouse.storage.effects import Effects
from lakehouse.storage.greatest import greatest_text
from lakehouse.storage.leases import Leases, Turn
from lakehouse.storage.opening import create_table, open_table
from lakehouse.storage.place import Places
from lakehouse.storage.process import require_address_space, require_not_forked
from lakehouse.storage.stars import Stars

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    import polars as pl
    import pyarrow as pa

    from lakehouse.engines.duck import Duck, Session
    from lakehouse.model.extraction import Extraction
    from lakehouse.model.quality import Finding
    from lakehouse.model.sample import Sample
    from lakehouse.model.table import Table as Metadata
    from lakehouse.sources.database import Database
    from lakehouse.transform.protection import Protection


OPENED_AT_ONCE = 8
WRITTEN_BY = {"heal": "bronze", "sweep": "bronze", "rekey": "bronze", "erase": "bronze"}
"""The layer that a step writes, where it has not the step's name."""


def _new_id() -> str:
    return uuid.uuid4().hex[:12]


@dataclass(slots=True)
class Lake:
    """A project's lake, as one run sees it.

    Attributes:
        project: The project's folder.
        settings: What the environment decided.
        catalog: What the project declares.
        layers: The URI of each layer and of the ledger.
        places: How they are reached.
        run_id: The id of this run.
        effects: Counts every side effect.
        ledger: Where runs are recorded.
        stars: What was published of gold.
        extractions: The newest read of each table.
        sample: How much of each table is read, where this is a lake of samples.
        done: When each (step, table) that is done every so often was last done; None until somebody asks.
        connections: The connected sources, one for each seat of a thread.
        findings: What the rules of each table found in this run, at the last attempt.
        spoken_of: Of tables of bronze, a condition that all rows meet of which an erasure speaks, with its id: else they are searched for.
        told: What ended the run from outside, such as Ctrl-C; empty until then. Threads beside the main one hear of it here only.
    """

    project: Path
    settings: Settings
    catalog: Catalog
    layers: dict[str, str]
    places: Places
    run_id: str
    effects: Effects
    ledger: Ledger
    stars: Stars
    extractions: dict[str, Extraction] = field(default_factory=dict)
    sample: Sample | None = None
    done: dict[tuple[str, str], datetime] | None = None
    told: Sequence[BaseException] = ()
    spoken_of: dict[str, tuple[str, pl.Expr]] = field(default_factory=dict)
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    _leases: Leases = field(init=False)
    connections: Connections = field(init=False)
    _lock: Lock = field(default_factory=Lock)
    _duck: Duck | None = None
    _protections: dict[str, Protection | None] = field(default_factory=dict)
    _tables: dict[tuple[str, str], Table] = field(default_factory=dict)
    _ahead: dict[tuple[str, str], Future[Table | None]] = field(default_factory=dict)
    _uncorrected: bool = False

    def __post_init__(self) -> None:
        """Name the terms of its leases."""
        term, patience = self.settings.lease_seconds, self.settings.wait_seconds
        self.connections = Connections(self.project, self.settings, self.sample, self.protection)
        self._leases = Leases(lambda: self.run_id, self.effects, term=term, patience=patience, go_on=self.go_on)

    @classmethod
    def open(cls, project: Path, settings: Settings | None = None, sample: Sample | None = None) -> Lake:
        """The lake of the project in `project`; with `sample` so much of each table is read, and no more.

        Raises:
            UsageError: A setting cannot be read, there is no such folder, or this process is the fork of one that used a lake.
            MetadataError: The metadata has faults; all are named.
        """
        require_not_forked()
        require_address_space()
        if not project.is_dir():
            raise UsageError("there is no such project folder", where=str(project), next_step="Name it with --project.")
        settings = settings or Settings.load(project)
        layers = layer_uris(lake_uri(settings.lake, project), settings.layer, project)
        effects, places = Effects(settings.fault), Places(settings.azure)
        ledger = Ledger(layers[LEDGER], layers[COMMITS], places, effects)
        stars = Stars(places.at(layers[STARS]), effects)
        return cls(project, settings, load(project), layers, places, _new_id(), effects, ledger, stars, sample=sample)

    def begin(self) -> None:
        """Start another run on the same handles, each read on to what other runs wrote meanwhile."""
        self.run_id = _new_id()
        self.findings.clear()
        self._uncorrected = False
        for place, table in list(self._tables.items()):
            try:
                table.refresh()
            except StorageError:
                del self._tables[place]  # the step that needs it opens it again, and fails if it must

    def now(self) -> datetime:
        """The run's clock."""
        return self.settings.now()

    def database(self, source: str) -> Database:
        """The connected database of a source, one for each seat; connected at its first use.

        Raises:
            UsageError: Its connection has no URL.
            SourceError: It refuses or does not answer.
        """
        return self.connections.database(source, self.catalog.sources[source])

    def protection(self, table: Metadata) -> Protection | None:
        """What becomes of a table's personal data; None where its file declares none.

        Raises:
            UsageError: One of its keys is not set, or is none.
        """
        if table.personal and table.name not in self._protections:
            from lakehouse.transform.protection import protection  # noqa: PLC0415  loaded where there is personal data

            self._protections[table.name] = protection(table, self.settings.secret)
        return self._protections.get(table.name)

    def go_on(self) -> None:
        """Nothing, as long as the run goes on.

        Raises:
            KeyboardInterrupt: It was ended from outside.
        """
        if self.told:
            raise KeyboardInterrupt

    def while_on(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches, for as long as the run goes on."""
        for batch in batches:
            self.go_on()
            yield batch

    def engine(self) -> AbstractContextManager[Session]:
        """A session of the SQL engine, opened at its first use and shared by the whole run."""
        with self._lock:
            if self._duck is None:
                from lakehouse.engines.duck import Duck  # noqa: PLC0415  loaded where SQL runs

                self._duck = Duck(int(self.settings.memory_limit), self.places.filesystems(self.layers.values()))
        return self._duck.session()

    def table(self, layer: str, name: str) -> Table | None:
        """The handle on a table of the lake, one for the whole run, or None where there is none yet."""
        if (layer, name) not in self._tables:
            ahead = self._ahead.pop((layer, name), None)
            found = self._open(layer, name) if ahead is None else ahead.result()
            if found is None:
                return None
            self._tables[layer, name] = found
        return self._tables[layer, name]

    def gold_at(self, name: str, version: int) -> Table | None:
        """A handle for readers on an older version of a gold table; None where there is no such table."""
        return open_table(self.places.at(table_uri(self.layers["gold"], name)), f"gold.{name}", self.effects, version=version)

    def keeping_stars(self) -> Turn:
        """The right to take versions away from stars, or to publish older ones again, which one process at a time has."""
        return Turn(self._leases, self.stars.place, STARS)

    def _open(self, layer: str, name: str) -> Table | None:
        require_not_forked()
        turn = self.turn(layer, name)
        return open_table(turn.place, turn.name, self.effects, turn, hidden=hidden(self.catalog, layer, name))

    def turn(self, layer: str, name: str) -> Turn:
        """The right to write a table, not taken yet."""
        return Turn(self._leases, self.places.at(table_uri(self.layers[layer], name)), f"{layer}.{name}")

    def open_ahead(self, nodes: Iterable[str]) -> None:
        """Begin to open the tables of these nodes side by side: each one waits for the lake's storage more than it computes."""
        pool = ThreadPoolExecutor(OPENED_AT_ONCE, thread_name_prefix="open")
        if ("bronze", CORRECTIONS) not in {*self._tables, *self._ahead}:
            self._ahead["bronze", CORRECTIONS] = pool.submit(self._open, "bronze", CORRECTIONS)
        for node in nodes:
            for layer in ("gold",) if node in self.catalog.models else ("bronze", "silver"):
                if (layer, node) not in self._tables:
                    self._ahead[layer, node] = pool.submit(self._open, layer, node)
        pool.shutdown(wait=False)

    def corrections(self) -> Table | None:
        """The handle on `bronze._corrections`, or None where nobody has corrected anything when this run first looked."""
        if self._uncorrected and ("bronze", CORRECTIONS) not in self._tables:
            return None
        found = self.table("bronze", CORRECTIONS)
        self._uncorrected = found is None
        return found

    def corrected(self, name: str) -> int:
        """The ordinal of the last commit of corrections that speaks of a table; 0 where none does."""
        table = self.corrections()
        return 0 if table is None else table.number(corrected(name)) or 0

    def watermark(self, name: str) -> Cursor | None:
        """The greatest value of a table's cursor that bronze has committed, or None."""
        bronze, cursor = self.table("bronze", name), self.catalog.tables[name].cursor
        if bronze is not None and cursor is not None and (batch := bronze.number(watermark_batch(cursor))) is not None:
            return greatest_text(bronze, cursor, batch)
        number = None if bronze is None or cursor is None else bronze.number(watermark(cursor, self.catalog.tables[name].cursor_zone))
        if bronze is None or cursor is None or number is None:
            return None
        kind = str(bronze.schema.field(cursor).type)
        return cursor_from_number(number, "timestamp" if kind.startswith("timestamp") else "date" if kind.startswith("date") else kind)

    def forget(self, node: str | None = None) -> None:
        """Drop the handles on the tables of a node and on those it reads, or all: the next ones see what other runs wrote meanwhile."""
        self._uncorrected = False
        if node is None:
            self._tables.clear()
            self._drop_ahead()
            return
        own = (
            {("gold", node), *self.catalog.inputs(node)}
            if node in self.catalog.models
            else {("bronze", node), *self.catalog.above_silver(node), ("silver", node), (REJECTS, node), ("bronze", CORRECTIONS)}
        )
        for place in own:
            self._tables.pop(place, None)
            self._ahead.pop(place, None)

    def _drop_ahead(self) -> None:
        for ahead in self._ahead.values():
            ahead.cancel()
        self._ahead.clear()

    def inputs(self, layer: str, name: str) -> dict[tuple[str, str], Table | None]:
        """The tables that a silver table or a gold model is built from, with their handles."""
        pairs = {("bronze", name), *self.catalog.above_silver(name)} if layer == "silver" else self.catalog.inputs(name)
        return {pair: self.table(*pair) for pair in sorted(pairs)}

    def behind(self, layer: str, name: str) -> str | None:
        """Why a silver table or a gold model is not what its inputs and its definition say; None where it is.

        Raises:
            ConflictError: The table has consumed more than the handle on an input shows: another run went on meanwhile.
        """
        table, inputs = self.table(layer, name), self.inputs(layer, name)
        if layer == "silver" and inputs["bronze", name] is None:
            return None
        if table is None:
            return f"there is no {layer} table yet"
        for pair, there in inputs.items():
            if (table.number(consumed(*pair)) or 0) > (0 if there is None else there.batch):
                raise conflict(".".join(pair))  # another run read on: this handle shows an older state
        if table.number(DEFINITION) != self.catalog.definition(name):
            return "its definition changed"
        if layer == "silver" and (done := table.number(corrected(name)) or 0) != self.corrected(name):
            if done > self.corrected(name):
                raise conflict(f"bronze.{CORRECTIONS}")
            return "people corrected rows of it"
        moved = [".".join(pair) for pair, there in inputs.items() if there is not None and table.number(consumed(*pair)) != there.batch]
        return f"{', '.join(moved)} moved on since it was built" if moved else None

    def make_table(self, layer: str, name: str, schema: pa.Schema) -> Table:
        """The handle on a new empty table of the lake."""
        turn = self.turn(layer, name)
        self._tables[layer, name] = create_table(
            turn.place, turn.name, schema, self.effects, turn, hidden=hidden(self.catalog, layer, name)
        )
        return self._tables[layer, name]

    def is_under_way(self, run_id: str, layer: str, name: str) -> bool:
        """Whether a run wrote a table last, and its process lives."""
        return self._leases.is_alive(self.places.at(table_uri(self.layers[layer], name)), run_id)

    def end_step(self, step: str, name: str) -> Written:
        """What was committed to a table since its last step ended; the turn to write it, where it is still had, is given back."""
        layer = WRITTEN_BY.get(step, step)
        self._leases.release(f"{layer}.{name}")
        if layer == "silver":
            self._leases.release(f"{REJECTS}.{name}")
        table = self._tables.get((layer, name))
        return Written() if table is None else table.take_written()

    def __enter__(self) -> Self:
        """The lake itself; what it opened is closed at the end."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """Close what was opened."""
        self.close()

    def close(self) -> None:
        """End the connections to the sources and the SQL engine, and give back what is still held."""
        self._drop_ahead()
        self._leases.close()
        self.connections.close()
        if self._duck is not None:
            self._duck.close()
            self._duck = None
