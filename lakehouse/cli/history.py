"""The command that shows what ran and what people did: history."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.options import Output, Project, open_house
from lakehouse.cli.output import Format, plain, print_json, print_table

if TYPE_CHECKING:
    from lakehouse.api import Lakehouse

RUNS = ("run_id", "run_started_at", "step", "table", "status", "rows_in", "rows_out", "seconds", "version")
ACTS = ("n", "at", "by", "act", "what", "state", "counts", "why", "run_id")


def history(
    project: Project = Path(),
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many runs or acts.")] = 10,
    audit: Annotated[bool, typer.Option("--audit", help="What people did: full refreshes, fixes, undos, erasures ...")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="With --audit: prove that no line was changed, moved or taken out.")] = False,
    head: Annotated[str | None, typer.Option("--head", help="With --verify: a line noted elsewhere, as --verify showed it.")] = None,
    output: Output = Format.TEXT,
) -> None:
    """Show the newest runs, step by step; or with --audit what people did."""
    house = open_house(project)
    if verify and not audit:
        raise typer.BadParameter("--verify is about the audit: give --audit too")
    if head is not None and not verify:
        raise typer.BadParameter("--head is compared by --verify: give --audit --verify too")
    if verify:
        _verify(house, head, output)
        return
    rows = house.audit()[:limit] if audit else house.history(limit)
    if output is Format.JSON:
        print_json(rows)
    elif audit and not rows:
        sys.stdout.write("Nobody has done anything by hand yet.\n")
    elif audit:
        print_table(
            [{**row, "at": row["at"][:19].replace("T", " "), "counts": _counted(row["counts"]), "why": plain(row["why"])} for row in rows],
            ACTS,
        )
    else:
        print_table(rows, RUNS)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items())


def _verify(house: Lakehouse, head: str | None, output: Format) -> None:
    found = house.verify_audit(head)
    if output is Format.JSON:
        print_json({"lines": found.lines, "sound": not found.faults, "faults": found.faults, "head": found.head})
    elif found.faults:
        sys.stdout.writelines(f"{fault}\n" for fault in found.faults)
    else:
        sys.stdout.write(f"{found.lines} lines, each as it was written and after the one before it.\n")
        sys.stdout.write(f"Noted elsewhere, this proves them later: --head {found.head}\n" if found.head else "")
    raise typer.Exit(1 if found.faults else 0)
