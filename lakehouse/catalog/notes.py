"""What is allowed and yet worth a word: told by `lakehouse validate`, never a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.model.cursor import TEXT_LIMITS

if TYPE_CHECKING:
    from lakehouse.catalog.catalog import Catalog


def notes(catalog: Catalog) -> list[str]:
    """One sentence for each thing that its author should know of, with its file; as far as the files tell the types."""
    found = []
    for name, table in catalog.tables.items():
        column = table.columns.get(table.cursor or "")
        if column is not None and column.type.name == "string":
            found.append(f"metadata/tables/{table.source}/{name}.yml: cursor: {TEXT_LIMITS}.")
    return found
