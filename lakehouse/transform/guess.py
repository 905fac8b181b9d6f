"""Guesses how a table could be read: which column grows with every change, how far back to look, whether versions are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lakehouse.model.discovery import Proposal
from lakehouse.model.types import INTEGERS
from lakehouse.transform.spelling import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lakehouse.model.types import DataType

_CHANGE = (
    *("updated", "update", "modified", "modification", "changed", "change", "touched", "lastmodified", "lastupdate", "lastupdated"),
    *("lastchanged", "moddate", "mtime", "geaendert", "geandert", "aenderung", "anderung", "aktualisiert"),
)
_ARRIVAL = ("created", "inserted", "occurred", "happened", "logged", "recorded", "received", "event", "timestamp", "ts", "time", "at")
_OTHER = frozenset(
    {
        *("next", "due", "planned", "scheduled", "requested", "first", "until", "expected", "password", "expires", "expire", "expiry"),
        *("end", "ends", "ended", "deleted", "cancelled", "canceled", "valid", "start", "starts"),
    }
)
_OF_THE_ROW = frozenset(
    {
        *("at", "on", "last", "date", "time", "ts", "timestamp", "datetime", "dt", "utc", "tz", "when", "row", "record", "entry"),
        *("am", "datum", "zeit", "letzte", "system", "sys", "db"),
    }
)
"""Words beside that of the change which leave it the whole row's: `status_changed_at` tells of the status alone."""
_GROWS_ONLY = frozenset(
    {
        *("log", "logs", "event", "events", "audit", "history", "journal", "ledger", "click", "clicks", "visit", "visits", "stream"),
        *("streams", "message", "messages", "measurement", "measurements", "reading", "readings", "metric", "metrics", "trace", "traces"),
        *("transaction", "transactions", "movement", "movements", "booking", "bookings", "telemetry", "impression", "impressions"),
    }
)
LOOKBACKS: dict[str, str | int] = {"timestamp": "1d", "date": "2d", "integer": 10_000}


@dataclass(frozen=True, slots=True)
class Seen:
    """A column as a guess about cursors sees it."""

    name: str
    type: DataType
    required: bool
    indexed: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A column that could be the cursor.

    Attributes:
        column: The column.
        shows: Whether it grows with every `change` of a row, or with every new `row` only.
        reasons: What speaks for it.
    """

    column: Seen
    shows: Literal["change", "row"]
    reasons: tuple[str, ...]


def cursor_candidates(table: str, keys: Sequence[str], columns: Iterable[Seen]) -> list[Candidate]:
    """The columns that could be the cursor, the likeliest first.

    Changes are told by the name of a time; a table that only grows, as its own name tells, by its integer key or by the time of arrival.
    """
    listed = list(columns)
    times = [column for column in listed if column.type.name in ("timestamp", "date")]
    row = _OF_THE_ROW | {word.removesuffix("s") for word in words(table)} | set(words(table))
    change = [column for column in times if _says(column.name, _CHANGE) and set(words(column.name)) <= row | set(_CHANGE)]
    change.sort(key=lambda column: (column.type.name == "date", not column.indexed, not column.required, _rank(column.name, _CHANGE)))
    found = [Candidate(column, "change", _reasons(column, "its name tells of changes")) for column in change]
    if change or not set(words(table)) & _GROWS_ONLY:
        return found
    grows = "the table's name tells that rows are only added"
    key = [column for column in listed if tuple(keys) == (column.name,) and column.type.name in INTEGERS]
    found += [Candidate(column, "row", (grows, f"the primary key is one {column.type}")) for column in key]
    arrival = [column for column in times if column.type.name == "timestamp" and _says(column.name, _ARRIVAL)]
    arrival.sort(key=lambda column: (not column.indexed, not column.required, _rank(column.name, _ARRIVAL)))
    return found + [Candidate(column, "row", (grows, *_reasons(column, "its name tells of arrival"))) for column in arrival]


def _says(name: str, known: Sequence[str]) -> bool:
    found = set(words(name))
    return bool(found & set(known)) and not found & _OTHER


def _rank(name: str, known: Sequence[str]) -> int:
    found = words(name)
    return min(known.index(word) for word in found if word in known)


def _reasons(column: Seen, by_name: str) -> tuple[str, ...]:
    return (
        by_name,
        str(column.type),
        "not null by its definition" if column.required else "NULL allowed by its definition",
        "indexed" if column.indexed else "not indexed, so each window reads the whole table",
    )


def propose(keys: tuple[str, ...], keys_why: str, cursor: Candidate | None, why: tuple[str, ...]) -> Proposal:
    """How to read a table with these keys and this cursor: versions are kept where changes of a key can be seen in order."""
    if cursor is None:
        return Proposal("full", keys, keys_why, cursor_why=why)
    kind = cursor.column.type.name
    return Proposal(
        mode="incremental",
        keys=keys,
        keys_why=keys_why,
        cursor=cursor.column.name,
        cursor_why=why,
        lookback=LOOKBACKS["integer" if kind in INTEGERS else kind],
        history="scd2" if keys and cursor.shows == "change" else "scd1",
    )
