"""Extract: freeze a window, then stream the source's rows in it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from lakehouse.errors import ContractError, QualityError, UsageError
from lakehouse.layout import EXTRACTED_AT
from lakehouse.model.extraction import Extraction
from lakehouse.model.run import Cursor, Window
from lakehouse.model.types import INTEGERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from lakehouse.lake import Lake
    from lakehouse.model.table import Table
    from lakehouse.sources.database import Database, Described


LATER = timedelta(milliseconds=1)
"""Delta lets a writer cut instants in a file's statistics to milliseconds ("Per-file Statistics")."""


def extract(lake: Lake, table: Table, *, full_refresh: bool = False, past: Window | None = None) -> Extraction:
    """The rows of the table's next window, or of a past one, as a stream that has not begun.

    Args:
        lake: The opened lake.
        table: What to read.
        full_refresh: Read from the beginning, every row as a new observation.
        past: A window that a person names, in instants, days or integers; what of it lies above the safe bound is not read.

    Raises:
        UsageError: The connection is not set up, or the past window does not fit the cursor.
        SourceError: The source refuses or does not answer.
        ContractError: A column is missing, or the cursor's type cannot be one.
        QualityError: A row's cursor is NULL or infinite, so that no window would ever bring it.
    """
    database = lake.database(table.source)
    what = database.describe(table)
    extracted_at = _observed_at(lake, table)
    window = _window(lake, database, what, past, full_refresh=full_refresh) if table.cursor else Window()
    extraction = Extraction(table, what.types, window, extracted_at, iter(()), whole=full_refresh, past=past is not None)
    extraction.stream = _observed(database.read(what, window), extraction)
    lake.extractions[table.name] = extraction
    return extraction


def _observed_at(lake: Lake, table: Table) -> datetime:
    """The run's clock; where nothing else orders a table's versions, later than all that bronze has: clocks step back."""
    now, bronze = lake.now(), lake.table("bronze", table.name)
    if table.sequence or bronze is None:
        return now
    latest = max((file.greatest[EXTRACTED_AT] for file in bronze.files([EXTRACTED_AT]) if EXTRACTED_AT in file.greatest), default=now)
    return latest + LATER if now < latest else now


def _window(lake: Lake, database: Database, what: Described, past: Window | None, *, full_refresh: bool) -> Window:
    table, name = what.table, what.table.cursor or ""
    kind = what.types[name].name
    where = f"{table.source}.{table.name}"
    if kind not in (*INTEGERS, "date", "timestamp"):
        raise ContractError(
            f"cursor {name} is a {kind}",
            where=where,
            expected=", ".join((*INTEGERS, "date", "timestamp")),
            next_step="Declare its type, or choose another cursor.",
        )
    if database.rows_without_cursor(what):
        raise QualityError(
            f"cursor {name} is NULL, infinite or no {kind} in at least one row, so that no window would ever bring it",
            where=where,
            next_step=f"Give these rows a value in the source (select * from {table.object} where {name} is null), or use `mode: full`.",
        )
    to: Cursor
    if kind in INTEGERS:
        greatest = database.greatest(what)
        to = 0 if greatest is None else greatest + 1
    else:
        now = lake.settings.clock or database.bound()
        to = now if kind == "timestamp" else now.date() + timedelta(days=1)
    if past is not None:
        low, high = _as_cursor(past.from_, kind, where), _as_cursor(past.to, kind, where)
        if low is not None and low >= to:  # type: ignore[operator]  # both are of the cursor's kind
            raise UsageError(
                f"the window begins at {low}, and the source can be read safely below {to} only",
                where=where,
                next_step="Choose an earlier `from`.",
            )
        return Window(low, to if high is None else min(high, to))
    return Window(None if full_refresh else watermark_less_lookback(lake, table, kind), to)


def _as_cursor(bound: Cursor | None, kind: str, where: str) -> Cursor | None:
    """A person's bound as a value of the cursor's kind; for a cursor of days the first day that is not before it.

    Raises:
        UsageError: It is of another kind.
    """
    if bound is None or isinstance(bound, int) is (kind in INTEGERS):
        if isinstance(bound, date) and not isinstance(bound, datetime):
            bound = datetime.combine(bound, time(), UTC)
        if isinstance(bound, datetime) and kind == "date":
            return bound.date() if bound.time() == time() or bound.date() == date.max else bound.date() + timedelta(days=1)
        return bound
    raise UsageError(
        f"{bound} is no bound of a {kind} cursor",
        where=where,
        expected="an integer" if kind in INTEGERS else "a day or an instant such as 2024-05-01 or 2024-05-01T10:30",
        next_step="Name the tables whose cursor it fits.",
    )


def watermark_less_lookback(lake: Lake, table: Table, kind: str) -> Cursor | None:
    """Where the next window starts: the watermark less the look-back, never below `start_at`; None is the beginning."""
    start, mark = _start(table, kind), lake.watermark(table.name)
    if mark is None:
        return start
    try:
        low: Cursor = mark - table.lookback  # type: ignore[operator]  # the metadata's check: both are of one kind
    except (OverflowError, TypeError):
        return start
    return low if start is None else max(low, start)


def _start(table: Table, kind: str) -> Cursor | None:
    given = table.start_at
    if isinstance(given, datetime):
        given = given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
        return given.date() if kind == "date" else given
    return given


def _observed(batches: Iterator[pa.RecordBatch], extraction: Extraction) -> Iterator[pa.RecordBatch]:
    cursor, required = extraction.table.cursor, {*extraction.table.keys, extraction.table.sequence} - {None}
    try:
        for batch in batches:
            extraction.rows += batch.num_rows
            for name in sorted(str(column) for column in required):
                _require_place(extraction.table, name, batch.column(name).null_count)
            if cursor:
                greatest = pc.max(batch.column(cursor)).as_py()
                if extraction.greatest is None or greatest > extraction.greatest:
                    extraction.greatest = _utc(greatest)
            yield batch
    except BaseException as exc:
        extraction.error = exc
        raise


def _require_place(table: Table, name: str, nulls: int) -> None:
    if nulls:
        raise QualityError(
            f"{name} is NULL in {nulls} row{'s' * (nulls != 1)}: without it a row has no place among the versions of a key",
            where=f"{table.source}.{table.name}",
            next_step=f"Correct them in the source (select * from {table.object} where {name} is null); nothing of this read was kept.",
        )


def _utc(value: Cursor) -> Cursor:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
