"""The versions of a model's inputs: the one that this run reads, and what came and went since the one that the model was built from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.storage import difference

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def seen(lake: Lake, layer: str, name: str) -> int:
    """The number of the version of a table that this run reads."""
    table = lake.table(layer, name)
    return 0 if table is None else difference.seen(lake.turn(layer, name).place, table.version)


def since(lake: Lake, layer: str, name: str, before: int) -> difference.Difference | None:
    """The files of a table that came and went since the version with this number; None where that cannot be told any more."""
    table = lake.table(layer, name)
    return None if table is None else difference.since(lake.turn(layer, name).place, table, before)
