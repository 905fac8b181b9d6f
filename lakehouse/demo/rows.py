"""Tables of the simulated source, new rows for them and the texts of their instants."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import accumulate
from random import Random

from lakehouse.demo import words
from lakehouse.demo.store import Row

SCHEMA = """
CREATE TABLE DimUser (user_id int PRIMARY KEY, user_name varchar(255),
  country varchar(255), subscription_type varchar(50), start_date date, end_date date,
  updated_at timestamp);
CREATE TABLE DimArtist (artist_id int PRIMARY KEY, artist_name varchar(255),
  genre varchar(100), country varchar(100), updated_at timestamp);
CREATE TABLE DimTrack (track_id int PRIMARY KEY, track_name varchar(255), artist_id int,
  album_name varchar(255), duration_sec int, release_date date, updated_at timestamp);
CREATE TABLE DimDate (date_key int PRIMARY KEY, date date, day int, month int, year int,
  weekday varchar(20));
CREATE TABLE FactStream (stream_id bigint PRIMARY KEY, user_id int, track_id int,
  date_key int, listen_duration int, device_type varchar(50), stream_timestamp timestamp)
"""
KEYS_AND_CURSORS = {
    "DimUser": ("user_id", "updated_at"),
    "DimArtist": ("artist_id", "updated_at"),
    "DimTrack": ("track_id", "updated_at"),
    "FactStream": ("stream_id", "stream_timestamp"),
}
TABLES = (*KEYS_AND_CURSORS, "DimDate")
_OTHER_PLAN = """coalesce(nullif(:value, subscription_type),
  CASE subscription_type WHEN 'Free' THEN 'Premium' ELSE 'Free' END)"""
# A column, its new value in SQL, and the word that goes in as :value.
CHANGES: dict[str, tuple[tuple[str, str, Callable[[Random], str]], ...]] = {
    "DimUser": (
        ("country", ":value", words.country),
        ("subscription_type", _OTHER_PLAN, words.plan),
        ("user_name", ":value", words.person),
    ),
    "DimArtist": (
        ("genre", ":value", words.genre),
        ("country", ":value", words.country),
    ),
    "DimTrack": (
        ("track_name", ":value", words.track),
        ("album_name", ":value", words.album),
    ),
}
CALENDAR = (date(2024, 1, 1), date(2027, 12, 31))
LAST_SECOND = 86_399
_CHUNK = 10_000
_USER_SKEW, _TRACK_SKEW = 0.6, 0.9
_NOBODY = range(0)

Weights = list[float]


@dataclass(frozen=True)
class Maker:
    """Makes the rows that appear on one day, each kind lazily and in key order."""

    rng: Random
    on: date
    spread: int
    """Days back over which new dimension rows have appeared; 1 is this day only."""

    def users(self, keys: range) -> Iterator[Row]:
        """Yield rows of DimUser; those from before this day may have ended."""
        for key in keys:
            at = self._appeared(key)
            since = date.fromisoformat(at[:10])
            since -= timedelta(days=self.rng.randrange(1_000) if self.spread > 1 else 0)
            until = since + timedelta(days=self.rng.randrange(30, 5_000))
            who = words.person(self.rng), words.country(self.rng), words.plan(self.rng)
            yield key, *who, str(since), str(until) if until < self.on else None, at

    def artists(self, keys: range) -> Iterator[Row]:
        """Yield rows of DimArtist."""
        for key in keys:
            who = words.artist(self.rng), words.genre(self.rng), words.country(self.rng)
            yield key, *who, self._appeared(key)

    def tracks(self, keys: range, artists: range) -> Iterator[Row]:
        """Yield rows of DimTrack, all by `artists`."""
        for key in keys:
            named, by = words.track(self.rng), self.rng.choice(artists)
            released = self.on - timedelta(days=self.rng.randrange(100, 6_000))
            what = words.album(self.rng), _duration(key), str(released)
            yield key, named, by, *what, self._appeared(key)

    def streams(
        self,
        on: date,
        keys: range,
        popular: tuple[Weights, Weights],
        fresh: tuple[range, range] = (_NOBODY, _NOBODY),
    ) -> Iterator[Row]:
        """Yield rows of FactStream for the day `on`, in the order of their instants.

        Users and tracks come by their weights; the `fresh` ones come for certain. A
        fifth of the rows sit on full ten minutes, and on this day the last ones sit on
        its last second.
        """
        rng, count = self.rng, len(keys)
        day, date_key = str(on), int(f"{on:%Y%m%d}")
        burst = count - max(3, count // 500) if on == self.on else count
        for start in range(0, count, _CHUNK):
            places = range(start, min(start + _CHUNK, count))
            users = _pick(rng, places, count, popular[0], fresh[0])
            tracks = _pick(rng, places, count, popular[1], fresh[1])
            for place, user, track in zip(places, users, tracks, strict=True):
                second = int((place + rng.random()) / count * LAST_SECOND)
                shape = int(rng.random() * 5)
                if place >= burst:
                    at = instant(day, LAST_SECOND)
                elif shape == 0:
                    at = instant(day, second - second % 600)
                else:
                    micro = int(rng.random() * 1_000_000) if shape % 2 else 0
                    at = instant(day, second, micro)
                yield keys[place], user, track, date_key, heard(rng, track), words.device(rng), at

    def anytime(self, on: date, least: int = 0, most: int = LAST_SECOND) -> str:
        """Return an instant of that day, in seconds or microseconds, before `most`."""
        micro = self.rng.randrange(1_000_000) * self.rng.randrange(2)
        return instant(on, self.rng.randrange(least, most), micro)

    def _appeared(self, key: int) -> str:
        if key % 50 == 0:
            return instant(self.on, LAST_SECOND)
        return self.anytime(self.on - timedelta(days=self.rng.randrange(self.spread)))


def dates() -> Iterator[Row]:
    """Yield DimDate, a row a day from the first to the last of `CALENDAR`."""
    first, last = CALENDAR
    for back in range((last - first).days + 1):
        on = first + timedelta(days=back)
        yield int(f"{on:%Y%m%d}"), str(on), on.day, on.month, on.year, f"{on:%A}"


def popularity(size: int, steepness: float) -> Weights:
    """Return cumulative Zipf weights of the keys 1 to `size`, the ranks well mixed.

    >>> popularity(2, 0.0)
    [1.0, 2.0]
    """
    # An odd factor permutes the ranks, and a new key leaves those of all others alone.
    ranks = (500 + key * 40_503 % 65_536 for key in range(1, size + 1))
    return list(accumulate(float(rank**-steepness) for rank in ranks))


def popular(users: range, tracks: range) -> tuple[Weights, Weights]:
    """Return weights of all users and of all tracks up to the last of each."""
    return popularity(users.stop - 1, _USER_SKEW), popularity(tracks.stop - 1, _TRACK_SKEW)


def heard(rng: Random, track: int) -> int:
    """Return for how many seconds somebody listened to a track, often to all of it."""
    return max(5, int(_duration(track) * min(1.0, rng.random() * 1.5)))


def instant(on: date | str, second: int, micro: int = 0) -> str:
    """Return an instant as the source writes it, without a fraction where it is zero.

    >>> instant(date(2026, 1, 31), 86_399), instant(date(2026, 1, 31), 60, 5)
    ('2026-01-31 23:59:59', '2026-01-31 00:01:00.000005')
    """
    minutes, seconds = divmod(second, 60)
    text = f"{on} {minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    return f"{text}.{micro:06d}" if micro else text


def earlier(at: str, seconds: int) -> str:
    """Return the instant so many seconds before another.

    >>> earlier("2026-02-01 00:00:01.500000", 2)
    '2026-01-31 23:59:59.500000'
    """
    return str(datetime.fromisoformat(at) - timedelta(seconds=seconds))


def _duration(track: int) -> int:
    return 120 + track * 37 % 241


def _pick(rng: Random, places: range, count: int, weights: Weights, fresh: range) -> list[int]:
    picked = rng.choices(range(1, len(weights) + 1), cum_weights=weights, k=len(places))
    if fresh:
        every = max(1, count // (4 * len(fresh)))
        for place in range(-(-places.start // every) * every, places.stop, every):
            picked[place - places.start] = fresh[place // every % len(fresh)]
    return picked
