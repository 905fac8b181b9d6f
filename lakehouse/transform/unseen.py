"""Which re-read rows bronze has not seen: the last-observation rule (rule 1 of the design), as queries and over small Arrow tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.layout import BATCH, DELETE, OP
from lakehouse.transform import kernels
from lakehouse.transform.cut import first_of, odd_rows
from lakehouse.transform.names import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lakehouse.model.run import Cursor, Odd


_NAN = object()


@dataclass(frozen=True, slots=True)
class Unseen:
    """The rule for one window: what it brought is `incoming`, the rows it may repeat are `bronze.seen`.

    With keys: the incoming rows that differ from the last observation of their key. Where the source shows several versions of
    a key at once, as a change feed does, there is no last one, and a row counts as seen when any observation equals it that the
    key's last tombstone does not end.
    Without: each distinct row as often as it comes more times than bronze holds it (within the window, where there is a cursor).

    Attributes:
        columns: The source's columns, and in tables that mark their rows the mark: what is a row again after its tombstone is new.
        keys: The columns that name a row; may be empty.
        cursor: The cursor's column, if any.
        low: Where the window starts.
        newest: At or above every cursor value in bronze: rows above it are new without a look; None is not known.
        odd: The rows that the window brings besides: bronze's own of this kind are compared too.
        seen: What the queries call bronze's rows, in the columns of the source.
    """

    columns: Sequence[str]
    keys: Sequence[str]
    cursor: str | None = None
    low: Cursor | None = None
    newest: Cursor | None = None
    odd: Odd | None = None
    seen: str = "bronze.seen"

    def several(self) -> str:
        """A query in DuckDB's dialect that gives a row where a key that bronze may have comes more than once."""
        return f"{self._several()} limit 1"

    def rows(self, *, feed: bool = False) -> str:
        """A query in DuckDB's dialect that gives the unseen rows.

        Args:
            feed: Whether a key comes several times; costs a second look at what was seen.
        """
        names = ", ".join(quote(name) for name in self.columns)
        window = self._window()
        if not self.keys:
            old = f"select {names} from {self._again} except all select {names} from {self.seen}{window}"
        else:
            key = ", ".join(quote(name) for name in self.keys)
            concerned = f"{self.seen} s semi join {self._again} a on {self._same_key('s', 'a')}"
            last = f"select {key}, max({BATCH}) as {BATCH} from {concerned} group by {key}"
            observed = f"select s.* from {self.seen} s semi join ({last}) l on s.{BATCH} = l.{BATCH} and {self._same_key('s', 'l')}{window}"
            if feed:
                observed += (
                    f" union all select s.* from {self._unended} s semi join ({self._several()}) h on {self._same_key('s', 'h')}{window}"
                )
            same_row = " and ".join(f"a.{quote(name)} is not distinct from o.{quote(name)}" for name in self.columns)
            old = f"select {names} from {self._again} a anti join ({observed}) o on {same_row}"
        return old if self._above is None else f"select {names} from incoming where {self._above} union all ({old})"

    def all_but(self, undone: Iterable[int]) -> str:
        """A query that gives all incoming rows but those that the last observation of their key equals, in a batch that is taken back."""
        batches = ", ".join(map(str, sorted(undone)))
        names = ", ".join(quote(name) for name in self.columns)
        if not batches or not self.keys:
            return f"select {names} from incoming"
        key = ", ".join(quote(name) for name in self.keys)
        last = f"select {key}, max({BATCH}) as {BATCH} from {self.seen} group by {key}"
        out = f"select s.* from {self.seen} s semi join ({last}) l on s.{BATCH} = l.{BATCH} and {self._same_key('s', 'l')}"
        same_row = " and ".join(f"a.{quote(name)} is not distinct from o.{quote(name)}" for name in self.columns)
        return f"select {names} from incoming a anti join (select * from ({out}) where {BATCH} in ({batches})) o on {same_row}"

    def again(self, incoming: pa.Table) -> pa.ChunkedArray:
        """True for the incoming rows that bronze may have."""
        if self.cursor is None or self.newest is None:
            return pa.chunked_array([pa.repeat(pa.scalar(True), incoming.num_rows)])  # noqa: FBT003  pyarrow takes it by place
        column = incoming.column(self.cursor)
        return kernels.opposite(kernels.filled(kernels.greater(column, pa.scalar(self.newest, column.type)), value=False))

    def among(self, incoming: pa.Table, seen: pa.Table) -> pa.Table:
        """The unseen rows, as `rows` gives them; for few rows that bronze may have, which are compared one by one."""
        may = self.again(incoming)
        again = kernels.where(incoming, may)
        if self.keys:
            first, near = again.column(self.keys[0]).combine_chunks(), incoming
            if not pa.types.is_floating(first.type):  # to `is_in` 0.0 and -0.0 are two values
                near = kernels.where(incoming, kernels.among(incoming.column(self.keys[0]), first))
                seen = kernels.where(seen, kernels.among(seen.column(self.keys[0]), first))
            times = Counter(tuples(near, self.keys))
            known = self._observed(seen, {key for key, count in times.items() if count > 1})
            kept = [row not in known for row in tuples(again, self.columns)]
        else:
            if self.cursor and self.low is not None:
                column = seen.column(self.cursor)
                column = (
                    kernels.cast(column, pa.int64()) if pa.types.is_integer(column.type) else column
                )  # a bound may be beyond a narrow type
                near = kernels.greater_equal(column, pa.scalar(self.low, column.type))
                if self.odd is not None:
                    near = kernels.either(odd_rows(column, self.odd), kernels.filled(near, value=False))
                seen = kernels.where(seen, near)
            left = Counter(tuples(seen, self.columns))
            kept = []
            for row in tuples(again, self.columns):
                kept.append(left[row] <= 0)
                left[row] -= 1
        return pa.concat_tables([kernels.where(incoming, kernels.opposite(may)), kernels.where(again, pa.array(kept, pa.bool_()))])

    def _observed(self, seen: pa.Table, several: set[tuple[object, ...]]) -> set[tuple[object, ...]]:
        keys, batches = tuples(seen, self.keys), seen.column(BATCH).to_pylist()
        marks = seen.column(OP).to_pylist() if OP in self.columns else [None] * seen.num_rows
        last: dict[tuple[object, ...], int] = {}
        ended: dict[tuple[object, ...], int] = {}
        for key, batch, mark in zip(keys, batches, marks, strict=True):
            last[key] = max(batch, last.get(key, batch))
            if mark == DELETE:
                ended[key] = max(batch, ended.get(key, batch))
        rows = zip(keys, batches, tuples(seen, self.columns), strict=True)
        return {row for key, batch, row in rows if batch == last[key] or (key in several and batch > ended.get(key, 0))}

    def _window(self) -> str:
        if self.cursor is None or self.low is None:
            return ""
        cursor = quote(self.cursor)
        first = None if self.odd is None else first_of(self.odd)
        odd = "" if self.odd is None else f" or {cursor} is null" + ("" if first is None else f" or {cursor} = {_literal(first)}")
        return f" where ({cursor} >= {_literal(self.low)}{odd})"

    @property
    def _above(self) -> str | None:
        return f"{quote(self.cursor)} > {_literal(self.newest)}" if self.cursor and self.newest is not None else None

    @property
    def _again(self) -> str:
        return "incoming" if self._above is None else f"(select * from incoming where ({self._above}) is not true)"

    @property
    def _unended(self) -> str:
        """The observations that no later tombstone of their key ends."""
        if OP not in self.columns:
            return self.seen
        key = ", ".join(quote(name) for name in self.keys)
        ends = f"select {key}, max({BATCH}) as {BATCH} from {self.seen} where {OP} = '{DELETE}' group by {key}"
        return f"(select s.* from {self.seen} s anti join ({ends}) e on s.{BATCH} <= e.{BATCH} and {self._same_key('s', 'e')})"

    def _several(self) -> str:
        key = ", ".join(quote(name) for name in self.keys)
        return f"select {key} from incoming i semi join {self._again} a on {self._same_key('i', 'a')} group by {key} having count(*) > 1"

    def _same_key(self, left: str, right: str) -> str:
        return " and ".join(f"{left}.{quote(name)} is not distinct from {right}.{quote(name)}" for name in self.keys)


def tuples(rows: pa.Table, columns: Sequence[str]) -> list[tuple[object, ...]]:
    """The rows as tuples that are equal where SQL calls them not distinct: NaN is one value."""
    values = [[_NAN if value != value else value for value in rows.column(name).to_pylist()] for name in columns]  # noqa: PLR0124
    return list(zip(*values, strict=True))


def _literal(bound: Cursor | None) -> str:
    if isinstance(bound, datetime):
        return f"timestamptz '{bound.isoformat()}'"
    if isinstance(bound, str):
        return "'" + bound.replace("'", "''") + "'"
    return f"date '{bound.isoformat()}'" if isinstance(bound, date) else str(bound)
