"""From where each table and each column of the lake comes."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from lakehouse.catalog.lineage import lineage as trace
from lakehouse.errors import UsageError
from lakehouse.layout import LAYERS

if TYPE_CHECKING:
    from lakehouse.lake import Lake
    from lakehouse.model.lineage import Lineage


def lineage(lake: Lake, name: str | None = None) -> Lineage:
    """The lineage of the whole project, or of one table or column: all that it comes from, and all that comes of it.

    The columns of a table are those that it has in the lake; where it is not there yet, those that the metadata tells.

    Args:
        lake: The opened lake; nothing but the tables' schemas is read.
        name: `layer.table`, `layer.table.column`, `source.<source>.<its table>`, or the name of a table or model alone.

    Raises:
        UsageError: Nothing has this name.
    """
    nodes = [(layer, table) for layer in LAYERS for table in (lake.catalog.models if layer == "gold" else lake.catalog.tables)]
    there = {f"{layer}.{table}": lake.table(layer, table) for layer, table in nodes}
    found = trace(lake.catalog, {node: table.schema.names for node, table in there.items() if table is not None})
    if name is None:
        return found
    known = found.names()
    if name in known:
        return found.around(name)
    if (own := _node(lake, name)) in known:
        return found.around(own)
    table, _, column = name.rpartition(".")
    columns = {edge.to_column for edge in found.columns if edge.to == table} | {
        edge.from_column for edge in found.columns if edge.from_ == table
    }
    if column in columns:
        return found.around(table, column)
    options = [f"{table}.{each}" for each in sorted(columns)] or known
    close = difflib.get_close_matches(name, options, n=1)
    raise UsageError(
        f"nothing is called {name!r}",
        given=name,
        expected=f"a column of {table}: {', '.join(sorted(columns))}" if columns else "layer.table, layer.table.column or a table's name",
        next_step=f"Did you mean {close[0]!r}?" if close else "`lakehouse lineage` lists all.",
    )


def _node(lake: Lake, name: str) -> str:
    return f"gold.{name}" if name in lake.catalog.models else f"silver.{name}"
