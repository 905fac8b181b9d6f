"""A folder of an Azure container, and the account by which it is reached: with a key, a shared access signature or a token."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore

from lakehouse.errors import StorageError, UsageError
from lakehouse.layout import azure_parts
from lakehouse.storage.refusal import CODE, STATUS, reason

if TYPE_CHECKING:
    from obstore import WritableFile
    from obstore.store import AzureConfig, AzureCredential, ClientConfig

    from lakehouse.settings import Azure
    from lakehouse.storage.azure.token import Tokens

# the name and key of every Azurite, as its manual prints them: they open nothing else
EMULATOR_ACCOUNT = "devstoreaccount1"
EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
FORBIDDEN, NOBODY_THERE = 403, (400, 404)


def account(uri: str, settings: Azure, known: dict[str, Account]) -> Account:
    """The account of a URI, which `known` then has.

    Raises:
        UsageError: Neither the URI nor a setting names one, or another account is known already.
    """
    _, named, _ = azure_parts(uri)
    name = named or settings.account or (EMULATOR_ACCOUNT if settings.emulator else "")
    if not name:
        raise UsageError(
            "the lake's URI names no storage account",
            where=uri,
            expected="abfss://container@account.dfs.core.windows.net/path, or LAKEHOUSE_AZURE__ACCOUNT",
            next_step="Set one of them and run again.",
        )
    if other := [there for there in known if there != name]:
        raise UsageError(
            "all layers of a lake are in one storage account",
            where=uri,
            given=f"{other[0]} and {name}",
            next_step="Correct LAKEHOUSE_LAKE and LAKEHOUSE_LAYER__*.",
        )
    if name not in known:
        known[name] = Account(name, settings)
    return known[name]


class Account:
    """One storage account, as this process reaches it."""

    def __init__(self, name: str, settings: Azure) -> None:
        """Read the settings; nothing is reached yet."""
        self.name = name
        self.endpoint = f"{settings.emulator}/{name}" if settings.emulator else f"https://{name}.blob.core.windows.net"
        self._settings = settings
        self._key = None if settings.key is None else settings.key.get_secret_value()
        self._sas = None if settings.sas is None else settings.sas.get_secret_value().removeprefix("?")
        if settings.emulator and name == EMULATOR_ACCOUNT and not (self._sas or settings.client_id):
            self._key = self._key or EMULATOR_KEY
        self.answered: dict[str, StorageError | None] = {}
        self.asking = Lock()

    @cached_property
    def _tokens(self) -> Tokens:
        from lakehouse.storage.azure.token import Tokens  # noqa: PLC0415  azure-identity is loaded where there is no key

        return Tokens(self._settings)

    @property
    def by(self) -> str:
        """What opens the account, for messages."""
        return "key" if self._key else "shared access signature" if self._sas else "identity"

    def _fixed(self) -> AzureConfig:
        """What never changes while the process runs."""
        fixed: AzureConfig = {"account_name": self.name}
        if self._settings.emulator:
            fixed["endpoint"] = self.endpoint
        if self._key:
            fixed["account_key"] = self._key
        elif self._sas:
            fixed["sas_key"] = self._sas
        return fixed

    def options(self) -> dict[str, str]:
        """The storage options of delta-rs and Polars; with another token as soon as it was renewed."""
        options = {f"azure_storage_{name}": str(value) for name, value in self._fixed().items()}
        if self._settings.emulator.startswith("http://"):
            options["allow_http"] = "true"
        if not (self._key or self._sas):
            options["azure_storage_token"] = self._tokens.get().token
        return options

    def store(self, container: str, prefix: str, *, patient: bool = True) -> AzureStore:
        """A store of the files below a prefix; one that is not patient answers or fails within seconds."""
        client: ClientConfig = {"allow_http": self._settings.emulator.startswith("http://"), "connect_timeout": "3s"}
        return AzureStore(
            container,
            prefix=prefix or None,
            config=self._fixed(),
            client_options=client if patient else {**client, "timeout": "4s"},
            retry_config=None if patient else {"max_retries": 1, "retry_timeout": timedelta(seconds=5)},
            credential_provider=None if self._key or self._sas else self._credential,
        )

    def _credential(self) -> AzureCredential:
        token = self._tokens.get()
        return {"token": token.token, "expires_at": datetime.fromtimestamp(token.expires_on, UTC)}

    def _polars_credential(self) -> tuple[dict[str, str | None], int]:
        token = self._tokens.get()
        return {"bearer_token": token.token}, int(token.expires_on)

    def scanning(self) -> dict[str, Any]:
        """The arguments of a Polars scan, which renews its token by itself."""
        if self._key or self._sas:
            return {"storage_options": self.options(), "credential_provider": None}
        fixed = {name: value for name, value in self.options().items() if name != "azure_storage_token"}
        return {"storage_options": fixed, "credential_provider": self._polars_credential}

    def filesystem(self) -> Any:  # noqa: ANN401  adlfs ships no types
        """The file system by which DuckDB reads `abfs://container/path`."""
        from lakehouse.storage.azure.files import DataFiles  # noqa: PLC0415  adlfs is loaded where SQL runs

        if self._key or self._sas:
            secret = f"AccountKey={self._key}" if self._key else f"SharedAccessSignature={self._sas}"
            return DataFiles(connection_string=f"BlobEndpoint={self.endpoint};AccountName={self.name};{secret}")
        from lakehouse.storage.azure.token import AsyncTokens  # noqa: PLC0415  as above

        return DataFiles(account_name=self.name, credential=AsyncTokens(self._tokens))


class AzurePlace:
    """A folder of a container, as `Place` describes it."""

    def __init__(self, uri: str, reached_by: Account) -> None:
        """Name it; nothing is reached."""
        self.uri, self._account = uri, reached_by
        self._container, _, self._prefix = azure_parts(uri)
        self.path = f"abfs://{self._container}/{self._prefix}".rstrip("/")

    def options(self) -> dict[str, str]:
        """Account, credential and endpoint."""
        return self._account.options()

    def scanning(self) -> dict[str, Any]:
        """The same for a scan of Polars."""
        return self._account.scanning()

    @cached_property
    def _files(self) -> AzureStore:
        return self._account.store(self._container, self._prefix)

    def store(self) -> AzureStore:
        """A store of the files below it; one for all, so that its connections are used again."""
        return self._files

    def writer(self, name: str) -> WritableFile:
        """A new blob, sent in parts."""
        return obstore.open_writer(self._files, name)

    def require_there(self) -> None:
        """Ask the container once in a process; what it answered is remembered.

        Raises:
            StorageError: The account, the container or the credential is wrong.
        """
        answered = self._account.answered
        with self._account.asking:
            if self._container not in answered:
                answered[self._container] = self._first_contact()
        if error := answered[self._container]:
            raise error

    def _first_contact(self) -> StorageError | None:
        try:
            self._account.options()
            store = self._account.store(self._container, self._prefix, patient=False)
            next(iter(obstore.list(store, "_first_contact")), None)
        except BaseError as exc:
            return refused(exc, self._account, self._container)
        except StorageError as exc:  # the credential gives no token
            return exc
        return None

    def names(self) -> list[str]:
        """The names of the files directly in it; one look, a second one from five thousand on.

        Raises:
            StorageError: It cannot be listed.
        """
        try:
            return [found["path"].rsplit("/", 1)[-1] for found in obstore.list_with_delimiter(self._files)["objects"]]
        except BaseError as exc:
            raise StorageError(
                f"the folder cannot be listed: {reason(exc)}", where=self.uri, next_step="See that the lake can be read, then run again."
            ) from exc

    def make(self) -> None:
        """Folders are names only; the container is not ours to make."""

    def settle(self, *names: str) -> None:
        """What Azure acknowledged lasts."""

    def settle_names(self) -> None:
        """What Azure acknowledged lasts."""

    def settle_commit(self, version: int) -> None:
        """What Azure acknowledged lasts."""


def refused(exc: BaseException, by: Account, container: str) -> StorageError | None:
    """What a refusal at first contact means, and who must do what; None where it may pass by itself."""
    text = str(exc)
    code, status = CODE.search(text), STATUS.search(text)
    answer = code[1] if code else status[1] if status else ""
    if code and code[1] == "ContainerNotFound":
        what, next_step = f"there is no container {container!r} in account {by.name!r}", "Create it, or correct LAKEHOUSE_LAKE."
    elif status and int(status[1]) == FORBIDDEN:
        what = f"account {by.name!r} refuses the {by.by} for container {container!r} ({answer})"
        next_step = "Correct LAKEHOUSE_AZURE__*, or grant the identity `Storage Blob Data Contributor`."
    elif status and int(status[1]) in NOBODY_THERE:
        what, next_step = (
            f"there is no account {by.name!r} at {by.endpoint} ({reason(exc)})",
            "Correct LAKEHOUSE_LAKE or LAKEHOUSE_AZURE__*.",
        )
    elif "error sending request" in text:
        what = f"account {by.name!r} does not answer at {by.endpoint}: no such account, or no way to it"
        next_step = "Correct LAKEHOUSE_LAKE or LAKEHOUSE_AZURE__ACCOUNT, and look at DNS and firewall."
    elif status is None:
        what, next_step = f"the {by.by} of account {by.name!r} cannot be used: {reason(exc)}", "Correct LAKEHOUSE_AZURE__*."
    else:
        return None
    return StorageError(what, where=f"abfss://{container}", next_step=next_step)
