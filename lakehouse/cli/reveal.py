"""`lakehouse reveal`: what tokens were made of."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.options import Output, Project, open_house
from lakehouse.cli.output import Format, print_json


def reveal(
    column: Annotated[str, typer.Argument(help="<table>.<column>.")],
    tokens: Annotated[list[str] | None, typer.Argument(help="Tokens; without any, one a line from stdin.")] = None,
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Show what tokens of `pii: tokenise` (or bronze's sealed values) were made of; their key must be set."""
    asked = tokens or [line.strip() for line in sys.stdin if line.strip()]
    found = open_house(project).reveal(column, *asked)
    if output is Format.JSON:
        print_json([{"token": token, "value": value} for token, value in zip(asked, found, strict=True)])
    else:
        sys.stdout.writelines(f"{value}\n" for value in found)
