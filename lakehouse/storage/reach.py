"""Which files of bronze can hold what a window reads again, by their statistics alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from lakehouse.layout import BATCH
from lakehouse.transform.cut import first_of

if TYPE_CHECKING:
    from lakehouse.model.run import Cursor, Odd
    from lakehouse.storage.files import LiveFile

CUT, LAST_INSTANT = timedelta(milliseconds=1), datetime.max.replace(tzinfo=UTC)


def recent(files: list[LiveFile], cursor: str | None, low: Cursor | None, odd: Odd | None) -> list[LiveFile]:
    """The files that can hold a last observation equal to a row of the window, by their statistics.

    An equal row has a cursor in the window, or is odd too. What makes it an earlier observation of its key is a later batch
    than its own.
    """
    if cursor is None or low is None:
        return files

    first = None if odd is None else first_of(odd)

    def is_near(file: LiveFile) -> bool:
        reach = _reach(file, cursor)
        if reach is None or reach >= low:  # type: ignore[operator]  # a column's values are of one kind
            return True
        return odd is not None and (file.nulls.get(cursor, 1) > 0 or (first is not None and file.least.get(cursor, first) <= first))

    since = min((file.least.get(BATCH, 0) for file in files if is_near(file)), default=None)
    return [] if since is None else [file for file in files if is_near(file) or file.greatest.get(BATCH, since + 1) > since]


def newest(files: list[LiveFile], cursor: str | None) -> Cursor | None:
    """A value that no row of the files has a greater cursor than, or None where a file does not tell."""
    reaches = [] if cursor is None else [_reach(file, cursor) for file in files]
    known = [reach for reach in reaches if reach is not None]
    return max(known) if len(known) == len(files) else None


def _reach(file: LiveFile, cursor: str) -> Cursor | None:
    """At or above every value of the cursor in the file; Delta lets a writer cut instants to milliseconds ("Per-file Statistics")."""
    greatest: Cursor | None = file.greatest.get(cursor)
    if not isinstance(greatest, datetime):
        return greatest
    return greatest + CUT if greatest < LAST_INSTANT - CUT else LAST_INSTANT
