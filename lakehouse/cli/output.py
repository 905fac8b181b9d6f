"""How results leave: tables for people, JSON for machines; progress and errors go to stderr."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

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
    from rich.console import Console
    from rich.table import Table

    listed = list(rows)
    names = list(columns or (listed[0] if listed else ()))
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for name in names:
        numeric = any(isinstance(row.get(name), int | float | Decimal) and not isinstance(row.get(name), bool) for row in listed)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in listed:
        table.add_row(*(_cell(row.get(name)) for name in names))
    console = Console() if sys.stdout.isatty() else Console(width=WIDE)
    console.print(table if names else "(no rows)", markup=False)


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
