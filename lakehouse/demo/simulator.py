"""A seeded music service in a database that lives one day at a time, as untidily as life.

What makes it a test of a loader: late and out-of-order updates, changes that move no
cursor, ties on a day's last second, facts before their dimension rows, back-dated facts
and hard deletes. All of it reaches back less than 25 days.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from lakehouse.demo import state
from lakehouse.demo.rows import (
    CHANGES,
    KEYS_AND_CURSORS,
    LAST_SECOND,
    SCHEMA,
    TABLES,
    Maker,
    dates,
    earlier,
    instant,
    popular,
)
from lakehouse.demo.store import Row, Session, Store
from lakehouse.errors import UsageError

_DAY_ONE = date(2026, 1, 31)
_LEAST_STREAMS = 100
_KINDS = (
    *("late", "touch", "twice", "last second", "older"),
    *("plain", "plain", "late", "last second", "plain"),
)


@dataclass(frozen=True)
class Day:
    """What happened in the source on one day; the counts name all five tables."""

    number: int
    on: date
    now: datetime
    """The instant (UTC) at which the day is complete; every cursor lies before it."""
    inserted: dict[str, int]
    updated: dict[str, int]
    """Rows, not writes: one that changed twice counts once."""
    deleted: dict[str, int]
    late: int
    """Updated rows whose cursor lies before the greatest one of their table as the day
    began: what a loader without look-back cannot see."""
    ties: int
    """Rows on the greatest cursor second of their table, summed over the tables."""


class Simulator:
    """The source in a store; one that exists keeps the streams and seed it began with.

    Raises:
        ValueError: `streams` is below 100, too few for every kind of change to occur.
    """

    def __init__(self, store: Store, *, streams: int = 200_000, seed: int = 7) -> None:
        """Name the store; nothing is opened or made before the first day is lived."""
        if streams < _LEAST_STREAMS:
            msg = f"streams must be at least {_LEAST_STREAMS}, not {streams}"
            raise ValueError(msg)
        self._store = store
        self._wanted = {"streams": streams, "seed": seed, "days": 0}

    @property
    def days_lived(self) -> int:
        """The number of days the source has seen; 0 where there is no source yet."""
        if not self._store.exists():
            return 0
        with self._store.open() as session:
            return state.read(session, self._store.name).get("days", 0)

    def live_day(self) -> Day:
        """Return the day just lived, committed whole in one transaction or not at all.

        The first day makes the schema and the stock of rows; each later one changes it.

        Raises:
            UsageError: The source has changed in the present, or holds tables that are not its own.
            SourceError: The database refuses, or another process holds it.
        """
        with self._store.open() as session, session.transaction():
            known = self._wanted | state.read(session, self._store.name)
            if known.get("live"):
                raise UsageError(
                    "the source has changed in the present, so that no day of the past can follow",
                    where=self._store.name,
                    next_step="Go on with `lakehouse demo --live`, or start over with --reset.",
                )
            known["days"] += 1
            life = _Life(session, known["days"], known["streams"], known["seed"])
            day = life.begin() if known["days"] == 1 else life.go_on()
            state.write(session, known)
        return day


class _Life:
    """One day inside an open transaction, with random numbers of its own."""

    def __init__(self, db: Session, number: int, streams: int, seed: int) -> None:
        self.db = db
        self.number = number
        self.on = _DAY_ONE + timedelta(days=number - 1)
        self.rng = Random(f"{seed}/{number}")
        self.make = Maker(self.rng, self.on, spread=90 if number == 1 else 1)
        self.streams = streams
        self.users = min(50_000, max(200, streams // 200))
        self.artists = max(100, self.users // 5)
        self.tracks = max(400, self.users)
        self.births = max(2, self.users // 100)
        none = dict.fromkeys(TABLES, 0)
        self.inserted, self.updated, self.deleted = none.copy(), none.copy(), none
        self.late = 0

    def begin(self) -> Day:
        state.make(self.db)
        for statement in SCHEMA.split(";"):
            self.db.execute(statement)
        users, artists, tracks = map(_upto, (self.users, self.artists, self.tracks))
        self._insert("DimDate", dates())
        self._insert("DimUser", self.make.users(users))
        self._insert("DimArtist", self.make.artists(artists))
        self._insert("DimTrack", self.make.tracks(tracks, artists))
        weights = popular(users, tracks)
        cuts = [self.streams * part // 30 for part in range(31)]
        for part in range(30):
            on = self.on - timedelta(days=29 - part)
            keys = range(cuts[part] + 1, cuts[part + 1] + 1)
            early = self._early(users) if on == self.on else range(0)
            rows = self.make.streams(on, keys, weights, (early, range(0)))
            self._insert("FactStream", rows)
        for table, (_, cursor) in KEYS_AND_CURSORS.items():
            self.db.execute(f"CREATE INDEX {table}_{cursor} ON {table} ({cursor})")
        return self._day()

    def go_on(self) -> Day:
        old = [_upto(self._greatest(t, key)) for t, (key, _) in KEYS_AND_CURSORS.items()]
        users, artists, tracks, streams = old
        self._change("DimUser", users, len(users) // 50)
        self._change("DimArtist", artists, len(artists) // 100)
        self._change("DimTrack", tracks, len(tracks) // 100)
        self._amend_streams(streams)
        users = _next(users, self.births)
        artists = _next(artists, max(1, self.artists // 200))
        tracks = _next(tracks, max(2, self.tracks // 100))
        self._insert("DimUser", self.make.users(users))
        self._insert("DimArtist", self.make.artists(artists))
        self._insert("DimTrack", self.make.tracks(tracks, artists))
        weights = popular(users, tracks)
        fresh = range(users.start, self._early(users).stop), tracks
        streams = _next(streams, self.streams // 20)
        self._insert("FactStream", self.make.streams(self.on, streams, weights, fresh))
        for back in range(1, 5):
            on = self.on - timedelta(days=back)
            streams = _next(streams, max(2, self.streams // 4_000))
            self._insert("FactStream", self.make.streams(on, streams, weights))
        return self._day()

    def _early(self, users: range) -> range:
        """Return users who stream today though they are inserted tomorrow only."""
        return _next(users, self.births // 2)

    def _insert(self, table: str, rows: Iterator[Row]) -> None:
        self.inserted[table] += self.db.insert(table, rows)

    def _change(self, table: str, keys: range, about: int) -> None:
        """Update rows of a dimension, at least one of each kind."""
        key, cursor = KEYS_AND_CURSORS[table]
        before = self._last_cursor(table)
        chosen = self.rng.sample(keys, max(len(_KINDS), about))
        sql = f"SELECT {key}, {cursor} FROM {table} WHERE {cursor} >= :since ORDER BY {cursor}, {key} LIMIT :most"
        since = str(self.on - timedelta(days=15))
        seen = [(int(str(row[0])), str(row[1])) for row in self.db.rows(sql, since=since, most=2 * len(chosen))]
        taken = set(chosen)
        recent = [row for row in seen if row[0] not in taken]
        for place, drawn in enumerate(chosen):
            kind, row = _KINDS[place % len(_KINDS)], drawn
            at = self.make.anytime(self.on)
            if kind == "last second":
                at = instant(self.on, LAST_SECOND)
            elif kind == "older" and recent:
                row, at = recent.pop(self.rng.randrange(len(recent)))
                at = earlier(at, self.rng.randrange(3_600, 72 * 3_600))
            elif kind in {"late", "older"}:
                back = timedelta(days=self.rng.randint(1, 20))
                at = self.make.anytime(self.on - back)
            elif kind == "twice":
                self._write(table, row, self.make.anytime(self.on, most=43_200))
                at = self.make.anytime(self.on, least=43_200)
            self._write(table, row, at, touch=kind == "touch")
            self.late += at < before
        self.updated[table] = len(chosen)

    def _write(self, table: str, row: int, at: str, *, touch: bool = False) -> None:
        column, value, word = self.rng.choice(CHANGES[table])
        key, cursor = KEYS_AND_CURSORS[table]
        sql = f"UPDATE {table} SET {column} = {column if touch else value}, {cursor} = :at WHERE {key} = :row"
        self.db.execute(sql, value=word(self.rng), at=at, row=row)

    def _amend_streams(self, keys: range) -> None:
        """Delete 0.05 % of the streams and correct twice as many, none over 24 days."""
        since = str(self.on - timedelta(days=23))
        before = self._last_cursor("FactStream")
        sql = "SELECT stream_id FROM FactStream WHERE stream_timestamp >= :since ORDER BY stream_timestamp, stream_id LIMIT 1"
        first = int(str(self.db.rows(sql, since=since)[0][0]))
        deletes = max(2, self.streams // 2_000)
        chosen = self.rng.sample(range(first, keys.stop), 3 * deletes)
        for place, key in enumerate(chosen):
            found = self.db.rows(
                "SELECT listen_duration, stream_timestamp FROM FactStream WHERE stream_id = :row AND stream_timestamp >= :since",
                row=key,
                since=since,
            )
            if not found:
                continue
            if place < deletes:
                self.db.execute("DELETE FROM FactStream WHERE stream_id = :row", row=key)
                self.deleted["FactStream"] += 1
                continue
            heard, at = int(str(found[0][0])), str(found[0][1])
            at = at if place % 2 else earlier(at, self.rng.randint(1, 120))
            heard = heard // 2 if heard % 2 else heard + 1
            self.db.execute(
                "UPDATE FactStream SET listen_duration = :heard, date_key = :day, stream_timestamp = :at WHERE stream_id = :row",
                heard=heard,
                day=int(at[:10].replace("-", "")),
                at=at,
                row=key,
            )
            self.updated["FactStream"] += 1
            self.late += at < before

    def _last_cursor(self, table: str) -> str:
        return str(self._greatest(table, KEYS_AND_CURSORS[table][1]))

    def _greatest(self, table: str, column: str) -> int | str:
        found = self.db.rows(f"SELECT max({column}) FROM {table}")[0][0]
        return found if isinstance(found, int) else str(found)

    def _ties(self, table: str) -> int:
        cursor = KEYS_AND_CURSORS[table][1]
        sql = f"SELECT count(*) FROM {table} WHERE {cursor} >= :second"
        return int(str(self.db.rows(sql, second=self._last_cursor(table)[:19])[0][0]))

    def _day(self) -> Day:
        return Day(
            number=self.number,
            on=self.on,
            now=datetime.combine(self.on + timedelta(days=1), time(), UTC),
            inserted=self.inserted,
            updated=self.updated,
            deleted=self.deleted,
            late=self.late,
            ties=sum(map(self._ties, KEYS_AND_CURSORS)),
        )


def _upto(last: int | str) -> range:
    return range(1, int(last) + 1)


def _next(keys: range, count: int) -> range:
    return range(keys.stop, keys.stop + count)
