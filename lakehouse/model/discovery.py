"""What a look at a database finds: its tables, how each could be read, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from lakehouse.model.types import DataType


@dataclass(frozen=True, slots=True)
class Personal:
    """A guess that a column tells of people, such as `e-mail`, with its reasons; never with a value."""

    kind: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        """The kind, then why."""
        return f"{self.kind}: {'; '.join(self.reasons)}"


@dataclass(frozen=True, slots=True)
class FoundColumn:
    """A column of the source.

    Attributes:
        name: In the source and in the lake.
        native: The database's type.
        type: The lake's type that holds its values.
        note: Why that is not the type that the database declares; empty where it is.
        nulls: The share of NULLs in the sample; None without one.
        personal: Whether it tells of people.
        left_out: Why the lake cannot have it; empty where it can.
    """

    name: str
    native: str
    type: DataType
    note: str = ""
    nulls: float | None = None
    personal: Personal | None = None
    left_out: str = ""

    def facts(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {
            "name": self.name,
            "native": self.native,
            "type": str(self.type),
            "nulls": self.nulls,
            "pii": None if self.personal is None else {"kind": self.personal.kind, "reasons": list(self.personal.reasons)},
            "note": self.note or None,
            "left_out": self.left_out or None,
        }


@dataclass(frozen=True, slots=True)
class Proposal:
    """How a table could be read.

    Attributes:
        mode: As in a table's file.
        keys: The primary key's columns.
        keys_why: Where they come from, or why there are none.
        cursor: The column that grows with every change, if one was found.
        cursor_why: The evidence for it, or why there is none.
        lookback: As a table's file writes it.
        history: As in a table's file.
    """

    mode: Literal["full", "incremental"] = "full"
    keys: tuple[str, ...] = ()
    keys_why: str = ""
    cursor: str | None = None
    cursor_why: tuple[str, ...] = ()
    lookback: str | int | None = None
    history: Literal["scd1", "scd2"] = "scd1"


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table or view of the source.

    Attributes:
        object: Its name in the source, as `from` takes it.
        is_view: Whether it is a view.
        rows: How many it has; None where nobody knows.
        rows_are: How exact that is.
        table: Its name in the lake.
        columns: Its columns in order.
        proposal: How it could be read.
        left_out: Why it is not taken; empty where it can be.
        file: The file that describes it already, below the project; empty without one.
    """

    object: str
    is_view: bool = False
    rows: int | None = None
    rows_are: Literal["counted", "estimated", "at least", "unknown"] = "unknown"
    table: str | None = None
    columns: tuple[FoundColumn, ...] = ()
    proposal: Proposal = field(default_factory=Proposal)
    left_out: str = ""
    file: str = ""

    @property
    def taken(self) -> tuple[FoundColumn, ...]:
        """The columns that the lake can have."""
        return tuple(column for column in self.columns if not column.left_out)

    def facts(self) -> dict[str, Any]:
        """As JSON shows it; keys are stable."""
        return {
            "from": self.object,
            "table": self.table,
            "view": self.is_view,
            "rows": self.rows,
            "rows_are": self.rows_are,
            "mode": self.proposal.mode,
            "keys": list(self.proposal.keys),
            "keys_why": self.proposal.keys_why,
            "cursor": self.proposal.cursor,
            "cursor_why": list(self.proposal.cursor_why),
            "lookback": self.proposal.lookback,
            "history": self.proposal.history,
            "columns": [column.facts() for column in self.columns],
            "left_out": self.left_out or None,
            "file": self.file or None,
        }
