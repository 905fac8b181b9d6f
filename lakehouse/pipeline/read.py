"""Readers' doors: the tables as SQL and as frames."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lakehouse.errors import UsageError
from lakehouse.layout import LAYERS, REJECTS
from lakehouse.ledger import QUALITY, STEPS, VIEWS
from lakehouse.pipeline.stars import Shown
from lakehouse.transform.names import quote

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from lakehouse.engines.duck import Session
    from lakehouse.lake import Lake

_LEDGER = re.compile(r"\bledger\"?\s*\.", re.IGNORECASE)
_NAMED = re.compile(r"\b(bronze|silver|gold|rejects)\"?\s*\.\s*\"?([a-z][a-z0-9_]*|_corrections)\"?", re.IGNORECASE)


def query(lake: Lake, text: str, shown: Shown | None = None) -> pa.Table:
    """The result of one SELECT over `bronze.x`, `silver.x`, `rejects.x`, `gold.y`, and `ledger.runs`, `steps`, `windows` and `quality`.

    It sees the lake's tables and nothing else: no file, no setting, no network. Gold is as `shown`, by default the newest star.

    Raises:
        UsageError: It is no single SELECT, or names what is not there.
    """
    with lake.engine() as engine:
        folders = []
        named = sorted({(layer.lower(), name.lower()) for layer, name in _NAMED.findall(text)})
        if shown is None and any(layer == "gold" for layer, _ in named):
            shown = Shown(lake)
        for layer, name in named:
            table = lake.table(layer, name) if shown is None else shown.table(layer, name)
            if table is not None:
                files = [file.uri for file in table.files()]
                engine.table(f"{layer}.{quote(name)}", table.schema, files)
                folders.append(table.place)
        if _LEDGER.search(text):
            folders += _show_ledger(lake, engine)
        engine.lock(folders)
        try:
            return engine.ask(text)
        except UsageError as exc:
            if shown is not None and (why := shown.missing()):
                raise UsageError(exc.what, next_step=why) from exc
            raise


def _show_ledger(lake: Lake, engine: Session) -> list[str]:
    """Make the ledger readable, an empty one too; the folders that it is read from."""
    table = lake.ledger.table()
    judged = lake.ledger.quality_table()
    for name, schema, there in (("steps", STEPS, table), ("quality", QUALITY, judged)):
        engine.table(f"ledger.{name}", schema, [] if there is None else [file.uri for file in there.files(())])
    for name, select in VIEWS.items():
        engine.execute(f"create view ledger.{name} as {select}")
    return [there.place for there in (table, judged) if there is not None]


def scan(lake: Lake, name: str, shown: Shown | None = None) -> pl.LazyFrame:
    """The rows of `layer.table`, lazy; of the ledger as they are now, of gold as `shown`, by default in the newest star.

    Raises:
        UsageError: There is no such table.
    """
    layer, _, table_name = name.partition(".")
    if layer == "ledger" and table_name in ("steps", "quality", *VIEWS):
        import polars as pl  # noqa: PLC0415  on the way out only

        return pl.DataFrame(pl.from_arrow(query(lake, f"select * from {name}"))).lazy()
    if layer == "gold" and shown is None:
        shown = Shown(lake)
    read = lake.table if shown is None else shown.table
    table = read(layer, table_name) if layer in (*LAYERS, REJECTS) and table_name else None
    if table is None:
        raise UsageError(
            f"there is no table {name!r}",
            expected="bronze.<table>, silver.<table>, rejects.<table>, gold.<model>, ledger.runs, steps, windows or quality",
            next_step=(shown.missing() if shown else "") or "`lakehouse status` lists the tables.",
        )
    return table.scan()
