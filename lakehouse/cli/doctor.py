"""`lakehouse doctor`: whether everything that a run needs is there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.options import Output, Project, open_house
from lakehouse.cli.output import Format, print_json, print_line


def doctor(
    project: Project = Path(),
    rebuild: Annotated[
        bool, typer.Option("--rebuild-ledger", help="Record again what the tables' commits tell and the ledger lost; nothing is checked.")
    ] = False,
    output: Output = Format.TEXT,
) -> None:
    """Check versions, settings, connections, clocks and rights by trying them; one line each, with the fix."""
    if rebuild:
        came = open_house(project).rebuild_ledger()
        if output is Format.JSON:
            print_json({"restored": came})
        else:
            sys.stdout.write(f"{came} step{'s' * (came != 1)} came back from the tables' commits.\n")
        return
    from lakehouse.pipeline.doctor import doctor as look

    checks = look(project)
    worst = next((status for status in ("fail", "warn") if any(check.status == status for check in checks)), "ok")
    if output is Format.JSON:
        print_json({"status": worst, "checks": [check.facts() for check in checks]})
    else:
        wide = max(len(check.check) for check in checks)
        for check in checks:
            fix = f" -> {check.fix}" if check.fix else ""
            print_line(f"{check.status:<5} {check.check:<{wide}}  {check.what}{fix}", hang=8 + wide)
        counts = [f"{count} {status}" for status in ("fail", "warn") if (count := sum(check.status == status for check in checks))]
        sys.stdout.write(f"{', '.join(counts) or 'All is well'}.\n")
    raise typer.Exit(1 if worst == "fail" else 0)
