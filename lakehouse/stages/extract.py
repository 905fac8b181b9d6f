"""Extract: freeze a window, then stream the source's rows in it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.errors import ContractError, QualityError, SourceError, UsageError
from lakehouse.layout import EXTRACTED_AT, tracked
from lakehouse.model.cursor import TIMES, with_type
from lakehouse.model.extraction import Extraction
from lakehouse.model.run import Cursor, Odd, Window
from lakehouse.model.types import INTEGERS
from lakehouse.quality.deviations import deviations, require_as_declared
from lakehouse.quality.suppression import without_erased
from lakehouse.transform import kernels
from lakehouse.transform.custody import marks, out_of_step
from lakehouse.transform.cut import odd_from, sorted_out
from lakehouse.transform.tombstones import shown
from lakehouse.transform.unseen import tuples
from lakehouse.transform.zone import FIRST, day_of, start_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakehouse.lake import Lake
    from lakehouse.model.table import Table
    from lakehouse.sources.database import Database
    from lakehouse.sources.described import Described
    from lakehouse.sources.tracking import Tracked


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
        ContractError: A column is missing, the cursor's type cannot be one, or bronze is protected otherwise than the table's file says.
        QualityError: A row's cursor is odd, and the table's policy is to stop.
    """
    database = lake.database(table.source)
    what = database.describe(table)
    turned = deviations(lake, table)
    if turned and not full_refresh:
        raise out_of_step(table, turned)
    extracted_at = _observed_at(lake, table)
    window = _window(lake, database, what, past, full_refresh=full_refresh) if table.cursor else Window()
    extraction = Extraction(table, what.types, window, extracted_at, iter(()), whole=full_refresh, past=past is not None)
    extraction.anew = bool(turned)
    if what.protection or turned:
        extraction.numbers |= marks(what.protection, turned)
    extraction.complete = table.mode == "snapshot" and lake.sample is None
    extraction.replaces = table.replace_partitions if lake.sample is None else ()
    rows = _changed(lake, database, what, extraction) if table.mode == "change_tracking" else database.read(what, window)
    extraction.stream = _observed(without_erased(lake, table.name, lake.while_on(rows), extraction), extraction)
    lake.extractions[table.name] = extraction
    return extraction


def reread(lake: Lake, table: Table, keys: pa.Table) -> Extraction:
    """The rows that the source shows of these keys now, outside of any window: the watermark stays where it is.

    Raises:
        SourceError: The source refuses or does not answer.
        ContractError: Bronze is protected otherwise than the table's file says.
        QualityError: A row has no sequence.
    """
    from lakehouse.sources.measure import Measured  # noqa: PLC0415  the driver is loaded where rows are read

    database = lake.database(table.source)
    what = database.describe(table)
    require_as_declared(lake, table)
    window = Window(odd=None if table.odd_cursors == "stop" else Odd(odd_from(lake.now(), what.cursor.kind.name, table.cursor_zone)))
    extraction = Extraction(table, what.types, window, _observed_at(lake, table), iter(()), keys=keys.num_rows, step="heal")
    named = Measured(database, what).having(keys)
    rows = (batch for condition, some in named for batch in _having(database.read(what, window, only=condition), some))
    extraction.stream = _observed(without_erased(lake, table.name, lake.while_on(rows), extraction), extraction)
    return extraction


def _having(batches: Iterator[pa.RecordBatch], keys: pa.Table) -> Iterator[pa.RecordBatch]:
    """The rows with one of these keys: a condition may hold for others."""
    names = keys.column_names
    exact = len(names) == 1 and not pa.types.is_floating(keys.schema[0].type)
    wanted = None if exact else set(tuples(keys, names))
    for batch in batches:
        near = batch
        for name in names:
            kind = near.column(name).type
            if not pa.types.is_floating(kind):  # to `is_in` 0.0 and -0.0 are two values
                near = kernels.where(near, kernels.among(near.column(name), kernels.cast(keys.column(name).combine_chunks(), kind)))
        if wanted is not None and near.num_rows:
            exactly = [key in wanted for key in tuples(pa.Table.from_batches([near]), names)]
            near = kernels.where(near, pa.array(exactly, pa.bool_()))
        yield near


def _observed_at(lake: Lake, table: Table) -> datetime:
    """The run's clock; where nothing else orders a table's versions, later than all that bronze has: clocks step back."""
    now, bronze = lake.now(), lake.table("bronze", table.name)
    if table.sequence or bronze is None:
        return now
    latest = max((file.greatest[EXTRACTED_AT] for file in bronze.files([EXTRACTED_AT]) if EXTRACTED_AT in file.greatest), default=now)
    return latest + LATER if now < latest else now


def _changed(lake: Lake, database: Database, what: Described, extraction: Extraction) -> Iterator[pa.RecordBatch]:
    """What Change Tracking lists since the last run, or the whole table where it does not reach back so far.

    Raises:
        SourceError: It does not, and the table's policy is to stop.
    """
    table, bronze, number = what.table, lake.table("bronze", what.table.name), tracked(what.table.object)
    last = None if bronze is None or extraction.whole else bronze.number(number)
    told = database.tracked(what)
    if last is not None and not told.covers(last):
        if table.tracking_gap == "stop":
            raise _gap(table, told, last)
        last = None
    extraction.numbers[number] = told.current
    extraction.complete = last is None and lake.sample is None
    extraction.overdue = last is None or told.is_worn(last)
    if last is None:
        return database.read(what, Window())
    return _still_told(database, what, max(last - table.lookback, told.least) if isinstance(table.lookback, int) else last)


def _still_told(database: Database, what: Described, since: int) -> Iterator[pa.RecordBatch]:
    """The changes, with a look behind them whether the server forgot some while they were read."""
    yield from database.changes(what, since)
    told = database.tracked(what)
    if not told.covers(since):
        raise _gap(what.table, told, since)


def _gap(table: Table, told: Tracked, last: int) -> SourceError:
    return SourceError(
        "the server no longer tells all changes since the last run",
        where=f"{table.source}.{table.name}",
        expected=f"a version from {told.least} to {told.current}",
        given=str(last),
        next_step=f"`lakehouse run --select {table.name}+ --full-refresh` reads the whole table and finds what is gone. Run more often, "
        "let the database keep changes longer (CHANGE_RETENTION), or say `tracking_gap: resync` in the table's file.",
    )


def _window(lake: Lake, database: Database, what: Described, past: Window | None, *, full_refresh: bool) -> Window:
    table, kind = what.table, what.cursor.kind.name
    where = f"{table.source}.{table.name}"
    _require_fit(table, kind)
    database.require_cursor(what)
    to: Cursor | None = None
    ahead: Cursor | None = None
    if kind in TIMES:
        now = lake.settings.clock or database.bound(lagged=bool(table.lag))
        to, ahead = _end(now, table, kind), odd_from(now, kind, table.cursor_zone)
    elif kind in INTEGERS:
        to = database.ceiling(what) - table.lag if isinstance(table.lag, int) else database.ceiling(what)
    odd = _odd(database, what, ahead)
    if past is None:
        return Window(None if full_refresh else watermark_less_lookback(lake, table, kind), to, odd)
    if to is None:
        raise UsageError(
            "a text cursor has no past windows", where=where, next_step="`lakehouse run --full-refresh` reads the whole table again."
        )
    low, high = _as_cursor(past.from_, kind, where), _as_cursor(past.to, kind, where)
    if low is not None and low >= to:  # type: ignore[operator]  # both are of the cursor's kind
        raise UsageError(
            f"the window begins at {low}, and the source can be read safely below {to} only",
            where=where,
            next_step="Choose an earlier `from`.",
        )
    return Window(low, to if high is None else min(high, to))


def _require_fit(table: Table, kind: str) -> None:
    """What the table's file says of its cursor fits the type that the source gives it.

    Raises:
        ContractError: It does not.
    """
    for what, key in with_type(table, kind):
        raise ContractError(
            f"{key}: {what}",
            where=f"metadata/tables/{table.source}/{table.name}.yml",
            next_step="Correct the file; a binary rowversion is declared as bigint." if kind == "binary" else "Correct the file.",
        )


def _end(now: datetime, table: Table, kind: str) -> Cursor:
    """The first cursor value that is not read: the safe bound less the lag, or the day after its day."""
    try:
        end = now - table.lag  # type: ignore[operator]  # a span, by the metadata's check
    except OverflowError:
        end = FIRST
    if kind == "timestamp":
        return end
    day = day_of(end, table.cursor_zone)
    return day + timedelta(days=day < date.max)


def _odd(database: Database, what: Described, ahead: Cursor | None) -> Odd | None:
    """What a read brings beside its window, by the table's policy.

    Raises:
        QualityError: There are odd rows and the policy is `stop`, or a cursor is no value of its type at all.
    """
    table = what.table
    if table.odd_cursors == "stop":
        counts = database.odd_counts(what, ahead) if database.rows_without_cursor(what, ahead) else {}
    else:
        counts = (
            {name: rows for name, rows in database.odd_counts(what).items() if name.startswith("no ")}
            if database.rows_of_no_cursor(what)
            else {}
        )
    if not counts:
        return None if table.odd_cursors == "stop" else Odd(ahead)
    found = " and ".join(f"{name} in {rows} row{'s' * (rows != 1)}" for name, rows in counts.items())
    otherwise = ", or say in its file what becomes of them (`odd_cursors`)" if table.odd_cursors == "stop" else ""
    raise QualityError(
        f"cursor {table.cursor} is {found}, so that no window would ever bring them",
        where=f"{table.source}.{table.name}",
        next_step=f"Correct these rows in the source ({database.odd_query(what, ahead, counts)}){otherwise}, or use `mode: full`.",
    )


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
    start, mark = start_of(table.start_at, table.cursor_zone, kind), lake.watermark(table.name)
    if mark is None or not _is_of(mark, kind):
        return start  # a cursor of another type has no watermark yet; whether it may be one, the table's contract says
    if isinstance(mark, str):
        return mark
    try:
        low: Cursor = mark - table.lookback if table.lookback else mark  # type: ignore[operator]  # the metadata's check: both are of one kind
    except (OverflowError, TypeError):
        return start
    return low if start is None else max(low, start)


def _is_of(mark: Cursor, kind: str) -> bool:
    """Whether a watermark is a value of the cursor's kind."""
    if isinstance(mark, int | str):
        return kind in INTEGERS if isinstance(mark, int) else kind not in (*INTEGERS, *TIMES)
    return kind == ("timestamp" if isinstance(mark, datetime) else "date")


def _observed(batches: Iterator[pa.RecordBatch], extraction: Extraction) -> Iterator[pa.RecordBatch]:
    cursor, odd = extraction.table.cursor, extraction.window.odd
    required = cursor if cursor and not odd else None  # rows without a key or another sequence are silver's to reject
    try:
        for batch in batches:
            extraction.rows += batch.num_rows
            if required:
                _require_place(extraction.table, required, shown(batch).column(required).null_count)
            if cursor:
                moving, batch = sorted_out(batch, extraction.table, odd)  # noqa: PLW2901  the batch with its marks
                _, greatest = kernels.ends(moving)
                moves = extraction.keys is None and greatest is not None
                if moves and (extraction.greatest is None or greatest > extraction.greatest):
                    extraction.greatest = _utc(greatest)
            yield batch
    except BaseException as exc:
        extraction.error = exc
        raise


def _require_place(table: Table, name: str, nulls: int) -> None:
    if nulls:
        raise QualityError(
            f"{name} is NULL in {nulls} row{'s' * (nulls != 1)}: without it a row lies in no window",
            where=f"{table.source}.{table.name}",
            next_step=f"Correct them in the source (select * from {table.origin} where {name} is null); nothing of this read was kept.",
        )


def _utc(value: Cursor) -> Cursor:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
