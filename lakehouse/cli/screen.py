"""What a person sees while a stream goes on: a live table on a terminal, else a line for each poll that changed something."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lakehouse.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Group

    from lakehouse.model.run import Run

REFRESHES_PER_SECOND = 4
_MANY_SECONDS, _DAY = 1_000, 86_400


@dataclass
class Line:
    """A table of the lake as the stream left it: rows to bronze since the start and by the last poll, and the watermark."""

    rows: int = 0
    last: int = 0
    watermark: datetime | None = None

    def lag(self) -> float | None:
        """Seconds from the watermark to now."""
        return None if self.watermark is None else round((datetime.now(UTC) - self.watermark).total_seconds(), 1)


@dataclass
class Seen:
    """What the polls of a stream have brought so far.

    Attributes:
        length: Seconds that the stream is to go on.
        source: The source's name for people.
        changes: Says what the source's writer has committed.
    """

    length: float
    source: str
    changes: Callable[[], dict[str, int]]
    polls: int = 0
    failures: int = 0
    seconds: float = 0.0
    error: str = ""
    tables: dict[str, Line] = field(default_factory=dict)
    plays: list[dict[str, Any]] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    def add(self, report: Run) -> None:
        """Count a poll."""
        self.polls += 1
        self.failures += report.status == "failed"
        self.seconds = report.seconds
        self.error = next((step.error["message"] for step in report.steps if step.status == "failed" and step.error), "")
        for step in report.steps:
            if step.step == "bronze":
                line = self.tables.setdefault(step.table, Line())
                line.rows, line.last = line.rows + step.rows_out, step.rows_out

    def facts(self) -> dict[str, Any]:
        """What was seen, as plain data; keys are stable."""
        tables = [
            {"table": name, "rows": line.rows, "last_rows": line.last, "watermark": line.watermark, "lag_seconds": line.lag()}
            for name, line in self.tables.items()
        ]
        return {
            "polls": self.polls,
            "failures": self.failures,
            "last_poll_seconds": self.seconds,
            "changes": self.changes(),
            "tables": tables,
            "last_minute": self.plays,
        }

    def text(self) -> str:
        """The last poll in one line."""
        came = ", ".join(f"{name} {line.last:,}" for name, line in self.tables.items() if line.last) or "nothing new"
        lags = [lag for line in self.tables.values() if line.last and (lag := line.lag()) is not None]
        behind = f", {min(lags):.1f} s behind" if lags else ""
        done = f"{datetime.now(UTC):%H:%M:%S} poll {self.polls}: {came} in {self.seconds:.2f} s{behind}"
        return f"{done}; plays of the last minute: {self._played()}"

    def screen(self) -> Group:
        """All of it as a table."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        passed = min(self.length, time.monotonic() - self.begun)
        table = Table(title=f"{self.source}: {passed:.0f} of {self.length:g} s", title_justify="left", title_style="bold")
        table.add_column("table", min_width=10)
        for name in ("rows so far", "last poll", "watermark lag"):
            table.add_column(name, justify="right", min_width=11)
        for name, line in self.tables.items():
            table.add_row(name, f"{line.rows:,}", f"{line.last:,}" if line.last else "", _span(line.lag()))
        made = self.changes()
        source = f"Source: {made['transactions']} transactions ({made['late']} committed late): {made['streams']} new streams, "
        below = (
            source + f"{made['users']} users changed, {made['corrections']} streams corrected",
            f"Polls:  {self.polls}, the last one in {self.seconds:.2f} s; {self.failures} failed",
            f"Plays of the last minute: {self._played()}",
        )
        lines = [Text(text) for text in below]
        return Group(table, *lines, *([Text(self.error, style="red")] if self.error else []))

    def _played(self) -> str:
        return ", ".join(f"{row['country']} {row['plays']}" for row in self.plays) or "none"


@contextmanager
def shown(seen: Seen) -> Iterator[Callable[[Run], None]]:
    """Show on stderr what is seen while the block runs; what it gives is to be called after each poll."""
    if not sys.stderr.isatty():

        def tell(report: Run) -> None:
            if report.status == "failed":
                say(f"Error: {seen.error}")
            elif report.status != "unchanged":
                say(seen.text())

        yield tell
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False)
    with Live(get_renderable=seen.screen, console=console, refresh_per_second=REFRESHES_PER_SECOND, redirect_stdout=False) as live:
        yield lambda _: live.refresh()


def _span(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds >= _DAY:
        return f"{timedelta(seconds=seconds).days:,} d"
    return f"{seconds:.1f} s" if seconds < _MANY_SECONDS else f"{seconds:,.0f} s"
