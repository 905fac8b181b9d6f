"""The command that proves that nothing is missing: reconcile."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.options import Output, Project, open_house
from lakehouse.cli.output import Format, print_json, print_table
from lakehouse.cli.run import Bound, Undone, Words, bound, show_progress

if TYPE_CHECKING:
    from lakehouse.model.reconciliation import Reconciled

COLUMNS = ("table", "compared", "missing", "stale", "surplus", "superseded", "healed", "buckets", "buckets_read", "rows_read")
CLASSES = ("missing", "stale", "surplus")


def reconcile(
    select: Words = None,
    heal: Annotated[bool, typer.Option("--heal", help="Read again what differs, and bring all that follows up to date.")] = False,
    since: Annotated[str | None, typer.Option("--since", help=f"The first cursor value that is compared: {Bound}.")] = None,
    include_undone: Undone = False,
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Compare the sources with the lake and name what is missing, stale or surplus; exit code 3 where differences remain."""
    from lakehouse.pipeline.reconcile import exit_code

    first = None if since is None else bound("--since", since)
    done = open_house(project).reconcile(select or (), heal=heal, since=first, include_undone=include_undone, progress=show_progress)
    if output is Format.JSON:
        print_json(done.facts())
    else:
        print_table(done.facts(), COLUMNS, title=f"run {done.run.run_id}: {len(done.tables)} tables in {done.run.seconds:.2f} s")
        for table in done.tables:
            _explain(table)
        for name, why in done.failed.items():
            sys.stdout.write(f"{name}: not compared: {why}\n")
    raise typer.Exit(exit_code(done))


def _explain(table: Reconciled) -> None:
    for name in CLASSES:
        if keys := table.keys[name]:
            more = ", ..." if getattr(table, name) > len(keys) else ""
            sys.stdout.write(f"{table.table}: {name} {', '.join(map(str, keys))}{more}\n")
    if table.unchecked:
        sys.stdout.write(f"{table.table}: compared only where rows were read: {', '.join(table.unchecked)}\n")
    if table.note:
        sys.stdout.write(f"{table.table}: {table.note}\n")
    elif table.differing:
        sys.stdout.write(f"{table.table}: `lakehouse reconcile {table.table} --heal` brings it right.\n")
