"""A local folder, and the one place that makes what was written to it outlive a loss of power.

The order is the writers': data before the commit that names it, a commit before anything is built upon it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obstore.store import LocalStore

from lakehouse.errors import StorageError
from lakehouse.layout import folder_of

if TYPE_CHECKING:
    from obstore.store import ObjectStore


class Folder:
    """A folder of this machine, as `Place` describes it."""

    def __init__(self, uri: str) -> None:
        """Name it; nothing is read."""
        self.uri, self.path = uri, folder_of(uri)

    def options(self) -> dict[str, str]:
        """Nothing is needed."""
        return {}

    def scanning(self) -> dict[str, Any]:
        """Nothing is needed."""
        return {}

    def store(self) -> ObjectStore:
        """A store of the files below it."""
        return LocalStore(self.path, mkdir=True)

    def writer(self, name: str) -> NewFile:
        """A new file in it, without the copies that a store's writer makes: they take a fifth of the time of a Parquet file."""
        return NewFile(Path(self.path, name))

    def require_there(self) -> None:
        """A folder that is not there is made by the first table in it."""

    def names(self) -> list[str]:
        """The names of the files directly in it; none where it is not there.

        Raises:
            StorageError: It cannot be listed.
        """
        try:
            with os.scandir(self.path) as entries:
                return [entry.name for entry in entries if entry.is_file()]
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise StorageError(
                f"the folder cannot be listed: {exc.strerror}", where=self.path, next_step="Grant the right, or set LAKEHOUSE_LAKE."
            ) from exc

    def make(self) -> None:
        """Make the folder and those above it, so that all of their names last.

        Raises:
            StorageError: It cannot be made.
        """
        made = Path(self.path)
        missing = [folder for folder in (made, *made.parents) if not folder.exists()]
        try:
            made.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise StorageError(
                f"the folder cannot be made: {exc.strerror}", where=self.path, next_step="Grant the right, or set LAKEHOUSE_LAKE."
            ) from exc
        for folder in missing:
            _sync_folder(folder.parent)

    def settle(self, *names: str) -> None:
        """Return when the bytes of these files, and the names of the folders between, are on the disk."""
        home = Path(self.path)
        for name in names:
            _sync(home / name)
            for between in [folder for folder in Path(name).parents if folder != Path()]:
                _sync_folder(home / between)

    def settle_names(self) -> None:
        """Return when the names of the files in it are on the disk."""
        _sync_folder(Path(self.path))

    def settle_commit(self, version: int) -> None:
        """Return when a version's log file, its checkpoint where there is one, and their names are on the disk."""
        log = Path(self.path) / "_delta_log"
        for name in (f"{version:020}.json", f"{version:020}.checkpoint.parquet", "_last_checkpoint"):
            with contextlib.suppress(FileNotFoundError):
                _sync(log / name)
        _sync_folder(log)
        if version == 0:
            _sync_folder(log.parent)


class NewFile:
    """A file that takes bytes; one that is not closed, since its rows broke off, is given up as it is, and no commit names it."""

    def __init__(self, path: Path) -> None:
        """Make it.

        Raises:
            OSError: There is one of that name, or it cannot be made.
        """
        self._file = path.open("xb")

    def write(self, data: memoryview, /) -> None:
        """Add bytes."""
        self._file.write(data)

    def close(self) -> None:
        """Make it whole."""
        self._file.close()

    def __del__(self) -> None:
        """Give it up where it is open."""
        with contextlib.suppress(AttributeError, OSError):
            self._file.close()


def _sync(path: Path) -> None:
    # Windows flushes only what is open for writing, and no folder
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as exc:
        raise StorageError(
            f"the disk does not keep it: {exc.strerror}", where=str(path), next_step="Look at the disk, then run again."
        ) from exc
    finally:
        os.close(handle)


def _sync_folder(path: Path) -> None:
    if os.name == "posix":
        _sync(path)
