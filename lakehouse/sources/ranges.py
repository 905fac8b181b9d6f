"""Cuts a large read into ranges of one column, each for a connection of its own: every row is in exactly one of them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import pairwise
from typing import TYPE_CHECKING

from sqlglot import exp

from lakehouse.errors import ContractError
from lakehouse.model.run import Cursor, cursor_from_number, cursor_to_number
from lakehouse.model.types import INTEGERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lakehouse.model.table import Table
    from lakehouse.model.types import DataType
    from lakehouse.sources.dialect import Dialect, SourceColumn


@dataclass(frozen=True, slots=True)
class Whole:
    """A read before it is cut.

    Attributes:
        table: The metadata.
        relation: What it reads from.
        inside: The conditions of its window alone.
        column: The source's column by whose ranges it is cut.
        kind: The lake's type of that column.
        nulls: Whether it brings rows without a value in that column.
    """

    table: Table
    relation: exp.Expr
    inside: list[exp.Expr]
    column: SourceColumn
    kind: DataType
    nulls: bool


@dataclass(frozen=True, slots=True)
class Ranges:
    """The ranges of a read; together they are the whole of it, and no two share a row.

    Attributes:
        conditions: One a range; a single None is the whole in one piece.
        session: What each connection runs before it reads.
    """

    conditions: list[exp.Expr | None]
    session: list[str]


@contextmanager
def split(dialect: Dialect, whole: Whole, most: int, few: int) -> Iterator[Ranges]:
    """At most `most` ranges of about the same width, for as long as they are read; a read of up to `few` rows stays in one piece.

    Where the database shares a snapshot among connections, all ranges are read in one. Elsewhere each connection sees a moment of
    its own: below a frozen bound of a cursor that grows with every change this loses nothing, since a row that changes meanwhile
    comes in a later window.

    Raises:
        ContractError: The ranges would be read at several moments, and no cursor tells what changed between them.
    """
    if whole.table.partitions == 1 or not dialect.parallel:
        yield Ranges([None], dialect.session())
        return
    _require_ordered(whole)
    with dialect.frozen() as frozen:
        if frozen is None and not whole.table.cursor:
            raise ContractError(
                "connections of this database read at several moments each, between which a row can move from range to range",
                where=f"metadata/tables/{whole.table.source}/{whole.table.name}.yml",
                expected="`partitions` with a cursor, or none",
                next_step="Leave `partitions` out, or read the table by a cursor.",
            )
        value = dialect.value if frozen is None else frozen.value
        session = dialect.session() if frozen is None else frozen.session
        yield Ranges(_conditions(dialect, whole, value, most, few) if most > 1 else [None], session)


def _require_ordered(whole: Whole) -> None:
    kinds = (*INTEGERS, "date", "timestamp") if whole.table.cursor else INTEGERS
    if whole.kind.name in kinds and (whole.table.cursor or whole.column.type.name in INTEGERS):
        return
    raise ContractError(
        f"the read cannot be cut by {whole.column.name}, a {whole.column.native}",
        where=f"metadata/tables/{whole.table.source}/{whole.table.name}.yml",
        expected="a cursor that is a number or a time, or a first key that is an integer",
        next_step="Leave `partitions` out.",
    )


def _conditions(dialect: Dialect, whole: Whole, value: Callable[[exp.Expr], object], most: int, few: int) -> list[exp.Expr | None]:
    one = exp.alias_(exp.Literal.number(1), "one", quoted=True)
    some = exp.select(one).from_(whole.relation.copy()).where(*whole.inside).limit(few + 1)
    if int(str(value(exp.select(exp.Count(this=exp.Star())).from_(some.subquery("first_rows"))))) <= few:
        return [None]
    column = exp.column(whole.column.name, quoted=True)
    infinite = dialect.infinite(whole.column, whole.kind)
    finite = [*whole.inside, *([] if infinite is None else [exp.not_(exp.paren(infinite))])]
    ends = [
        _cursor(value(exp.select(end(this=column.copy())).from_(whole.relation.copy()).where(*finite)), whole.kind.name)
        for end in (exp.Min, exp.Max)
    ]
    bounds = between(ends[0], ends[1], most, whole.kind.name)
    if not bounds:
        return [None]
    below = [dialect.below(whole.column, bound) for bound in bounds]
    first = exp.or_(below[0], column.is_(exp.null())) if whole.nulls and not whole.column.required else below[0]
    middle = [exp.and_(exp.not_(exp.paren(low.copy())), high.copy()) for low, high in pairwise(below)]
    return [first, *middle, exp.not_(exp.paren(below[-1].copy()))]


def between(least: Cursor | None, greatest: Cursor | None, pieces: int, kind: str) -> list[Cursor]:
    """The bounds that cut the values from `least` to `greatest` into so many pieces of about one width; fewer where there are fewer values.

    >>> between(1, 100, 4, "bigint")
    [26, 51, 76]
    """
    if least is None or greatest is None:
        return []
    low, high = cursor_to_number(least), cursor_to_number(greatest) + 1
    numbers = sorted({low + (high - low) * piece // pieces for piece in range(1, pieces)} - {low})
    return [cursor_from_number(number, kind) for number in numbers]


def _cursor(found: object, kind: str) -> Cursor | None:
    """A database's value as one of the cursor's kind, or None for what is none."""
    if isinstance(found, bytes):
        found = int.from_bytes(found)
    if isinstance(found, str) and kind not in INTEGERS:
        try:
            found = datetime.fromisoformat(found)
        except ValueError:
            return None
    if kind in INTEGERS:
        return found if isinstance(found, int) else None
    if isinstance(found, datetime):
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        return found if kind == "timestamp" else found.date()
    if isinstance(found, date):
        return found if kind == "date" else datetime.combine(found, time(), UTC)
    return None
