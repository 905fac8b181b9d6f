"""Small files that are written once: whoever puts a name first has it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError

from lakehouse.errors import StorageError
from lakehouse.storage.refusal import reason

if TYPE_CHECKING:
    from lakehouse.storage.effects import Effects
    from lakehouse.storage.place import Place


def put_new(place: Place, name: str, body: bytes, effects: Effects) -> bool:
    """Put a lasting file where none of that name is, as a numbered effect; see `put_absent`.

    Raises:
        StorageError: The file can be neither put nor read.
    """
    return effects.do(f"put {name}", partial(put_absent, place, name, body))


def put_absent(place: Place, name: str, body: bytes, *, lasting: bool = True) -> bool:
    """Put a file where none of that name is; whether this call, and not another writer, did it.

    The file is whole when this returns True, and outlives a loss of power where it should be `lasting`. `body` must differ from what any
    other writer would put, such as by a run id: a store that loses its answer is asked again and then says that the file is there already,
    and only the bytes tell whose it is.

    Raises:
        StorageError: The file can be neither put nor read.
    """
    try:
        place.make()
        store = place.store()
        try:
            obstore.put(store, name, body, mode="create")
        except AlreadyExistsError:
            if bytes(obstore.get(store, name).bytes()) != body:
                return False
        if lasting:
            place.settle(name)
            place.settle_names()
    except (BaseError, OSError) as exc:
        raise StorageError(
            f"the file cannot be written: {reason(exc)}",
            where=f"{place.uri}/{name}",
            next_step="See that the lake can be written, then run again.",
        ) from exc
    return True


def folders(place: Place) -> list[str]:
    """The names of the folders directly in a place, in order; none where it is not there.

    Raises:
        StorageError: The place cannot be listed.
    """
    place.require_there()
    try:
        return sorted(name.strip("/").rsplit("/", 1)[-1] for name in obstore.list_with_delimiter(place.store())["common_prefixes"])
    except (BaseError, OSError) as exc:
        raise StorageError(
            f"the folder cannot be listed: {reason(exc)}", where=place.uri, next_step="See that the lake can be read, then run again."
        ) from exc
