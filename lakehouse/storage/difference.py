"""Which files of a table came and went since an older version: all that a reader of its changes has to look at."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import obstore
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from obstore.exceptions import BaseError

from lakehouse.storage.files import LiveFile, live_files

if TYPE_CHECKING:
    from lakehouse.storage.delta import Table
    from lakehouse.storage.place import Place

_VERSION_BITS = 36


@dataclass(frozen=True, slots=True)
class Difference:
    """Files by which two versions of a table differ; a row may stand in some of both.

    Attributes:
        came: Those of the newer version alone.
        gone: Those of the older version alone.
    """

    came: list[LiveFile]
    gone: list[LiveFile]


def seen(place: Place, version: int) -> int:
    """A number for a version of the very table at a place: 24 bits of its Delta id, then the version."""
    return _number(DeltaTable(place.uri, version, place.options() or None))


def later(before: int, version: int) -> int:
    """What `seen` gives for another version of the table of which it gave `before`."""
    return before >> _VERSION_BITS << _VERSION_BITS | version


def since(place: Place, table: Table, before: int) -> Difference | None:
    """The files that came and went since the version that `seen` gave this number.

    None where it cannot be told any more: the log of that version, or a file that only it had, is gone, or another table took its place.
    """
    version = before & ((1 << _VERSION_BITS) - 1)
    try:
        old = DeltaTable(place.uri, version, place.options() or None)
        if version > table.version or _number(old) != before:
            return None
        there = {file.path: file for file in live_files(pa.table(old.get_add_actions(flatten=True)), table.place, ())}
        now = {file.path: file for file in table.files(())}
        gone = [file for path, file in there.items() if path not in now]
        for file in gone:
            obstore.head(place.store(), file.path)
    except (DeltaError, BaseError, OSError):
        return None
    return Difference([file for path, file in now.items() if path not in there], gone)


def _number(delta: DeltaTable) -> int:
    digest = hashlib.sha256(str(delta.metadata().id).encode()).hexdigest()
    return int(digest[:6], 16) << _VERSION_BITS | delta.version()
