"""`lakehouse erase`: a person out of every layer, with a certificate, and the proof of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.options import Output, Project, open_house
from lakehouse.cli.output import Format, print_json, print_table, say
from lakehouse.errors import UsageError


def erase(
    certificate: Annotated[int | None, typer.Argument(help="With --verify: one certificate's number; none verifies all.")] = None,
    table: Annotated[str | None, typer.Option("--table", help="The person's table.")] = None,
    key: Annotated[
        list[str] | None, typer.Option("--key", help="The value of its key; once for each part, in the order of `keys`.")
    ] = None,
    why: Annotated[str, typer.Option("--why", help="The reason, for the certificate; no personal value.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the rows and files; write nothing.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Prove certificates again from the bytes of the lake.")] = False,
    value: Annotated[list[str] | None, typer.Option("--value", help="With --verify: a text that no file may have, such as a name.")] = None,
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Erase a person from every layer, for good, and keep the person from coming back; or --verify that it was done."""
    if verify:
        if table or key or dry_run:
            raise UsageError("--verify takes no --table, --key or --dry-run", next_step="Give it the number of a certificate, or nothing.")
        _verify(open_house(project).prove_erased(certificate, value or ()), output)
    if certificate is not None or value:
        raise UsageError("a certificate's number and --value belong to --verify", next_step="Name a person with --table and --key.")
    if table is None or not key:
        raise UsageError("nobody is named", expected="--table users --key 44", next_step="Name the table and the key of the person.")
    steps = (lambda step: say(f"{step.step} {step.table}: {step.status}")) if output is Format.TEXT else None
    done = open_house(project).erase(table, *key, why=why, dry_run=dry_run, progress=steps)
    if output is Format.JSON:
        print_json(done.facts())
        return
    rows = [{"table": each.table, "columns": ", ".join(each.columns), "rows": each.rows, "files": len(each.files), "then": each.on_erase}
            for each in done.held]  # fmt: skip
    if rows:
        print_table(rows, ("table", "columns", "rows", "files", "then"))
    if done.status == "planned":
        sys.stdout.write("Nothing was written. Without --dry-run these rows go, or lose what points to the person, for good.\n")
    elif done.status == "already":
        sys.stdout.write(f"Erased already: certificate {done.certificate}. `lakehouse erase --verify {done.certificate}` proves it.\n")
    else:
        sys.stdout.write(f"Erased in {done.seconds:.1f} s: certificate {done.certificate}.\n")
        sys.stdout.write(f"`lakehouse erase --verify {done.certificate}` proves it from the bytes.\n")


def _verify(checks: list[dict[str, object]], output: Format) -> None:
    if output is Format.JSON:
        print_json(checks)
    elif checks:
        print_table(checks, ("certificate", "check", "status", "what"))
    else:
        sys.stdout.write("Nobody was erased.\n")
    raise typer.Exit(1 if any(check["status"] == "fail" for check in checks) else 0)
