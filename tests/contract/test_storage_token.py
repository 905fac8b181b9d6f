"""A lake on Azure that is opened by tokens which end while the run goes on.

The tokens come from DefaultAzureCredential over a managed identity's endpoint; the proxy passes only those that are still good.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

from lakehouse.errors import StorageError
from lakehouse.settings import Azure
from lakehouse.storage.azure.place import EMULATOR_ACCOUNT, EMULATOR_KEY
from lakehouse.storage.effects import Effects
from lakehouse.storage.objects import put_new
from tests.faulty import Proxy, proxy_before
from tests.servers import Azurite
from tests.stores import Store, append, make_container, rows_of

LIFE = 3


class Identity:
    """The endpoint at which a virtual machine's or an app's managed identity asks for tokens."""

    def __init__(self, proxy: Proxy) -> None:
        self.given: dict[str, float] = {}
        self._signature = generate_account_sas(
            EMULATOR_ACCOUNT,
            EMULATOR_KEY,
            ResourceTypes(service=True, container=True, object=True),
            AccountSasPermissions(read=True, write=True, delete=True, list=True, add=True, create=True),
            datetime.now(UTC) + timedelta(hours=1),
        )
        identity = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                token, until = f"token-{len(identity.given)}", int(time.time()) + LIFE
                identity.given[token] = until
                proxy.set(tokens=identity.given, signature=identity._signature)
                body = json.dumps({"access_token": token, "expires_on": str(until), "resource": "x", "token_type": "Bearer"}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}/token"
        proxy.set(signature=self._signature)


@pytest.fixture
def proxy(azurite: Azurite) -> Iterator[Proxy]:
    with proxy_before(azurite.url) as running:
        yield running


@pytest.fixture
def identity(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Identity]:
    given = Identity(proxy)
    thread = threading.Thread(target=given.server.serve_forever, daemon=True)
    thread.start()
    for name, value in {
        "IDENTITY_ENDPOINT": given.url,
        "IDENTITY_HEADER": "x",
        "AZURE_TOKEN_CREDENTIALS": "managedidentitycredential",
    }.items():
        monkeypatch.setenv(name, value)
    yield given
    given.server.shutdown()
    given.server.server_close()
    thread.join()


def test_tokens_are_renewed_while_a_run_goes_on(azurite: Azurite, proxy: Proxy, identity: Identity) -> None:
    store = Store(f"abfss://{make_container(azurite.url)}/lake", Azure(emulator=proxy.url, client_id="any"))
    table = store.create()
    append(table, (1, "Rome"))
    scan = table.scan()
    time.sleep(LIFE + 0.5)
    assert len(scan.collect()) == 1
    append(table, (2, "Oslo"))
    assert put_new(store.place("_numbers"), "1.json", b"{}", Effects())
    time.sleep(LIFE + 0.5)
    assert rows_of(table) == [(1, "Rome"), (2, "Oslo")]
    assert (table.batch, table.version) == (2, 2)
    assert len(identity.given) >= 3
    assert all(token not in repr(vars(table)) for token in ("EMULATOR_KEY", EMULATOR_KEY))


def test_without_any_identity_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "environmentcredential")
    began = time.monotonic()
    with pytest.raises(StorageError, match="Azure gives no token"):
        Store("abfss://lake@music.dfs.core.windows.net/lake").find()
    assert time.monotonic() - began < 10
