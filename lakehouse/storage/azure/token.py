"""Tokens for Azure storage, from a service principal or from what DefaultAzureCredential finds, renewed before they are over."""

from __future__ import annotations

import logging
import time
from threading import Lock
from typing import TYPE_CHECKING

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential, DefaultAzureCredential

from lakehouse.errors import StorageError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from azure.core.credentials import AccessToken

    from lakehouse.settings import Azure

SCOPE = "https://storage.azure.com/.default"
RENEW_SECONDS = 300
logging.getLogger("azure").addHandler(logging.NullHandler())  # what went wrong is in our error; Python would print it beside that


class Tokens:
    """The tokens of one process: each is kept until it has five minutes left, or half of a shorter life."""

    def __init__(self, settings: Azure) -> None:
        """Choose the credential; no token is asked for yet."""
        secret = settings.client_secret
        self._credential = (
            DefaultAzureCredential(managed_identity_client_id=settings.client_id or None)
            if secret is None
            else ClientSecretCredential(settings.tenant_id, settings.client_id, secret.get_secret_value())
        )
        self._lock = Lock()
        self._token: AccessToken | None = None
        self._renew_at = 0.0

    def get(self) -> AccessToken:
        """A token that is good for a while.

        Raises:
            StorageError: Nobody gives one.
        """
        with self._lock:
            now = time.time()
            if self._token is None or now >= self._renew_at:
                try:
                    self._token = self._credential.get_token(SCOPE)
                except (ClientAuthenticationError, ValueError) as exc:
                    raise StorageError(
                        f"Azure gives no token: {str(exc).partition(chr(10))[0][:200]}",
                        where="azure",
                        expected="LAKEHOUSE_AZURE__KEY, __SAS or __CLIENT_SECRET, `az login`, or a managed identity",
                        next_step="Set one of them and run again.",
                    ) from exc
                left = self._token.expires_on - now
                self._renew_at = now + left - min(RENEW_SECONDS, left / 2)
            return self._token


class AsyncTokens:
    """The same tokens for clients that await them."""

    def __init__(self, tokens: Tokens) -> None:
        """Keep their source."""
        self._tokens = tokens

    async def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        """A token that is good for a while, whatever scope is asked for: it is always storage."""
        return self._tokens.get()

    async def close(self) -> None:
        """The source is shared; nothing is closed."""

    async def __aenter__(self) -> Self:
        """The credential itself."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """As `close`."""
