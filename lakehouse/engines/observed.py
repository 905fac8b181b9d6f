"""Bronze's last observations beside a source: counted by bucket, and compared row by row where the counts differ."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from lakehouse.layout import BATCH
from lakehouse.transform.measure import alive, counts, inside, last_batches, place, same, within
from lakehouse.transform.names import quote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    import pyarrow as pa

    from lakehouse.engines.duck import Session
    from lakehouse.model.measure import Axis, Counts, Measure, Span
    from lakehouse.transform.contract import Agreement


@dataclass(frozen=True, slots=True)
class Seen:
    """What of bronze is compared.

    Attributes:
        schema: Bronze's columns.
        files: Its files.
        keys: The columns that name a row; may be empty.
        columns: The source's columns that bronze has.
        sequence: SQL for what orders versions, if it is not the time of extraction alone.
        batches: How many batches the files may hold; 1 tells that each row is the last of its key.
        agreed: What the table's contract makes of the columns, where values stand beside them.
        without: Batches that are not looked at.
    """

    schema: pa.Schema
    files: Sequence[str]
    keys: Sequence[str]
    columns: Sequence[str]
    sequence: str | None = None
    batches: int = 2
    agreed: Agreement | None = None
    without: Collection[int] = ()

    @property
    def shown(self) -> pa.Schema:
        """The columns in which rows are compared."""
        return self.schema if self.agreed is None else self.agreed.seen_schema


class Verdict(NamedTuple):
    """Keys by what is wrong with them."""

    missing: pa.Table
    stale: pa.Table
    surplus: pa.Table


class Observed:
    """One table's last observations in a session of the SQL engine. It is used by one thread at a time."""

    def __init__(self, session: Session, seen: Seen, name: str = "first") -> None:
        """Look at these rows of bronze, under a name of its own in the session; nothing is read yet."""
        self._session, self._seen, self._name = session, seen, name
        self._all, self._view, self._last = f"bronze.{name}", f"_{name}_observed", f"_{name}_last"
        self._key = ", ".join(quote(name) for name in seen.keys)
        self._names = ", ".join(quote(name) for name in seen.columns)
        self._ready, self._numbers = False, count(1)
        self._shown: list[str] = []
        session.table(self._all, seen.schema, seen.files, seen.without)
        if seen.agreed is not None:
            self._all = f"_{name}_seen"
            session.execute(f"create view {self._all} as {seen.agreed.seen(f'bronze.{name}')}")

    @property
    def _is_plain(self) -> bool:
        return not self._seen.keys or self._seen.batches == 1

    def _prepare(self) -> None:
        if self._ready:
            return
        self._ready = True
        if self._is_plain:
            self._session.execute(f"create view {self._view} as select * from {self._all} where {alive(self._seen.shown)}")
            return
        newest = last_batches(self._seen.keys, self._seen.sequence, self._seen.shown, self._all)
        self._session.execute(f"create temp table {self._last} as {newest}")
        greatest = ", l._greatest" if self._seen.sequence else ""
        self._session.execute(
            f"create view {self._view} as select s.*{greatest} from {self._all} s join {self._last} l "
            f"on {same(self._seen.keys, 's', 'l')} and s.{BATCH} = l.{BATCH} where {alive(self._seen.shown, 's.')}"
        )

    def ends(self, axis: Axis) -> tuple[int, int] | None:
        """The least and the greatest place on the axis that bronze has; None where it has no rows."""
        if axis.by in ("digest", "nothing"):
            return 0, 2**60 if axis.by == "digest" else 0
        at = place(axis, self._seen.shown)
        low, high = self._session.rows(f"select min({at}), max({at}) from {self._all}").to_pylist()[0].values()
        return None if low is None else (int(low), int(high))

    def counts(self, measure: Measure, width: int, span: Span | None = None) -> dict[int, Counts]:
        """The counts of each bucket that has rows, by its base."""
        self._prepare()
        rows = self._session.rows(counts(measure, self._seen.shown, width, span, self._view))
        columns = [column.to_pylist() for column in rows.columns]
        found = (tuple(None if value is None else int(value) for value in row) for row in zip(*columns, strict=True))
        return {row[0]: row[1:] for row in found if row[0] is not None}

    def doubtful(self, axis: Axis, spans: Sequence[Span], rows: Iterator[pa.RecordBatch], schema: pa.Schema) -> tuple[pa.Table, int]:
        """The keys that have a row on one side only, among the spans' rows of the source and of bronze; how many the source has."""
        self._prepare()
        source = self._shown_rows(rows, schema)
        self._shown.append(source)
        there = inside(axis, self._seen.shown, spans)
        ours, theirs = (f"select {self._names} from {side} where {there}" for side in (self._view, source))
        either = f"(({theirs}) except ({ours})) union all (({ours}) except ({theirs}))"
        return self._session.rows(f"select distinct {self._key} from ({either})"), self._count(source)

    def unshown(self, keys: pa.Table) -> pa.Table:
        """Those of the keys of which `doubtful` was given no row of the source."""
        asked = self._keep(iter(keys.to_batches()), keys.schema)
        but = "".join(f" anti join {name} t{at} on {same(self._seen.keys, 's', f't{at}')}" for at, name in enumerate(self._shown))
        return self._session.rows(f"select {self._key} from (select s.* from {asked} s{but})").cast(keys.schema)

    def judge(self, keys: pa.Table, rows: Iterator[pa.RecordBatch], schema: pa.Schema, scopes: tuple[Measure, Measure]) -> Verdict:
        """What is wrong with these keys, from the source's rows of theirs, whole.

        Args:
            keys: The keys in question.
            rows: The source's rows with these keys; others among them do not matter.
            schema: The rows' schema.
            scopes: Which rows are due at all, and which of them bronze must have though it never saw their key.
        """
        asked = self._keep(iter(keys.to_batches()), keys.schema)
        source = self._shown_rows(rows, schema)
        due, expected = (within(scope) for scope in scopes)
        theirs, ours, last, known = (f"_{self._name}_{word}_{next(self._numbers)}" for word in ("theirs", "ours", "last", "known"))
        run, on = self._session.execute, same(self._seen.keys, "s", "k")
        run(f"create temp table {theirs} as select s.* from {source} s semi join {asked} k on {on}")
        run(f"create temp table {ours} as select s.* from {self._all} s semi join {asked} k on {on}")
        run(
            f"create temp table {last} as select s.* from {ours} s join (select {self._key}, max({BATCH}) as {BATCH} from {ours} "
            f"group by {self._key}) k on {on} and s.{BATCH} = k.{BATCH} where {alive(self._seen.shown, 's.')}"
        )
        several = f"select {self._key} from {theirs} group by {self._key} having count(*) > 1"
        run(
            f"create temp table {known} as select {self._names} from {last} "
            f"union all select {self._names} from {ours} s semi join ({several}) k on {on} where {alive(self._seen.shown)}"
        )
        as_it_is = same(self._seen.columns, "s", "k")
        return Verdict(
            self._session.rows(f"select distinct {self._key} from {theirs} s anti join {last} k on {on} where {expected}"),
            self._session.rows(
                f"select distinct {self._key} from (select s.* from {theirs} s anti join {known} k on {as_it_is}) s "
                f"semi join {last} k on {on} where {due}"
            ),
            self._session.rows(f"select distinct {self._key} from {last} s anti join {theirs} k on {on} where {due}"),
        )

    def superseded(self, scope: Measure, but: Sequence[pa.Table]) -> pa.Table:
        """The keys whose last observation has a smaller sequence than another row of theirs, but for these."""
        self._prepare()
        if self._is_plain or not self._seen.sequence:
            return self._session.rows(f"select {self._key} from {self._all} limit 0")
        query = f"select distinct {self._key} from {self._view} s where _greatest > {self._seen.sequence} and {within(scope)}"
        for keys in but:
            out = self._keep(iter(keys.to_batches()), keys.schema)
            query = f"select {self._key} from ({query}) s anti join {out} k on {same(self._seen.keys, 's', 'k')}"
        return self._session.rows(query)

    def copies(
        self, axis: Axis, spans: Sequence[Span], rows: Iterator[pa.RecordBatch], schema: pa.Schema, scope: Measure
    ) -> tuple[pa.Table, int, int]:
        """For rows without keys: those that the source has more often than bronze, how many are the other way round, how many it has."""
        self._prepare()
        source, due = self._shown_rows(rows, schema), within(scope)
        there = f"({inside(axis, self._seen.shown, spans)}) and {due}"
        ours, theirs = (f"select {self._names} from {side} where {there}" for side in (self._view, source))
        more = self._session.rows(f"({theirs}) except all ({ours})")
        fewer = self._session.rows(f"select count(*) as n from (({ours}) except all ({theirs}))").column("n")[0].as_py()
        return more, int(fewer), self._count(source)

    def _shown_rows(self, rows: Iterator[pa.RecordBatch], schema: pa.Schema) -> str:
        """The source's rows, in the columns in which they are compared."""
        name = self._keep(rows, schema)
        if self._seen.agreed is None:
            return name
        self._session.execute(f"create view {name}_shown as {self._seen.agreed.incoming(name)}")
        return f"{name}_shown"

    def _keep(self, rows: Iterator[pa.RecordBatch], schema: pa.Schema) -> str:
        name = f"_{self._name}_kept_{next(self._numbers)}"
        self._session.keep(name, schema, rows)
        return name

    def _count(self, name: str) -> int:
        return int(self._session.rows(f"select count(*) as n from {name}").column("n")[0].as_py())
