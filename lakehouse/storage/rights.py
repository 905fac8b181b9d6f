"""What a store lets us do, found out by doing it on a small file that is gone afterwards."""

from __future__ import annotations

import re
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

from lakehouse.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from obstore.store import ObjectStore

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
def opened(uri: str, options: Mapping[str, str]) -> Iterator[ObjectStore]:
    """A store of what is below a URI; a local folder that is not there yet is there meanwhile, and gone afterwards.

    Raises:
        StorageError: There can be no such store, or the folder cannot be made.
    """
    folder = Path(unquote(urlsplit(uri).path)) if uri.startswith("file://") else None
    missing = [] if folder is None else [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
            store = from_url(uri, config=cast("Any", dict(options) or None))
        except (OSError, BaseError) as exc:
            raise StorageError(
                f"the lake cannot be opened: {_first_line(exc)}", where=uri, next_step="Grant the right, or correct LAKEHOUSE_LAKE."
            ) from exc
        yield store
    finally:
        for path in [] if folder is None else [folder / PREFIX, *missing]:
            with suppress(OSError):
                path.rmdir()


def _first_line(exc: BaseException) -> str:
    """A store's reason in one line, without a query of a URL, which can hold a signature."""
    text = getattr(exc, "strerror", None) or (str(exc).splitlines() or [type(exc).__name__])[0]
    return re.sub(r"\?\S*", "", str(text))[:300]
