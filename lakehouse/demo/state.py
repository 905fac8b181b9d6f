"""What the simulated source remembers of itself, in a table beside its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.demo.rows import TABLES
from lakehouse.errors import UsageError

if TYPE_CHECKING:
    from lakehouse.demo.store import Session

_STATE = "sim_state"
_SCHEMA = "CREATE TABLE sim_state (name varchar(20) PRIMARY KEY, value bigint NOT NULL)"
_WRITE = "INSERT INTO sim_state VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


def read(session: Session, where: str) -> dict[str, int]:
    """The source's numbers by their names; nothing where it is new.

    Raises:
        UsageError: The database, named by `where`, holds tables of these names that the simulator did not make.
    """
    there, own = session.tables(), [name.lower() for name in (*TABLES, _STATE)]
    if all(name in there for name in own):
        return {str(name): int(str(value)) for name, value in session.rows("SELECT name, value FROM sim_state")}
    if foreign := [there[name] for name in own if name in there]:
        raise UsageError(
            "the database holds tables that the demo did not make and will not touch",
            where=where,
            given=", ".join(foreign),
            next_step="Name an empty database, or unset its variable and let the demo start a PostgreSQL of its own.",
        )
    return {}


def make(session: Session) -> None:
    """Make the table."""
    session.execute(_SCHEMA)


def write(session: Session, values: dict[str, int]) -> None:
    """Remember numbers, each in place of the one of its name."""
    for name, value in values.items():
        session.execute(_WRITE, name=name, value=value)


def forget(session: Session, where: str) -> None:
    """Drop the source's tables where the simulator made them.

    Raises:
        UsageError: It did not.
    """
    with session.transaction():
        if read(session, where):
            for name in (*TABLES, _STATE):
                session.execute(f"DROP TABLE {name}")
