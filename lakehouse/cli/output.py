"""How results leave: tables for people, JSON for machines; progress and errors go to stderr."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from lakehouse.cli.table import drawn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WIDE = 200


class Format(StrEnum):
    """What `-o` takes."""

    TEXT = "text"
    JSON = "json"


def print_json(value: object) -> None:
    """One JSON document on stdout; instants in ISO form, decimals as their exact text."""
    sys.stdout.write(json.dumps(value, default=_plain, ensure_ascii=False) + "\n")


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return value.hex() if isinstance(value, bytes) else str(value)


def print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] | None = None, title: str | None = None) -> None:
    """A table on stdout; numbers to the right, NULL as an empty cell."""
    listed = list(rows)
    names = list(columns or (listed[0] if listed else ()))
    right = [
        any(isinstance(row.get(name), int | float | Decimal) and not isinstance(row.get(name), bool) for row in listed) for name in names
    ]
    cells = [[_cell(row.get(name)) for name in names] for row in listed]
    quick = None if _is_looked_at() else drawn(names, cells, right, title or "", WIDE)
    if quick is not None:
        sys.stdout.write(quick)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for name, numeric in zip(names, right, strict=True):
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*row)
    console = Console(emoji=False) if sys.stdout.isatty() else Console(width=WIDE, emoji=False)
    console.print(table if names else "(no rows)", markup=False)


def _is_looked_at() -> bool:
    """Whether the output is a terminal, or shall be taken for one, or cannot take the lines of a table."""
    wished = any(os.environ.get(name) for name in ("FORCE_COLOR", "TTY_COMPATIBLE"))
    return sys.stdout.isatty() or wished or not (sys.stdout.encoding or "").lower().startswith("utf")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    return str(value)


def print_line(text: str, *, indent: int = 0, hang: int = 2) -> None:
    """One line on stdout; on a terminal it breaks between words, and goes on `hang` further to the right."""
    margin, line = " " * indent, plain(text)
    if sys.stdout.isatty():
        width = max(shutil.get_terminal_size().columns, indent + hang + 20)
        line = textwrap.fill(line, width, initial_indent=margin, subsequent_indent=margin + " " * hang, break_on_hyphens=False)
    else:
        line = margin + line
    sys.stdout.write(line + "\n")


def plain(text: str) -> str:
    """A text that stays on one line and moves no cursor, whatever others called their things."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def say(text: str) -> None:
    """A line on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
