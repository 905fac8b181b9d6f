"""What a run reports and what a window is: the words shared by stages, ledger and doors."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

Cursor = datetime | date | int | str
Status = Literal["success", "unchanged", "failed", "skipped", "interrupted"]
Reads = Literal["window", "backfill", "refresh", "adoption"]
_EPOCH, _EPOCH_DAY = datetime(1970, 1, 1, tzinfo=UTC), date(1970, 1, 1)


def cursor_to_number(value: Cursor) -> int:
    """A cursor value as the integer that a commit carries: epoch microseconds, epoch days, or the number itself.

    >>> cursor_to_number(date(1970, 1, 3))
    2

    Raises:
        TypeError: A text has no number.
    """
    if isinstance(value, str):
        raise TypeError("a text has no number")
    if isinstance(value, datetime):
        return (value - _EPOCH) // timedelta(microseconds=1)
    return (value - _EPOCH_DAY).days if isinstance(value, date) else value


def following(value: Cursor) -> Cursor | None:
    """The first cursor value above one, or None where there is none; of texts, the first without the sign that no database keeps.

    >>> following(date(2024, 2, 28))
    datetime.date(2024, 2, 29)
    """
    if isinstance(value, str):
        return value + "\x01"
    try:
        if isinstance(value, datetime):
            return value + timedelta(microseconds=1)
        return value + timedelta(days=1) if isinstance(value, date) else value + 1
    except OverflowError:
        return None


def parse_bound(text: str) -> Cursor:
    """The bound of a window that a person names: an integer, a day or an instant (without a zone: UTC).

    >>> parse_bound("2024-05-01")
    datetime.date(2024, 5, 1)
    >>> parse_bound("2024-05-01T10:30").isoformat()
    '2024-05-01T10:30:00+00:00'
    >>> parse_bound("1000")
    1000

    Raises:
        ValueError: The text is none of them.
    """
    word = text.strip()
    if word.removeprefix("-").isdecimal():
        return int(word)
    try:
        instant = datetime.fromisoformat(word)
        if instant.tzinfo is not None:
            instant = instant.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError(f"{text!r} lies outside the years 1 to 9999 in UTC") from exc
    if len(word) <= len("2024-05-01"):
        return instant.date()
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant


def cursor_from_number(number: int, kind: str) -> Cursor:
    """The cursor value behind a committed integer; `kind` is the column's type name."""
    if kind == "timestamp":
        return _EPOCH + timedelta(microseconds=number)
    return _EPOCH_DAY + timedelta(days=number) if kind == "date" else number


@dataclass(frozen=True, slots=True)
class Odd:
    """Rows that no window holds: their cursor is NULL, infinite, or at or above `ahead` (None: for a cursor that is no time)."""

    ahead: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """The piece of a source that one read covers: `cursor >= from_ AND cursor < to`; None is unbounded.

    With `odd` the read brings these rows too.
    """

    from_: Cursor | None = None
    to: Cursor | None = None
    odd: Odd | None = None

    def __str__(self) -> str:
        """`[from, to)` for people."""
        return f"[{'beginning' if self.from_ is None else self.from_}, {'end' if self.to is None else self.to})"

    def facts(self) -> dict[str, str | None]:
        """The bounds as texts, for commit metadata and the ledger."""
        return {"from": None if self.from_ is None else str(self.from_), "to": None if self.to is None else str(self.to)}


@dataclass(frozen=True, slots=True)
class Commit:
    """What travels with a commit's rows.

    Attributes:
        run_id: The run that writes.
        step: The step of the run, such as `silver`.
        numbers: App transactions beside the fence: all that a resume needs.
        facts: Commit metadata for the ledger.
    """

    run_id: str
    step: str
    numbers: dict[str, int] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Step:
    """One step of a run over one table, as `run -o json` prints it (keys are stable).

    `rows_in` is what the step read, `rejected` and `dropped` those of them that rules left out,
    `rows_out` the rows it added or changed, `version` the table's Delta version after it.

    Attributes:
        reads: How the source was read: `window` (of a run), `backfill`, `refresh` or `adoption`; None where it was not.
        mode: The table's mode.
        extracted_at: When the window was frozen.
        bytes: Of the files written.
        checksum: Of these files, all together; see `storage.parquet.checksum_of`.
        definition: The number of what the table is built by.
        version_before: The table's Delta version before the step's first commit; None where it made none.
        columns: What the table's contract made of source columns that are not as bronze has them: `added`, `widened`, `rescued`,
            `discarded`.
        built: How a gold model was brought up to its inputs: from their `changes`, or in `full`.
        why_in_full: The reason, where it was in full.
        open_rejects: How many rows wait among the table's rejects after a step that changed it, where more wait than the table allows.
        owner: Who looks after the table, where they do.
        suppressed: How many rows that the source shows of erased people were left out, or lost what points to them.
    """

    step: str
    table: str
    status: Status = "success"
    rows_in: int = 0
    rows_out: int = 0
    rejected: int = 0
    seconds: float = 0.0
    version: int | None = None
    window: dict[str, str | None] | None = None
    failed_checks: dict[str, int] = field(default_factory=dict)
    error: dict[str, str] | None = None
    reads: Reads | None = None
    mode: str | None = None
    extracted_at: datetime | None = None
    bytes: int = 0
    checksum: str | None = None
    definition: int | None = None
    version_before: int | None = None
    dropped: int = 0
    columns: dict[str, list[str]] = field(default_factory=dict)
    built: Literal["changes", "full"] | None = None
    why_in_full: str | None = None
    open_rejects: int = 0
    owner: str | None = None
    suppressed: int = 0


@dataclass(slots=True)
class Run:
    """A whole run.

    Attributes:
        metadata: The digest of all that the project declared when it began; for the ledger.
    """

    run_id: str
    status: Status
    started_at: datetime
    seconds: float = 0.0
    steps: list[Step] = field(default_factory=list)
    metadata: str | None = None

    def facts(self) -> dict[str, Any]:
        """The run as `run -o json` prints it (keys are stable)."""
        told = {**asdict(self), "started_at": self.started_at.isoformat()}
        del told["metadata"]
        return told
