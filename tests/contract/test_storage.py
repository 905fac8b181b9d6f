"""The storage port means the same in a folder and in an Azure container."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from lakehouse.engines.duck import Duck, Session
from lakehouse.errors import ConflictError, UsageError
from lakehouse.model.run import Commit
from lakehouse.settings import Azure
from lakehouse.storage.effects import Effects
from lakehouse.storage.objects import put_new
from tests.servers import Azurite
from tests.stores import SCHEMA, Store, append, batches, make_container, rows_of


@pytest.fixture
def folder(tmp_path: Path) -> Store:
    return Store((tmp_path / "a lake").as_uri())


@pytest.fixture
def container(azurite: Azurite) -> Store:
    return Store(f"abfss://{make_container(azurite.url)}/deep/lake", Azure(emulator=azurite.url))


@pytest.fixture(params=["folder", "container"])
def store(request: pytest.FixtureRequest) -> Store:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Store)
    return found


@contextmanager
def sql(store: Store) -> Iterator[Session]:
    with closing(Duck(256 * 1024**2, store.places.filesystems([store.uri]))) as duck, duck.session() as session:
        yield session


def test_a_new_table_is_there_and_empty(store: Store) -> None:
    assert store.find() is None
    store.create()
    table = store.again().open()
    assert (table.version, table.batch, table.schema, table.files()) == (0, 0, SCHEMA, [])
    assert rows_of(table) == []


def test_appended_rows_come_with_their_numbers(store: Store) -> None:
    table = store.create()
    assert append(table, (1, "Rome"), (2, None), cursor=7) == 2
    assert append(table, (3, "Oslo"), cursor=9) == 1
    assert append(table, cursor=11) == 0
    again = store.again().open()
    assert (again.version, again.batch, again.number("cursor"), again.rows()) == (2, 2, 9, 3)
    assert rows_of(again) == rows_of(table) == [(1, "Rome"), (2, None), (3, "Oslo")]
    assert [file.least["id"] for file in sorted(again.files(), key=lambda file: file.rows)] == [3, 1]


def test_applied_changes_leave_the_other_rows(store: Store) -> None:
    table = store.create()
    append(table, (1, "Rome"), (2, "Oslo"))
    append(table, (3, "Bonn"))
    gone, came = pl.DataFrame({"id": [2, 9]}), pl.DataFrame({"id": [2, 4], "city": ["Bergen", "Lima"]})
    assert table.apply(gone, came, ["id"], Commit("run", "test")) == 1
    assert rows_of(store.again().open()) == [(1, "Rome"), (2, "Bergen"), (3, "Bonn"), (4, "Lima")]


def test_rows_that_were_looked_up_are_not_searched_again(store: Store) -> None:
    table = store.create()
    append(table, (1, "Rome"), (2, "Oslo"))
    append(table, (3, "Bonn"), (9, "Lima"))
    assert table.lookup(pl.DataFrame({"id": [3, 7]})).rows() == [(3, "Bonn")]
    table.apply(pl.DataFrame({"id": [3]}), pl.DataFrame({"id": [3], "city": ["Ulm"]}), ["id"], Commit("run", "test"))
    facts = json.loads(table.history(1)[0]["lakehouse"])["rewriting"]
    assert facts == {
        "strategy": "copy-on-write",
        "files_touched": 1,
        "files_there": 2,
        "rows_rewritten": 2,
        "found_by": "lookup",
        "files_put_together": 0,
    }
    assert rows_of(store.again().open()) == [(1, "Rome"), (2, "Oslo"), (3, "Ulm"), (9, "Lima")]


def test_a_replaced_table_has_the_new_rows_and_columns(store: Store) -> None:
    table = store.create()
    append(table, (1, "Rome"))
    wider = pa.schema([*SCHEMA, ("people", pa.int32())])
    rows = pa.Table.from_pylist([{"id": 5, "city": "Lima", "people": 10}], wider).to_batches()
    assert table.replace(rows, lambda: Commit("run", "test"), wider) == 1
    assert rows_of(store.again().open()) == [(5, "Lima", 10)]


def test_new_columns_are_null_in_the_rows_before(store: Store) -> None:
    table = store.create()
    append(table, (1, "Rome"))
    table.add_columns([pa.field("people", pa.int32())], Commit("run", "test"))
    wider = store.again().open()
    wider.append(pa.Table.from_pylist([{"id": 2, "city": "Oslo", "people": 3}], wider.schema).to_batches(), lambda: Commit("run", "test"))
    assert rows_of(wider) == [(1, "Rome", None), (2, "Oslo", 3)]
    with sql(store) as session:
        session.table("silver.cities", wider.schema, [file.uri for file in wider.files()])
        assert session.rows("select sum(people)::int as n from silver.cities").to_pylist() == [{"n": 3}]


def test_descriptions_and_marks_are_commits_without_rows(store: Store) -> None:
    table = store.create()
    table.describe(pa.schema([pa.field("id", pa.int64(), metadata={"comment": "the key"}), SCHEMA.field("city")]), Commit("run", "test"))
    table.mark(Commit("run", "test", {"consumed": 4}))
    again = store.again().open()
    assert (again.batch, again.number("consumed"), again.rows()) == (2, 4, 0)
    assert again.schema.field("id").metadata == {b"comment": b"the key"}


def test_the_second_of_two_writers_is_refused(store: Store) -> None:
    store.create()
    first, second = store.again().open(), store.again().open()
    append(first, (1, "Rome"), run="first")
    with pytest.raises(ConflictError):
        append(second, (1, "Rome"), run="second")
    append(store.again().open(), (2, "Oslo"), run="second")
    assert rows_of(store.open()) == [(1, "Rome"), (2, "Oslo")]


def test_the_second_of_two_makers_gets_the_first_ones_table(store: Store) -> None:
    first, second = store.create(), store.again().create()
    append(second, (1, "Rome"), run="second")
    with pytest.raises(ConflictError):
        append(first, (1, "Rome"), run="first")
    with pytest.raises(ConflictError):
        store.again().create()


def test_the_engine_reads_the_files(store: Store) -> None:
    table = store.create()
    append(table, *((n, f"city {n % 7}") for n in range(5000)))
    append(table, (5000, None))
    with sql(store) as session:
        session.table("gold.cities", table.schema, [file.uri for file in table.files()])
        found = session.rows("select count(*) as n, sum(id)::bigint as ids, count(distinct city) as cities from gold.cities").to_pylist()
    assert found == [{"n": 5001, "ids": 12502500, "cities": 7}]


def sees_nothing(session: Session, query: str) -> bool:
    try:
        return not session.ask(query).num_rows
    except UsageError:
        return True


def test_a_query_reads_its_tables_and_nothing_else(store: Store) -> None:
    open_table, closed = store.create(), store.create("secret")
    append(open_table, (1, "Rome"))
    append(closed, (2, "secret city"))
    other = closed.files()[0].uri
    ways = [other, other.replace("/secret/", "/cities/../secret/"), other.replace("/secret/", "/cities/%2e%2e/secret/"), "/etc/passwd"]
    with sql(store) as session:
        session.table("gold.cities", open_table.schema, [file.uri for file in open_table.files()])
        session.lock([open_table.place])
        assert session.ask("select id from gold.cities").to_pylist() == [{"id": 1}]
        for path in ways:
            with pytest.raises(UsageError) as refused:
                session.ask(f"select * from read_parquet('{path}')")
            assert "secret city" not in str(refused.value)
            assert sees_nothing(session, f"select * from read_text('{path}')")
        with pytest.raises(UsageError):
            session.ask(f"copy (select 1) to '{open_table.place}/out.parquet'")


def test_of_all_who_put_one_name_one_has_it(store: Store) -> None:
    def writer(number: int) -> list[bool]:
        place, effects = store.again().place("_numbers"), Effects()
        return [put_new(place, f"{name:020}.json", f"{number}".encode() * 100, effects) for name in range(10)]

    with ThreadPoolExecutor(6) as threads:
        won = list(threads.map(writer, range(6)))
    assert [sum(column) for column in zip(*won, strict=True)] == [1] * 10
    files = store.place("_numbers").store()
    for name in range(10):
        winner = next(number for number, numbers in enumerate(won) if numbers[name])
        assert bytes(files.get(f"{name:020}.json").bytes()) == f"{winner}".encode() * 100


def test_every_write_is_an_effect(store: Store) -> None:
    append(store.create(), (1, "Rome"))
    put_new(store.place("_numbers"), "1.json", b"{}", store.effects)
    assert Counter(store.effects.trace) == Counter(["create cities", "write cities", "commit cities", "put 1.json"])


def test_rows_that_are_many_files_are_one_commit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakehouse.storage.parquet.ROWS_A_FILE", 2)
    monkeypatch.setattr("lakehouse.storage.parquet.ROWS_A_GROUP", 2)
    table = store.create()
    parts = [batch for n in range(4) for batch in batches((2 * n, "a"), (2 * n + 1, "b"))]
    assert table.append(parts, lambda: Commit("run", "test")) == 8
    assert (table.version, len(table.files()), len(rows_of(table))) == (1, 4, 8)
