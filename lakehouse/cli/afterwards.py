"""The last lines of a demo: what can be looked at when it has ended."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.demo.store import Kind

if TYPE_CHECKING:
    from lakehouse.demo.source import Source

BY_COUNTRY = "select country, sum(streams) as streams from gold.daily_streams group by country order by 2 desc limit 5"


def tell_next(source: Source, project: Path, *, live: bool) -> None:
    """Say what can be looked at now that the demo ends, and how it goes on."""
    own = "" if source.kind is Kind.SQLITE else f" --source {source.kind}"
    goes_on = " --live  # goes on" if live else "  # lives another day"
    settings = f"LAKEHOUSE_LAKE={shlex.quote(str(source.lake))}"
    if source.kind is Kind.SQLITE:
        settings += f" LAKEHOUSE_CONNECTION__SPOTIFY={shlex.quote(source.store.url)}"
    if not source.stays:
        sys.stdout.write(
            f"The demo's PostgreSQL stops now; its data stay in {source.folder / 'server'}, and the lake needs no source to be read.\n"
        )
    elif source.kind is Kind.POSTGRES:
        sys.stdout.write(f"The source stays in {source.store.name}, as LAKEHOUSE_CONNECTION__SPOTIFY names it.\n")
    lines = [
        *([f"cd {shlex.quote(str(project))}"] if project != Path.cwd() else []),
        f"export {settings}",
        "lakehouse status",
        f'lakehouse query "{BY_COUNTRY}"',
        "lakehouse history",
        f"lakehouse demo{own}{goes_on}; --reset starts over",
    ]
    sys.stdout.write("Where to look next:\n" + "".join(f"  {line}\n" for line in lines))
