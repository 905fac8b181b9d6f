"""The greatest text of a column in one batch of a table: by the statistics of its files, and by their rows where those may be cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.layout import BATCH

if TYPE_CHECKING:
    from lakehouse.storage.delta import Table

EXACT_TEXT = 32
"""Statistics of texts from this length on may be cut and rounded up by a writer (Delta protocol, "Per-file Statistics")."""


def greatest_text(table: Table, column: str, batch: int) -> str | None:
    """The greatest text of a column among the rows of a batch, in the order of UTF-8's bytes; None where they have none."""
    found: list[str] = []
    unsure = []
    for file in table.files([BATCH, column]):
        least, greatest = file.least.get(BATCH, 0), file.greatest.get(BATCH, batch)
        if not least <= batch <= greatest:
            continue
        text = file.greatest.get(column)
        if least == greatest and isinstance(text, str) and len(text) < EXACT_TEXT:
            found.append(text)
        else:
            unsure.append(file)
    if unsure:
        import polars as pl  # noqa: PLC0415  short texts in files as they were appended do not need it

        greatest_row = table.scan(unsure).filter(pl.col(BATCH) == batch).select(pl.col(column).max()).collect()
        found += [text for text in greatest_row[column].to_list() if text is not None]
    return max(found, default=None)
