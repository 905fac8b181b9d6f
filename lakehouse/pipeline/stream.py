"""A stream: the same run as a loop of small windows over handles that stay open."""

from __future__ import annotations

import time
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING

from lakehouse.errors import UsageError
from lakehouse.pipeline.run import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lakehouse.lake import Lake
    from lakehouse.model.run import Run
    from lakehouse.pipeline.walk import Around, Progress

SHORTEST, LONGEST = timedelta(milliseconds=100), timedelta(days=365)


def stream(
    lake: Lake,
    select: Iterable[str] = (),
    *,
    every: timedelta,
    for_: timedelta | None = None,
    once: bool = False,
    stop: Event | None = None,
    progress: Progress | None = None,
    around: Around | None = None,
) -> Iterator[Run]:
    """Poll the sources and run what came; one report a poll, as it ends.

    A poll that fails does not end the stream: the next one does what is due. The ledger keeps the polls that changed something,
    made a comparison, or failed otherwise than the one before.
    The catalogue is the one of the stream's start.

    Args:
        lake: The opened lake; its handles are kept from poll to poll.
        select: Words as for a run; none selects all.
        every: From the start of one poll to the start of the next; a poll that takes longer is followed at once.
        for_: How long to go on; no poll starts after it. Without it: until `stop` is set.
        once: One poll alone.
        stop: Set it to end the stream after the poll under way.
        progress: Called with each step as it ends.
        around: Does the work of each table or model; by default it is just done.

    Raises:
        UsageError: A word names nothing, or the times are out of bounds.
    """
    if not SHORTEST <= every <= LONGEST or not (for_ is None or for_ <= LONGEST):
        raise UsageError(
            "a stream cannot poll so", expected=f"an `every` from {SHORTEST.total_seconds()} s to {LONGEST.days} days", given=str(every)
        )
    words = list(select)
    told: set[tuple[str, str]] = set()

    def is_news(report: Run) -> bool:
        failures = {(step.table, (step.error or {}).get("message", "")) for step in report.steps if step.status == "failed"}
        new = once or any(step.status == "success" or step.step == "reconcile" for step in report.steps) or not failures <= told
        told.clear()
        told.update(failures)
        return new

    stop = stop or Event()
    end = None if for_ is None else time.monotonic() + for_.total_seconds()
    while True:
        begun = time.monotonic()
        yield run(lake, words, progress=progress, around=around, record=is_news)
        due = begun + every.total_seconds()
        if once or (end is not None and due > end) or stop.wait(max(0.0, due - time.monotonic())):
            return
        lake.begin()
