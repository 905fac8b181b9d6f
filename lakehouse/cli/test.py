"""The command that runs the cases of `metadata/tests/`: test."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import typer

from lakehouse.cli.options import Output, Project, Select, open_house
from lakehouse.cli.output import Format, plain, print_json, print_table

WORDS = {"passed": "ok  ", "failed": "FAIL", "malformed": "BAD "}


def cases(select: Select = None, project: Project = Path(), output: Output = Format.TEXT) -> None:
    """Run the cases of metadata/tests/ in memory; exit code 1 where one fails, 2 where one is malformed."""
    report = open_house(project).test(select or ())
    if output is Format.JSON:
        print_json(report.facts())
        raise typer.Exit(report.exit_code)
    for case in report.cases:
        place = "" if case.status == "passed" else f"  {case.file}:{case.line}"
        sys.stdout.write(f"{WORDS[case.status]} {case.of}: {plain(case.name)} ({case.seconds * 1000:.0f} ms){place}\n")
        if case.error:
            sys.stdout.write(f"     {plain(case.error)}\n")
        sys.stdout.writelines(f"     {plain(str(fault))}\n" for fault in case.faults)
        if case.problems:
            print_table([asdict(problem) for problem in case.problems], ("what", "row", "column", "expected", "given"))
    counts = ", ".join(f"{report.count(status)} {status}" for status in WORDS if report.count(status) or status == "passed")
    sys.stdout.write(f"{counts} in {report.seconds:.2f} s.\n" if report.cases else "No case: metadata/tests/*.yml has none.\n")
    raise typer.Exit(report.exit_code)
