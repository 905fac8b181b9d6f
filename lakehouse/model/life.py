"""What `lakehouse why` tells of one row: where it came from, what silver and gold made of it, and how to check that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from datetime import datetime

What = Literal["row", "delete", "reject"]
Became = Literal["version", "no change", "superseded", "end", "refused", "gone", "pending", "undone"]


@dataclass(frozen=True, slots=True)
class Observation:
    """One bronze row of the key, and what silver made of it.

    Attributes:
        sequence: Its place among the versions of its key.
        batch: The ordinal of the bronze commit that brought it.
        run_id: The run that read it.
        extracted_at: When it was read.
        what: Whether the source showed a row, its end, or one that silver does not take.
        window: The read that brought it: `step`, `reads`, `mode`, `from`, `to`; empty where no commit tells any more.
        became: `version`: a row of silver that stands; `no change`: it says what the version before it said; `superseded`: another row
            counts in its place; `end`: it ended the key; `refused`: silver does not take it; `gone`: the key was ended after it;
            `pending`: silver has not come so far; `undone`: its run is taken back.
        why: The same in words.
        silver_version: The Delta version of silver that took it in.
        silver_run_id: The run that made that version.
        row: Its own columns, as silver sees them.
    """

    sequence: object
    batch: int
    run_id: str
    extracted_at: datetime | None
    what: What
    window: dict[str, Any]
    became: Became
    why: str
    silver_version: int | None
    silver_run_id: str | None
    row: dict[str, Any]

    def facts(self) -> dict[str, Any]:
        """As `why -o json` prints it (keys are stable)."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Life:
    """One row's life (see `facts`)."""

    table: str
    key: dict[str, Any]
    bronze: list[Observation] = field(default_factory=list)
    rejects: list[dict[str, Any]] = field(default_factory=list)
    silver: list[dict[str, Any]] = field(default_factory=list)
    silver_version: int | None = None
    gold: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    sql: list[dict[str, str]] = field(default_factory=list)

    @property
    def found(self) -> bool:
        """Whether the key is anywhere in the lake."""
        return bool(self.bronze or self.silver or self.rejects or any(model["rows"] for model in self.gold))

    def facts(self) -> dict[str, Any]:
        """As `why -o json` prints it (keys are stable)."""
        return {
            "table": self.table,
            "key": self.key,
            "found": self.found,
            "bronze": [seen.facts() for seen in self.bronze],
            "rejects": self.rejects,
            "silver": {"version": self.silver_version, "rows": self.silver},
            "gold": self.gold,
            "runs": self.runs,
            "sql": self.sql,
        }
