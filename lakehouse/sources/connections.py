"""The connected databases of one run: one for each source and each thread's seat."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import local
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lakehouse.model.sample import Sample
    from lakehouse.model.table import Source, Table
    from lakehouse.settings import Settings
    from lakehouse.sources.database import Database
    from lakehouse.sources.gate import Gate
    from lakehouse.transform.protection import Protection


@dataclass(slots=True)
class Connections:
    """Connections to sources, made at their first use.

    Attributes:
        project: The project's folder.
        settings: What the environment decided.
        sample: How much of each table is read, where this is a lake of samples.
        protect: What becomes of a table's personal data.
    """

    project: Path
    settings: Settings
    sample: Sample | None
    protect: Callable[[Table], Protection | None]
    _databases: dict[tuple[str, int], Database] = field(default_factory=dict)
    _gates: dict[str, Gate] = field(default_factory=dict)
    _seats: local = field(default_factory=local)

    def database(self, source: str, about: Source) -> Database:
        """The connected database of a source, for this thread's seat.

        Raises:
            UsageError: Its connection has no URL.
            SourceError: It refuses or does not answer.
        """
        place = (source, self._seat)
        if place not in self._databases:
            from lakehouse.sources.connect import connect  # noqa: PLC0415  the driver is loaded where rows are read
            from lakehouse.sources.database import Database  # noqa: PLC0415  as above
            from lakehouse.sources.gate import Gate  # noqa: PLC0415  as above

            gate = self._gates.setdefault(source, Gate(about.connections))
            dialect = connect(self.settings.url(about.connection), self.project)
            self._databases[place] = Database(dialect, self.settings.batch_rows, gate, self.sample, self.protect)
        return self._databases[place]

    @property
    def _seat(self) -> int:
        return int(getattr(self._seats, "number", 0))

    def sit(self, seat: int) -> None:
        """Give this thread a seat of its own: connections serve one thread, and the same seat has the same ones in the next run."""
        self._seats.number = seat

    def disconnect(self) -> None:
        """End this seat's connections; the next read connects again."""
        self._disconnect(self._seat)

    def close(self) -> None:
        """End all."""
        for seat in {seat for _, seat in self._databases}:
            self._disconnect(seat)

    def _disconnect(self, seat: int) -> None:
        for place in [place for place in list(self._databases) if place[1] == seat]:
            self._databases.pop(place).close()
