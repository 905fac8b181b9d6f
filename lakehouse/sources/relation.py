"""What is read of a source: a table of its own or the result of a query, and of either the rows that a condition keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from lakehouse.catalog.source_sql import bare, condition_fault, query_fault
from lakehouse.errors import ContractError, SourceError, SourceUnreachableError
from lakehouse.sources.dialect import SourceTable

if TYPE_CHECKING:
    from lakehouse.model.table import Table
    from lakehouse.sources.dialect import Dialect, SourceColumn

QUERY = "q"
"""What a table's query is called where it is read from."""


def source_of(dialect: Dialect, table: Table) -> SourceTable:
    """The source's own table, or the columns of the table's query; a condition is seen to fit it.

    Raises:
        SourceError: There is no such table, or the database refuses the query or the condition.
        ContractError: The query or the condition is not what it must be, or the database does not tell the types of its result.
    """
    where = f"metadata/tables/{table.source}/{table.name}.yml"
    for key, text, fault in (("query", table.query, query_fault), ("where", table.where, condition_fault)):
        if text and (what := fault(text, dialect.sql)):
            raise ContractError(f"`{key}`: {what}", where=where, next_step="Mend it; `lakehouse validate` checks it too.")
    if not (table.query or table.where):
        return dialect.describe(table.object)
    try:
        source = SourceTable((QUERY,), _result_of(dialect, table)) if table.query else dialect.describe(table.object)
        if table.where:
            dialect.value(exp.select(exp.Literal.number(1)).from_(read_from(table, source.parts)).where(exp.false()))
    except SourceUnreachableError:
        raise
    except SourceError as exc:
        raise SourceError(
            exc.what, where=where, given=exc.given, next_step="Mend the table's file: its SQL must run in the source as it stands."
        ) from exc
    names = [column.name for column in source.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ContractError(f"the query gives {', '.join(twice)} twice", where=where, next_step="Give each column a name of its own.")
    if table.query and not table.columns and not dialect.types_queries:
        raise ContractError(
            "the database does not tell the types of a query's columns", where=where, next_step="Declare them under `columns`."
        )
    return source


def _result_of(dialect: Dialect, table: Table) -> tuple[SourceColumn, ...]:
    return dialect.described(exp.select(exp.Star()).from_(_origin(table, ())).where(exp.false()))


def read_from(table: Table, parts: tuple[str, ...]) -> exp.Expr:
    """What every statement about a table reads from, so that its condition holds for them all; `parts` name the source's own table."""
    origin = _origin(table, parts)
    if not table.where:
        return origin
    kept = exp.select(exp.Star()).from_(origin).where(exp.Paren(this=_verbatim(table.where)))
    return exp.Subquery(this=kept, alias=_alias(parts[-1]))


def newest(whole: exp.Expr, columns: list[SourceColumn], rows: int, *, by_time: bool) -> exp.Expr:
    """So many rows: the last by the first column where it grows with every change, else the first by all of them; any, without columns."""
    named = [exp.column(column.name, quoted=True) for column in columns]
    slice_ = exp.select(exp.Star()).from_(whole)
    if by_time:  # NULLs stand first or last, as the database likes: without them its index on the column serves
        slice_ = slice_.where(exp.not_(named[0].is_(exp.null()))).order_by(exp.Ordered(this=named[0].copy(), desc=True, nulls_first=True))
    elif named:
        slice_ = slice_.order_by(*named)
    return exp.Subquery(this=slice_.limit(rows), alias=_alias("sample"))


def _origin(table: Table, parts: tuple[str, ...]) -> exp.Expr:
    if table.query:
        return exp.Subquery(this=_verbatim(bare(table.query)), alias=_alias(QUERY))
    return exp.table_(parts[-1], db=parts[-2] if len(parts) > 1 else None, quoted=True)


def _verbatim(text: str) -> exp.Expr:
    """The author's SQL as it stands: written anew from its tree, a word could mean something else. Its last line may be a comment."""
    return exp.Var(this=f"{text}\n" if any(sign in text for sign in ("\n", "--", "#")) else text)


def _alias(name: str) -> exp.TableAlias:
    return exp.TableAlias(this=exp.to_identifier(name, quoted=True))
