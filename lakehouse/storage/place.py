"""Where a table lives and how it is reached: a folder or an Azure container, behind one set of words."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from lakehouse.layout import is_azure
from lakehouse.storage.folder import Folder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from obstore.store import ObjectStore

    from lakehouse.settings import Azure
    from lakehouse.storage.azure.place import Account


class Writer(Protocol):
    """A new file that takes bytes one after another."""

    def write(self, data: memoryview, /) -> object:
        """Add bytes."""

    def close(self) -> object:
        """Make the file whole."""


class Place(Protocol):
    """A folder of a lake.

    Attributes:
        uri: As delta-rs takes it.
        path: As readers of files take it: DuckDB and Polars.
    """

    uri: str
    path: str

    def options(self) -> dict[str, str]:
        """What delta-rs needs to reach it; another dictionary as soon as a credential was renewed."""

    def scanning(self) -> dict[str, Any]:
        """The arguments by which a scan of Polars reaches it."""

    def store(self) -> ObjectStore:
        """A store of the files below it, which renews its credential by itself."""

    def writer(self, name: str) -> Writer:
        """A new file in it, whose name nobody else uses."""

    def require_there(self) -> None:
        """Fail soon and plainly where it can never be reached.

        Raises:
            StorageError: The account, the container or the credential is wrong.
        """

    def names(self) -> list[str]:
        """The names of the files directly in it, in no order; none where it is not there. Nothing is made.

        Raises:
            StorageError: It cannot be listed.
        """

    def make(self) -> None:
        """Make the folder where folders are made.

        Raises:
            StorageError: It cannot be made.
        """

    def settle(self, *names: str) -> None:
        """Return when these files below it outlive a loss of power."""

    def settle_names(self) -> None:
        """Return when the names of all files directly in it outlive a loss of power."""

    def settle_commit(self, version: int) -> None:
        """Return when this version of the table's log outlives a loss of power."""


class Places:
    """The places of one lake, all reached by the same settings."""

    def __init__(self, azure: Azure) -> None:
        """Keep the settings; nothing is reached yet."""
        self._settings = azure
        self._accounts: dict[str, Account] = {}
        self._lock = Lock()

    def at(self, uri: str) -> Place:
        """The place at a URI that `layout` made.

        Raises:
            UsageError: The account is named nowhere, or the lake is spread over several.
        """
        if not is_azure(uri):
            return Folder(uri)
        from lakehouse.storage.azure.place import AzurePlace, account  # noqa: PLC0415  a lake in a folder does not load it

        with self._lock:
            return AzurePlace(uri, account(uri, self._settings, self._accounts))

    def filesystems(self, uris: Iterable[str]) -> list[Any]:
        """The file systems that a SQL engine needs beside its own to read below these URIs."""
        for uri in uris:
            self.at(uri)
        return [account.filesystem() for account in self._accounts.values()]
