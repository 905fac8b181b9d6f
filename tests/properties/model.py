"""What the lake should hold, in plain Python: lists of versions in, rows out; written from the design's rules alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

Row = tuple[Any, ...]


class Version(NamedTuple):
    """One observation of a key."""

    key: Any
    seq: Any
    value: str | None
    batch: int


def row_hash(key: int, value: str | None, seq_text: str | None) -> str:
    """Rule 8 over the columns k, s and v: sorted names, NULLs left out, a text with its length in bytes."""
    parts = [f"k={key};"] + ([] if seq_text is None else [f"s={seq_text};"])
    parts += [] if value is None else [f"v={len(value.encode())}:{value};"]
    return hashlib.md5("".join(parts).encode(), usedforsecurity=False).hexdigest()


def _ordered(versions: Iterable[Version], seq_text: dict[Any, str | None]) -> dict[Any, list[Version]]:
    """Each key's versions in the order of rule 3: sequence, batch, hash."""
    by_key: dict[Any, list[Version]] = {}
    for version in versions:
        by_key.setdefault(version.key, []).append(version)
    for found in by_key.values():
        found.sort(key=lambda v: (v.seq, v.batch, row_hash(v.key, v.value, seq_text[v.seq])))
    return by_key


def current(versions: Iterable[Version], seq_text: dict[Any, str | None]) -> set[Row]:
    """SCD1: (key, sequence, value, batch) of each key's last version."""
    return {(key, last.seq, last.value, last.batch) for key, (*_, last) in _ordered(versions, seq_text).items()}


def history(versions: Iterable[Version], seq_text: dict[Any, str | None]) -> set[Row]:
    """SCD2: (key, value, batch, from, to, is current); of a tie the last counts, and no change makes no row."""
    rows: set[Row] = set()
    for key, ordered in _ordered(versions, seq_text).items():
        last_of = {version.seq: version for version in ordered}
        kept: list[Version] = []
        for version in last_of.values():
            if not kept or kept[-1].value != version.value:
                kept.append(version)
        ends = [*(version.seq for version in kept[1:]), None]
        rows |= {(key, version.value, version.batch, version.seq, to, to is None) for version, to in zip(kept, ends, strict=True)}
    return rows


def member_at(versions: set[Row], key: object, at: Any) -> Row | None:  # noqa: ANN401  any sequence
    """The row of `history` that a fact at `at` belongs to; before the first one, the first one."""
    own = sorted((row for row in versions if row[0] == key), key=lambda row: row[3])
    return next((row for row in reversed(own) if row[3] <= at), own[0] if own else None)
