"""A look at one table of a source: its first rows by the same road that a run takes, and a few cheap questions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
from sqlglot import exp

from lakehouse.errors import SourceError
from lakehouse.model.discovery import FoundColumn, FoundTable, Proposal
from lakehouse.model.run import Window
from lakehouse.model.table import Table
from lakehouse.model.types import DataType
from lakehouse.sources import statistics
from lakehouse.transform import kernels
from lakehouse.transform.arrow import arrow_schema, cast_batch
from lakehouse.transform.guess import Candidate, Seen, cursor_candidates, propose
from lakehouse.transform.personal import personal
from lakehouse.transform.spelling import refused_columns

if TYPE_CHECKING:
    from lakehouse.sources.database import Database
    from lakehouse.sources.dialect import Dialect, ListedTable, SourceColumn, SourceTable

SAMPLED_ROWS, SAMPLED_BYTES = 1_000, 32 * 1024**2
COUNTED_ROWS = 1_000_000
SCANNED_ROWS = 5_000_000
STRING = DataType("string")


@dataclass(frozen=True, slots=True)
class Glass:
    """What a table is looked at through: the database, its own questions, and what the lake calls it."""

    database: Database
    dialect: Dialect
    source: str


@dataclass(frozen=True, slots=True)
class _Table:
    """The table under the glass."""

    glass: Glass
    listed: ListedTable
    source: SourceTable

    @property
    def name(self) -> str:
        """The database's name for it, without its schema."""
        return self.source.parts[-1]

    def has_row(self, condition: exp.Expr, among: int | None) -> bool:
        """Whether a row meets the condition, among all or the first so many."""
        return statistics.has_row(self.glass.dialect, self.source, condition, among)

    def read(self, types: dict[str, DataType]) -> pa.Table:
        """Its first rows, in these columns, as a run would read them.

        Decimals come as texts and are parsed here: over one that it cannot hold, such as NaN, the driver panics and prints it.

        Raises:
            SourceError: A value does not fit, or the database breaks off.
        """
        columns = {name: "string" if kind.name == "decimal" else str(kind) for name, kind in types.items()}
        words = {"name": "sample", "source": self.glass.source, "from": ".".join(self.source.parts), "mode": "full", "columns": columns}
        what = self.glass.database.describe(Table.model_validate(words))
        schema, parts, size = arrow_schema(types), [], 0
        for batch in self.glass.database.read(what, Window(), SAMPLED_ROWS):
            parts.append(cast_batch(batch, schema, self.name))
            size += batch.nbytes
            if size > SAMPLED_BYTES:
                break
        return pa.Table.from_batches(parts, schema)

    def misfit(self, name: str, kind: DataType) -> exp.Expr | None:
        """The database's own condition for values of a column that cannot travel as this type, if it knows one."""
        column = next(column for column in self.source.columns if column.name == name)
        return self.glass.dialect.misfit(column, kind)


def look(glass: Glass, listed: ListedTable, found: FoundTable) -> FoundTable:
    """What the table has, with a proposal how to read it; with the reason where the lake cannot have it.

    Raises:
        SourceError: The database does not let it be read.
    """
    source = glass.dialect.describe(found.object)
    if source.parts != listed.parts:
        return replace(found, left_out="its name in `from` would mean another table; make a view of it with another name")
    statistics.require_readable(glass.dialect, source)
    table = _Table(glass, listed, source)
    columns, sample = _columns(table)
    found = replace(found, columns=columns)
    if not found.taken:
        return replace(found, left_out="none of its columns can stand in the lake")
    found = _counted(table, found, sample)
    return replace(found, proposal=_proposal(table, found, sample))


def _columns(table: _Table) -> tuple[tuple[FoundColumn, ...], pa.Table | None]:
    """The columns with the types that hold what was seen, and the sample; bytes are not sampled."""
    refused = refused_columns([column.name for column in table.source.columns])
    columns = {
        column.name: FoundColumn(column.name, column.native, column.type, left_out=refused.get(column.name, column.obstacle))
        for column in table.source.columns
    }
    if _any_misfit(table, columns) or (sample := _sample(table, columns)) is None:
        statistics.require_readable(table.glass.dialect, table.source)
        columns = {name: column if column.left_out else _holding(table, column) for name, column in columns.items()}
        sample = _sample(table, columns)
    for name, values in zip(sample.column_names, sample.columns, strict=True) if sample is not None else ():
        share = values.null_count / len(values) if len(values) else None
        texts = values.to_pylist() if columns[name].type == STRING else ()
        columns[name] = replace(columns[name], nulls=share, personal=personal(table.name, name, columns[name].type, texts))
    return tuple(columns.values()), sample


def _any_misfit(table: _Table, columns: dict[str, FoundColumn]) -> bool:
    """Whether the database finds a value that cannot travel as its column's type."""
    known = [table.misfit(column.name, column.type) for column in columns.values() if not column.left_out]
    conditions = [condition for condition in known if condition is not None]
    return bool(conditions) and table.has_row(exp.or_(*conditions), COUNTED_ROWS)


def _sample(table: _Table, columns: dict[str, FoundColumn]) -> pa.Table | None:
    """The first rows of all columns but bytes, or None where they cannot be read in their types."""
    types = {name: column.type for name, column in columns.items() if not column.left_out and column.type.name != "binary"}
    try:
        return table.read(types) if types else pa.table({})
    except SourceError:
        return None


def _holding(table: _Table, column: FoundColumn) -> FoundColumn:
    """The column with a type that holds every value that was looked at: its own, else string; else left out."""
    for kind, note in ((column.type, ""), (STRING, f"not every value is a {column.type}")):
        condition = table.misfit(column.name, kind)
        if condition is not None and table.has_row(condition, COUNTED_ROWS):
            continue
        try:
            table.read({column.name: kind})
        except SourceError:
            continue
        return replace(column, type=kind, note=note)
    return replace(
        column,
        left_out="it has values that are no text"
        if column.type == STRING
        else f"it has values that neither a {column.type} nor a string can hold",
    )


def _counted(table: _Table, found: FoundTable, sample: pa.Table | None) -> FoundTable:
    """How many rows: those of the sample where it saw all, else the database's word, else a count with an end."""
    if sample is not None and sample.column_names and sample.num_rows < SAMPLED_ROWS and sample.nbytes <= SAMPLED_BYTES:
        return replace(found, rows=sample.num_rows, rows_are="counted")
    if found.rows is not None or found.is_view:
        return found
    rows = statistics.count(table.glass.dialect, table.source, COUNTED_ROWS)
    return replace(found, rows=min(rows, COUNTED_ROWS), rows_are="at least" if rows > COUNTED_ROWS else "counted")


def _proposal(table: _Table, found: FoundTable, sample: pa.Table | None) -> Proposal:
    among = None if found.rows is not None and found.rows_are != "at least" and found.rows <= SCANNED_ROWS else COUNTED_ROWS
    by_name = {column.name: column for column in table.source.columns}
    types = {column.name: column.type for column in found.taken}
    keys, keys_why = _keys(table, by_name, types, among)
    seen = [
        Seen(name, kind, required=by_name[name].required, indexed=name in table.listed.indexed)
        for name, kind in types.items()
        if kind == by_name[name].type
    ]
    refusals: list[str] = []
    for candidate in cursor_candidates(table.name, keys, seen):
        column = by_name[candidate.column.name]
        condition = table.glass.dialect.no_cursor(column, candidate.column.type)
        if table.has_row(condition, among):
            refusals.append(f"{column.name} is NULL or no {candidate.column.type} in at least one row")
            continue
        empty = found.rows == 0 and found.rows_are == "counted"
        evidence = ("the table is empty",) if empty else _evidence(table, candidate, sample, among)
        return propose(keys, keys_why, candidate, (*candidate.reasons, *evidence))
    return propose(keys, keys_why, None, tuple(refusals) or ("no column's name and type tell of changes",))


def _keys(table: _Table, by_name: dict[str, SourceColumn], types: dict[str, DataType], among: int | None) -> tuple[tuple[str, ...], str]:
    """The primary key where it can be one in the lake, with what to say about it."""
    keys = table.listed.keys
    if not keys:
        return (), "the database declares no primary key"
    for name in keys:
        if name not in types:
            return (), f"column {name!r} of the primary key cannot stand in the lake"
        column = by_name[name]
        if not column.required and table.has_row(statistics.is_null(column), among):
            return (), f"column {name} of the primary key is NULL in at least one row"
    return keys, "the primary key"


def _evidence(table: _Table, candidate: Candidate, sample: pa.Table | None, among: int | None) -> tuple[str, ...]:
    """What the rows say for a cursor, beside its name and type."""
    name = candidate.column.name
    seen = ["no NULL" if among is None else f"no NULL among the first {among:,} rows"]
    if candidate.column.indexed or among is None:
        column = next(column for column in table.source.columns if column.name == name)
        greatest = _instant(statistics.greatest(table.glass.dialect, table.source, column))
    else:
        greatest = None if sample is None else _instant(kernels.ends(sample.column(name))[1])
    if greatest is not None:
        seen.append(f"its greatest value is {greatest}")
    if isinstance(greatest, datetime) and greatest > datetime.now(UTC):
        seen.append("which lies ahead of the clock: is it local time? Say `cursor_zone` then; else such a row waits for that time in UTC")
    if candidate.shows == "row":
        seen.append("a change of a row that was read before is not seen this way")
    return tuple(seen)


def _instant(value: object) -> object:
    """A database's value as a time or number to show; None for what is neither."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value if isinstance(value, date | int) else None
