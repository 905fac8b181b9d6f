"""An erasure: what a table's file says of it, what it came to, and its certificate."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lakehouse.model.words import Columns, Frozen

OnErase = Literal["keep", "delete"]


class Erasing(Frozen):
    """What becomes of rows that point to an erased person; `users: delete` is short for `users: {on_erase: delete}`."""

    columns: Columns = ()
    """The columns, as silver calls them, that hold the person's keys, in the order of these; default: those of the rule of kind
    foreign_key that points there."""
    on_erase: OnErase | None = None
    """`keep` leaves the rows without these columns' values, so that facts have the unknown member; `delete` removes the rows."""


def erasing(given: object) -> object:
    """What is said, of which the verb alone may be given."""
    return {"on_erase": given} if isinstance(given, str) else given


@dataclass(frozen=True, slots=True)
class Held:
    """What one table of the lake has, or had, of a person.

    Attributes:
        table: `layer.table`.
        columns: The columns that name the person.
        on_erase: What becomes of the rows.
        rows: How many.
        files: The names of the files that hold them.
    """

    table: str
    columns: tuple[str, ...]
    on_erase: OnErase
    rows: int
    files: tuple[str, ...]


@dataclass(slots=True)
class Erasure:
    """One erasure, as `erase -o json` prints it (keys are stable).

    Attributes:
        status: `planned` (a dry run), `erased`, or `already` where the lake has nothing left of a person who was erased before.
        run_id: The run.
        table: The table of the person.
        held: What was found, table by table.
        certificate: The certificate's number.
        retired: The tables of which the newest version alone is left.
        redacted: How many rows of the ledger and of corrections were blanked or removed.
        seconds: How long it took.
    """

    status: Literal["planned", "erased", "already"]
    run_id: str
    table: str
    held: list[Held] = field(default_factory=list)
    certificate: int | None = None
    retired: list[str] = field(default_factory=list)
    redacted: int = 0
    seconds: float = 0.0

    def facts(self) -> dict[str, Any]:
        """The erasure as plain data."""
        return asdict(self)
