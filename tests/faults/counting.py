"""How many faults a session struck, told at its end: each test records (store, mode, kind, effects) under one name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

COUNTED = "effects struck"


def told(properties: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """A line for each store, from what the passed tests recorded."""
    records = [tuple(value) for name, value in properties if name == COUNTED]
    for store in sorted({store for store, *_ in records}):
        struck = [(mode, kind, count) for at, mode, kind, count in records if at == store]
        modes, kinds = {mode for mode, *_ in struck}, sorted({kind for _, kind, _ in struck})
        total = sum(count for *_, count in struck)
        yield f"faults in {store}: effects x {len(modes)} modes x {len(kinds)} kinds ({', '.join(kinds)}) = {total}, all equal"
