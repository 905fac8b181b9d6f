"""After a step broke: whether a data file that it may have read is damaged, so that the error names the file and not an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.errors import LakehouseError, StorageError
from lakehouse.lake import WRITTEN_BY
from lakehouse.storage.damage import damage

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def damaged(lake: Lake, layer: str, node: str) -> StorageError | None:
    """The first damaged file among those of a step's table and of its inputs, as an error; None where there is none.

    It asks the store for every file, so it is for steps that broke already.
    """
    layer = WRITTEN_BY.get(layer, layer)
    try:
        inputs = lake.inputs(layer, node) if layer in ("silver", "gold") else {}
        for table in (lake.table(layer, node), *inputs.values()):
            if table is None:
                continue
            store = lake.places.at(table.uri).store()
            for file in table.files(()):
                if what := damage(store, file):
                    return StorageError(f"a data file {what}", where=f"{table.name}: {file.path}", next_step=_next_step(table.name))
    except LakehouseError:
        return None  # nothing more can be told
    return None


def _next_step(table: str) -> str:
    if table.startswith("bronze."):
        return "Restore it from a copy."
    return "Restore it from a copy, or remove the lake's silver and gold folders: the next run builds them from bronze."
