"""The audit: what a person does is told before it begins and when it has ended, in lines that nobody can change unnoticed."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from lakehouse.errors import UsageError
from lakehouse.layout import AUDIT
from lakehouse.model.audit import Line, acts, faults, head_number, line
from lakehouse.storage.journal import append, numbers, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakehouse.lake import Lake
    from lakehouse.model.audit import State


@dataclass(slots=True)
class Act:
    """An act under way.

    Attributes:
        counts: How much it was, for its last line.
        failed: Whether it came to nothing, though no error ended it.
    """

    counts: dict[str, int] = field(default_factory=dict)
    failed: bool = False


class Verdict(NamedTuple):
    """What was found of the audit: how many lines there are, what is wrong with them, and the last one as `<number>:<hash>`."""

    lines: int
    faults: list[str]
    head: str


@contextmanager
def audited(lake: Lake, act: str, *, what: str = "", why: str = "") -> Iterator[Act]:
    """What is done in the block is an act of a person: a line before it, and one after it that says how it ended.

    A process that dies leaves an act without an end, which `lakehouse history --audit` shows. No text may hold a value of a row.

    Args:
        lake: The opened lake.
        act: What kind of act, such as `full refresh`.
        what: Of which tables, run, star.
        why: The reason, as the person gives it.

    Raises:
        StorageError: The line cannot be written; before the act nothing has happened then.
    """
    about = Act()
    id_ = uuid.uuid4().hex[:12]

    def tell(state: State) -> None:
        said = Line(0, lake.now().isoformat(), lake.settings.who(), act, id_, state, what, why, lake.run_id, about.counts)
        _write(lake, said)

    tell("begun")
    try:
        yield about
    except BaseException:  # also what ends the process: the act has failed, whatever broke it
        tell("failed")
        raise
    tell("failed" if about.failed else "done")


def _write(lake: Lake, said: Line) -> None:
    made: list[Line] = []

    def make(number: int, before: bytes) -> bytes:
        last = line(before) if before else None
        made.append(said.following(number, last.hash if last is not None else "?" * bool(before)))
        return made[-1].text()

    number = append(lake.places.at(lake.layers[AUDIT]), make, lake.effects, f"{AUDIT} {said.act} {said.state}")
    lake.ledger.know_of_audit(lake.run_id, number, head_number(made[-1].hash))


def audit(lake: Lake) -> list[dict[str, Any]]:
    """What people did, the newest first; see `model.audit.acts`."""
    return acts(each for _, each in _lines(lake) if each is not None)


def verify(lake: Lake, noted: str | None = None) -> Verdict:
    """What the chain of the audit's lines says of itself, beside the ledger and a head that somebody noted, as `head` gives it.

    Raises:
        UsageError: That cannot be a head.
    """
    lines, said = _lines(lake), None
    if noted is not None:
        number, _, hash_ = noted.partition(":")
        if not number.isdecimal() or not hash_:
            raise UsageError("--head cannot be read", expected="<number>:<hash>, as --verify shows it", next_step="Write it so.")
        said = (int(number), hash_)
    last = next((each for _, each in reversed(lines) if each is not None), None)
    return Verdict(len(lines), faults(lines, lake.ledger.knows_of_audit(), said), "" if last is None else f"{last.n}:{last.hash}")


def _lines(lake: Lake) -> list[tuple[int, Line | None]]:
    place = lake.places.at(lake.layers[AUDIT])
    return [(number, line(read(place, number))) for number in numbers(place)]
