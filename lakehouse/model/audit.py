"""The lines of the audit: what people did, each one chained to the one before it, and what is wrong with a chain."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

State = Literal["begun", "done", "failed"]
_BITS = 15
"""Hex digits of a hash that fit into the number of a commit."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the audit.

    Attributes:
        n: Its number, from 1 on, without gaps.
        at: When, by the run's clock, in UTC.
        by: Who: `LAKEHOUSE_USER`, or the user of the operating system.
        act: What kind of act: `full refresh`, `adopt`, `heal`, `fix`, `drop`, `assign`, `undo`, `redo`, `erase`, `rollback` ...
        id: The act's own id; its lines share it.
        state: `begun`, and later `done` or `failed`; an act without an end was cut off.
        what: Of which tables, run, star.
        why: The reason that the person gave.
        run_id: The run that does it.
        counts: How much it was.
        before: The hash of the line before it; empty for the first one.
        hash: Its own, over all that stands above.
    """

    n: int
    at: str
    by: str
    act: str
    id: str
    state: State
    what: str = ""
    why: str = ""
    run_id: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    before: str = ""
    hash: str = ""

    @property
    def digest(self) -> str:
        """The SHA-256 of its canonical text, which its `hash` must be."""
        told = {name: value for name, value in asdict(self).items() if name != "hash"}
        return hashlib.sha256(_canonical(told)).hexdigest()

    def following(self, n: int, before: str) -> Line:
        """The same as the line of a number after the line with a hash, with its own hash."""
        placed = Line(**{**asdict(self), "n": n, "before": before, "hash": ""})
        return Line(**{**asdict(placed), "hash": placed.digest})

    def text(self) -> bytes:
        """As it stands in its file."""
        return _canonical(asdict(self)) + b"\n"


def _canonical(told: dict[str, Any]) -> bytes:
    return json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def line(text: bytes) -> Line | None:
    """The line that a file holds; None where it holds none."""
    try:
        found = json.loads(text)
        datetime.fromisoformat(found["at"])
        return Line(**found)
    except (ValueError, TypeError, KeyError):
        return None


def head_number(hash_: str) -> int:
    """The part of a line's hash that the ledger's commits keep."""
    return int(hash_[:_BITS] or "0", 16)


def faults(lines: Sequence[tuple[int, Line | None]], kept: tuple[int, int] | None, noted: tuple[int, str] | None = None) -> list[str]:
    """What is wrong with a chain, a sentence each; none where it is as it was written.

    Args:
        lines: The number of each file and what it holds, in order.
        kept: How many lines there were at least, and the last one's `head_number`, as the ledger says; None where it says nothing.
        noted: The number and the hash of a line that somebody noted elsewhere.
    """
    found, before, expected = [], "", 1
    for n, each in lines:
        if n > expected:
            found.append(_missing(expected, n - 1))
        if each is None:
            found.append(f"line {n} cannot be read")
        elif each.n != n:
            found.append(f"line {n} says that it is line {each.n}")
        elif each.hash != each.digest:
            found.append(f"line {n} was changed: its hash is not that of its text")
        elif n == expected and before not in (each.before, "?"):
            found.append(f"line {n} does not follow line {n - 1} as it stands: one of them was put in another's place")
        before, expected = "?" if each is None else each.hash, n + 1
    count, number = kept or (0, 0)
    if expected <= count:
        found.append(_missing(expected, count) + f": the ledger knows of {count}")
    heads = {n: head_number(each.hash) for n, each in lines if each is not None}
    if count in heads and heads[count] != number:
        found.append(f"line {count} is not the one that the ledger knows: all lines up to it may have been written anew")
    if noted is not None and noted[1] != next((each.hash for n, each in lines if each is not None and n == noted[0]), ""):
        found.append(f"line {noted[0]} is not the one that was noted: all lines up to it may have been written anew")
    return found


def _missing(first: int, last: int) -> str:
    return f"line {first} is missing" if first == last else f"lines {first} to {last} are missing"


def acts(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """One row an act, the newest first: `n` of its first line, `at`, `by`, `act`, `what`, `why`, `state`, `counts`, `run_id`, `id`.

    The state is that of the last line; `begun` is one that was cut off, or goes on.
    """
    found: dict[str, dict[str, Any]] = {}
    for each in lines:
        told = {name: getattr(each, name) for name in ("n", "at", "by", "act", "what", "why", "state", "counts", "run_id", "id")}
        first = found.setdefault(each.id, told)
        first |= {"state": each.state, "counts": each.counts or first["counts"]}
    return sorted(found.values(), key=lambda row: int(row["n"]), reverse=True)
