"""What a person may say of rejects: which ones, and what is to be made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lakehouse.model.run import Run


@dataclass(frozen=True, slots=True)
class Chosen:
    """Some open rejects of a table.

    Attributes:
        pointers: The first signs of their `_row_hash`.
        rule: All that break this rule, or have this reason, where no pointer is given.
    """

    pointers: Sequence[str] = ()
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """What is made of each row.

    Attributes:
        sql: An expression in DuckDB's dialect for each of some columns, over the row as bronze has it.
        rows: Or whole rows, as texts, each with `_batch` and `_row_hash`; columns that a row does not name stay. NULL is None.
    """

    sql: Mapping[str, str] = field(default_factory=dict)
    rows: Sequence[Mapping[str, str | None]] = ()


@dataclass(slots=True)
class Repair:
    """What an act upon rejects came to.

    Attributes:
        kind: `fix`, `drop`, `assign` or `replay`.
        table: Of which table; None for all.
        rows: Of how many rows of bronze it speaks.
        act: Its id, by which it can be taken back.
        run: How the replay went; None where none was made.
    """

    kind: str
    table: str | None
    rows: int
    act: str
    run: Run | None = None

    def facts(self) -> dict[str, Any]:
        """As `rejects fix -o json` prints it (keys are stable)."""
        run = None if self.run is None else self.run.facts()
        return {"kind": self.kind, "table": self.table, "rows": self.rows, "act": self.act, "run": run}
