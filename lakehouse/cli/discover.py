"""`lakehouse discover`: what a database has, and how it could be read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.cli.options import Output, Project, open_house
from lakehouse.cli.output import Format, plain, print_json, print_line, print_table, say

if TYPE_CHECKING:
    from lakehouse.model.discovery import FoundTable

SHOWN_WHOLE = 5


def discover(
    connection: Annotated[str, typer.Argument(help="The connection's name: <name> of LAKEHOUSE_CONNECTION__<NAME>.")],
    source: Annotated[str | None, typer.Option("--source", help="What the lake calls the database; by default as the connection.")] = None,
    tables: Annotated[
        list[str] | None, typer.Option("--tables", help="Tables (or views) to look at: customer, sales.*; by default all tables.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Write a metadata file for each table; none that is there is touched.")] = False,
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """List a database's tables with keys, cursor, types and personal data, each guess with its evidence; write their files."""
    found = open_house(project).discover(connection, source=source, tables=tables or (), write=write, progress=_progress)
    if output is Format.JSON:
        print_json(found.facts())
        return
    if not found.tables:
        sys.stdout.write("The database has no tables that this login can see.\n")
    else:
        _show(found.tables, whole=bool(tables))
    for file in found.left:
        sys.stdout.write(f"left as it is: {file}\n")
    for file in found.written:
        sys.stdout.write(f"wrote {file}\n")
    if found.written:
        sys.stdout.write("Look them over, then: lakehouse validate, lakehouse run.\n")
    elif not write and any(not table.left_out and not table.file for table in found.tables):
        sys.stdout.write("`--write` makes a metadata file for each table; `--tables NAME` shows a table's columns.\n")


def _progress(table: str, number: int, count: int) -> None:
    if sys.stderr.isatty():
        say(f"  {number:>4} of {count}  {table}")


def _show(tables: tuple[FoundTable, ...], *, whole: bool) -> None:
    taken, gone = [table for table in tables if not table.left_out], [table for table in tables if table.left_out]
    whole = whole and len(taken) <= SHOWN_WHOLE
    if taken:
        print_table([_row(table) for table in taken])
    for table in taken:
        sys.stdout.write("\n")
        print_line(f"{table.object} becomes {table.table}" + (f", described by {table.file}" if table.file else ""))
        if whole:
            print_table([_column(column) for column in table.facts()["columns"]])
        for line in _reasons(table, columns=not whole):
            print_line(line, indent=2)
    if gone:
        sys.stdout.write("\nLeft out:\n")
    for table in gone:
        print_line(f"{table.object}: {table.left_out}", indent=2)
    sys.stdout.write("\n")


def _row(table: FoundTable) -> dict[str, Any]:
    about = {"estimated": "~", "at least": ">"}.get(table.rows_are, "")
    proposal = table.proposal
    return {
        "from": plain(table.object),
        "rows": "?" if table.rows is None else f"{about}{table.rows:,}",
        "keys": ", ".join(proposal.keys) or "none",
        "cursor": proposal.cursor or "none",
        "mode": proposal.mode,
        "PII?": len([column for column in table.taken if column.personal]) or None,
    }


def _column(column: dict[str, Any]) -> dict[str, Any]:
    said = [column["left_out"] and f"left out: {column['left_out']}", column["note"]]
    said += [f"PII? {column['pii']['kind']}: {'; '.join(column['pii']['reasons'])}"] if column["pii"] else []
    nulls = "" if column["nulls"] is None else f"{column['nulls']:.0%}"
    return {
        "column": plain(column["name"]),
        "type": "" if column["left_out"] else column["type"],
        "in the source": plain(column["native"]),
        "NULLs": nulls,
        "what else": plain("; ".join(filter(None, said))),
    }


def _reasons(table: FoundTable, *, columns: bool) -> list[str]:
    proposal = table.proposal
    lines = [f"{f'cursor {proposal.cursor}' if proposal.cursor else 'no cursor'}: {'; '.join(proposal.cursor_why)}"]
    if proposal.cursor:
        lines.append(f"proposed: lookback {proposal.lookback}, history {proposal.history}")
    if not proposal.keys:
        lines.append(f"no keys: {proposal.keys_why}")
    if columns:
        lines += [f"PII? {column.name}: {column.personal}" for column in table.taken if column.personal]
        lines += [f"{column.name} as {column.type}: {column.note}" for column in table.taken if column.note]
        lines += [f"without {column.name}: {column.left_out}" for column in table.columns if column.left_out]
    return lines
