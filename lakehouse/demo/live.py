"""Small changes of the source at the real present, as its users would make them."""

from __future__ import annotations

import time
from collections import deque
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from random import Random
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

from lakehouse.demo import state, words
from lakehouse.demo.rows import CHANGES, KEYS_AND_CURSORS, heard, popular
from lakehouse.sources.connect import connect

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from lakehouse.demo.store import Session, Store

_PAUSE_SECONDS = 0.25
_LATE_SECONDS = (0.5, 2.0)
_USER_SHARE, _CORRECTION_SHARE, _LATE_SHARE = 0.3, 0.3, 0.05
_SETTLE_SECONDS = 10
_OFTEN_CHANGED = 2
"""So many of the changes of a user happen in daily life: the country and the plan, not the name."""


@dataclass
class Made:
    """What a writer has committed so far."""

    transactions: int = 0
    streams: int = 0
    users: int = 0
    corrections: int = 0
    late: int = 0
    """Transactions that committed long after the instants in their rows."""


class Writer:
    """A thread that changes the source of a store a few times a second while the `with` block runs.

    New streams begin, users change plan or country, and streams of a moment ago are corrected, which moves no cursor.
    The same source makes it choose the same; the instants are the database's own.
    """

    def __init__(self, store: Store) -> None:
        """Name the source, which has lived at least one day."""
        self.made = Made()
        self._store, self._rng = store, Random()
        self._stop = Event()
        self._broken: Exception | None = None
        self._recent: deque[int] = deque(maxlen=100)
        self._thread = Thread(target=self._run, name="writer", daemon=True)

    @property
    def is_broken(self) -> bool:
        """Whether it ended by an error."""
        return self._broken is not None

    def facts(self) -> dict[str, int]:
        """The counts of what it has committed."""
        return asdict(self.made)

    def stop(self) -> None:
        """Let it commit what it has begun, and end.

        Raises:
            SourceError: The database refused a change.
        """
        self._stop.set()
        self._thread.join()
        if self._broken is not None:
            raise self._broken

    def __enter__(self) -> Self:
        """Start it."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """End it; an error of the block goes before its own."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with self._store.open() as session:
                self._begin(session)
                while not self._stop.wait(self._rng.expovariate(1 / _PAUSE_SECONDS)):
                    self._change(session)
        except Exception as exc:  # noqa: BLE001  it is raised again in the thread that stops this one
            self._broken = exc

    def _begin(self, session: Session) -> None:
        with session.transaction():
            known = state.read(session, self._store.name)
            state.write(session, {"live": 1})
            last = {table: int(str(session.rows(f"SELECT max({key}) FROM {table}")[0][0])) for table, (key, _) in KEYS_AND_CURSORS.items()}
        self._users, self._tracks = range(1, last["DimUser"] + 1), range(1, last["DimTrack"] + 1)
        self._weights = popular(self._users, self._tracks)
        self._next = last["FactStream"] + 1
        self._rng.seed(f"live/{known['seed']}/{self._next}")

    def _change(self, session: Session) -> None:
        """One transaction; some take their time between the instants of their rows and the commit."""
        rng, made = self._rng, Made(transactions=1)
        with session.transaction():
            made.streams = self._play(session, rng.choice((1, 1, 2, 3, 6)))
            if rng.random() < _USER_SHARE:
                made.users = self._move(session)
            if self._recent and rng.random() < _CORRECTION_SHARE:
                made.corrections = self._correct(session)
            if rng.random() < _LATE_SHARE:
                made.late = 1
                self._stop.wait(rng.uniform(*_LATE_SECONDS))
        self._recent.extend(range(self._next - made.streams, self._next))
        self.made = Made(**{name: count + getattr(made, name) for name, count in asdict(self.made).items()})

    def _play(self, session: Session, count: int) -> int:
        rng = self._rng
        rows = []
        for key in range(self._next, self._next + count):
            at = session.now()
            user, track = (
                rng.choices(keys, cum_weights=weights)[0] for keys, weights in zip((self._users, self._tracks), self._weights, strict=True)
            )
            rows.append((key, user, track, int(at[:10].replace("-", "")), heard(rng, track), words.device(rng), at))
        self._next += count
        return session.insert("FactStream", rows)

    def _move(self, session: Session) -> int:
        column, value, word = self._rng.choice(CHANGES["DimUser"][:_OFTEN_CHANGED])
        sql = f"UPDATE DimUser SET {column} = {value}, updated_at = :at WHERE user_id = :row"
        session.execute(sql, value=word(self._rng), at=session.now(), row=self._rng.choice(self._users))
        return 1

    def _correct(self, session: Session) -> int:
        sql = "UPDATE FactStream SET listen_duration = listen_duration + 1 WHERE stream_id = :row"
        session.execute(sql, row=self._rng.choice(self._recent))
        return 1


def settle(store: Store, project: Path) -> bool:
    """Wait until the next window can hold every row of the source; whether that came within `_SETTLE_SECONDS`."""
    with store.open() as session:
        cursors = [str(session.rows(f"SELECT max({cursor}) FROM {table}")[0][0]) for table, (_, cursor) in KEYS_AND_CURSORS.items()]
    newest = datetime.fromisoformat(max(cursors)).replace(tzinfo=UTC)
    end = time.monotonic() + _SETTLE_SECONDS
    with closing(connect(store.url, project)) as database:
        while database.bound() <= newest:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
    return True
