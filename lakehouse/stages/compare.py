"""Compare: the source beside bronze's last observations, by counts of buckets, and by rows only where the counts differ."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.engines.observed import Observed, Seen
from lakehouse.errors import UsageError
from lakehouse.layout import BATCH
from lakehouse.model.measure import Axis, Span, bucket, merged, unequal
from lakehouse.model.reconciliation import FIRST_KEYS, Difference, Reconciled
from lakehouse.model.run import Cursor, Odd, Window, following
from lakehouse.model.types import INTEGERS
from lakehouse.quality.deviations import require_as_declared
from lakehouse.quality.suppression import without_erased
from lakehouse.sources.measure import Measured
from lakehouse.transform import kernels
from lakehouse.transform.arrow import arrow_schema, lake_type
from lakehouse.transform.contract import agree
from lakehouse.transform.measure import sequence
from lakehouse.transform.vanished import require_plausible
from lakehouse.transform.widening import joined
from lakehouse.transform.zone import start_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlglot import exp

    from lakehouse.engines.duck import Session
    from lakehouse.lake import Lake
    from lakehouse.model.measure import Measure
    from lakehouse.model.table import Table
    from lakehouse.model.types import DataType
    from lakehouse.sources.database import Database
    from lakehouse.sources.described import Described
    from lakehouse.sources.dialect import SourceColumn
    from lakehouse.storage.delta import Table as Bronze
    from lakehouse.transform.contract import Agreement

ROWS_A_BUCKET, BUCKETS, ROWS_AT_ONCE = 256, 4_096, 2_048
"""How fine the first cut is, how many buckets it makes at most, and up to how many rows of a differing one are read."""
SPANS_AT_ONCE = 100


def compare(lake: Lake, table: Table, *, since: Cursor | None = None, without: Collection[int] = ()) -> Difference:
    """What bronze's last observations lack, have wrong and have too much beside the source (rule 5 of the design).

    Rows above the watermark are not due: the next run brings them. What differs at the first look is looked at again, by its keys,
    in bronze's newest version and then in the source, before it is called different.

    Args:
        lake: The opened lake.
        table: What to compare.
        since: The first cursor value that is compared.
        without: Batches of bronze that do not count as observed.

    Raises:
        UsageError: `since` does not fit the cursor.
        SourceError: The source refuses or does not answer.
    """
    bronze = lake.table("bronze", table.name)
    if bronze is None or (table.cursor and lake.watermark(table.name) is None):
        return Difference(Reconciled(table.name, note="Nothing is due before the first run."))
    require_as_declared(lake, table)
    with lake.engine() as engine:
        return _Comparison(lake, engine, table, bronze, since=since, without=without).difference()


def sweep(lake: Lake, table: Table) -> Difference:
    """The keys that bronze has and the source no longer shows; keys alone are read, and only where the counts differ.

    The source is asked after bronze was read, so that a key which came meanwhile is not taken for one that went.

    Raises:
        QualityError: So much vanished that the source is rather broken than that its rows were deleted.
        SourceError: The source refuses or does not answer.
    """
    bronze = lake.table("bronze", table.name)
    if bronze is None:
        return Difference(Reconciled(table.name))
    require_as_declared(lake, table)
    with lake.engine() as engine:
        comparison = _Comparison(lake, engine, table, bronze, keys_only=True)
        found = comparison.difference()
        require_plausible(table, shown=found.report.compared, gone=found.report.surplus, held=lambda: comparison.held)
        return found


class _Comparison:
    """One table under comparison: all of its columns up to the watermark, or the keys alone of all its rows.

    Attributes:
        held: How many rows bronze's last observations are.
    """

    def __init__(
        self,
        lake: Lake,
        engine: Session,
        table: Table,
        bronze: Bronze,
        *,
        since: Cursor | None = None,
        keys_only: bool = False,
        without: Collection[int] = (),
    ) -> None:
        self._without = without
        self._lake, self._engine, self._table, self._bronze = lake, engine, table, bronze
        self._database: Database = lake.database(table.source)
        self._what: Described = self._database.describe(table)
        if keys_only:
            unordered = {"cursor": None, "sequence_by": (), "order_by": (), "snapshot_column": None, "replace_partitions": ()}
            bare = table.model_copy(update={**unordered, "cursor_zone": None, "odd_cursors": "stop"})
            self._what = replace(self._what, table=bare, columns={name: self._what.columns[name] for name in table.keys})
            self._table = bare
        self._what = replace(self._what, columns=_widened(self._what, self._agreed))
        self._source = Measured(self._database, self._what)
        self._schema = arrow_schema(self._what.types)
        self._window = Window(odd=None if self._table.odd_cursors == "stop" else Odd())
        self._since, self._report = since, Reconciled(table.name)
        self._measure = self._limited(self._common(self._source.measure(keys_only=keys_only)))
        self.held = 0

    @property
    def _agreed(self) -> Agreement:
        """What the table's contract makes of the source's columns beside bronze's; what it refuses is for the next load to say."""
        return agree(self._table, arrow_schema(self._what.types), self._bronze.schema)

    def difference(self) -> Difference:
        report, observed = self._report, self._observed("first")
        report.unchecked = sorted(set(self._what.columns) - {*self._measure.digested, *self._measure.mixed})
        report.below = None if self._measure.high is None else str(self._measure.high)
        spans = self._differing(observed)
        report.buckets_read = len(spans)
        found = self._by_keys(observed, spans) if self._table.keys else self._by_copies(observed, spans)
        report.statements += self._source.statements
        return found

    def _by_keys(self, observed: Observed, spans: Sequence[Span]) -> Difference:
        report, doubtful = self._report, self._doubtful(observed, spans)
        missing, stale, surplus = self._judged(doubtful) if doubtful.num_rows else (doubtful, doubtful, doubtful)
        if surplus.num_rows:  # a key that the first look showed and the second did not is left to the next comparison: it may well be there
            surplus = observed.unshown(surplus)
        superseded = observed.superseded(self._measure, [keys for keys in (missing, stale, surplus) if keys.num_rows])
        report.missing, report.stale, report.surplus = missing.num_rows, stale.num_rows, surplus.num_rows
        report.superseded = superseded.num_rows
        report.keys = {
            name: _first(keys) for name, keys in (("missing", missing), ("stale", stale), ("surplus", surplus), ("superseded", superseded))
        }
        return Difference(report, pa.concat_tables([missing, stale]), surplus, held=self.held)

    def _by_copies(self, observed: Observed, spans: Sequence[Span]) -> Difference:
        report = self._report
        if not spans:
            return Difference(report)
        parts = []
        for some in _at_once(merged(spans)):
            rows = self._rows(self._source.inside(self._measure.axis, some))
            more, fewer, read = observed.copies(self._measure.axis, some, rows, self._schema, self._measure)
            parts.append(more)
            report.surplus += fewer
            report.rows_read += read
        more = pa.concat_tables(parts)
        report.missing, report.keys["missing"] = more.num_rows, _first(more)
        return Difference(report, window=_window(more, self._table.cursor) if more.num_rows else None)

    def _common(self, measure: Measure) -> Measure:
        """The measure over the columns that bronze has too, as the same texts."""
        agreed = self._agreed
        apart = {name for name in agreed.rescued if not pa.types.is_string(agreed.source.field(name).type)}
        there = set(agreed.seen_schema.names if agreed.by_query else agreed.there.names) - apart
        return replace(measure, digested=tuple(name for name in measure.digested if name in there))

    def _limited(self, measure: Measure) -> Measure:
        cursor = self._table.cursor
        mark = self._lake.watermark(self._table.name) if cursor else None
        if cursor is None or mark is None:
            if self._since is not None:
                raise UsageError(f"{self._table.name} has no cursor, so that `--since` cannot limit it", next_step="Leave --since out.")
            return measure
        kind = self._what.types[cursor].name
        since = _bound(self._since, kind, self._table)
        start = _bound(start_of(self._table.start_at, self._table.cursor_zone, kind), kind, self._table)
        lows = [low for low in (since, start) if low is not None]
        return replace(measure, low=max(lows, default=None), high=following(mark))

    def _observed(self, name: str) -> Observed:
        files = self._bronze.files([BATCH])
        batches = {(file.least.get(BATCH), file.greatest.get(BATCH)) for file in files}
        one = len(batches) <= 1 and all(low is not None and low == high for low, high in batches)
        odd = self._table.odd_cursors == "read_once" and self._table.sequence == self._table.cursor
        order = sequence(self._table.sequence, self._bronze.schema, may_be_odd=odd) if self._table.sequence else None
        agreed = self._agreed
        columns = [name for name in self._schema.names if name in self._bronze.schema.names]
        columns = agreed.shown.names if agreed.by_query else columns
        agreed_upon = agreed if agreed.by_query else None
        seen = Seen(
            self._bronze.schema, [file.uri for file in files], self._table.keys, columns, order, 1 if one else 2, agreed_upon, self._without
        )
        return Observed(self._engine, replace(seen, without=self._without), name)

    def _differing(self, observed: Observed) -> list[Span]:
        """The smallest spans of the axis whose counts differ."""
        measure, report = self._measure, self._report
        ends = [end for end in (self._source.ends(measure.axis), observed.ends(measure.axis)) if end is not None]
        if not ends:
            return []
        low, high = min(end[0] for end in ends), max(end[1] for end in ends)
        if set(self._table.keys) & set(self._what.hidden):
            return self._all(observed)  # nobody but who reads the rows can tell such keys
        cuts = min(max(sum(file.rows for file in self._bronze.files(())) // ROWS_A_BUCKET, 1), BUCKETS)
        work: list[tuple[Span | None, int]] = [(None, max((high - low) // cuts + 1, 1))]
        found: list[Span] = []
        with ThreadPoolExecutor(1, thread_name_prefix="observed") as beside:
            while work:
                self._lake.go_on()
                span, width = work.pop()
                ours_later = beside.submit(observed.counts, measure, width, span)
                theirs = self._source.counts(measure, width, span)
                ours = ours_later.result()
                report.buckets += len(theirs.keys() | ours.keys())
                if span is None:
                    report.compared, self.held = (sum(counts[0] or 0 for counts in side.values()) for side in (theirs, ours))
                for base, rows, most in unequal(theirs, ours):
                    part = bucket(base, width)
                    if width == 1 or most <= ROWS_AT_ONCE or 2 * abs(rows) > most:
                        found.append(part)
                    else:
                        work.append((part, max(width // min(most // ROWS_A_BUCKET + 1, BUCKETS), 1)))
        return sorted(found, key=lambda part: part.low)

    def _all(self, observed: Observed) -> list[Span]:
        """The whole axis, as one span that differs; what is on each side is counted."""
        for_all = replace(self._measure, axis=Axis("nothing"), mixed=(), digested=(), extremes=None)
        theirs, ours = self._source.counts(for_all, 1), observed.counts(for_all, 1)
        self._report.compared, self.held = (sum(counts[0] or 0 for counts in side.values()) for side in (theirs, ours))
        self._measure = replace(self._measure, axis=Axis("nothing"))
        return [Span(0, 1)]

    def _doubtful(self, observed: Observed, spans: Sequence[Span]) -> pa.Table:
        """The keys of rows that stand on one side only, in the spans."""
        none = pa.schema([self._schema.field(name) for name in self._table.keys]).empty_table()
        parts = [none]
        for some in _at_once(merged(spans)):
            rows = self._rows(self._source.inside(self._measure.axis, some))
            keys, read = observed.doubtful(self._measure.axis, some, rows, self._schema)
            parts.append(keys.cast(none.schema))
            self._report.rows_read += read
        keys = pa.concat_tables(parts)
        return keys.group_by(list(self._table.keys)).aggregate([]) if len(parts) > 2 else keys  # noqa: PLR2004  a key may move between spans

    def _judged(self, keys: pa.Table) -> tuple[pa.Table, pa.Table, pa.Table]:
        """The second look: bronze as it is now, then these keys in the source."""
        self._bronze.refresh()
        self._measure = self._limited(self._measure)
        since = replace(self._measure, low=_bound(self._since, self._kind, self._table) if self._since is not None else None)
        parts: list[tuple[pa.Table, ...]] = []
        observed = self._observed("again")
        for some in keys.to_batches(max_chunksize=10_000):
            asked = pa.Table.from_batches([some])
            rows = (batch for condition, _ in self._source.having(asked) for batch in self._rows(condition))
            verdict = observed.judge(asked, self._counting(rows), self._schema, (since, self._measure))
            parts.append(tuple(part.cast(keys.schema) for part in verdict))
        missing, stale, surplus = (pa.concat_tables([part[place] for part in parts]) for place in range(3))
        return missing, stale, surplus

    @property
    def _kind(self) -> str:
        return self._what.types[self._table.cursor].name if self._table.cursor else ""

    def _counting(self, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in rows:
            self._report.rows_read += batch.num_rows
            yield batch

    def _rows(self, condition: exp.Expr) -> Iterator[pa.RecordBatch]:
        self._report.statements += 1
        rows = self._lake.while_on(self._database.read(self._what, self._window, only=condition))
        return without_erased(self._lake, self._table.name, rows, self._report)


def _widened(what: Described, agreed: Agreement) -> dict[str, tuple[SourceColumn, DataType]]:
    """The read's columns, as the types of bronze where these are wider: both sides write one text of a value, and read it alike."""
    found = dict(what.columns)
    for name, (column, _) in ((name, pair) for name, pair in what.columns.items() if name not in what.hidden):
        before = agreed.there.field(name).type if name in agreed.there.names else None
        kind = lake_type(before) if before is not None and joined(before, agreed.source.field(name).type) == before else None
        if kind is not None:
            found[name] = (column, kind)
    return found


def _at_once(spans: Iterator[Span]) -> Iterator[list[Span]]:
    while some := list(islice(spans, SPANS_AT_ONCE)):
        yield some


def _bound(given: Cursor | None, kind: str, table: Table) -> Cursor | None:
    """A bound that a person gave, as a value of the cursor's kind."""
    if given is None:
        return None
    if isinstance(given, str) or kind == "string" or isinstance(given, int) is not (kind in INTEGERS):
        raise UsageError(
            f"{given} is no bound of a {kind} cursor",
            where=f"{table.source}.{table.name}",
            next_step="Name the tables whose cursor it fits.",
        )
    if isinstance(given, int):
        return given
    instant = given if isinstance(given, datetime) else datetime(given.year, given.month, given.day, tzinfo=UTC)
    instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    return instant.date() if kind == "date" else instant


def _window(rows: pa.Table, cursor: str | None) -> Window:
    if cursor is None:
        return Window()
    least, greatest = kernels.ends(rows.column(cursor))
    return Window(least, following(greatest))


def _first(keys: pa.Table) -> list[object]:
    """The first keys as plain values; those of several columns as lists."""
    rows = [
        list(row.values()) for row in keys.sort_by([(name, "ascending") for name in keys.column_names]).slice(0, FIRST_KEYS).to_pylist()
    ]
    return [row[0] if len(row) == 1 else row for row in rows]
