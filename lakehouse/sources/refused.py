"""Columns and names that cannot be read, and what the driver's errors mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lakehouse.errors import ContractError, SourceDataError, SourceError, SourceUnreachableError
from lakehouse.layout import COLUMN, IS_CURRENT, VALID_FROM, VALID_TO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lakehouse.model.table import Table
    from lakehouse.sources.dialect import SourceColumn

_UNDECODABLE = re.compile(r'FromSql\((\d+)\), cause: Some\((?:ConversionTo\()?"([^"]*)"')
_UNQUOTED = "the driver's own words are left out, since they may hold a value of a protected column"
_AWAY = re.compile(r"ConnectionReset|ConnectionAborted|BrokenPipe|UnexpectedEof|NotConnected|kind: Closed|E57P0\d")
"""How a driver says that the server is gone: Rust's io::ErrorKind, or PostgreSQL's codes of an operator's intervention."""


def require_readable(table: Table, columns: Iterable[SourceColumn]) -> None:
    """Refuse columns that no reader of this database can bring whole, before anything is read."""
    blocked = [f"{column.name} ({column.native}): {column.obstacle}" for column in columns if column.obstacle]
    if blocked:
        raise ContractError(
            f"columns cannot be read: {'; '.join(blocked)}",
            where=f"metadata/tables/{table.source}/{table.name}.yml",
            next_step="List the other columns under `columns`, or read a view of the source that gives these as text or bytes.",
        )


def require_names(table: Table, wanted: Iterable[str], needed: Iterable[str]) -> None:
    """Refuse names that cannot stand in the lake, and keys or cursors that are spelled otherwise than their column."""
    where = f"metadata/tables/{table.source}/{table.name}.yml"
    spelled = {name.lower(): name for name in wanted}
    odd = [name for name in spelled.values() if not COLUMN.match(name) or name.lower() in (VALID_FROM, VALID_TO, IS_CURRENT)]
    if odd:
        raise ContractError(
            f"the source's column names {', '.join(map(repr, odd))} cannot stand in the lake",
            where=where,
            expected="letters, digits and _, a letter first, and none of the lake's own names",
            next_step="List the other columns under `columns`, or give them other names in a view of the source.",
        )
    if len(spelled) < len(list(wanted)):
        raise ContractError("two columns differ only in case", where=where, next_step="List the one to read under `columns`.")
    other = [f"{name} (there: {spelled[name.lower()]})" for name in sorted(needed) if spelled.get(name.lower(), name) != name]
    if other:
        raise ContractError(
            f"names are spelled otherwise than in the source: {', '.join(other)}", where=where, next_step="Spell them alike."
        )


def broken(exc: BaseException, columns: list[str], where: str, *, silent: bool = False) -> SourceError:
    """What the driver's error means: a value that it cannot decode, or a source that went away.

    Of a table with personal data nothing is quoted (`silent`): the driver's words may be a value.
    """
    if (found := _UNDECODABLE.search(str(exc))) and int(found[1]) < len(columns):
        return SourceDataError(
            f"column {columns[int(found[1])]} has a value that its type cannot hold ({found[2]})",
            where=where,
            next_step="Declare the column as string, or correct the value in the source.",
        )
    if found := _AWAY.search(str(exc)):
        return SourceUnreachableError(
            f"the source ended the connection in the middle of the read ({found[0]}); nothing of it was kept",
            where=where,
            next_step="See that the source is up, then run again.",
        )
    return SourceError(
        f"the read broke off: {_UNQUOTED if silent else _first_line(exc)}",
        where=where,
        next_step="See that the source is up and the column types are declared, then run again.",
    )


def _first_line(exc: BaseException) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0][:300]
