"""The command that shows what rules found: quality."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.cli.options import Output, Project, open_house
from lakehouse.cli.output import Format, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
COLUMNS = ("table", "rule", "else", "result", "passed", "failed", "share", "value", "trend", "judged at")


def quality(
    table: Annotated[str | None, typer.Option("--table", "-t", help="One table or model; none shows all.")] = None,
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Show what each rule found last, with its trend, and where the rows of each table went."""
    found = open_house(project).quality(table)
    if output is Format.JSON:
        print_json(found)
        return
    if found["tables"]:
        print_table(found["tables"], title="Rows of bronze: input = accepted + repaired + rejected + dropped + undone")
    if found["rules"]:
        print_table(map(_shown, found["rules"]), COLUMNS, title="Rules: the last result of each, and the last shares or values")
    for rule in found["rules"]:
        if rule["broken"]:
            few = f"; such as {'; '.join(rule['samples'])}" if rule["samples"] else ""
            sys.stdout.write(f"{rule['table']}.{rule['rule']}: {rule['told']}{few}\n")
    if not found["rules"]:
        sys.stdout.write("No rule has been judged yet: declare some under `expect` in a table's file, then run.\n")


def _shown(rule: dict[str, Any]) -> dict[str, Any]:
    result = "held back" if rule["held"] and rule["broken"] else "broken" if rule["broken"] else "kept"
    share = None if rule["share"] is None else f"{rule['share']:.2%}"
    return {
        **rule,
        "else": rule["otherwise"],
        "result": result,
        "share": share,
        "trend": sparkline(rule["trend"]),
        "judged at": rule["judged_at"][:19].replace("T", " "),
    }


def sparkline(values: Sequence[float | None]) -> str:
    """Numbers as bars, the smallest one lowest; a gap where there is none.

    >>> sparkline([0, 1, 2, None, 4])
    '▁▂▄ █'
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    step = (high - low) / (len(BARS) - 1)
    return "".join(" " if value is None or not math.isfinite(value) else BARS[int((value - low) / step) if step else 0] for value in values)
