"""On a local disk what was committed outlives a loss of power: data before the commit that names it, names with the files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from lakehouse.storage.effects import Effects
from lakehouse.storage.objects import put_new
from tests.stores import Store, append

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="which file is open cannot be told here (no /proc)")


class Synced(NamedTuple):
    """One fsync: what, and which commits the table had then."""

    path: str
    commits: int


@pytest.fixture
def synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Synced]:
    """Every fsync of this process, in order; each is done."""
    seen: list[Synced] = []
    fsync = os.fsync

    def spy(handle: int) -> None:
        fsync(handle)
        path = Path(f"/proc/self/fd/{handle}").readlink()
        seen.append(Synced(os.path.relpath(path, tmp_path), len(list(tmp_path.glob("lake/cities/_delta_log/*.json")))))

    monkeypatch.setattr(os, "fsync", spy)
    return seen


def test_a_new_table_lasts_with_all_its_folders(tmp_path: Path, synced: list[Synced]) -> None:
    Store((tmp_path / "lake").as_uri()).create()
    paths = [each.path for each in synced]
    assert {"../" + tmp_path.name, ".", "lake", "lake/cities"} - set(paths) <= {"../" + tmp_path.name}
    log = "lake/cities/_delta_log"
    assert paths.index(f"{log}/{0:020}.json") < paths.index(log) < len(paths) - 1
    assert paths[-1] == "lake/cities"


def test_data_lasts_before_its_commit_and_the_commit_before_the_next_step(tmp_path: Path, synced: list[Synced]) -> None:
    table = Store((tmp_path / "lake").as_uri()).create()
    synced.clear()
    append(table, (1, "Rome"))
    data = f"lake/cities/{table.files()[0].path}"
    log = "lake/cities/_delta_log"
    assert synced == [Synced(data, 1), Synced("lake/cities", 1), Synced(f"{log}/{1:020}.json", 2), Synced(log, 2)]


def test_a_checkpoint_lasts_too(tmp_path: Path, synced: list[Synced]) -> None:
    table = Store((tmp_path / "lake").as_uri()).create()
    for n in range(101):
        append(table, (n, "Rome"))
    made = next(tmp_path.glob("lake/cities/_delta_log/*.checkpoint.parquet"))
    assert {f"lake/cities/_delta_log/{made.name}", "lake/cities/_delta_log/_last_checkpoint"} <= {each.path for each in synced}


def test_a_file_put_first_lasts_with_its_folder(tmp_path: Path, synced: list[Synced]) -> None:
    place = Store((tmp_path / "lake").as_uri()).place("_numbers")
    assert put_new(place, "1.json", b"{}", Effects())
    assert [each.path for each in synced[-2:]] == ["lake/_numbers/1.json", "lake/_numbers"]
    before = len(synced)
    assert not put_new(place, "1.json", b"[]", Effects())
    assert len(synced) == before
