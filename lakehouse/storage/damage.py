"""Whether a data file is still what its table's log says: there, of its size, and with a footer that can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.exceptions import BaseError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from lakehouse.storage.files import LiveFile

MAGIC, TAIL = b"PAR1", 8
"""Parquet's sign at both ends of a file; before the last one stands the length of the footer, in four bytes."""


def damage(store: ObjectStore, file: LiveFile) -> str | None:
    """What is wrong with a data file, in a few words; None where nothing is seen. Of its bytes only the footer is read."""
    try:
        size = obstore.head(store, file.path)["size"]
        if size != file.size:
            return f"has {size} bytes instead of {file.size}"
        tail = bytes(obstore.get_range(store, file.path, start=size - TAIL, end=size))
        length = int.from_bytes(tail[:4], "little") + TAIL
        if not tail.endswith(MAGIC) or length > size:
            return "has no Parquet footer"
        footer = bytes(obstore.get_range(store, file.path, start=size - length, end=size))
        pq.read_metadata(pa.BufferReader(MAGIC + footer))
    except FileNotFoundError:
        return "is not there"
    except (BaseError, OSError, pa.ArrowException):
        return "cannot be read"
    return None
