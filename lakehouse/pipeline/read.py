"""Readers' doors: the tables as SQL and as frames."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lakehouse.errors import UsageError
from lakehouse.transform.names import quote

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from lakehouse.lake import Lake

_NAMED = re.compile(r"\b(bronze|silver|gold)\"?\s*\.\s*\"?([a-z][a-z0-9_]*)\"?", re.IGNORECASE)


def query(lake: Lake, text: str) -> pa.Table:
    """The result of one SELECT over `bronze.x`, `silver.x` and `gold.y`.

    It sees the lake's tables and nothing else: no file, no setting, no network.

    Raises:
        UsageError: It is no single SELECT, or names what is not there.
    """
    with lake.engine() as engine:
        folders = []
        for layer, name in sorted({(layer.lower(), name.lower()) for layer, name in _NAMED.findall(text)}):
            table = lake.table(layer, name)
            if table is not None:
                files = [file.uri for file in table.files()]
                engine.table(f"{layer}.{quote(name)}", table.schema, files)
                folders.append(table.place)
        engine.lock(folders)
        return engine.ask(text)


def scan(lake: Lake, name: str) -> pl.LazyFrame:
    """The rows of `layer.table`, lazy.

    Raises:
        UsageError: There is no such table.
    """
    layer, _, table_name = name.partition(".")
    table = lake.table(layer, table_name) if layer in ("bronze", "silver", "gold") and table_name else None
    if table is None:
        raise UsageError(
            f"there is no table {name!r}",
            expected="bronze.<table>, silver.<table> or gold.<model>",
            next_step="`lakehouse status` lists the tables.",
        )
    return table.scan()
