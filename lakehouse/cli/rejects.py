"""The commands about rows that silver does not take: rejects list, show, export, fix, drop, assign, replay."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.options import Output, Project, open_house
from lakehouse.cli.output import Format, plain, print_json, print_table, say
from lakehouse.cli.run import show_progress

if TYPE_CHECKING:
    from lakehouse.model.repair import Chosen, Edit, Repair

rejects = typer.Typer(no_args_is_help=True, help="Show, repair, drop and assign the rows that silver does not take.", rich_markup_mode=None)
COLUMNS = ("table", "state", "reason", "rules", "key", "owner", "age", "_batch", "_row_hash", "_run_id")
SHORT = 12
Table = Annotated[str, typer.Argument(help="The table.")]
Pointers = Annotated[list[str] | None, typer.Argument(metavar="ROW_HASH...", help="The first signs of their `_row_hash`.")]
Rule = Annotated[str | None, typer.Option("--rule", help="In their place: all open ones that break this rule or have this reason.")]
Why = Annotated[str, typer.Option("--why", help="The reason, for the record.")]
Later = Annotated[bool, typer.Option("--later", help="Only record it; `rejects replay` or the next run follows.")]


@rejects.command("list")
def list_(
    table: Annotated[str | None, typer.Argument(help="One table; none lists all.")] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="null_key, null_sequence, rule, cast, cursor, foreign_key or unique.")
    ] = None,
    state: Annotated[str, typer.Option("--state", help="open, repaired, dropped or all.")] = "open",
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many rows, the newest first.")] = 50,
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """List rejected rows, the newest first: why, which rules, state, owner, age, and where they are in bronze; keys are masked."""
    rows = open_house(project).rejects(table, reason=reason, limit=limit, state=state)
    if output is Format.JSON:
        print_json(rows)
    elif rows:
        print_table([{**row, "_row_hash": row["_row_hash"][:SHORT], "age": _age(row["age_seconds"])} for row in rows], COLUMNS)
    else:
        sys.stdout.write("No row is rejected.\n" if state == "open" else f"No row is {state}.\n")


@rejects.command("show")
def show(
    table: Table,
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


@rejects.command("export")
def export(
    table: Table,
    file: Annotated[Path, typer.Option("--to", help="A .csv or .json file.")],
    pointers: Pointers = None,
    rule: Rule = None,
    project: Project = Path(),
) -> None:
    """Write the bronze rows of open rejects to a file, in clear, to be edited and given back: `rejects fix TABLE --file FILE`."""
    from lakehouse.cli.edited_file import write_rows

    rows = open_house(project).export_rejects(table, _chosen(pointers, rule))
    write_rows(file, rows)
    say(f"{len(rows)} rows of {table}, with their values in clear, are in {file}.")


@rejects.command("fix")
def fix(
    table: Table,
    pointers: Pointers = None,
    rule: Rule = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="COLUMN=SQL", help="The new value of a column, over the row as bronze has it.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="In their place: an edited .csv or .json file, as `export` wrote it.")] = None,
    why: Why = "",
    later: Later = False,
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Repair rejected rows by SQL or by an edited file, and replay them; a fix that does not cure is refused, and nothing is written."""
    edit = _edit(sets or [], file, pointers, rule)
    done = open_house(project).fix(table, _chosen(pointers, rule), edit, why=why, replay=not later, progress=show_progress)
    _finish(done, output, "repaired")


@rejects.command("drop")
def drop(
    table: Table,
    pointers: Pointers = None,
    rule: Rule = None,
    why: Why = "",
    later: Later = False,
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Decide that rejected rows are none: they are out for good, and counted; bronze keeps them."""
    done = open_house(project).drop(table, _chosen(pointers, rule), why=why, replay=not later, progress=show_progress)
    _finish(done, output, "dropped")


@rejects.command("assign")
def assign(
    table: Table,
    to: Annotated[str, typer.Option("--to", help="A person or a team.")],
    pointers: Pointers = None,
    rule: Rule = None,
    why: Why = "",
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Say who looks after rejected rows."""
    _finish(open_house(project).assign(table, _chosen(pointers, rule), to, why=why), output, f"assigned to {plain(to)}")


@rejects.command("replay")
def replay(
    table: Annotated[str | None, typer.Argument(help="One table; none takes all.")] = None,
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Bring silver, and what is built on it, to what recorded corrections say; no source is asked."""
    _finish(open_house(project).replay(table, progress=show_progress), output, "replayed")


def _chosen(pointers: list[str] | None, rule: str | None) -> Chosen:
    from lakehouse.model.repair import Chosen

    return Chosen(pointers or (), rule)


def _edit(sets: list[str], file: Path | None, pointers: list[str] | None, rule: str | None) -> Edit:
    from lakehouse.cli.edited_file import read_rows
    from lakehouse.errors import UsageError
    from lakehouse.model.repair import Edit

    if file is not None:
        if sets or pointers or rule:
            raise UsageError("--file names its own rows and values", next_step="Leave --set, --rule and the pointers out.")
        return Edit(rows=read_rows(file))
    made = {}
    for text in sets:
        name, given, sql = text.partition("=")
        if not given or not name.strip() or not sql.strip():
            raise UsageError("--set cannot be read", expected="COLUMN=SQL, such as price=abs(price)", given=text[:60])
        made[name.strip()] = sql.strip()
    return Edit(sql=made)


def _finish(done: Repair, output: Format, what: str) -> None:
    from lakehouse.pipeline.walk import exit_code

    code = 0 if done.run is None else exit_code(done.run)
    if output is Format.JSON:
        print_json(done.facts())
    elif done.kind == "replay":
        steps = [] if done.run is None else done.run.facts()["steps"]
        print_table(steps, ("step", "table", "status", "rows_in", "rows_out", "seconds", "version"), title="Replayed")
    else:
        waiting = "; `lakehouse rejects replay` or the next run follows" if done.run is None and done.kind != "assign" else ""
        held = "; silver has not followed" if code else ""
        sys.stdout.write(f"{done.rows} rows of {done.table} are {what}{waiting}{held}. `lakehouse undo {done.act}` takes this back.\n")
    raise typer.Exit(code)


def _age(seconds: int | None) -> str:
    return "" if seconds is None else str(timedelta(seconds=seconds)).removesuffix(", 0:00:00")


def _masked(value: object) -> str:
    """The first and the last sign of a value; nothing of a short one."""
    if value is None:
        return "NULL"
    text = str(value)
    return "***" if len(text) < 4 else f"{text[0]}***{text[-1]}"  # noqa: PLR2004  as in the list
