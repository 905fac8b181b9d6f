"""Opens the Delta table at a place, or makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from lakehouse.errors import StorageError
from lakehouse.storage.commits import conflict
from lakehouse.storage.delta import BOUNDED, Table
from lakehouse.storage.refusal import reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from lakehouse.storage.effects import Effects
    from lakehouse.storage.leases import Turn
    from lakehouse.storage.place import Place

CONFIGURATION: Mapping[str, str | None] = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.checkpointInterval": "10",  # opening a table and asking it for a number read every commit since the last checkpoint
}


def open_table(
    place: Place,
    name: str,
    effects: Effects,
    turn: Turn | None = None,
    version: int | None = None,
    *,
    hidden: frozenset[str] = frozenset(),
) -> Table | None:
    """A handle on the table at a place, or None where there is none; with a `turn` one run at a time writes it.

    No statistics tell of `hidden` columns. Of an older `version`, its log is read up to there and no further: that costs no more than the
    newest.

    Raises:
        StorageError: There is one, but it cannot be read, or the place can never be reached.
    """
    place.require_there()
    try:
        options = place.options()
        delta = DeltaTable(place.uri, version, options or None)
        return Table(place, name, delta, options, effects=effects, turn=turn, hidden=hidden)
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as exc:
        which = "the table" if version is None else f"version {version} of the table"
        raise StorageError(f"{which} cannot be opened: {reason(exc)}", where=name, next_step="Look at its _delta_log folder.") from exc


def create_table(
    place: Place, name: str, schema: pa.Schema, effects: Effects, turn: Turn | None = None, *, hidden: frozenset[str] = frozenset()
) -> Table:
    """A new empty table; where another run made it first and wrote nothing yet, that one. With a `turn` one run at a time writes it.

    No statistics tell of `hidden` columns.

    Raises:
        ConflictError: Another run made it and wrote rows, which the caller has not seen.
    """
    place.make()
    if turn is not None:
        turn.take()
    options = place.options()

    def make() -> DeltaTable:
        made = DeltaTable.create(
            place.uri,
            schema,
            mode="error",
            configuration={**CONFIGURATION, BOUNDED: ",".join(name for name in schema.names if name not in hidden)}
            if hidden
            else CONFIGURATION,
            storage_options=options or None,
            commit_properties=CommitProperties(max_commit_retries=0),  # else a second one is committed upon the first
        )
        place.settle_commit(0)
        return made

    try:
        delta = effects.do(f"create {name}", make)
    except (DeltaError, OSError) as exc:
        found = open_table(place, name, effects, turn, hidden=hidden)
        if found is None:
            raise StorageError(
                f"the table cannot be made: {reason(exc)}", where=name, next_step="See that the lake can be written, then run again."
            ) from exc
        if found.batch:
            raise conflict(name) from exc
        return found
    return Table(place, name, delta, options, effects=effects, turn=turn, hidden=hidden)
