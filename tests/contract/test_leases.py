"""A table's lease means the same in a folder and in an Azure container: one holder, who is respected while it lives."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import obstore
import pytest

from lakehouse.errors import BusyError, ConflictError
from lakehouse.settings import Azure
from lakehouse.storage.leases import FOLDER, OLD, Leases, Turn
from lakehouse.storage.opening import open_table
from tests.servers import Azurite
from tests.stores import Store, append, batches, make_container, rows_of

NAME = "cities"


@pytest.fixture(params=["folder", "container"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return Store((tmp_path / "a lake").as_uri())
    azurite = request.getfixturevalue("azurite")
    assert isinstance(azurite, Azurite)
    return Store(f"abfss://{make_container(azurite.url)}/deep/lake", Azure(emulator=azurite.url))


@contextmanager
def leases(store: Store, *, term: float = 30, patience: float = 0) -> Iterator[Leases]:
    made = Leases(lambda: "run", store.effects, term=term, patience=patience)
    try:
        yield made
    finally:
        made.close()


def files(store: Store) -> list[str]:
    return sorted(part["path"].rsplit("/", 1)[-1] for part in obstore.list(store.place(NAME).store(), FOLDER).collect())


def newest(store: Store) -> dict[str, object]:
    found = json.loads(bytes(obstore.get(store.place(NAME).store(), f"{FOLDER}/{files(store)[-1]}").bytes()))
    assert isinstance(found, dict)
    return found


def test_the_second_gets_what_the_first_gives_back(store: Store) -> None:
    with leases(store) as first, leases(store.again()) as second:
        assert first.take(store.place(NAME), NAME)
        assert not first.take(store.place(NAME), NAME)
        with pytest.raises(BusyError, match="another run is writing this table") as refused:
            second.take(store.place(NAME), NAME)
        assert refused.value.transient
        first.release(NAME)
        assert second.take(store.place(NAME), NAME)
        assert [int(file) for file in files(store)] == [1, 2]


def test_a_holder_that_shows_itself_is_waited_for_as_long_as_is_allowed(store: Store) -> None:
    with leases(store, term=0.4) as holder, leases(store.again(), term=0.4, patience=1.5) as waiting:
        holder.take(store.place(NAME), NAME)
        begun = time.monotonic()
        with pytest.raises(BusyError):
            waiting.take(store.place(NAME), NAME)
        assert time.monotonic() - begun >= 1.5
        assert newest(store)["beat"] != 0


def test_a_silent_holder_is_dead_after_its_term(store: Store) -> None:
    with leases(store, term=60) as silent, leases(store.again(), term=0.5, patience=20) as next_one:
        silent.take(store.place(NAME), NAME)
        begun = time.monotonic()
        assert next_one.take(store.place(NAME), NAME)
        assert 0.5 <= time.monotonic() - begun < 10
        silent.release(NAME)
        assert not newest(store).get("free")


def test_a_process_of_this_machine_that_is_gone_is_dead_at_once(store: Store) -> None:
    with leases(store) as holder, leases(store.again()) as next_one:
        holder.take(store.place(NAME), NAME)
        gone = {**newest(store), "started": "1"}
        obstore.put(store.place(NAME).store(), f"{FOLDER}/{files(store)[-1]}", json.dumps(gone).encode())
        assert next_one.take(store.place(NAME), NAME)


def test_among_many_one_at_a_time_holds_it(store: Store) -> None:
    inside: list[int] = []

    def work(number: int) -> None:
        with leases(store.again(), patience=60) as mine:
            for _ in range(6):
                assert mine.take(store.place(NAME), NAME)
                inside.append(number)
                time.sleep(0.002)
                assert inside == [number]
                inside.remove(number)
                mine.release(NAME)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert int(files(store)[-1]) == 24
    assert len(files(store)) <= OLD + 1


def test_who_was_overtaken_writes_no_file(store: Store) -> None:
    store.create()
    with leases(store) as mine:
        effects = store.effects
        late = open_table(store.place(NAME), NAME, effects, Turn(mine, store.place(NAME), NAME))
        assert late is not None
        append(store.again().open(), (1, "Rome"), run="faster")
        with pytest.raises(ConflictError):
            append(late, (2, "Oslo"), run="late")
        assert [name for name in effects.trace if name.startswith("write")] == []
        mine.release(NAME)
        again = open_table(store.place(NAME), NAME, effects, Turn(mine, store.place(NAME), NAME))
        assert again is not None
        assert append(again, (2, "Oslo"), run="late") == 1
        assert newest(store)["free"] is True
    assert rows_of(store.again().open()) == [(1, "Rome"), (2, "Oslo")]


def test_nothing_to_write_takes_no_lease(store: Store) -> None:
    store.create()
    with leases(store) as mine:
        table = open_table(store.place(NAME), NAME, store.effects, Turn(mine, store.place(NAME), NAME))
        assert table is not None
        assert table.append(batches(), pytest.fail) == 0
        assert files(store) == []
