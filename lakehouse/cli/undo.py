"""The command that takes a run back: undo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.options import Output, Project, open_house
from lakehouse.cli.output import Format, print_json, print_table
from lakehouse.cli.run import show_progress

COLUMNS = ("table", "batches", "rows", "keys")


def undo(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The id of a run, or of an undo, a fix, a drop, to take that back.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would do.")] = False,
    why: Annotated[str, typer.Option("--why", help="The reason, for the record.")] = "",
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Take back what a run brought, and bring all that follows up to date; later runs stay, and bronze keeps its rows."""
    from lakehouse.pipeline.walk import exit_code

    done = open_house(project).undo(run_id, why=why, dry_run=dry_run, progress=show_progress)
    code = 0 if done.run is None else exit_code(done.run)
    if output is Format.JSON:
        print_json(done.facts())
        raise typer.Exit(code)
    what = ("would be " if dry_run else "") + ("taken back" if done.kind == "undo" else "brought back")
    print_table([{**table, "batches": ", ".join(map(str, table["batches"]))} for table in done.tables], COLUMNS, title=f"{run_id} {what}")
    sys.stdout.write(f"Built again where something differs: {', '.join(done.following)}.\n")
    if done.run is not None:
        sys.stdout.write(f"run {done.run.run_id}: {done.run.status}. `lakehouse undo {done.run.run_id}` takes this back.\n")
    raise typer.Exit(code)
