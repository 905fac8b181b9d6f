"""Which tombstones a table gets: a key's end, with the last values that silver has of it, as queries and over small Arrow tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.layout import BATCH, DELETE, OP
from lakehouse.transform import kernels
from lakehouse.transform.names import quote
from lakehouse.transform.unseen import tuples

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


@dataclass(frozen=True, slots=True)
class Tombstones:
    """The rule for one table, whose observations are `bronze.seen`.

    A key whose last observation is a tombstone is buried already, and one of which silver never took a row has nothing to bury. The values
    are those of its greatest version by sequence and batch that silver took, which is the one that ends.

    Attributes:
        columns: The table's own columns.
        keys: Those that name a row.
        sequence: The one that orders the versions of a key; `_extracted_at` where none does.
        then: Those that order versions of one sequence, each with whether its least value counts.
        undone: The batches that are taken back: what they say is observed, and no row of silver.
    """

    columns: Sequence[str]
    keys: Sequence[str]
    sequence: str
    then: Sequence[tuple[str, bool]] = ()
    undone: Collection[int] = ()

    @property
    def _taken(self) -> str:
        """The condition of a row that silver took: it is one, and its batch is not taken back."""
        batches = ", ".join(map(str, sorted(self.undone)))
        return f"({OP} is null and {BATCH} not in ({batches}))" if batches else f"({OP} is null)"

    def absent(self) -> str:
        """A query in DuckDB's dialect that gives the living keys that `incoming` does not show."""
        return f"select {self._listed(self.keys)} from ({self.living()}) s anti join incoming i on {self._same_key('s', 'i')}"

    def living(self) -> str:
        """A query in DuckDB's dialect that gives the keys whose last observation is no tombstone."""
        key = self._listed(self.keys)
        return f"select {key} from bronze.seen group by {key} having {self._lives}"

    @property
    def _lives(self) -> str:
        return f"not arg_max({OP} is not distinct from '{DELETE}', {BATCH}) and bool_or({self._taken})"

    def living_among(self, seen: pa.Table) -> int:
        """How many keys `living` gives, for few rows."""
        observed = list(zip(tuples(seen, self.keys), seen.column(BATCH).to_pylist(), seen.column(OP).to_pylist(), strict=True))
        last = {key: mark for key, _, mark in sorted(observed, key=lambda row: int(row[1]))}
        taken = {key for key, batch, mark in observed if mark is None and batch not in self.undone}
        return sum(mark != DELETE for key, mark in last.items() if key in taken)

    def rows(self, gone: str) -> str:
        """A query in DuckDB's dialect that gives the tombstones of those keys that the relation `gone` has: the columns and `_op`."""
        key, dead = self._listed(self.keys), f"{OP} is not distinct from '{DELETE}'"
        further = "".join(f"{quote(name)} {'asc' if least else 'desc'} nulls last, " for name, least in self.then)
        order = f"{dead}, {self._taken} desc, {quote(self.sequence)} desc nulls last, {further}{BATCH} desc"
        concerned = (
            f"select s.*, row_number() over (partition by {key} order by {order}) as _place, "
            f"arg_max({dead}, {BATCH}) over (partition by {key}) as _buried "
            f"from bronze.seen s semi join {gone} g on {self._same_key('s', 'g')}"
        )
        return (
            f"select {self._listed(self.columns)}, '{DELETE}' as {OP} from ({concerned}) where _place = 1 and not _buried and {self._taken}"
        )

    def replaced(self, partitions: Sequence[str]) -> str:
        """A query in DuckDB's dialect that gives the tombstones of the keys that `incoming` lacks in the partitions that it shows."""
        return self._within(self.rows(f"({self.absent()})"), partitions)

    def held(self, partitions: Sequence[str]) -> str:
        """A query in DuckDB's dialect that gives a row for each living key in the partitions that `incoming` shows."""
        return self._within(self.rows(f"({self.living()})"), partitions)

    def _within(self, rows: str, partitions: Sequence[str]) -> str:
        same = " and ".join(f"t.{quote(name)} is not distinct from p.{quote(name)}" for name in partitions)
        return f"select t.* from ({rows}) t semi join (select distinct {self._listed(partitions)} from incoming) p on {same}"

    def among(self, seen: pa.Table, *, gone: pa.Table | None = None, incoming: pa.Table | None = None) -> pa.Table:
        """The tombstones of the keys that `gone` has, or that `incoming` has not, as `rows` gives them; for few rows, taken one by one."""
        named = set(tuples(seen, self.keys)) - set(tuples(incoming, self.keys)) if gone is None and incoming is not None else set()
        if gone is not None:
            named = set(tuples(gone, self.keys))
        keys, batches, marks = tuples(seen, self.keys), seen.column(BATCH).to_pylist(), seen.column(OP).to_pylist()
        places, ranks = range(seen.num_rows), self._ranks(seen)
        last: dict[tuple[object, ...], int] = {}
        ends: dict[tuple[object, ...], int] = {}

        for place in (place for place in places if keys[place] in named):
            key = keys[place]
            if key not in last or batches[place] > batches[last[key]]:
                last[key] = place
            if marks[place] is None and batches[place] not in self.undone and (key not in ends or ranks[place] > ranks[ends[key]]):
                ends[key] = place
        chosen = [place for key, place in ends.items() if marks[last[key]] != DELETE]
        rows = kernels.taken(seen.select(list(self.columns)), pa.array(chosen, pa.int64()))
        return rows.append_column(OP, pa.repeat(pa.scalar(DELETE, pa.string()), rows.num_rows))

    def _ranks(self, seen: pa.Table) -> list[int]:
        """The place of each row in the order of sequence, what follows it, and batch; NULL comes first."""
        frame, order = pa.table({BATCH: seen.column(BATCH)}), []
        for number, (name, least) in enumerate([(self.sequence, False), *self.then]):
            frame = frame.append_column(f"_{number}", seen.column(name))
            order += [(f"_there_{number}", "ascending"), (f"_{number}", "descending" if least else "ascending")]
            frame = frame.append_column(f"_there_{number}", kernels.is_valid(seen.column(name)))
        ranks = [0] * seen.num_rows
        for rank, place in enumerate(kernels.order(frame, [*order, (BATCH, "ascending")]).to_pylist()):
            ranks[place] = rank
        return ranks

    def _same_key(self, left: str, right: str) -> str:
        return " and ".join(f"{left}.{quote(name)} is not distinct from {right}.{quote(name)}" for name in self.keys)

    def _listed(self, names: Sequence[str]) -> str:
        return ", ".join(quote(name) for name in names)


def shown(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows that a source shows: of a key that it tells is gone, it shows none."""
    if OP not in batch.schema.names or batch.column(OP).null_count == batch.num_rows:
        return batch
    return kernels.where(batch, kernels.filled(kernels.not_equal(batch.column(OP), DELETE), value=True))
