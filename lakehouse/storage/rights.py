"""What a store lets us do, found out by doing it on a small file that is gone afterwards."""

from __future__ import annotations

import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError

from lakehouse.errors import StorageError
from lakehouse.layout import is_azure
from lakehouse.storage.refusal import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from obstore.store import ObjectStore

    from lakehouse.storage.place import Place

PREFIX = "_doctor"
VERBS = ("write", "read", "list", "put if absent", "delete")


def refusals(store: ObjectStore) -> dict[str, str]:
    """The verbs of `VERBS` that the store refuses or does wrongly, each with the reason; those that need a refused one are not tried."""
    name, body = f"{PREFIX}/{uuid.uuid4().hex}", b"lakehouse doctor"
    once = f"{name}-once"
    tries: dict[str, Callable[[], str]] = {
        "write": lambda: _put(store, name, body),
        "read": lambda: "" if bytes(obstore.get(store, name).bytes()) == body else "it gave other bytes than were written",
        "list": lambda: "" if any(name in part["path"] for part in obstore.list(store, PREFIX).collect()) else "it does not list the file",
        "put if absent": lambda: _put_twice(store, once),
        "delete": lambda: _delete(store, name),
    }
    found: dict[str, str] = {}
    try:
        for verb, attempt in tries.items():
            try:
                reason = attempt()
            except Exception as exc:  # noqa: BLE001  whatever a store raises is its refusal
                reason = _first_line(exc)
            if reason:
                found[verb] = reason
                if verb == "write":
                    break
    finally:
        for path in (name, once):
            with suppress(Exception):
                obstore.delete(store, path)
    return found


def _put(store: ObjectStore, name: str, body: bytes) -> str:
    obstore.put(store, name, body, mode="overwrite")
    return ""


def _put_twice(store: ObjectStore, name: str) -> str:
    """Two writers cannot both have one name: what the numbers of leases and manifests rest on."""
    obstore.put(store, name, b"first", mode="create")
    try:
        obstore.put(store, name, b"second", mode="create")
    except AlreadyExistsError:
        return "" if bytes(obstore.get(store, name).bytes()) == b"first" else "the refused writer's bytes are there"
    return "it let a second writer have a name that was taken"


def _delete(store: ObjectStore, name: str) -> str:
    obstore.delete(store, name)
    left = obstore.list(store, PREFIX).collect()
    return "the file is still there" if any(name == part["path"] for part in left) else ""


@contextmanager
def opened(place: Place) -> Iterator[ObjectStore]:
    """A store of what is below a place; a local folder that is not there yet is there meanwhile, and gone afterwards.

    Raises:
        StorageError: It can never be reached, or the folder cannot be made.
    """
    place.require_there()
    folder = None if is_azure(place.uri) else Path(place.path)
    missing = [] if folder is None else [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        try:
            place.make()
            store = place.store()
        except (OSError, BaseError) as exc:
            raise StorageError(
                f"the lake cannot be opened: {_first_line(exc)}", where=place.uri, next_step="Grant the right, or correct LAKEHOUSE_LAKE."
            ) from exc
        yield store
    finally:
        for path in [] if folder is None else [folder / PREFIX, *missing]:
            with suppress(OSError):
                path.rmdir()


def _first_line(exc: BaseException) -> str:
    """A store's reason in one line, without a query of a URL, which can hold a signature."""
    return str(getattr(exc, "strerror", None) or reason(exc))
