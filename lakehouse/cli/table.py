"""A table of plain texts, drawn as rich draws it, without rich: loading it takes a tenth of a run in which nothing has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEAD = ("┏━", "━┳━", "━┓")
_NAMES = ("┃ ", " ┃ ", " ┃")
_RULE = ("┡━", "━╇━", "━┩")
_ROW = ("│ ", " │ ", " │")
_FOOT = ("└─", "─┴─", "─┘")


def drawn(names: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool], title: str, width: int) -> str | None:
    """The table's lines, each with a line break; None where it takes a library to draw them.

    That is a table wider than `width`, or one with texts of which it is not plain how wide they are.

    Args:
        names: The columns.
        rows: The cells' texts, a row each.
        right: Whether a column's texts stand to the right.
        title: A line above it; none where empty.
        width: So many signs are the longest line.
    """
    texts = [text for line in (names, *rows, (title,)) for text in line]
    if not names or not all(text.isascii() and text.isprintable() and not text.endswith(" ") for text in texts):
        return None
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    whole = sum(widths) + 3 * len(widths) + 1
    if whole > width or len(title) > whole:
        return None

    def line(parts: tuple[str, str, str], texts: Sequence[str]) -> str:
        left, between, end = parts
        return left + between.join(texts) + end

    def cells(texts: Sequence[str]) -> list[str]:
        return [text.rjust(size) if at_right else text.ljust(size) for text, size, at_right in zip(texts, widths, right, strict=True)]

    lines = [
        *([title.ljust(whole)] if title else []),
        line(_HEAD, ["━" * size for size in widths]),
        line(_NAMES, cells(names)),
        line(_RULE, ["━" * size for size in widths]),
        *(line(_ROW, cells(row)) for row in rows),
        line(_FOOT, ["─" * size for size in widths]),
    ]
    return "".join(text + "\n" for text in lines)
