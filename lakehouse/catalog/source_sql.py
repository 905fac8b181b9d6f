"""SQL that a table's file has for its source: parsed in the database's dialect, and handed over word for word."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

if TYPE_CHECKING:
    from collections.abc import Callable

_DIALECTS = {
    "sqlite": "sqlite",
    "postgresql": "postgres",
    "postgres": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
    "mssql": "tsql",
    "sqlserver": "tsql",
}
_DEEP = "it is nested too deeply"


def dialect_of(url: str) -> str | None:
    """The dialect that a connection's URL means, by sqlglot's name, or None where it means no database that is known.

    >>> dialect_of("mssql://host/shop")
    'tsql'
    """
    return _DIALECTS.get(url.partition("://")[0].partition("+")[0].lower())


def bare(text: str) -> str:
    """A statement without the semicolon at its end."""
    return text.strip().removesuffix(";").rstrip()


def query_fault(text: str, dialect: str | None) -> str | None:
    """What is wrong with a `query`, or None; without a dialect it must be right in one of those that there are."""
    return _fault(partial(_query_fault, bare(text)), dialect)


def condition_fault(text: str, dialect: str | None) -> str | None:
    """What is wrong with a `where`, or None; without a dialect it must be right in one of those that there are."""
    return _fault(partial(_condition_fault, text), dialect)


def _fault(check: Callable[[str], str | None], dialect: str | None) -> str | None:
    if dialect is not None:
        return check(dialect)
    found = [check(one) for one in dict.fromkeys(_DIALECTS.values())]
    return None if None in found else found[0]


def _parsed(text: str, dialect: str) -> list[exp.Expr | None] | str:
    """The statements of a text, or what is wrong with it."""
    try:
        return list(sqlglot.parse(text, read=dialect))
    except RecursionError:
        return f"no SQL: {_DEEP}"
    except ParseError as exc:
        first = exc.errors[0] if exc.errors else {}
        return f"no SQL: {first.get('description') or str(exc).splitlines()[0]} (line {first.get('line') or 1})"
    except TokenError as exc:
        return f"no SQL: {str(exc).splitlines()[0]}"


def _query_fault(text: str, dialect: str) -> str | None:
    statements = _parsed(text, dialect)
    if isinstance(statements, str):
        return statements
    if len(statements) != 1 or statements[0] is None:
        return f"expected one SELECT, given {sum(one is not None for one in statements)} statements"
    query = statements[0]
    if not isinstance(query, exp.Query):
        return f"expected one SELECT, given {query.key.upper()}"
    for node in query.find_all(exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock):
        if not isinstance(node, exp.Query):
            return f"expected a SELECT that only reads, given {'FOR UPDATE' if isinstance(node, exp.Lock) else node.key.upper()} in it"
    if any(comment.startswith(("!", "M!")) for comment in _comments(text, dialect)):
        return "a comment that the database runs (`/*!`) is not allowed"
    if dialect == "tsql" and query.args.get("with_"):
        return "SQL Server takes no WITH inside another query: write its parts as subqueries, or make it a view"
    return None


def _condition_fault(text: str, dialect: str) -> str | None:
    statements = _parsed(text, dialect)
    if isinstance(statements, str):
        return statements
    node = statements[0] if len(statements) == 1 else None
    if node is None or text.rstrip().endswith(";") or _comments(text, dialect):
        return "expected one condition, without comments and semicolons"
    if not isinstance(node, exp.Condition | exp.Alias | exp.Star | exp.Tuple):
        return f"expected a condition, given {node.key.upper()}"
    if isinstance(node, exp.Alias | exp.Literal | exp.Star | exp.Tuple) or node.find(exp.DML, exp.DDL, exp.Command):
        return "expected a condition, such as country = 'IT' and amount > 0"
    if any(part.parent_select is None for part in node.find_all(exp.AggFunc, exp.Window)):
        return "expected a condition over one row, without aggregates and windows"
    return None


def _comments(text: str, dialect: str) -> list[str]:
    return [comment for token in sqlglot.tokenize(text, read=dialect) for comment in token.comments]
