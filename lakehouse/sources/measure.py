"""A table's measure in its own database: counts and checksums a bucket, and the conditions that name few of its rows."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from sqlglot import exp

from lakehouse.model.cursor import TIMES
from lakehouse.model.measure import FACTORS, OTHER_PRIME, PRIME, Axis, Measure
from lakehouse.model.run import Window, cursor_from_number, cursor_to_number, following
from lakehouse.model.types import INTEGERS
from lakehouse.sources import texts
from lakehouse.sources.condition import inside
from lakehouse.sources.database import relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from lakehouse.model.measure import Counts, Span
    from lakehouse.model.run import Cursor
    from lakehouse.sources.database import Database
    from lakehouse.sources.described import Described

KEYS_AT_ONCE, WIDE_KEYS_AT_ONCE = 1_000, 200
"""How many keys one condition names: in a list, or where a key has several columns as alternatives, which nest."""
_BASE = "_base"


class Measured:
    """A table as its database measures it.

    Attributes:
        statements: How many statements have been asked.
    """

    def __init__(self, database: Database, what: Described) -> None:
        """Measure `what` through the connection that the database keeps for questions."""
        self._dialect, self._what = database.dialect, what
        self.statements = 0

    def measure(self, *, keys_only: bool = False) -> Measure:
        """What both sides can count of the table: all of its columns, or its keys alone."""
        what, keys = self._what, list(self._what.table.keys)
        columns = sorted(keys if keys_only else what.columns)
        digested = tuple(name for name in columns if self._has_text(name))
        axis = self._axis(keys, keys_only=keys_only)
        cursor = None if keys_only else what.table.cursor
        numbered = cursor is not None and self._has_number(cursor)
        own = [name for name in axis.columns if axis.by == "key"]
        whole = keys_only and len(keys) == 1 and axis.by == "key"
        mixed = [*own, *([cursor] if cursor and numbered and own else [])]
        return Measure(
            axis,
            mixed=tuple(mixed) if whole or not digested else tuple(own),
            digested=() if whole else digested,
            extremes=cursor if numbered and self._dialect.sql != "sqlite" else None,
            cursor=cursor,
        )

    def _axis(self, keys: list[str], *, keys_only: bool) -> Axis:
        what, cursor = self._what, self._what.table.cursor
        by_key = [name for name in keys if what.columns[name][1].name in INTEGERS and self._has_number(name)]
        if by_key:
            return Axis("key", (by_key[0],))
        if cursor and not keys_only and self._has_number(cursor):
            return Axis("cursor", (cursor,))
        if keys and all(self._has_text(name) for name in keys):
            return Axis("digest", tuple(sorted(keys)))
        return Axis("nothing")

    def _is_local(self, name: str) -> bool:
        """Whether a column holds local times: what instants they mean is decided at the door alone."""
        return name == self._what.table.cursor and self._what.table.cursor_zone is not None

    def _is_beside(self, name: str) -> bool:
        """Whether the lake has something else of a column than the database, so that it cannot be counted there."""
        return self._is_local(name) or name in self._what.hidden

    def _has_text(self, name: str) -> bool:
        return not self._is_beside(name) and texts.has_text(self._dialect, *self._what.columns[name])

    def _has_number(self, name: str) -> bool:
        return not self._is_beside(name) and texts.has_number(self._dialect, *self._what.columns[name])

    def ends(self, axis: Axis) -> tuple[int, int] | None:
        """The least and the greatest place that the source has on the axis; None where it has none."""
        if axis.by in ("digest", "nothing"):
            return 0, 2**60 if axis.by == "digest" else 0
        column, kind = self._what.columns[axis.columns[0]]
        ends = [
            texts.number(self._dialect, column, kind, which(this=exp.column(column.name, quoted=True)))
            if self._dialect.sql != "sqlite"
            else which(this=texts.number(self._dialect, column, kind))
            for which in (exp.Min, exp.Max)
        ]
        found = [self._ask(exp.select(end).from_(relation(self._what)))[0][0] for end in ends]
        return None if found[0] is None or found[1] is None else (int(str(found[0])), int(str(found[1])))

    def counts(self, measure: Measure, width: int, span: Span | None = None) -> dict[int, Counts]:
        """The counts of each bucket that has rows, by its base; one statement, so one moment of the source."""
        split = 3 + (not measure.digested) if measure.mixed else 2
        tail = split + (len(texts.total(self._dialect, exp.null())) if measure.digested else 0)
        found: dict[int, Counts] = {}
        for row in self._ask(self.statement(measure, width, span)):
            numbers = tuple(None if value is None else int(str(value)) for value in row)
            if numbers[0] is not None and numbers[1]:
                sums = (texts.whole(self._dialect, numbers[split:tail]),) if measure.digested else ()
                found[numbers[0]] = (*numbers[1:split], *sums, *numbers[tail:])
        return found

    def statement(self, measure: Measure, width: int, span: Span | None = None) -> exp.Query:
        """The query of `counts`: base, rows, sum and mix of the numbers, sum of the checksums, least and greatest value."""
        at = self._place(measure.axis)
        base = exp.Sub(this=at, expression=exp.Mod(this=at.copy(), expression=exp.Literal.number(width)))
        outputs: list[exp.Expr] = [exp.alias_(base, _BASE, quoted=True), exp.Count(this=exp.Star())]
        if measure.mixed:
            numbers = [texts.number(self._dialect, *self._what.columns[name]) for name in measure.mixed]
            outputs.append(exp.Sum(this=_remainder(numbers[0].copy(), PRIME)))
            outputs += [] if measure.digested else [exp.Sum(this=_mix(numbers))]
        if measure.digested:
            outputs += texts.total(self._dialect, texts.fingerprint(self._dialect, [self._what.columns[name] for name in measure.digested]))
        if measure.extremes:
            column, kind = self._what.columns[measure.extremes]
            for which in (exp.Min, exp.Max):
                outputs.append(texts.number(self._dialect, column, kind, which(this=exp.column(column.name, quoted=True))))
        query = exp.select(*outputs).from_(relation(self._what))
        query = query if measure.axis.by == "nothing" else query.group_by(base.copy())  # a constant makes no groups in SQL Server
        return query.where(*self._between(measure), *([] if span is None else self._exactly(measure.axis, span)))

    def inside(self, axis: Axis, spans: Sequence[Span]) -> exp.Expr:
        """True for the rows in any of the spans, and for few others; by columns as they are, so that an index serves."""
        if axis.by == "nothing" or (axis.by == "digest" and self._dialect.sql == "sqlite"):
            return exp.true()  # who reads the rows has a connection of its own, without the functions that SQLite gets from us
        return exp.or_(*(self._inside(axis, span) for span in spans))

    def _inside(self, axis: Axis, span: Span) -> exp.Expr:
        if axis.by == "cursor":
            column, kind = self._what.columns[axis.columns[0]]
            low, high = (_cursor(end, kind.name) for end in (span.low, span.high))
            bounds = [] if low is None else [self._dialect.at_least(column, low)]
            return (
                exp.and_(*bounds, *([] if high is None else [self._dialect.below(column, high)]))
                if (low, high) != (None, None)
                else exp.true()
            )
        at = self._place(axis) if axis.by == "digest" else exp.column(self._what.columns[axis.columns[0]][0].name, quoted=True)
        low_end, high_end = exp.Literal.number(span.low), exp.Literal.number(span.high)
        return exp.and_(exp.GTE(this=at, expression=low_end), exp.LT(this=at.copy(), expression=high_end))

    def _exactly(self, axis: Axis, span: Span) -> list[exp.Expr]:
        at = self._place(axis)
        ends = exp.Literal.number(span.low), exp.Literal.number(span.high)
        return [self.inside(axis, [span]), exp.GTE(this=at, expression=ends[0]), exp.LT(this=at.copy(), expression=ends[1])]

    def having(self, keys: pa.Table) -> Iterator[tuple[exp.Expr, pa.Table]]:
        """Conditions with the keys that each is for, every key in one; it holds for all their rows, and for few others where it can.

        Keys of a kind that no condition names have one, which is always true.
        """
        keys = keys.select(list(self._what.table.keys))
        names = keys.column_names
        if keys.num_rows and all(isinstance(self._equal(name, keys.column(name)[0].as_py()), exp.Boolean) for name in names):
            yield exp.true(), keys
            return
        listed = len(names) == 1 and self._is_plain(names[0])
        most = KEYS_AT_ONCE if listed else WIDE_KEYS_AT_ONCE
        for first in range(0, keys.num_rows, most):
            some = keys.slice(first, most)
            rows = some.to_pylist()
            if listed:
                yield self._value(names[0]).isin(*(self._literal(names[0], row[names[0]]) for row in rows)), some
            else:
                yield exp.or_(*(exp.and_(*(self._equal(name, value) for name, value in row.items())) for row in rows)), some

    def _is_plain(self, name: str) -> bool:
        column, kind = self._what.columns[name]
        return name not in self._what.hidden and (kind.name == "string" or (kind.name in INTEGERS and column.type.name in INTEGERS))

    def _equal(self, name: str, value: object) -> exp.Expr:
        column, kind = self._what.columns[name]
        if name in self._what.hidden:
            return exp.true()  # the keys are tokens, which the database does not know
        if self._is_plain(name):
            return self._value(name).eq(self._literal(name, value))
        if isinstance(value, date) and not self._is_local(name) and column.type.name == kind.name:  # instants are dates too
            after = following(value)
            return exp.and_(self._dialect.at_least(column, value), *([] if after is None else [self._dialect.below(column, after)]))
        return exp.true()

    def _value(self, name: str) -> exp.Expr:
        """What a key's literal is compared with: texts as they leave the database, the column itself where it holds them so."""
        column, kind = self._what.columns[name]
        is_text = any(word in column.native.lower() for word in ("char", "text"))
        return exp.column(column.name, quoted=True) if kind.name != "string" or is_text else self._dialect.output(column, kind)

    def _literal(self, name: str, value: object) -> exp.Expr:
        if self._what.columns[name][1].name != "string":
            return exp.Literal.number(int(str(value)))
        return exp.National(this=str(value)) if self._dialect.sql == "tsql" else exp.Literal.string(str(value))

    def _place(self, axis: Axis) -> exp.Expr:
        if axis.by == "nothing":
            return exp.Literal.number(0)
        if axis.by == "digest":
            return texts.fingerprint(self._dialect, [self._what.columns[name] for name in axis.columns])
        return texts.number(self._dialect, *self._what.columns[axis.columns[0]])

    def _between(self, measure: Measure) -> Iterable[exp.Expr]:
        """The measure's cursor bounds, in SQLite by the cursor's number: its own conditions bring a day more."""
        if measure.cursor is None:
            return
        column, kind = self._what.columns[measure.cursor]
        if self._dialect.sql == "sqlite" and kind.name in TIMES and not self._is_local(measure.cursor):
            at = texts.number(self._dialect, column, kind)
            if measure.low is not None:
                yield exp.GTE(this=at, expression=exp.Literal.number(cursor_to_number(measure.low)))
            if measure.high is not None:
                yield exp.LT(this=at.copy(), expression=exp.Literal.number(cursor_to_number(measure.high)))
            return
        yield from inside(self._dialect, self._what.cursor, Window(measure.low, measure.high))

    def _ask(self, query: exp.Expr) -> list[tuple[object, ...]]:
        self.statements += 1
        return self._dialect.rows(query)


def _cursor(number: int, kind: str) -> Cursor | None:
    try:
        return cursor_from_number(number, kind)
    except OverflowError:
        return None


def _remainder(value: exp.Expr, by: int) -> exp.Expr:
    return exp.Mod(this=value, expression=exp.Literal.number(by))


def _mix(numbers: list[exp.Expr]) -> exp.Expr:
    parts: list[exp.Expr] = []
    for each, factor in zip(numbers, FACTORS, strict=False):
        scaled = exp.Mul(this=exp.paren(_remainder(each.copy(), PRIME)), expression=exp.Literal.number(factor))
        parts.append(_remainder(exp.paren(scaled), PRIME))
    summed = parts[0] if len(parts) == 1 else exp.Add(this=exp.paren(parts[0]), expression=exp.paren(parts[1]))
    one = exp.paren(_remainder(exp.paren(summed), PRIME))
    return _remainder(exp.paren(exp.Mul(this=one, expression=one.copy())), OTHER_PRIME)
