"""Silver and its rejects are two commits: whichever effect breaks, the next run brings both to what bronze says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from tests.lakes import change_source, open_shop, write_project

FILES = {
    "metadata/sources/shop.yml": "connection: shop\n",
    "metadata/tables/shop/items.yml": """
from: items
mode: incremental
keys: id
cursor: at
lookback: 9999d
columns: {id: bigint, kind: string, price: bigint, at: timestamp}
expect:
  sound: {that: price > 0, else: quarantine}
  one: {unique: kind, else: quarantine}
""",
}
FIRST = """
create table items (id integer, kind text, price integer, at timestamp);
insert into items values (1, 'a', 1, '2029-01-01'), (2, 'a', 1, '2029-01-02'), (3, 'b', -1, '2029-01-03');
"""
SECOND = "insert into items values (1, 'c', 1, '2029-01-04'), (4, 'c', -2, '2029-01-05'), (5, 'c', 2, '2029-01-06');"


def held(house: Lakehouse) -> tuple[object, ...]:
    rows = [row[:-1] for row in sorted(house.scan("silver.items").collect().rows())]
    rejects = sorted((row["reason"], row["rules"], row["_row_hash"]) for row in house.rejects("items"))
    account = house.quality("items")["tables"][0]
    return rows, rejects, account["accepted"], account["unaccounted"]


@pytest.mark.parametrize(("script", "start"), [(FIRST, 1), (SECOND, 2)], ids=["first", "second"])
def test_an_error_at_every_third_effect_is_mended_by_the_next_run(tmp_path: Path, script: str, start: int) -> None:
    require_mended(tmp_path, script, start, 3)


@pytest.mark.long
@pytest.mark.parametrize("script", [FIRST, SECOND], ids=["first", "second"])
def test_an_error_at_any_effect_is_mended_by_the_next_run(tmp_path: Path, script: str) -> None:
    require_mended(tmp_path, script, 1, 1)


def require_mended(tmp_path: Path, script: str, start: int, step: int) -> None:
    before = write_project(tmp_path / "before", FILES)
    if script is SECOND:
        change_source(before / "source.db", FIRST)
        assert open_shop(before).run().status == "success"
    change_source(before / "source.db", script)

    def project(name: str) -> Path:
        return Path(shutil.copytree(before, tmp_path / name))

    sound = open_shop(project("sound"))
    assert sound.run().status == "success"
    wanted, number, broke = held(sound), start, True
    while broke:
        folder = project(f"broken{number}")
        broke = open_shop(folder, fault=f"error:{number}").run().status == "failed"
        assert open_shop(folder).run().status in ("success", "unchanged")
        assert held(open_shop(folder)) == wanted, number
        number += step
    assert number > 8
