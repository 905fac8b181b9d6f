"""The stars of a lake for those who read: which one is shown, what there is, and which versions of tables are still needed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lakehouse.errors import StorageError, UsageError

if TYPE_CHECKING:
    from lakehouse.lake import Lake
    from lakehouse.model.manifest import Manifest
    from lakehouse.storage.delta import Table


class Shown:
    """Gold as one reader sees it: every table at its version in one star.

    Without any star, as in a lake that an earlier release made, and where `staged` is wished, it is the newest version of each table.
    """

    def __init__(self, lake: Lake, *, star: int | None = None, as_of: datetime | date | None = None, staged: bool = False) -> None:
        """Choose the star: by its number, as it stood at a time (a day means its beginning, in UTC), or the newest.

        Raises:
            UsageError: There is no such star, or more than one way to choose is given.
            StorageError: A manifest cannot be read.
        """
        if sum((star is not None, as_of is not None, staged)) > 1:
            raise UsageError("a star is chosen in one way", expected="--star, --as-of or --staged", next_step="Leave the others out.")
        self._lake = lake
        self.star = None if staged else _chosen(lake, star, as_of)
        self.missed: set[str] = set()

    def table(self, layer: str, name: str) -> Table | None:
        """The handle on a table of the lake, of gold at its version in the star; None where there is none.

        Raises:
            StorageError: The star's version of it is gone.
        """
        if layer != "gold" or self.star is None:
            return self._lake.table(layer, name)
        there = self.star.tables.get(name)
        if there is None:
            self.missed.add(name)
            return None
        table = self._lake.gold_at(name, there.version)
        if table is None or table.identity != there.id:
            raise StorageError(
                f"the table is another one than that of star {self.star.star}",
                where=f"gold.{name}",
                next_step="`lakehouse run` builds and publishes it; `--staged` shows what is there.",
            )
        return table

    def missing(self) -> str:
        """Why tables that were asked for are not shown; empty where none is missing."""
        if not self.missed or self.star is None:
            return ""
        tables = ", ".join(f"gold.{name}" for name in sorted(self.missed))
        return f"Star {self.star.star} has no {tables}; `--staged` shows what is not published."


def _chosen(lake: Lake, star: int | None, as_of: datetime | date | None) -> Manifest | None:
    if star is None and as_of is None:
        return lake.stars.newest()
    numbers = lake.stars.numbers()
    if not numbers:
        raise UsageError("no star is published yet", next_step="`lakehouse run` publishes one.")
    if star is not None:
        if star not in numbers:
            raise UsageError(
                f"star {star} is not kept", expected=f"{numbers[0]} to {numbers[-1]}", next_step="`lakehouse publish --list` shows them."
            )
        return lake.stars.read(star)
    at = as_of if isinstance(as_of, datetime) else datetime.combine(as_of or date.min, time(), UTC)
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    found = lake.stars.read(numbers[-1])
    for number in reversed(numbers):
        found = lake.stars.read(number)
        if found.at <= at:
            return found
    raise UsageError(
        "no star that is kept is so old",
        expected=f"a time from {found.at.isoformat()} on",
        given=at.isoformat(),
        next_step="`lakehouse publish --list` shows the stars.",
    )


def listed(lake: Lake) -> list[dict[str, Any]]:
    """One row a star that is kept, the newest first: star, at, run_id, changed, checks, warnings, same_as, shown.

    `tables` has each table's version; `changed` names those with another version than in the star before; `shown` is true of the one
    that readers see.
    """
    rows: list[dict[str, Any]] = []
    before: Manifest | None = None
    for star in lake.stars.kept():
        old = {} if before is None else before.tables
        rows.append(
            {
                "star": star.star,
                "at": star.at,
                "run_id": star.run_id,
                "tables": {name: there.version for name, there in star.tables.items()},
                "changed": sorted(name for name in old.keys() | star.tables.keys() if old.get(name) != star.tables.get(name)),
                "checks": len(star.checks),
                "warnings": {judged.check: judged.rows for judged in star.checks if judged.rows},
                "same_as": star.same_as,
                "shown": False,
            }
        )
        before = star
    if rows:
        rows[-1]["shown"] = True
    return rows[::-1]


def retained(lake: Lake, model: str) -> list[int]:
    """The versions of a gold table that stars which are kept read, in order: what a vacuum must keep beside the newest.

    Raises:
        StorageError: A manifest cannot be read: nothing may be removed.
    """
    table = lake.table("gold", model)
    found = {star.tables[model] for star in lake.stars.kept() if model in star.tables}
    return [] if table is None else sorted(there.version for there in found if there.id == table.identity)


def retire(lake: Lake) -> list[int]:
    """Forget the stars that are outlived by the settings `star_days` and `stars_kept`, the oldest first; which they were.

    A star is needed for as long as it was the one that readers saw within the last `star_days`, and the newest `stars_kept` always are.
    Whoever then removes files holds `lake.keeping_stars()` from here to the end, so that nobody goes back to a star that is going.

    Raises:
        BusyError: Somebody is going back to an older star at this moment.
    """
    turn = lake.keeping_stars()
    taken = turn.take()
    try:
        stars = lake.stars.kept()
        since = lake.now() - timedelta(days=lake.settings.star_days)
        followed = pairwise(stars)
        old = {star.star for star, after in followed if after.at <= since} - {star.star for star in stars[-lake.settings.stars_kept :]}
        gone = []
        for star in stars:
            if star.star not in old:
                break
            lake.stars.remove(star.star)
            gone.append(star.star)
        return gone
    finally:
        if taken:
            turn.give_back()
