"""The commands that show rows which silver does not take: rejects list, rejects show."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.options import Output, Project, open_house
from lakehouse.cli.output import Format, plain, print_json, print_table

rejects = typer.Typer(no_args_is_help=True, help="List and show the rows that silver does not take.", rich_markup_mode=None)
COLUMNS = ("table", "reason", "rules", "key", "_batch", "_row_hash", "_extracted_at")
SHORT = 12


@rejects.command("list")
def list_(
    table: Annotated[str | None, typer.Argument(help="One table; none lists all.")] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="null_key, null_sequence, rule, cast, cursor, foreign_key or unique.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many rows, the newest first.")] = 50,
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """List rejected rows, the newest first: why, which rules, and where they are in bronze; keys are masked."""
    rows = open_house(project).rejects(table, reason=reason, limit=limit)
    if output is Format.JSON:
        print_json(rows)
    elif rows:
        short = [
            {**row, "_row_hash": row["_row_hash"][:SHORT], "_extracted_at": row["_extracted_at"][:19].replace("T", " ")} for row in rows
        ]
        print_table(short, COLUMNS)
    else:
        sys.stdout.write("No row is rejected.\n")


@rejects.command("show")
def show(
    table: Annotated[str, typer.Argument(help="The table.")],
    pointer: Annotated[str, typer.Argument(metavar="ROW_HASH", help="The first signs of its `_row_hash`.")],
    clear: Annotated[bool, typer.Option("--clear", help="Show the row's values as they are, not masked.")] = False,
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Show a rejected row: the rules that it breaks and its values in bronze, masked unless --clear is given."""
    found = open_house(project).reject(table, pointer)
    for row in found:
        row["row"] = {name: value if clear else _masked(value) for name, value in (row["row"] or {}).items()}
    if output is Format.JSON:
        print_json(found)
        return
    for row in found:
        sys.stdout.write(f"{table} {row['_row_hash']}: {row['reason']}{' by ' + row['rules'] if row['rules'] else ''}\n")
        sys.stdout.write(f"  came with batch {row['_batch']} of run {row['_run_id']} at {row['_extracted_at']}\n")
        for name, says in row["rules_say"].items():
            sys.stdout.write(f"  rule {name}: {plain(says)}\n")
        for name, value in row["row"].items():
            sys.stdout.write(f"  {name} = {plain(str(value))}\n")
        sys.stdout.write(f"  SQL: {row['sql']}\n")


def _masked(value: object) -> str:
    """The first and the last sign of a value; nothing of a short one."""
    if value is None:
        return "NULL"
    text = str(value)
    return "***" if len(text) < 4 else f"{text[0]}***{text[-1]}"  # noqa: PLR2004  as in the list
