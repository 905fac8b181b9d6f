"""A journal of numbered files: each is written once, where none of its number is, and nothing rewrites or removes one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError

from lakehouse.errors import StorageError
from lakehouse.storage.objects import put_absent
from lakehouse.storage.refusal import reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakehouse.storage.effects import Effects
    from lakehouse.storage.place import Place

ATTEMPTS = 100


def numbers(place: Place) -> list[int]:
    """The numbers that are there, in order.

    Raises:
        StorageError: The place cannot be listed.
    """
    place.require_there()
    try:
        names = [part["path"].rsplit("/", 1)[-1].removesuffix(".json") for part in obstore.list(place.store()).collect()]
    except (BaseError, OSError) as exc:
        raise _unread(place, exc) from exc
    return sorted(int(name) for name in names if name.isdecimal())


def read(place: Place, number: int) -> bytes:
    """What a file holds.

    Raises:
        StorageError: It cannot be read.
    """
    try:
        return bytes(obstore.get(place.store(), _file(number)).bytes())
    except (BaseError, OSError) as exc:
        raise _unread(place, exc) from exc


def append(place: Place, make: Callable[[int, bytes], bytes], effects: Effects, name: str) -> int:
    """Put the next file, as one effect; made anew where another writer was faster. Its number.

    Args:
        place: Where the files are.
        make: What it holds, of its number and what the file before it holds (nothing for the first one). No two writers make the same.
        effects: Counts it.
        name: What it is called there.

    Raises:
        StorageError: It can be neither put nor read.
    """

    def put() -> int:
        for _ in range(ATTEMPTS):
            last = next(iter(numbers(place)[-1:]), 0)
            if put_absent(place, _file(last + 1), make(last + 1, read(place, last) if last else b"")):
                return last + 1
        raise StorageError("others went on writing", where=place.uri, next_step="Run again.")

    return effects.do(f"put {name}", put)


def _file(number: int) -> str:
    return f"{number:012}.json"


def _unread(place: Place, exc: Exception) -> StorageError:
    return StorageError(f"it cannot be read: {reason(exc)}", where=place.uri, next_step="See that the lake can be read, then run again.")
