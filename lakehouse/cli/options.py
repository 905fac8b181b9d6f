"""The options that commands share, and the lakehouse behind them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.output import Format

if TYPE_CHECKING:
    from lakehouse.api import Lakehouse

Project = Annotated[Path, typer.Option("--project", help="The project's folder.", show_default="here")]
Output = Annotated[Format, typer.Option("-o", "--output", help="text for people, json for machines.")]
Select = Annotated[
    list[str] | None, typer.Option("--select", "-s", help="users, users+ (and what follows), +fact_stream (and what it needs), tag:x.")
]


def open_house(project: Path) -> Lakehouse:
    """The lakehouse of a project's folder."""
    from lakehouse.api import Lakehouse

    return Lakehouse.open(project)
