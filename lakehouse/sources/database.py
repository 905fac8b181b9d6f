"""SQL databases through connectorx: a table's rows as typed Arrow batches in bounded memory."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import connectorx
import pyarrow as pa
from sqlglot import exp

from lakehouse.errors import ContractError, SourceDataError
from lakehouse.layout import OP
from lakehouse.model.run import Window
from lakehouse.model.types import DataType
from lakehouse.sources.condition import inside, odd_kinds
from lakehouse.sources.described import Described
from lakehouse.sources.gate import Gate
from lakehouse.sources.ranges import Ranges, Whole, split
from lakehouse.sources.refused import broken, require_names, require_readable
from lakehouse.sources.relation import newest, read_from, source_of
from lakehouse.sources.tracking import changes, tracked
from lakehouse.transform import kernels
from lakehouse.transform.arrow import cast_batch
from lakehouse.transform.cut import cut
from lakehouse.transform.zone import zoned_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime

    from lakehouse.model.run import Cursor
    from lakehouse.model.sample import Sample
    from lakehouse.model.table import Table
    from lakehouse.sources.dialect import Dialect, SourceColumn
    from lakehouse.sources.tracking import Tracked
    from lakehouse.transform.protection import Protection

_HEAD, _MISFIT = "_lakehouse_head", "_lakehouse_misfit"


class Database:
    """A connected source database."""

    def __init__(
        self,
        dialect: Dialect,
        batch_rows: int,
        gate: Gate | None = None,
        sample: Sample | None = None,
        protect: Callable[[Table], Protection | None] = lambda _: None,
    ) -> None:
        """Keep the dialect.

        Args:
            dialect: The connected database.
            batch_rows: Bounds one Arrow batch.
            gate: How many connections read the source at once.
            sample: How much of each table there is to see; by default all.
            protect: What becomes of a table's personal data.
        """
        self._dialect, self._batch_rows, self._gate, self._sample = dialect, batch_rows, gate or Gate(), sample
        self._protect = protect

    @property
    def dialect(self) -> Dialect:
        """The kind of database, with the connection that it keeps for questions."""
        return self._dialect

    def describe(self, table: Table) -> Described:
        """What of the source's table is read, and as which types.

        Declared columns that are not there are left out where the table's contract lets columns go.

        Raises:
            SourceError: The table is not there.
            ContractError: A declared column is not there, or a needed one.
            UsageError: The key of a column with personal data is not set.
        """
        source = source_of(self._dialect, table)
        by_name = {column.name: column for column in source.columns}
        by_case = {column.name.lower(): column for column in source.columns}
        columns: dict[str, tuple[SourceColumn, DataType]] = {}
        wanted = {name: shape.type for name, shape in table.columns.items() if name in table.stored}
        wanted = wanted or {column.name: column.type for column in source.columns}
        places = {name for names in table.named_places.values() for name in names}
        needed = {*table.keys, *([table.cursor] if table.cursor else []), *places}
        if table.schema_contract.missing_columns == "evolve":
            wanted = {name: kind for name, kind in wanted.items() if name in needed or name.lower() in by_case}
        needed |= set(wanted)
        missing = sorted(name for name in needed if name not in by_name and name.lower() not in by_case)
        if missing:
            gives = "the query gives" if table.query else f"the source's table {'.'.join(source.parts)} has"
            raise ContractError(
                f"{gives} no column {', '.join(missing)}",
                where=f"metadata/tables/{table.source}/{table.name}.yml",
                given=f"columns {', '.join(by_name)}"[:400],
                next_step="Correct the table's file, or bring the column back in the source.",
            )
        require_readable(table, [by_name.get(name) or by_case[name.lower()] for name in wanted])
        require_names(table, wanted, needed)
        for name, kind in wanted.items():
            columns[name] = (by_name.get(name) or by_case[name.lower()], kind)
        described = Described(table, source, columns, protection=self._protect(table))
        return described if self._sample is None else self._sliced(described, self._sample)

    def _sliced(self, what: Described, sample: Sample) -> Described:
        count = 0 if sample.share is None else int(str(self._dialect.value(exp.select(exp.Count(this=exp.Star())).from_(relation(what)))))
        return replace(what, first=sample.of(count))

    def bound(self, *, lagged: bool = False) -> datetime:
        """An instant in UTC below which no row of a transaction still under way can appear, where the database stamps its rows.

        Args:
            lagged: Whether the table declares a lag: then a bound will do that open transactions may slip under.

        Raises:
            SourceError: The database cannot give one now.
        """
        return self._dialect.bound(lagged=lagged)

    def rows_without_cursor(self, what: Described, ahead: Cursor | None = None) -> bool:
        """Whether a row exists that no window can hold: its cursor is NULL, infinite, of another type, or at or above `ahead`."""
        return self._any(what, exp.or_(*self._odd(what, ahead).values()))

    def rows_of_no_cursor(self, what: Described) -> bool:
        """Whether a row exists whose cursor is a value, and yet none of its type: no read can bring it."""
        unfit = self._dialect.unfit(what.cursor.column, what.cursor.kind)
        return unfit is not None and self._any(what, unfit)

    def odd_counts(self, what: Described, ahead: Cursor | None = None) -> dict[str, int]:
        """How many rows `rows_without_cursor` means, by what is odd about them."""
        count = exp.select(exp.Count(this=exp.Star())).from_(relation(what))
        found = {name: int(str(self._dialect.value(count.where(condition)))) for name, condition in self._odd(what, ahead).items()}
        return {name: rows for name, rows in found.items() if rows}

    def odd_query(self, what: Described, ahead: Cursor | None, kinds: Iterable[str]) -> str:
        """The statement that shows the rows of these kinds of `odd_counts`."""
        conditions = self._odd(what, ahead)
        return exp.select("*").from_(relation(what)).where(exp.or_(*map(conditions.get, kinds))).sql(dialect=self._dialect.sql)

    def _any(self, what: Described, condition: exp.Expr) -> bool:
        return self._dialect.value(self._dialect.rows_where(relation(what), what.cursor.column, condition)) is not None

    def _odd(self, what: Described, ahead: Cursor | None) -> dict[str, exp.Expr]:
        return odd_kinds(self._dialect, what.cursor, ahead)

    def require_cursor(self, what: Described) -> None:
        """Refuse a cursor that the database orders otherwise than the lake, and a declared zone for one that has its own.

        Raises:
            ContractError: It is such a cursor.
        """
        column = what.cursor.column
        self._dialect.require_cursor(column, what.cursor.kind)
        if what.table.cursor_zone is not None and self._dialect.is_zoned(column):
            raise ContractError(
                f"cursor {column.name} is a {column.native}, whose values are instants already",
                where=f"metadata/tables/{what.table.source}/{what.table.name}.yml",
                next_step="Leave `cursor_zone` out.",
            )

    def greatest(self, what: Described) -> int | None:
        """The greatest value of an integer cursor, or None for an empty table."""
        column, _ = what.columns[what.table.cursor or ""]
        found = self._dialect.value(exp.select(exp.Max(this=exp.column(column.name, quoted=True))).from_(relation(what)))
        return None if found is None else int.from_bytes(found) if isinstance(found, bytes) else int(str(found))

    def ceiling(self, what: Described) -> int:
        """A number above every committed value of an integer cursor; where the database tells, the least that is still under way."""
        query = self._dialect.least_open(what.cursor.column)
        if query is not None:
            return int(str(self._dialect.value(query)))
        greatest = self.greatest(what)
        return 0 if greatest is None else greatest + 1

    def query(self, what: Described, window: Window, rows: int | None = None, range_: exp.Expr | None = None) -> str:
        """The one statement that reads a window, or a range of it, or its first rows, in the database's dialect."""
        misfits = {
            name: misfit for name, (column, kind) in what.columns.items() if (misfit := self._dialect.misfit(column, kind)) is not None
        }
        outputs = [exp.alias_(_unless(misfits.get(name), self._output(what, name, window)), name, quoted=True) for name in what.columns]
        if self._dialect.has_head:
            marks = exp.Case()
            for name, misfit in misfits.items():
                marks = marks.when(misfit.copy(), exp.Literal.string(name))
            outputs += [exp.alias_(exp.Literal.number(0), _HEAD), exp.alias_(marks, _MISFIT)]
        query = exp.select(*outputs).from_(relation(what))
        if what.table.cursor:
            query = query.where(*inside(self._dialect, what.cursor, window))
        if range_ is not None:
            query = query.where(range_)
        if self._dialect.has_head:
            heads = [
                exp.alias_(self._dialect.head(_travels_as(column, kind)), name, quoted=True)
                for name, (column, kind) in what.columns.items()
            ]
            query = exp.select(*heads, exp.alias_(exp.Literal.number(1), _HEAD), exp.alias_(exp.Literal.string(""), _MISFIT)).union(
                query, distinct=False
            )  # type: ignore[assignment]
        if rows is not None:
            query = query.limit(rows + self._dialect.has_head)
        return query.sql(dialect=self._dialect.sql)

    def _output(self, what: Described, name: str, window: Window) -> exp.Expr:
        column, kind = what.columns[name]
        maybe_infinite = name == what.table.cursor and window.odd is not None
        return self._dialect.cursor_output(column, kind) if maybe_infinite else self._dialect.output(column, kind)

    def read(self, what: Described, window: Window, rows: int | None = None, *, only: exp.Expr | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of a window, its first `rows` or `only` those of a condition, as batches of exactly the described columns and types.

        One statement, so one snapshot; a large window of a table with `partitions` is several, see `ranges.split`.

        Raises:
            ContractError: The table cannot be cut into its `partitions`.
            SourceError: The database breaks off.
            SourceDataError: A value does not fit its type.
        """
        where = f"{what.table.source}.{what.table.name}"
        schema = what.schema
        most = what.table.partitions if rows is None and only is None else 1
        with self._gate.enter(most) as granted, self._ranges(what, window, granted, only) as ranges:
            queries = [self.query(what, window, rows, one) for one in ranges.conditions]
            for batch in self._stream(queries, ranges.session, what, where):
                part = batch
                if self._dialect.has_head:
                    part = kernels.where(part, kernels.equal(part.column(_HEAD), 0))
                    _require_no_misfit(part, what, where)
                if part.num_rows:
                    zone = what.table.cursor_zone
                    part = cut(zoned_batch(part, schema, what.table.cursor, zone, where, hidden=what.hidden), what.table.cursor, window)
                if part.num_rows:
                    yield what.guarded(part)

    def tracked(self, what: Described) -> Tracked:
        """What of a table's changes the database can tell; see `tracking.tracked` for what it raises."""
        return tracked(self._dialect, what)

    def changes(self, what: Described, since: int) -> Iterator[pa.RecordBatch]:
        """The rows that changed after a number of the database's Change Tracking, and `_op`; see `tracking.changes`.

        Raises:
            SourceError: The database breaks off.
            SourceDataError: A value does not fit its type.
        """
        where = f"{what.table.source}.{what.table.name}"
        outputs = [exp.alias_(self._output(what, name, Window()), name, quoted=True) for name in what.columns]
        query = exp.select(*outputs, exp.column(OP, quoted=True)).from_(changes(what, since)).sql(dialect=self._dialect.sql)
        schema = what.schema.append(pa.field(OP, pa.string()))
        with self._gate.enter(1):
            for batch in self._stream([query], self._dialect.session(), what, where):
                if batch.num_rows:
                    yield what.guarded(cast_batch(batch, schema, where, what.hidden))

    def _ranges(self, what: Described, window: Window, most: int, only: exp.Expr | None) -> AbstractContextManager[Ranges]:
        if only is not None:
            return nullcontext(Ranges([only], self._dialect.session()))
        column, kind = what.columns[what.table.range_column or next(iter(what.columns))]
        bounds = inside(self._dialect, what.cursor, replace(window, odd=None)) if what.table.cursor else []
        whole = Whole(what.table, relation(what), bounds, column, kind, nulls=window.odd is not None or not bounds)
        return split(self._dialect, whole, most, self._batch_rows)

    def _stream(self, queries: list[str], session: list[str], what: Described, where: str) -> Iterator[pa.RecordBatch]:
        try:
            yield from connectorx.read_sql(
                self._dialect.driver_url(),
                [*self._dialect.rehearsal(queries[0]), *queries],
                return_type="arrow_stream",
                batch_size=self._batch_rows,
                pre_execution_query=session or None,
            )
        except (GeneratorExit, KeyboardInterrupt, SystemExit, SourceDataError):
            raise
        except BaseException as exc:  # connectorx panics with an exception that is no Exception
            if not isinstance(exc, Exception) and type(exc).__name__ != "PanicException":
                raise
            raise broken(exc, list(what.columns), where, silent=bool(what.hidden)) from None

    def close(self) -> None:
        """End the connection."""
        self._dialect.close()


def _travels_as(column: SourceColumn, kind: DataType) -> DataType:
    """The type that a column has on its way: numbers only where the source declares one too."""
    numeric = ("boolean", "smallint", "integer", "bigint")
    return kind if kind.name not in numeric or column.type.name in numeric else column.type._replace(name="string")


def _unless(misfit: exp.Expr | None, value: exp.Expr) -> exp.Expr:
    """The value, or NULL where it cannot travel: the driver must not meet it."""
    return value if misfit is None else exp.Case().when(exp.not_(exp.paren(misfit.copy())), value)


def _require_no_misfit(rows: pa.RecordBatch, what: Described, where: str) -> None:
    marks = rows.column(_MISFIT)
    if marks.null_count < len(marks):
        name = kernels.there(marks)[0].as_py()
        raise SourceDataError(
            f"column {name} has a value that is no {what.columns[name][1]}",
            where=where,
            next_step="Correct the row in the source, or declare the column with a type that holds its values.",
        )


def relation(what: Described) -> exp.Expr:
    """What a query of this table reads from."""
    whole = read_from(what.table, what.source.parts)
    if what.first is None:
        return whole
    names = [name for name in (what.table.cursor, *what.table.keys) if name]
    return newest(whole, [what.columns[name][0] for name in names], what.first, by_time=bool(what.table.cursor))
