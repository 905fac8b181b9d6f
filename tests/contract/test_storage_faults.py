"""What networks and busy services do to a lake on Azure: lost answers, refusals, cut connections, wrong settings."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas
from pydantic import SecretStr

from lakehouse.errors import ConflictError, StorageError
from lakehouse.layout import azure_parts
from lakehouse.model.run import Commit
from lakehouse.settings import Azure
from lakehouse.storage.azure.place import EMULATOR_ACCOUNT, EMULATOR_KEY, account
from lakehouse.storage.effects import Effects
from lakehouse.storage.objects import put_new
from lakehouse.storage.rights import refusals
from tests.faulty import Fault, Proxy, proxy_before
from tests.servers import Azurite, free_port
from tests.stores import SCHEMA, Store, append, make_container, rows_of

SECONDS = 10
COMMIT_1 = "/00000000000000000001.json"
BLOB = pa.schema([("id", pa.int64()), ("blob", pa.binary())])


@pytest.fixture(scope="module")
def proxy(azurite: Azurite) -> Iterator[Proxy]:
    with proxy_before(azurite.url) as running:
        yield running


@pytest.fixture
def store(proxy: Proxy, azurite: Azurite) -> Store:
    """A folder that is reached by way of the proxy, which breaks nothing yet."""
    proxy.set()
    return Store(f"abfss://{make_container(azurite.url)}/lake", Azure(emulator=proxy.url))


def commits(store: Store) -> int:
    return len(store.open().history())


@pytest.mark.parametrize("do", ["lost", "failed"])
def test_a_commit_that_landed_without_an_answer_is_one_commit(store: Store, proxy: Proxy, do: str) -> None:
    table = store.create()
    proxy.set(Fault("PUT", COMMIT_1, do))
    assert append(table, (1, "Rome"), (2, "Oslo"), cursor=7) == 2
    assert proxy.struck() == [1]
    assert append(table, (3, "Bonn"), cursor=8) == 1
    again = store.open()
    assert (again.batch, again.number("cursor"), again.version, commits(store)) == (2, 8, 2, 3)
    assert rows_of(again) == [(1, "Rome"), (2, "Oslo"), (3, "Bonn")]


@pytest.mark.parametrize("do", ["lost", "failed"])
def test_the_other_kinds_of_commit_too(store: Store, proxy: Proxy, do: str) -> None:
    proxy.set(*(Fault("PUT", f"/{version:020}.json", do) for version in range(5)))
    table = store.create()
    table.add_columns([pa.field("people", pa.int32())], Commit("run", "test"))
    table.mark(Commit("run", "test", {"consumed": 1}))
    wider = table.schema
    rows = pa.Table.from_pylist([{"id": 1, "city": "Rome", "people": 3}], wider).to_batches()
    assert table.replace(rows, lambda: Commit("run", "test")) == 1
    comment = pa.field("id", pa.int64(), metadata={"comment": "the key"})
    table.describe(pa.schema([comment, *list(wider)[1:]]), Commit("run", "test"))
    assert proxy.struck() == [1] * 5
    assert (store.open().batch, store.open().version, rows_of(store.open())) == (4, 4, [(1, "Rome", 3)])


def test_a_conflict_stays_one_when_the_answer_is_lost(store: Store, proxy: Proxy) -> None:
    table, other = store.create(), store.again().open()
    append(other, (1, "Rome"), run="other")
    proxy.set(Fault("PUT", COMMIT_1, "lost"))
    with pytest.raises(ConflictError):
        append(table, (1, "Rome"), run="run")
    assert rows_of(store.open()) == [(1, "Rome")]


def test_nobody_knows_yet_and_the_next_handle_finds_it(store: Store, proxy: Proxy) -> None:
    table = store.create()
    proxy.set(Fault("PUT", COMMIT_1, "lost"), Fault("GET", "", 403, times=99, waits=True))
    with pytest.raises(StorageError, match="got no answer"):
        append(table, (1, "Rome"))
    proxy.set()
    assert (store.open().batch, rows_of(store.open())) == (1, [(1, "Rome")])


@pytest.mark.parametrize("answer", [503, 429, 500])
def test_a_busy_service_is_asked_again(store: Store, proxy: Proxy, answer: int) -> None:
    table = store.create()
    proxy.set(
        Fault("PUT", ".parquet", answer, times=2),
        Fault("PUT", COMMIT_1, answer, times=3),
        Fault("GET", "_delta_log", answer, times=2),
    )
    began = time.monotonic()
    assert append(table, (1, "Rome")) == 1
    assert time.monotonic() - began < SECONDS
    assert proxy.struck() == [2, 3, 2]
    assert (store.open().batch, commits(store), rows_of(store.open())) == (1, 2, [(1, "Rome")])


def test_a_cut_upload_is_sent_again(store: Store, proxy: Proxy) -> None:
    table = store.create(schema=BLOB)
    blobs = [os.urandom(4_000_000) for _ in range(8)]
    proxy.set(Fault("PUT", ".parquet?comp=block&", "half", times=2))
    batches = pa.table({"id": range(8), "blob": blobs}, BLOB).to_batches()
    assert table.append(batches, lambda: Commit("run", "test")) == 8
    assert proxy.struck() == [2]
    assert sorted(store.open().scan().collect()["blob"].to_list()) == sorted(blobs)
    assert store.open().files()[0].size > 32_000_000


def test_a_refused_upload_names_no_file(store: Store, proxy: Proxy) -> None:
    table = store.create()
    proxy.set(Fault("PUT", ".parquet", 403, times=99))
    with pytest.raises(StorageError, match="cannot be written"):
        append(table, (1, "Rome"))
    assert (store.open().version, store.open().files()) == (0, [])
    proxy.set()
    assert append(store.open(), (1, "Rome")) == 1


@pytest.mark.parametrize("do", ["lost", "failed", 503])
def test_who_put_a_name_first_has_it_though_the_answer_was_lost(store: Store, proxy: Proxy, do: int) -> None:
    proxy.set(Fault("PUT", "1.json", do))
    place = store.place("_numbers")
    assert put_new(place, "1.json", b"mine", Effects())
    assert proxy.struck() == [1]
    assert not put_new(place, "1.json", b"other", Effects())


WRONG = {
    "container": ("abfss://nothing-here/lake", {}, "no container 'nothing-here'"),
    "key": ("{uri}", {"key": "QUJDREVGR0g="}, f"account '{EMULATOR_ACCOUNT}' refuses the key"),
    "no base64": ("{uri}", {"key": "no base64!"}, f"key of account '{EMULATOR_ACCOUNT}' cannot be used"),
    "signature": (
        "{uri}",
        {"sas": "sv=2021-01-01&ss=b&srt=sco&sp=rl&se=2020-01-01T00:00:00Z&sig=c2VjcmV0"},
        "refuses the shared access signature",
    ),
    "account": ("{uri}", {"account": "nobody", "key": EMULATOR_KEY}, "no account 'nobody'"),
    "silence": ("{uri}", {"emulator": "{nobody}"}, "does not answer"),
    "DNS": (
        "abfss://lake@nosuchaccount7x1.dfs.core.windows.net/lake",
        {"emulator": "", "key": EMULATOR_KEY},
        "'nosuchaccount7x1' does not answer",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_settings_fail_soon_and_say_what_is_wrong(store: Store, wrong: str) -> None:
    uri, given, said = WRONG[wrong]
    filled = {name: text.replace("{nobody}", f"http://127.0.0.1:{free_port()}") for name, text in given.items()}
    azure = Azure.model_validate({"emulator": store.azure.emulator, **filled})
    began = time.monotonic()
    bad = Store(uri.format(uri=store.uri), azure)
    for name in ("cities", "people"):
        with pytest.raises(StorageError) as refused:
            bad.find(name)
        assert said in str(refused.value)
        for secret in ("key", "sas"):
            assert given.get(secret, "nothing is secret") not in str(refused.value)
            assert given.get(secret, "nothing is secret") not in repr(azure)
    assert time.monotonic() - began < SECONDS


def test_a_table_that_is_there_cannot_hide_behind_a_passing_refusal(store: Store, proxy: Proxy) -> None:
    append(store.create(), (1, "Rome"))
    proxy.set(Fault("GET", "comp=list", 503, times=2))
    assert store.again().open().schema == SCHEMA


@pytest.mark.parametrize(
    ("rights", "refused"),
    [
        ({"read", "list"}, {"write"}),
        ({"write", "create", "list"}, {"read", "put if absent"}),
        ({"read", "write", "create"}, {"list"}),
    ],
)
def test_the_rights_that_a_signature_lacks_are_named(store: Store, rights: set[str], refused: set[str]) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    kinds, granted = ResourceTypes(service=True, container=True, object=True), AccountSasPermissions(**dict.fromkeys(rights, True))
    sas = generate_account_sas(EMULATOR_ACCOUNT, EMULATOR_KEY, kinds, granted, until)
    limited = account(store.uri, Azure(emulator=store.azure.emulator, sas=SecretStr(sas)), {})
    found = refusals(limited.store(azure_parts(store.uri)[0], "lake", patient=False))
    assert set(found) - {"delete"} == refused  # Azurite breaks on any delete by a signature
    assert sas not in str(found)
