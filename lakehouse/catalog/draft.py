"""Metadata files as `discover` writes them: what a person would write, with the evidence as comments."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from lakehouse.model.personal import PROTECTED, SUGGESTED

if TYPE_CHECKING:
    from lakehouse.model.discovery import FoundColumn, FoundTable

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*|decimal\([0-9]+,[0-9]+\)")
_YAML_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
_LISTED = 40


def source_text(connection: str) -> str:
    """The file of a source."""
    return f"# yaml-language-server: $schema=../schema/source.json\nkind: database\nconnection: {_scalar(connection)}\n"


def table_text(table: FoundTable) -> str:
    """The file of a table that was found: it passes the catalogue's checks as it stands."""
    proposal = table.proposal
    lines = [
        "# yaml-language-server: $schema=../../schema/table.json",
        f"# Found by `lakehouse discover`; {rows_in_words(table)}. What is guessed says why: look it over, then it is yours.",
        f"from: {_scalar(table.object)}",
    ]
    if proposal.cursor is None:
        lines += ["mode: full", f"# no cursor: {comment('; '.join(proposal.cursor_why))}"]
    else:
        lines.append("mode: incremental")
    if proposal.keys:
        names = [_scalar(name) for name in proposal.keys]
        lines += [f"# keys: {comment(proposal.keys_why)}", f"keys: {names[0] if len(names) == 1 else '[' + ', '.join(names) + ']'}"]
    else:
        lines.append(f"# no keys, so that rows are compared as a whole: {comment(proposal.keys_why)}")
    if proposal.cursor is not None:
        lines += [
            f"# cursor: {comment('; '.join(proposal.cursor_why))}",
            f"cursor: {_scalar(proposal.cursor)}",
            "# lookback: a guess of how late a row can come",
            f"lookback: {proposal.lookback}",
        ]
    lines += [f"history: {proposal.history}", "columns:"]
    for column in table.taken:
        lines += [_column(column), *_suggested(column, is_key=column.name in proposal.keys, is_cursor=column.name == proposal.cursor)]
    gone = [column for column in table.columns if column.left_out]
    lines += [f"  # left out: {comment(quoted(column.name))}: {comment(column.left_out)}" for column in gone[:_LISTED]]
    lines += [f"  # left out: {len(gone) - _LISTED} more"] * (len(gone) > _LISTED)
    return "\n".join(lines) + "\n"


def rows_in_words(table: FoundTable) -> str:
    """How many rows a table has, and how well that is known."""
    if table.rows is None:
        return "nobody knows how many rows"
    number = f"{table.rows:,} row{'s' * (table.rows != 1)}"
    return {"counted": number, "estimated": f"about {number}", "at least": f"more than {number}"}.get(table.rows_are, number)


def _column(column: FoundColumn) -> str:
    said = [column.note] * bool(column.note)
    if column.personal is not None:
        said.append(f"PII? {column.personal}")
    shape = f"  {_scalar(column.name)}: {_scalar(str(column.type))}"
    return f"{shape}  # {comment('; '.join(said))}" if said else shape


def _suggested(column: FoundColumn, *, is_key: bool, is_cursor: bool) -> list[str]:
    """The line that protects a column which may tell of people, as a comment: it takes the place of the column's own when a key is set."""
    if column.personal is None or is_cursor or column.type.name not in PROTECTED:
        return []
    mode = SUGGESTED.get(column.personal.kind, "mask")
    if is_key:
        mode = "tokenise" if mode == "tokenise" else "hmac"
    words = [f"type: {json.dumps(str(column.type)) if column.type.name == 'decimal' else column.type}", f"pii: {mode}"]
    words += ["key: people"] * (mode in ("hmac", "tokenise"))
    words += ["case: lower, unicode: NFC, trim: true"] * (column.personal.kind == "e-mail" and column.type.name == "string")
    return [f"  # {_scalar(column.name)}: {{{', '.join(words)}}}"]


def _scalar(text: str) -> str:
    """A YAML scalar that every reader takes as this text.

    >>> _scalar("public.users"), _scalar("Order Lines"), _scalar("no"), _scalar("decimal(12,2)")
    ('public.users', '"Order Lines"', '"no"', 'decimal(12,2)')
    """
    return text if _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS else json.dumps(text)


def quoted(text: str) -> str:
    """A name of the source in quotes, for people; signs that no line can hold are written as their escapes.

    >>> quoted("Unit Price"), len(quoted(chr(10)))
    ('"Unit Price"', 4)
    """
    return '"' + "".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in text) + '"'


def comment(text: str) -> str:
    """A text that stays on one line of a comment."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
