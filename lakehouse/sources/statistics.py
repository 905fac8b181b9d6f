"""Cheap questions about a table's rows: how many, the greatest, whether one is of a kind. Each is one statement that ends early."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

if TYPE_CHECKING:
    from lakehouse.sources.dialect import Dialect, SourceColumn, SourceTable

_PART = "part"


def require_answer(dialect: Dialect) -> None:
    """Ask the database for nothing but an answer.

    Raises:
        SourceError: None comes.
    """
    dialect.value(exp.select(exp.Literal.number(1)))


def require_readable(dialect: Dialect, table: SourceTable) -> None:
    """Ask for one row.

    Raises:
        SourceError: The database does not give it.
    """
    dialect.value(_rows(table).limit(1))


def count(dialect: Dialect, table: SourceTable, at_most: int) -> int:
    """How many rows the table has; `at_most + 1` where there are more."""
    first = _rows(table).limit(at_most + 1).subquery(_PART)
    return int(str(dialect.value(exp.select(exp.Count(this=exp.Star())).from_(first))))


def greatest(dialect: Dialect, table: SourceTable, column: SourceColumn) -> object:
    """The column's greatest value as the database's driver gives it, or None where it has none."""
    return dialect.value(exp.select(exp.Max(this=exp.column(column.name, quoted=True))).from_(_named(table)))


def has_row(dialect: Dialect, table: SourceTable, condition: exp.Expr, among: int | None) -> bool:
    """Whether a row meets the condition: one of all, or one among the first so many."""
    rows: exp.Table | exp.Subquery = _named(table)
    if among is not None:
        rows = exp.select(exp.Star()).from_(rows).limit(among).subquery(_PART)
    return dialect.value(exp.select(exp.Literal.number(1)).from_(rows).where(condition).limit(1)) is not None


def is_null(column: SourceColumn) -> exp.Expr:
    """True for rows without a value in the column."""
    return exp.column(column.name, quoted=True).is_(exp.null())


def _rows(table: SourceTable) -> exp.Select:
    return exp.select(exp.alias_(exp.Literal.number(1), "one")).from_(_named(table))


def _named(table: SourceTable) -> exp.Table:
    schema = table.parts[-2] if len(table.parts) > 1 else None
    return exp.table_(table.parts[-1], db=schema, quoted=True)
