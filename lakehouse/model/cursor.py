"""What goes together with which kind of cursor: one set of rules, for declared types and for those that the source has."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol

from lakehouse.model.types import INTEGERS

if TYPE_CHECKING:
    from collections.abc import Iterator

CURSORS = (*INTEGERS, "date", "timestamp", "string")
"""The types that a cursor can have in the lake."""
TIMES = ("date", "timestamp")

TEXT_LIMITS = (
    "a text cursor is read in the order of its bytes (UTF-8), whatever the database's collation; it has no upper bound, no lag and no"
    " look-back, so a row that is committed late with a text below the greatest one that was read is not seen"
)

OddCursors = Literal["stop", "reject", "read_once"]
SetBy = Literal["database", "application"]


class ByCursor(Protocol):
    """The part of a table's file that speaks of its cursor."""

    @property
    def cursor(self) -> str | None: ...  # noqa: D102  as in `Table`
    @property
    def sequence_by(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def lookback(self) -> timedelta | int: ...  # noqa: D102
    @property
    def lag(self) -> timedelta | int: ...  # noqa: D102
    @property
    def start_at(self) -> datetime | int | None: ...  # noqa: D102
    @property
    def cursor_zone(self) -> str | None: ...  # noqa: D102
    @property
    def cursor_set_by(self) -> SetBy: ...  # noqa: D102
    @property
    def odd_cursors(self) -> OddCursors: ...  # noqa: D102


def without_type(table: ByCursor) -> Iterator[tuple[str, str]]:
    """The faults that show before the cursor's type is known: what is wrong, and the key to look at."""
    alone = {
        "lag": bool(table.lag),
        "cursor_zone": table.cursor_zone is not None,
        "cursor_set_by": table.cursor_set_by != "database",
        "odd_cursors": table.odd_cursors != "stop",
    }
    if table.cursor is None:
        yield from ((f"`{key}` speaks of a cursor, and there is none", key) for key, given in alone.items() if given)
    elif table.cursor_set_by == "application" and not table.lag:
        yield (
            "a cursor that the application sets needs a `lag`, longer than from that setting to the commit: no database bounds it",
            "cursor_set_by",
        )


def with_type(table: ByCursor, kind: str) -> Iterator[tuple[str, str]]:
    """The faults that the cursor's type shows: what is wrong, and the key to look at."""
    if kind not in CURSORS:
        yield f"{table.cursor!r} is a {kind}; allowed: {', '.join(CURSORS)}", "cursor"
        return
    if kind == "string":
        yield from _of_text(table)
    else:
        span = "a span such as 30d" if kind in TIMES else "a number"
        for key, given in (("lookback", table.lookback), ("lag", table.lag)):
            if given and isinstance(given, timedelta) is not (kind in TIMES):
                yield f"does not fit a {kind} cursor; expected {span}", key
        if table.start_at is not None and isinstance(table.start_at, int) is (kind in TIMES):
            yield f"does not fit a {kind} cursor; expected {'an instant' if kind in TIMES else 'a number'}", "start_at"
    if table.cursor_zone is not None and kind not in TIMES:
        yield f"a {kind} cursor has no time zone", "cursor_zone"
    if table.odd_cursors == "read_once" and kind not in TIMES and table.sequence_by[:1] in ((), (table.cursor,)):
        yield f"a row without its {kind} cursor needs another `sequence_by` to have a place among the versions of its key", "odd_cursors"


def _of_text(table: ByCursor) -> Iterator[tuple[str, str]]:
    for key, given in (("lookback", table.lookback), ("lag", table.lag), ("start_at", table.start_at)):
        if given not in (None, 0, timedelta(0)):
            yield f"does not fit a text cursor: {TEXT_LIMITS}", key
