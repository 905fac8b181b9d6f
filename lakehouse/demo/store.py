"""What the simulator needs of a database: the port that each kind fills."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

Value = int | str | None
Row = tuple[Value, ...]


class Kind(StrEnum):
    """What `--source` takes."""

    SQLITE = "sqlite"
    POSTGRES = "postgres"


class Session(Protocol):
    """A connection. SQL is what every kind understands, with values as `:name`; instants and days go in and come out as text."""

    def transaction(self) -> AbstractContextManager[object]:
        """One transaction that keeps other writers of the simulator out; committed whole at its end, or not at all."""
        ...

    def tables(self) -> dict[str, str]:
        """The tables and views of the database: lower-case name, and the full name."""
        ...

    def rows(self, sql: str, **values: Value) -> list[Row]:
        """The rows of a query, instants as `str(datetime)` and days as `str(date)` write them."""
        ...

    def execute(self, sql: str, **values: Value) -> None:
        """Run a statement that has no rows."""
        ...

    def insert(self, table: str, rows: Iterable[Row]) -> int:
        """Add rows, of all columns in their order, as fast as the database can; their number."""
        ...

    def now(self) -> str:
        """The database's own clock, in UTC."""
        ...


class Store(Protocol):
    """A database that the simulator lives in."""

    @property
    def url(self) -> str:
        """The URL by which the lakehouse reads it, secrets included."""
        ...

    @property
    def name(self) -> str:
        """What people call it, without secrets."""
        ...

    def exists(self) -> bool:
        """Whether there is a database; a session makes one where that is possible."""
        ...

    def open(self) -> AbstractContextManager[Session]:
        """A session, closed at its end.

        Raises:
            SourceError: The database refuses, or breaks off.
        """
        ...
