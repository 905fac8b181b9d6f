"""What the lake should hold, in plain Python: lists of versions in, rows out; written from the design's rules alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

Row = tuple[Any, ...]


class Version(NamedTuple):
    """One observation of a key; `op` says what it is (None: a row), `seen` when it was made, in the sequence's own type."""

    key: Any
    seq: Any
    value: str | None
    batch: int
    op: str | None = None
    seen: Any = None


def row_hash(key: int, value: str | None, seq_text: str | None) -> str:
    """Rule 8 over the columns k, s and v: sorted names, NULLs left out, a text with its length in bytes."""
    parts = [f"k={key};"] + ([] if seq_text is None else [f"s={seq_text};"])
    parts += [] if value is None else [f"v={len(value.encode())}:{value};"]
    return hashlib.md5("".join(parts).encode(), usedforsecurity=False).hexdigest()


def _ordered(versions: Iterable[Version], seq_text: dict[Any, str | None]) -> dict[Any, list[Version]]:
    """Each key's versions that silver takes, in the order of rule 3: sequence, batch, hash; of equals a delete is the last."""
    by_key: dict[Any, list[Version]] = {}
    for version in versions:
        if version.op != "reject":
            by_key.setdefault(version.key, []).append(version)
    for found in by_key.values():
        found.sort(key=lambda v: (v.seq, v.batch, row_hash(v.key, v.value, seq_text[v.seq]), v.op == "delete"))
    return by_key


def current(versions: Iterable[Version], seq_text: dict[Any, str | None]) -> set[Row]:
    """SCD1: (key, sequence, value, batch) of each key's last version, unless it is a delete."""
    last = {key: ordered[-1] for key, ordered in _ordered(versions, seq_text).items()}
    return {(key, found.seq, found.value, found.batch) for key, found in last.items() if found.op is None}


def history(versions: Iterable[Version], seq_text: dict[Any, str | None]) -> set[Row]:
    """SCD2: (key, value, batch, from, to, is current); of a tie the last row counts, and no change makes no row.

    A delete ends the open row: at its own sequence where that is later than the row it ends, else when it was seen, which is
    never after the next row starts and never before the row it ends.
    """
    rows: set[Row] = set()
    for key, ordered in _ordered(versions, seq_text).items():
        kept: list[list[Any]] = []
        for seq in dict.fromkeys(version.seq for version in ordered):
            tied = [version for version in ordered if version.seq == seq]
            shown = [place for place, version in enumerate(tied) if version.op is None]
            if shown:
                row = tied[shown[-1]]
                if kept and kept[-1][1] is not None:
                    kept[-1][1] = min(kept[-1][1], seq)
                if not kept or kept[-1][1] is not None or kept[-1][0].value != row.value:
                    if kept and kept[-1][1] is None:
                        kept[-1][1] = seq
                    kept.append([row, None])
            ends = tied[shown[-1] + 1 :] if shown else tied
            if ends and kept and kept[-1][1] is None:
                kept[-1][1] = max(seq, ends[0].seen) if shown else seq
        rows |= {(key, row.value, row.batch, row.seq, to, to is None) for row, to in kept}
    return rows


def member_at(versions: set[Row], key: object, at: Any) -> Row | None:  # noqa: ANN401  any sequence
    """The row of `history` that a fact at `at` belongs to; before the first one, the first one."""
    own = sorted((row for row in versions if row[0] == key), key=lambda row: row[3])
    return next((row for row in reversed(own) if row[3] <= at), own[0] if own else None)
