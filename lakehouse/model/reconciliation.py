"""What a comparison of a source with the lake found: the words shared by its stage, its order and its doors."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.model.run import Run, Window

FIRST_KEYS = 10


@dataclass(slots=True)
class Reconciled:
    """One table's comparison, as `reconcile -o json` prints it (keys are stable).

    Attributes:
        table: The table.
        compared: How many rows of the source were compared.
        missing: Keys that the source shows and bronze has not (without keys: rows).
        stale: Keys whose last observation differs from the source.
        surplus: Keys that the source no longer shows, without a tombstone (without keys: rows).
        superseded: Keys that are as the source shows them while silver keeps a row of a greater sequence: no fault.
        healed: How many keys of the first three classes were brought right.
        keys: The first keys of each class.
        buckets: How many buckets were counted on both sides.
        buckets_read: How many of them differed and were read to rows.
        rows_read: How many rows of the source were read to find what differs.
        statements: How many statements the source answered.
        unchecked: Columns that the source's checksum does not cover; they are compared where rows are read.
        below: The first cursor value that was not compared: what lies there comes with the next run.
        suppressed: How many of these rows are of erased people, so that the lake rightly has them not, or without what points to them.
        note: What a person should know or do.
    """

    table: str
    compared: int = 0
    missing: int = 0
    stale: int = 0
    surplus: int = 0
    superseded: int = 0
    healed: int = 0
    keys: dict[str, list[Any]] = field(default_factory=lambda: {"missing": [], "stale": [], "surplus": [], "superseded": []})
    buckets: int = 0
    buckets_read: int = 0
    rows_read: int = 0
    statements: int = 0
    unchecked: list[str] = field(default_factory=list)
    below: str | None = None
    suppressed: int = 0
    note: str = ""

    @property
    def differing(self) -> int:
        """How many keys are not as the source shows them and were not healed."""
        return self.missing + self.stale + self.surplus - self.healed

    def facts(self) -> dict[str, Any]:
        """The comparison as plain data."""
        return asdict(self)


@dataclass(slots=True)
class Difference:
    """What a comparison found, for those who heal it.

    Attributes:
        report: The figures.
        again: The keys to read again.
        gone: The keys that the source no longer shows.
        window: For a table without keys: where rows are missing.
        held: How many rows bronze's last observations are.
    """

    report: Reconciled
    again: pa.Table | None = None
    gone: pa.Table | None = None
    window: Window | None = None
    held: int = 0


@dataclass(slots=True)
class Reconciliation:
    """A whole reconciliation: the run that did it, one comparison a table, and why others could not be compared."""

    run: Run
    tables: list[Reconciled]
    failed: dict[str, str] = field(default_factory=dict)

    def facts(self) -> list[dict[str, Any]]:
        """One row a table; of those that could not be compared the figures are NULL, and the note says why."""
        return [*(table.facts() for table in self.tables), *(_unknown(table, why) for table, why in self.failed.items())]


def _unknown(table: str, why: str) -> dict[str, Any]:
    facts = Reconciled(table, note=why).facts()
    return {name: None if isinstance(value, int) else value for name, value in facts.items()}
