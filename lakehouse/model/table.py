"""A table's whole life in one metadata file: from where, how it is read, keyed, kept and checked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AliasChoices, BeforeValidator, Field, StringConstraints, model_validator

from lakehouse.layout import IS_CURRENT, IS_DELETED, VALID_FROM, VALID_TO
from lakehouse.model.applying import Applying, misfits
from lakehouse.model.cleaning import Cleaning
from lakehouse.model.contract import Contract, contract
from lakehouse.model.cursor import OddCursors, SetBy, with_type, without_type
from lakehouse.model.erasing import Erasing, erasing
from lakehouse.model.expectation import Expectation
from lakehouse.model.types import INTEGERS
from lakehouse.model.words import ColumnName, Columns, Frozen, Lookback, Misfit, Sentence, SourceObject, Span, TableName, Zone


class Source(Frozen):
    """`metadata/sources/<source>.yml`: a database and the name of its connection."""

    kind: Literal["database"] = "database"
    """What the source is; a database's dialect follows from its connection's URL."""
    connection: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    """The connection's NAME; its URL is in `LAKEHOUSE_CONNECTION__<NAME>`."""
    connections: Annotated[int, Field(ge=1, le=256)] | None = None
    """How many connections may read rows of the source at once, all its tables together; default: as many as its tables ask for."""
    description: Sentence | None = None
    owner: Sentence | None = None


class Deletes(Frozen):
    """How rows that vanish from the source are noticed; `deletes: sweep` is short for `deletes: {detect: sweep}`."""

    detect: Literal["none", "column", "sweep", "tracking"] = "none"
    """`column`: the source marks them, see `apply_as_deletes`; `sweep`: its keys are read and compared; `tracking`: it tells them."""
    every: Span | None = None
    """How often a sweep is made; default: with every run."""
    at_most: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The share of the table's keys that may vanish at once, above a hundred; more is a fault of the source."""
    empty: Literal["stop", "apply"] = "stop"
    """What a source without any row means where there were rows before: `stop` is a fault of the source, `apply` buries them all."""
    as_row: bool = False
    """Whether silver shows a delete as a row with the last values and `is_deleted` true, in the place of leaving the key out."""


class Reconcile(Frozen):
    """How often a run compares the table with its source by itself."""

    every: Span
    """A run that begins so long after the last comparison makes another one, and heals what differs."""


def _deletes(given: object) -> object:
    return {"detect": given} if isinstance(given, str) else given


class Table(Applying, Cleaning):
    """`metadata/tables/<source>/<table>.yml`; the file's name is the table's name in the lake."""

    name: TableName
    source: TableName
    object: SourceObject = Field(default="", alias="from")
    """The source's own table, optionally with its schema; a table has this or a `query`."""
    query: Annotated[str, StringConstraints(min_length=1, max_length=20_000)] | None = None
    """One SELECT in the source's own SQL, read in the place of a table."""
    where: Annotated[str, StringConstraints(min_length=1, max_length=4000)] | None = None
    """A condition in the source's own SQL: rows for which it is not true are not read, and are none of the table's rows."""
    description: Sentence | None = None
    owner: Sentence | None = None
    tags: tuple[TableName, ...] = ()
    mode: Literal["full", "incremental", "append", "snapshot", "change_tracking"]
    """`full` reads the whole table and keeps what differs; `incremental` reads what its cursor shows as new; `append` is for rows that are
    only ever added, and reads as `incremental` where there is a cursor, else as `full`; `snapshot` reads the whole table and also finds the
    keys that are gone; `change_tracking` reads what SQL Server's Change Tracking tells."""
    keys: Columns = ()
    cursor: ColumnName | None = Field(default=None, validation_alias=AliasChoices("cursor", "cdc_col"))
    """The column that grows with every change."""
    lookback: Lookback = timedelta(0)
    """How far below the watermark each window starts again."""
    start_at: datetime | int | None = Field(default=None, validation_alias=AliasChoices("start_at", "from_date"))
    """Where the very first window starts; default: at the beginning."""
    partitions: Annotated[int, Field(ge=1, le=64)] = 1
    """In how many ranges of the cursor, else of the first key, a large read is cut; each is read over a connection of its own."""
    lag: Lookback = timedelta(0)
    """How far below the source's safe bound each window ends: a span, or for integer cursors a number of ids."""
    cursor_zone: Zone | None = None
    """The zone (such as `Europe/Berlin`) of a cursor without one: its values are local times there, and become UTC at the door."""
    cursor_set_by: SetBy = "database"
    """Who sets the cursor: the database's own clock or counter, or the application, which needs a `lag`."""
    odd_cursors: OddCursors = "stop"
    """What becomes of rows whose cursor is NULL, infinite or more than a day ahead: `stop` the load; `reject` them (kept in bronze,
    not taken by silver); or `read_once`: they come with every window, and the time of extraction orders them."""
    tracking_gap: Literal["stop", "resync"] = "stop"
    """What becomes of `change_tracking` where the server no longer knows the changes since the last run: `stop` until somebody runs with
    `--full-refresh`, or `resync`: read the whole table and compare it."""
    history: Literal["scd1", "scd2"] = "scd1"
    deletes: Annotated[Deletes, BeforeValidator(_deletes)] = Deletes()
    apply_as_deletes: Annotated[str, StringConstraints(min_length=1, max_length=4000)] | None = None
    """A row-wise SQL condition in DuckDB's dialect, true in rows that say their key is gone (`deletes: column`)."""
    schema_contract: Annotated[Contract, BeforeValidator(contract)] = Contract()
    """What becomes of a load where the source's columns are no longer those that bronze has."""
    expect: dict[TableName, Expectation] = Field(default_factory=dict)
    open_rejects: Annotated[int, Field(ge=0)] = 0
    """How many rows may wait among the table's rejects before a run that changes it says so, with its owner."""
    erase: dict[TableName, Annotated[Erasing, BeforeValidator(erasing)]] = Field(default_factory=dict)
    """For each table of people: what becomes of this table's rows that point to a person who is erased there. Default: rows that point
    there by a rule of kind foreign_key stay, without the columns that point; where those are among the keys, they go."""
    reconcile: Reconcile | None = None
    """When a run compares the table with its source (`lakehouse reconcile --heal`); default: when a person asks for it."""

    @property
    def sequence(self) -> str | None:
        """The column that orders versions, or None for the time of extraction."""
        return self.snapshot_column or next(iter(self.sequence_by), None) or self.cursor

    @property
    def silver_keys(self) -> tuple[str, ...]:
        """The keys as silver calls them."""
        return tuple(self.named(name) for name in self.keys)

    @property
    def marked(self) -> bool:
        """Whether bronze says of each row what it is: the table can have tombstones or rejects."""
        return self.buries or self.odd_cursors == "reject" or bool(self.replace_partitions)

    @property
    def buries(self) -> bool:
        """Whether keys that the source no longer shows get tombstones."""
        return self.mode in ("snapshot", "change_tracking") or self.deletes.detect == "sweep"

    @property
    def ages(self) -> bool:
        """Whether a rule looks at the clock, so that it may break where nothing comes."""
        return any(rule.freshness for rule in self.expect.values())

    @property
    def ends_keys(self) -> bool:
        """Whether anything can end a key."""
        said = self.apply_as_deletes or self.apply_as_truncates or self.snapshot_column or self.replace_partitions
        return self.buries or bool(said)

    @property
    def shows_deletes(self) -> bool:
        """Whether silver shows a delete as a row."""
        return self.deletes.as_row

    @property
    def origin(self) -> str:
        """What people look at in the source: its table, or the query by the place where it stands."""
        return self.object or "(the table's query)"

    @property
    def range_column(self) -> str | None:
        """The column by whose ranges a large read is cut: the cursor, else the first key."""
        return self.cursor or (self.keys[0] if self.keys else None)

    @model_validator(mode="after")
    def _agree(self) -> Table:
        if bool(self.object) is (self.query is not None):
            raise Misfit("expected either `from` or `query`" + (", given both" if self.query else ""), "query" if self.query else "from")
        if self.mode == "incremental" and not self.cursor:
            raise Misfit("mode incremental needs a `cursor`", "cursor")
        self._agree_on_mode()
        for what, key in without_type(self):
            raise Misfit(what, key)
        if self.history == "scd2" and not self.keys:
            raise Misfit("history scd2 needs `keys`", "history")
        if len(set(self.keys)) < len(self.keys):
            raise Misfit("`keys` names a column twice", "keys")
        self._agree_on_deletes()
        for name, rule in self.expect.items():
            if rule.withholds and not self.keys:
                raise Misfit(f"`quarantine` by {rule.kind} needs `keys`: a key is what it withholds", "expect", name, "else")
        self._agree_on_erase()
        for found, *place in misfits(self, self):
            raise Misfit(found, *place)
        if self.partitions > 1:
            self._agree_on_partitions()
        self._agree_on_columns()
        self._agree_on_personal()
        return self

    def _agree_on_personal(self) -> None:
        """What orders rows stands in clear in watermarks and statistics, and what names them must stay one for one."""
        places = {name: word for word, names in {"cursor": (self.cursor,), **self.named_places}.items() for name in names}
        for name, shape in self.columns.items():
            if shape.pii and name in places:
                raise Misfit(
                    f"is the table's `{places[name]}`, by whose values rows are ordered: it cannot be protected", "columns", name, "pii"
                )
            if shape.pii in ("drop", "mask") and name in self.keys:
                raise Misfit(f"is a key, and `pii: {shape.pii}` leaves no name of a row; use hmac or tokenise", "columns", name, "pii")
            if shape.pii and name == self.range_column and self.partitions > 1 and not self.cursor:
                raise Misfit("is what `partitions` cut by; name a cursor for that", "columns", name, "pii")

    def _agree_on_mode(self) -> None:
        mode = self.mode
        by_version = mode == "change_tracking"
        if mode in ("full", "snapshot") and (self.cursor or self.lookback or self.start_at is not None):
            raise Misfit(f"mode {mode} takes no `cursor`, `lookback` or `start_at`", "mode")
        if by_version and (
            self.cursor or self.start_at is not None or self.query or (isinstance(self.lookback, timedelta) and self.lookback)
        ):
            raise Misfit("mode change_tracking takes no `cursor`, `start_at` or `query`, and a `lookback` in versions", "mode")
        if mode in ("snapshot", "change_tracking") and not self.keys:
            raise Misfit(f"mode {mode} needs `keys`", "keys")
        if mode == "append" and not self.cursor and (self.lookback or self.start_at is not None):
            raise Misfit("without a `cursor` mode append takes no `lookback` or `start_at`", "mode")
        if mode == "append" and self.history == "scd2":
            raise Misfit("rows that are only ever added have no history; use mode incremental", "history")
        if self.tracking_gap != "stop" and not by_version:
            raise Misfit("`tracking_gap` speaks of mode change_tracking", "tracking_gap")

    def _agree_on_deletes(self) -> None:
        detect = self.deletes.detect
        if detect != "none" and not self.keys:
            raise Misfit("deletes are found by `keys`", "deletes")
        if (detect == "column") is not (self.apply_as_deletes is not None):
            raise Misfit(
                "`deletes: column` and `apply_as_deletes` need each other", "deletes" if detect == "column" else "apply_as_deletes"
            )
        if detect == "sweep" and self.mode not in ("incremental", "append"):
            raise Misfit(f"a sweep is for modes incremental and append; for mode {self.mode} use `snapshot`", "deletes")
        if detect == "tracking" and self.mode != "change_tracking":
            raise Misfit("`tracking` needs mode change_tracking", "deletes")
        if detect == "none" and self.deletes.empty == "apply" and self.mode not in ("snapshot", "change_tracking"):
            raise Misfit("`empty` is for modes and sweeps that see the whole table", "deletes", "empty")
        if self.deletes.every is not None and detect != "sweep":
            raise Misfit("`every` is a sweep's", "deletes", "every")
        if self.odd_cursors == "read_once" and detect in ("sweep", "tracking") and self.sequence == self.cursor:
            raise Misfit("where keys can go, rows without their cursor need another `sequence_by`", "odd_cursors")

    def _agree_on_erase(self) -> None:
        for person, said in self.erase.items():
            if said.on_erase == "keep" and set(said.columns) & set(self.silver_keys):
                raise Misfit("rows cannot stay without their key; say `on_erase: delete`", "erase", person, "on_erase")

    def _agree_on_partitions(self) -> None:
        name = self.range_column
        if name is None:
            raise Misfit("needs a `cursor` or `keys`, by whose ranges the read is cut", "partitions")
        declared = self.columns.get(name)
        kinds = (*INTEGERS, "date", "timestamp") if self.cursor else INTEGERS
        if declared is not None and declared.type.name not in kinds:
            raise Misfit(f"cannot cut by {name!r}, a {declared.type}; allowed: {', '.join(kinds)}", "partitions")

    def _agree_on_columns(self) -> None:
        if self.columns:
            of_source = {"keys": self.keys, "cursor": (self.cursor,), **self.named_places}
            for known, roles in ((tuple(self.columns), of_source), (tuple(self.shown), self.named_contents)):
                for role, name in ((role, name) for role, names in roles.items() for name in names):
                    if name and name not in known:
                        raise Misfit(f"names {name!r}, which `columns` does not declare; declared: {', '.join(known)}", role)
            self._agree_on_cursor()
            if len({name.lower() for name in self.columns}) < len(self.columns):
                raise Misfit("two names differ only in case", "columns")
        if twin := self.twin():
            raise Misfit(f"silver would have two columns {twin!r}", "derive" if self.derive else "columns")
        own = {VALID_FROM, VALID_TO, IS_CURRENT, *([IS_DELETED] if self.deletes.as_row else [])}
        for word, names in (("columns", self.shown.keys() - self.derive.keys()), ("derive", self.derive)):
            if taken := own & {name.lower() for name in names}:
                raise Misfit(f"uses {', '.join(sorted(taken))}, which the lake's own columns are called", word)

    def _agree_on_cursor(self) -> None:
        if self.cursor is None:
            return
        for what, key in with_type(self, self.columns[self.cursor].type.name):
            raise Misfit(what, key)
