"""What taking a run back came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from lakehouse.model.run import Run


@dataclass(slots=True)
class Undoing:
    """A run, or an act of a person, that is taken back, or would be.

    Attributes:
        of: The run or act.
        kind: `undo`; `redo` where what was taken back is brought back.
        dry_run: Whether nothing was written.
        tables: Of each table `table`, `batches` (None: single rows), `rows` and `keys` (of those batches; None without keys).
        following: The silver tables and models that are brought up to date.
        run: How that went; its id is that of this act, by which it can be taken back itself. None where nothing was written.
    """

    of: str
    kind: Literal["undo", "redo"]
    dry_run: bool
    tables: list[dict[str, Any]] = field(default_factory=list)
    following: list[str] = field(default_factory=list)
    run: Run | None = None

    def facts(self) -> dict[str, Any]:
        """As `undo -o json` prints it (keys are stable)."""
        return {
            "of": self.of,
            "kind": self.kind,
            "dry_run": self.dry_run,
            "tables": self.tables,
            "following": self.following,
            "run": None if self.run is None else self.run.facts(),
        }
