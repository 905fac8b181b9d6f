"""A correction: what a person says of rows that bronze has. Silver is a function of bronze and of all corrections."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

Kind = Literal["fix", "drop", "assign", "undo", "redo", "erase"]
"""`fix`: the row is another one; `drop`: it is none; `assign`: somebody looks after it; `undo`: a run's batch, or a correction, is taken
back; `redo`: that again is; `erase`: a person is forgotten."""


class Pointer(NamedTuple):
    """A row of bronze, and all that are equal to it in its batch."""

    batch: int
    row_hash: str


def _new_id() -> str:
    return uuid.uuid4().hex[:12]


@dataclass(frozen=True, slots=True)
class Correction:
    """One row of `bronze._corrections`.

    Attributes:
        kind: What is said.
        table: Of which table.
        by: Who says it.
        at: When, by the run's clock, in UTC.
        why: The reason, as that person gives it.
        run_id: The run that `undo` takes back or `redo` brings back.
        batch: The batch of bronze that is taken back, or that holds the row.
        row_hash: The row's hash; None where the whole batch is meant.
        key_hash: The keyed hash of an erased person's key.
        value: What is said beside that: of a fix `set` (a column's SQL, or its edited value), `rows` (what stands in the row's place: all
            columns of bronze as texts, NULL ones left out, as often as the row is there) and `reject` (what was wrong with it);
            of an assignment `owner`.
        supersedes: The id of the correction that this one makes void.
        id: Its own.
        batch_of: The ordinal of the commit that brought it; 0 until then.
        act: The id of the act that it is part of, as that of a run; empty until then.
    """

    kind: Kind
    table: str
    by: str
    at: datetime
    why: str
    run_id: str | None = None
    batch: int | None = None
    row_hash: str | None = None
    key_hash: str | None = None
    value: dict[str, Any] = field(default_factory=dict)
    supersedes: str | None = None
    id: str = field(default_factory=_new_id)
    batch_of: int = 0
    act: str = ""

    @property
    def pointer(self) -> Pointer | None:
        """The row that it speaks of, if it speaks of one."""
        return None if self.batch is None or self.row_hash is None else Pointer(self.batch, self.row_hash)


def standing(corrections: Iterable[Correction]) -> Sequence[Correction]:
    """Those that no other standing one makes void, in their order."""
    void: set[str] = set()
    kept = []
    for correction in sorted(corrections, key=lambda each: each.batch_of, reverse=True):
        if correction.id not in void:
            kept.append(correction)
            void.update([correction.supersedes] if correction.supersedes else [])
    return kept[::-1]
