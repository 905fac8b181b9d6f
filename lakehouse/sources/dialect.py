"""What the product must know about one kind of database: the port that every dialect fills."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from sqlglot import exp

from lakehouse.errors import ContractError, SourceError
from lakehouse.model.types import INTEGERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from lakehouse.model.run import Cursor
    from lakehouse.model.types import DataType


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column as the database declares it.

    Attributes:
        name: In the database's own spelling.
        native: The database's type.
        type: The lake's type for it.
        required: Whether the database itself is known to refuse NULL in it.
        obstacle: Why its values cannot be read; empty where they can.
    """

    name: str
    native: str
    type: DataType
    required: bool = False
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table as the database has it: its exact name parts and its columns in order."""

    parts: tuple[str, ...]
    columns: tuple[SourceColumn, ...]


@dataclass(frozen=True, slots=True)
class ListedTable:
    """A table as a list of the database's tables shows it.

    Attributes:
        parts: Its exact name parts.
        is_view: Whether it is a view.
        keys: The columns of its primary key, in the key's order; empty without one.
        indexed: The columns that come first in an index.
        rows: About how many rows it has, by the database's statistics or a count; None where only a long count could tell.
    """

    parts: tuple[str, ...]
    is_view: bool
    keys: tuple[str, ...]
    indexed: tuple[str, ...]
    rows: int | None


@dataclass(frozen=True, slots=True)
class Frozen:
    """One moment of a database that several connections can read.

    Attributes:
        session: What a connection runs to read at that moment.
        value: The first value of the first row of a query at that moment, or None.
    """

    session: list[str]
    value: Callable[[exp.Expr], object]


class Dialect(Protocol):
    """One kind of database. Every statement is built as a tree and written in the dialect `sql`."""

    sql: ClassVar[str]
    """sqlglot's name of the dialect."""

    has_head: ClassVar[bool]
    """Whether a read starts with a typed row that is no data, since the driver guesses types from the first row."""

    parallel: ClassVar[bool] = True
    """Whether several connections can read a table faster than one."""

    types_queries: ClassVar[bool] = True
    """Whether the database tells the types of a query's columns."""

    def driver_url(self) -> str:
        """The URL for connectorx, secrets included."""
        ...

    def describe(self, name: str) -> SourceTable:
        """The table that `name` means: an exact match first, else the only one that differs in case.

        Raises:
            SourceError: There is none, or several.
        """
        ...

    def described(self, query: exp.Query) -> tuple[SourceColumn, ...]:
        """The columns of a query's result as the database names and types them; it brings no row.

        Raises:
            SourceError: The database refuses the query.
        """
        ...

    def session(self) -> list[str]:
        """Statements that the driver's own connection runs before a read; none by default."""
        return []

    @contextmanager
    def frozen(self) -> Iterator[Frozen | None]:
        """A moment of the database that can be read over several connections until the block ends, or None where it has no such thing.

        Raises:
            SourceError: The database refuses, or went away.
        """
        yield None

    def rehearsal(self, query: str) -> list[str]:  # noqa: ARG002  for the dialects that need it
        """Statements with the query's columns and no rows, to go before it, where the driver would else run the query twice."""
        return []

    def listed(self) -> list[ListedTable]:
        """The tables and views of the database that people made, by their names.

        Raises:
            SourceError: The database refuses, or went away.
        """
        ...

    def bound(self, *, lagged: bool = False) -> datetime:
        """An instant in UTC, by the database's clock, below which no transaction still under way can show a row that it stamps itself.

        Args:
            lagged: Whether the table declares a lag, so that a bound is welcome which open transactions may slip under.

        Raises:
            SourceError: The database cannot give one now.
        """
        ...

    def least_open(self, column: SourceColumn) -> exp.Expr | None:  # noqa: ARG002  for the dialects that number changes themselves
        """A query for the least number that a transaction under way may give the column; None where the database does not tell."""
        return None

    def value(self, query: exp.Expr) -> object:
        """The first value of the first row of a query, or None."""
        ...

    def rows(self, query: exp.Expr) -> list[tuple[object, ...]]:
        """The rows of a query whose result is small, as the database's driver gives them."""
        ...

    def output(self, column: SourceColumn, kind: DataType) -> exp.Expr:
        """The expression that brings a column through the driver without loss."""
        ...

    def head(self, kind: DataType) -> exp.Expr:
        """A value of the type that `output` has, for the head row."""
        ...

    def misfit(self, column: SourceColumn, kind: DataType) -> exp.Expr | None:
        """True for values that cannot travel exactly; None where the database's own types leave none."""
        ...

    def require_cursor(self, column: SourceColumn, kind: DataType) -> None:
        """Refuse a column that the database does not order as this type does.

        Raises:
            ContractError: It is such a column.
        """

    def is_zoned(self, column: SourceColumn) -> bool:  # noqa: ARG002  most types have no zone
        """Whether the column's own values are instants, whatever a session's zone."""
        return False

    def infinite(self, column: SourceColumn, kind: DataType) -> exp.Expr | None:  # noqa: ARG002  most databases know no infinity
        """True for times beyond the years 1 to 9999; None where the database has none."""
        return None

    def unfit(self, column: SourceColumn, kind: DataType) -> exp.Expr | None:  # noqa: ARG002  a typed column has none
        """True for values that are no cursor at all, neither NULL nor infinite; None where the column can hold none."""
        return None

    def no_cursor(self, column: SourceColumn, kind: DataType) -> exp.Expr:
        """True for rows whose cursor no window can hold: NULL, infinity, or no value of its type.

        Raises:
            ContractError: The column cannot be a cursor of this type.
        """
        self.require_cursor(column, kind)
        others = (self.infinite(column, kind), self.unfit(column, kind))
        missing = exp.column(column.name, quoted=True).is_(exp.null())
        return exp.or_(missing, *(other for other in others if other is not None))

    def rows_where(self, table: exp.Expr, column: SourceColumn, condition: exp.Expr) -> exp.Query:  # noqa: ARG002  for those who go by its index
        """A query that gives something where a condition on the ends of the column's order holds for a row of the table."""
        return exp.select(exp.Literal.number(1)).from_(table).where(condition).limit(1)

    def cursor_output(self, column: SourceColumn, kind: DataType) -> exp.Expr:
        """As `output`, for a cursor that may be infinite: infinity travels as the first or last time that there is."""
        return self.output(column, kind)

    def at_least(self, column: SourceColumn, bound: Cursor) -> exp.Expr:
        """A condition that holds for every row whose cursor is at or above `bound`, and for few others."""
        ...

    def below(self, column: SourceColumn, bound: Cursor) -> exp.Expr:
        """A condition that holds for every row whose cursor is below `bound`, and for few others."""
        ...

    def close(self) -> None:
        """End the connection that this dialect keeps for its own questions."""
        ...


def pick(name: str, candidates: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The candidates that `name` (parts joined by dots) means: exact ones, else those that differ only in case."""
    wanted = tuple(name.split("."))
    exact = [parts for parts in candidates if parts[-len(wanted) :] == wanted]
    folded = tuple(part.lower() for part in wanted)
    return exact or [parts for parts in candidates if tuple(part.lower() for part in parts[-len(wanted) :]) == folded]


def the_one(name: str, found: list[tuple[str, ...]], where: str, several: str, missing: str = "") -> tuple[str, ...]:
    """The only candidate that `name` can mean; `several` says how to choose among more, `missing` what else to know of none.

    Raises:
        SourceError: There is none, or several.
    """
    if not found:
        raise SourceError(
            f"table {name} does not exist or may not be seen",
            where=where,
            next_step=f"Correct `from` in the table's file, or grant the right{missing}.",
        )
    if len(found) > 1:
        given = ", ".join(".".join(parts) for parts in found)
        raise SourceError(f"table {name} can mean several", where=where, given=given, next_step=several)
    return found[0]


def require_ordered(column: SourceColumn, kind: DataType, where: str) -> None:
    """Refuse a cursor whose own type the database does not order as its lake type: texts, and numbers read from them.

    Raises:
        ContractError: It is such a column.
    """
    if kind.name == "string":
        return
    own = column.type.name
    fits = own in ("date", "timestamp") if kind.name in ("date", "timestamp") else own in (*INTEGERS, "decimal")
    if not fits:
        raise ContractError(
            f"cursor {column.name} is a {column.native}, which the database does not order as a {kind}",
            where=where,
            next_step=f"Choose another cursor, read a view that casts it to a {kind}, or use `mode: full`.",
        )
