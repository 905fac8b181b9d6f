"""The command that tells a row's life: why."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.cli.options import Output, Project, open_house
from lakehouse.cli.output import Format, plain, print_json, print_table, say

if TYPE_CHECKING:
    from lakehouse.model.life import Life, Observation

BECAME = {"version": "->", "end": "x ", "refused": "! ", "pending": ".."}


def why(
    table: Annotated[str, typer.Argument(help="silver.users, or just users.")],
    keys: Annotated[list[str] | None, typer.Argument(help="The values of its keys, in the order of `keys` in its file.")] = None,
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Tell a row's life: what was read of it and when, what silver and gold made of it, and SQL to check each; exit code 1 for no row."""
    from lakehouse.pipeline.why import nowhere

    life = open_house(project).why(table, *(keys or ()))
    if output is Format.JSON:
        print_json(life.facts())
    elif life.found:
        _show(life)
    if not life.found:
        say(f"Error: {plain(nowhere(life, list(life.key)))}")
        raise typer.Exit(1)


def _show(life: Life) -> None:
    named = ", ".join(f"{name}={value}" for name, value in life.key.items())
    sys.stdout.write(f"{life.table}: {plain(named)}\n\n")
    sys.stdout.write(
        f"What was read ({len(life.bronze)} row{'s' * (len(life.bronze) != 1)} of bronze, in the order in which they count):\n"
    )
    before: dict[str, Any] = {}
    for seen in life.bronze:
        _tell(seen, before)
        before = seen.row
    for reject in life.rejects:
        rules = f" ({reject['rules']})" if reject["rules"] else ""
        sys.stdout.write(f"  rejected: {reject['reason']}{rules}, batch {reject['batch']}, row {reject['row_hash'][:12]}\n")
    sys.stdout.write("\n")
    if life.silver:
        print_table(life.silver, title=f"{life.table}, version {life.silver_version}")
    else:
        sys.stdout.write(f"{life.table} has no row of it.\n")
    for model in life.gold:
        used = {row["column"]: row for row in model["used_by"]}
        if not model["rows"]:
            sys.stdout.write(f"gold.{model['model']} has no row of it.\n")
            continue
        print_table(model["rows"], title=f"gold.{model['model']}")
        for row in used.values():
            each = ", ".join(f"{key}: {count}" for key, count in row["by_key"].items())
            sys.stdout.write(f"  {row['rows']} rows of gold.{row['fact']} point to it by {row['column']} ({each})\n")
    print_table(life.runs, ("run_id", "status", "started_at", "seconds"), title="The runs")
    sys.stdout.write("To check it:\n")
    for check in life.sql:
        sys.stdout.write(f"  lakehouse query {shlex.quote(plain(check['sql']))}\n")


def _tell(seen: Observation, before: dict[str, Any]) -> None:
    what = {"row": "a row", "delete": "the end of the key", "reject": "a row without a place"}[seen.what]
    sys.stdout.write(f"  {_shown(seen.sequence)}  {what}, batch {seen.batch}, {_read(seen)}\n")
    told = {name: value for name, value in seen.row.items() if not before or before.get(name) != value}
    if seen.what != "delete" and told:
        listed = ", ".join(f"{name}={_shown(value)}" for name, value in told.items())
        sys.stdout.write(f"      {'now ' if before else ''}{plain(listed)}\n")
    silver = "" if seen.silver_version is None else f" (version {seen.silver_version} of silver, run {seen.silver_run_id})"
    sys.stdout.write(f"      {BECAME.get(seen.became, '= ')} {seen.became}: {plain(seen.why)}{silver}\n")


def _read(seen: Observation) -> str:
    text = f"read by run {seen.run_id} at {_shown(seen.extracted_at)}"
    if not seen.window:
        return text
    window = seen.window
    how = {"window": "a window", "backfill": "a backfill", "refresh": "a whole read", "adoption": "an adopted history"}
    if window["reads"] is None:
        return f"{text} ({window['step']})"
    bounds = f" [{window['from'] or 'beginning'}, {window['to'] or 'end'})" if window["from"] or window["to"] else ""
    return f"{text}: {how.get(window['reads'], window['reads'])} of mode {window['mode']}{bounds}"


def _shown(value: object) -> str:
    from datetime import datetime

    if isinstance(value, datetime):
        return value.isoformat(sep=" ").removesuffix("+00:00")
    text = "NULL" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:80]}..."  # noqa: PLR2004  a line stays readable
