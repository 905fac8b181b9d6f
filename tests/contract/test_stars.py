"""Stars mean the same in a folder and in an Azure container: one publisher has a number, and what is there is whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import obstore
import pytest

from lakehouse.errors import StorageError
from lakehouse.layout import STARS
from lakehouse.model.manifest import Manifest, TableVersion
from lakehouse.settings import Azure
from lakehouse.storage.stars import Stars
from tests.servers import Azurite
from tests.stores import Store, make_container

NUMBERS, PUBLISHERS = 6, 4


@pytest.fixture(params=["folder", "container"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return Store((tmp_path / "a lake").as_uri())
    azurite = request.getfixturevalue("azurite")
    assert isinstance(azurite, Azurite)
    return Store(f"abfss://{make_container(azurite.url)}/deep/lake", Azure(emulator=azurite.url))


def stars(store: Store) -> Stars:
    return Stars(store.place(STARS), store.effects)


def star(number: int, run: str = "run") -> Manifest:
    return Manifest(number, run, datetime(2030, 1, 1, tzinfo=UTC), {"dim": TableVersion(run, number)}, number - 1 or None)


def test_each_number_has_one_publisher(store: Store) -> None:
    assert stars(store).newest() is None

    def publish(run: int) -> list[int]:
        mine = stars(store.again())
        return [number for number in range(1, NUMBERS + 1) if mine.put(star(number, f"run {run}"))]

    with ThreadPoolExecutor(PUBLISHERS) as threads:
        won = list(threads.map(publish, range(PUBLISHERS)))
    assert sorted(number for numbers in won for number in numbers) == list(range(1, NUMBERS + 1))
    winners = {number: f"run {run}" for run, numbers in enumerate(won) for number in numbers}
    assert [stars(store).read(number) for number in stars(store).numbers()] == [star(number, winners[number]) for number in sorted(winners)]


def test_only_whole_stars_are_read(store: Store) -> None:
    mine = stars(store)
    assert mine.put(star(9))
    assert mine.put(star(10))
    obstore.put(mine.place.store(), "notes.txt", b"not a star")
    obstore.put(mine.place.store(), "_lease/000000000012", b"{}")
    assert mine.numbers() == [9, 10]
    assert mine.newest() == star(10)
    obstore.put(mine.place.store(), "000000000010.json", star(10).text()[:-20])
    with pytest.raises(StorageError, match="star 10 is damaged"):
        mine.newest()
    mine.remove(10)
    assert mine.newest() == star(9)
    with pytest.raises(StorageError, match="star 10 cannot be read"):
        mine.read(10)
