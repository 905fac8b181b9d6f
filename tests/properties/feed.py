"""What silver should be of a change feed, in plain Python: written from the words' meaning, version by version, key by key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tests.properties.model import Row


class Event(NamedTuple):
    """One row of a feed as bronze has it: its key, the two columns that order it, two columns of content, and what it says."""

    key: int
    seq: int
    then: int | None
    value: str | None
    note: str | None
    batch: int
    hash: str
    op: str | None = None


class Feed(NamedTuple):
    """What the table's file says."""

    history: bool = False
    then: str = ""
    fills: tuple[str, ...] = ()
    track: tuple[str, ...] = ("value", "note")
    as_row: bool = False
    snapshots: bool = False


class Stands(NamedTuple):
    """A state of a key: what it shows (None: it is not there), from when, by which batch, and the instant that said so."""

    since: int
    shows: tuple[Any, ...] | None
    deleted: bool
    batch: int
    said: int


def _least_first(value: int | None) -> tuple[bool, int]:
    return (value is not None, value or 0)


def _order(feed: Feed, event: Event) -> tuple[Any, ...]:
    given = _least_first(event.then)
    placed = {"": (), "asc": given, "desc": (given[0], -given[1])}[feed.then]
    return (event.seq, *placed, event.batch, event.hash, event.op is not None)


def _states(events: list[Event], ends: dict[int, int], feed: Feed) -> list[Stands]:
    """All states of one key in their order; of one instant the last is the one that counts."""
    states: list[Stands] = []
    shown: Event | None = None
    alive = False
    pending = sorted(ends)
    for event in sorted(events, key=lambda event: _order(feed, event)):
        while pending and pending[0] <= event.seq:
            at = pending.pop(0)
            if alive and shown is not None and shown.seq < at:
                states.append(_gone(at, at, shown, feed, ends[at]))
                alive = False
        if event.op == "delete":
            if alive and shown is not None:
                at = event.seq if event.seq > shown.seq else event.seq + 1  # a number has no time: it was seen at the next one
                states.append(_gone(at, event.seq, shown, feed, event.batch))
            alive = False
            continue
        before = shown if alive else None
        value, note = _kept("value", event, before, feed), _kept("note", event, before, feed)
        shown, alive = event._replace(value=value, note=note), True
        states.append(Stands(event.seq, _shows(shown), False, event.batch, event.seq))
    for at in pending:
        if alive and shown is not None and shown.seq < at:
            states.append(_gone(at, at, shown, feed, ends[at]))
            alive = False
    return states


def _kept(name: str, event: Event, before: Event | None, feed: Feed) -> str | None:
    own: str | None = getattr(event, name)
    return getattr(before, name) if own is None and name in feed.fills and before is not None else own


def _shows(event: Event) -> tuple[Any, ...]:
    return (event.seq, event.then, event.value, event.note)


def _gone(at: int, said: int, shown: Event, feed: Feed, batch: int) -> Stands:
    return Stands(at, _shows(shown) if feed.as_row else None, True, batch, said)


def _by_key(events: Iterable[Event]) -> dict[int, list[Event]]:
    found: dict[int, list[Event]] = {}
    for event in events:
        if event.op != "truncate":
            found.setdefault(event.key, []).append(event)
    return found


def silver(events: list[Event], feed: Feed) -> set[Row]:
    """The rows of silver: (key, seq, then, value, note[, is_deleted], batch) and for a history (from, to, is current)."""
    instants = sorted({event.seq for event in events if event.op == "truncate" or feed.snapshots})
    ends = {at: min(e.batch for e in events if e.seq == at and (e.op == "truncate" or feed.snapshots)) for at in instants}
    rows: set[Row] = set()
    for key, own in _by_key(events).items():
        states = _states(own, ends, feed)
        mark = [[state.deleted] if feed.as_row else [] for state in states]
        if feed.history:
            rows |= _history(key, states, feed)
        elif states and states[-1].shows is not None:
            rows.add((key, *states[-1].shows, *mark[-1], states[-1].batch))
    return rows


def _counting(states: list[Stands], feed: Feed) -> list[Stands]:
    """The states that last: of one instant the last, and a delete that the next row overtakes only parts the two rows."""
    lasting: list[Stands] = []
    for place, state in enumerate(states):
        following = next((later.since for later in states[place + 1 :] if not later.deleted), None)
        if not state.deleted or following is None or following > state.since:
            lasting.append(state)
        elif following > state.said and not feed.as_row:
            lasting.append(state._replace(since=following))
    return [
        state for place, state in enumerate(lasting) if state.deleted or place + 1 == len(lasting) or lasting[place + 1].since > state.since
    ]


def _history(key: int, states: list[Stands], feed: Feed) -> set[Row]:
    intervals: list[list[Any]] = []
    for state in _counting(states, feed):
        content = (
            None
            if state.shows is None
            else (*(state.shows[2 + n] for n, name in enumerate(("value", "note")) if name in feed.track), state.deleted)
        )
        last = intervals[-1] if intervals else None
        if last is not None and last[0] == content:
            last[2] = state
        elif state.shows is not None or last is not None:
            if last is not None and last[4] is None:
                last[4] = state.since
            intervals.append([content, state, state, state.since, None])
    rows: set[Row] = set()
    for content, first, latest, since, to in intervals:
        if content is None:
            continue
        shows = (
            first.shows[0],
            first.shows[1],
            *(((first if name in feed.track else latest).shows[2 + n]) for n, name in enumerate(("value", "note"))),
        )
        rows.add((key, *shows, *([first.deleted] if feed.as_row else []), first.batch, since, to, to is None))
    return rows
