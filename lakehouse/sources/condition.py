"""Conditions on a cursor, as trees for any dialect: which rows a window holds, and which no window can."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from sqlglot import exp

from lakehouse.transform.zone import FIRST, local_from, local_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakehouse.model.run import Cursor, Window
    from lakehouse.model.types import DataType
    from lakehouse.sources.dialect import Dialect, SourceColumn


@dataclass(frozen=True, slots=True)
class CursorColumn:
    """A cursor's column in the source, its type in the lake, and the zone of its local times, if it has one."""

    column: SourceColumn
    kind: DataType
    zone: str | None = None

    def is_null(self) -> exp.Expr:
        """True for rows without a value in it."""
        return exp.column(self.column.name, quoted=True).is_(exp.null())

    def there(self, bound: Cursor, local: Callable[[datetime, str], datetime]) -> Cursor:
        """A bound as the source's own values compare with it: as a local time where the cursor has a declared zone."""
        return local(bound, self.zone) if self.zone is not None and isinstance(bound, datetime) else bound


def odd_kinds(dialect: Dialect, cursor: CursorColumn, ahead: Cursor | None) -> dict[str, exp.Expr]:
    """The kinds of rows that no window can hold, each with its condition; no row is of two kinds.

    Raises:
        ContractError: The column cannot be a cursor of its type.
    """
    column, kind = cursor.column, cursor.kind
    dialect.require_cursor(column, kind)
    infinite, unfit = dialect.infinite(column, kind), dialect.unfit(column, kind)
    kinds = {"NULL": cursor.is_null(), "infinite": infinite, f"no {kind}": unfit}
    if ahead is not None:
        others = [exp.not_(exp.paren(other.copy())) for other in (infinite, unfit) if other is not None]
        kinds["more than a day ahead"] = exp.and_(dialect.at_least(column, cursor.there(ahead, local_to)), *others)
    return {name: condition for name, condition in kinds.items() if condition is not None}


def inside(dialect: Dialect, cursor: CursorColumn, window: Window) -> list[exp.Expr]:
    """What holds for every row that the window brings, and for few others: the door cuts exactly."""
    column, kind = cursor.column, cursor.kind
    bounds = [] if window.from_ is None else [dialect.at_least(column, cursor.there(window.from_, local_from))]
    bounds += [] if window.to is None else [dialect.below(column, cursor.there(window.to, local_to))]
    if window.odd is None or not bounds:
        return bounds
    odd = [cursor.is_null()]
    if window.odd.ahead is not None:
        first = date.min + timedelta(days=1) if kind.name == "date" else FIRST + timedelta(microseconds=1)
        odd += [dialect.at_least(column, cursor.there(window.odd.ahead, local_to)), dialect.below(column, first)]
    return [exp.or_(exp.and_(*bounds), *odd)]
