"""What the product must know about one kind of database: the port that every dialect fills."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from sqlglot import exp

from lakehouse.errors import ContractError
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

    def bound(self) -> datetime:
        """An instant in UTC, by the database's clock, below which no transaction still under way can show a row that it stamps itself."""
        ...

    def value(self, query: exp.Expr) -> object:
        """The first value of the first row of a query, or None."""
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

    def no_cursor(self, column: SourceColumn, kind: DataType) -> exp.Expr:
        """True for rows whose cursor no window can hold, such as NULL or infinity."""
        ...

    def rows_without_cursor(self, table: exp.Expr, column: SourceColumn, kind: DataType) -> exp.Query:
        """A query that gives something where `no_cursor` is true for a row of the table; by its index, where the cursor has one."""
        return exp.select(exp.Literal.number(1)).from_(table).where(self.no_cursor(column, kind)).limit(1)

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


def require_ordered(column: SourceColumn, kind: DataType, where: str) -> None:
    """Refuse a cursor whose own type the database does not order as its lake type: texts, and numbers read from them.

    Raises:
        ContractError: It is such a column.
    """
    own = column.type.name
    fits = own in ("date", "timestamp") if kind.name in ("date", "timestamp") else own in (*INTEGERS, "decimal")
    if not fits:
        raise ContractError(
            f"cursor {column.name} is a {column.native}, which the database does not order as a {kind}",
            where=where,
            next_step=f"Choose another cursor, read a view that casts it to a {kind}, or use `mode: full`.",
        )
