"""`lakehouse demo`: a source that lives, and its lake."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.options import Output, Project
from lakehouse.cli.output import Format
from lakehouse.cli.run import span
from lakehouse.demo.store import Kind


def demo(
    project: Project = Path(),
    source: Annotated[
        Kind,
        typer.Option(
            "--source",
            help="The kind of its database. postgres: the one that LAKEHOUSE_CONNECTION__SPOTIFY names, or a server of the demo's own.",
        ),
    ] = Kind.SQLITE,
    rows: Annotated[int, typer.Option("--rows", min=100, help="Streams of the simulated source on its first day.")] = 200_000,
    live: Annotated[bool, typer.Option("--live", help="Change the source at the real present, and poll it meanwhile.")] = False,
    for_: Annotated[str | None, typer.Option("--for", help="How long --live goes on.", show_default="60s")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Start over: forget the demo's source and lake.")] = False,
    output: Output = Format.TEXT,
) -> None:
    """Make a living source, run two of its days through the lake, and show the star; or watch it live."""
    from lakehouse.catalog import load
    from lakehouse.demo.source import CONNECTION, open_source
    from lakehouse.errors import UsageError

    length = span("--for", for_ or "60s")
    if for_ and not live:
        raise UsageError("--for goes with --live", next_step="Add --live, or leave --for out.")
    folder = project.resolve()
    if CONNECTION not in load(folder).sources:
        raise UsageError(
            f"the demo runs the project that describes the source `{CONNECTION}`",
            where=str(folder),
            next_step="Name its folder with --project.",
        )
    with open_source(folder, source, reset=reset) as opened:
        if live:
            from lakehouse.cli.live import watch

            watch(opened, folder, rows=rows, length=length, output=output)
        else:
            from lakehouse.cli.days import live_days

            live_days(opened, folder, rows=rows, output=output)
