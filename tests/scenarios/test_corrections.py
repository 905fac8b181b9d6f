"""Corrections as silver reads them: whatever people say of rows of bronze, the table is that of a rebuild from bronze and corrections."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lakehouse import Lakehouse
from lakehouse.lake import Lake
from lakehouse.model.correction import Correction
from lakehouse.quality.corrections import record
from lakehouse.transform.corrected import as_texts
from tests.lakes import change_source, content, open_shop, require_success, write_project

ITEMS = """
from: items
mode: incremental
keys: id
cursor: at
lookback: 9999d
columns: {id: bigint, price: "decimal(9,2)", kind: string, at: timestamp}
expect: {positive: {that: price > 0, else: quarantine}}
"""
TABLE = "create table items (id integer, price text, kind text, at timestamp);"
RUNS = (
    "insert into items values (1, '10.50', 'a', '2024-01-01'), (2, '-2', 'b', '2024-01-01'), (3, '3', 'c', '2024-01-01');",
    "insert into items values (1, '11', 'a', '2024-01-02'), (4, '4', 'd', '2024-01-02'), (5, '-5', 'e', '2024-01-02');",
    "insert into items values (1, '12', 'a', '2024-01-03'), (4, '-4', 'd', '2024-01-03');",
)
KINDS = {"scd1": "", "scd2": "history: scd2\n", "keyless": "history: scd1\n"}
WHO: dict[str, Any] = {"table": "items", "by": "ann", "at": datetime(2024, 2, 1, tzinfo=UTC), "why": "a test"}


def shop(folder: Path, kind: str) -> Lakehouse:
    text = ITEMS + KINDS[kind]
    text = text if kind != "keyless" else text.replace("keys: id\n", "")
    write_project(folder, {"metadata/sources/shop.yml": "connection: shop\n", "metadata/tables/shop/items.yml": text})
    change_source(folder / "source.db", TABLE)
    for run in RUNS:
        change_source(folder / "source.db", run)
        require_success(open_shop(folder))
    return open_shop(folder)


def say(folder: Path, *said: Correction) -> None:
    house = open_shop(folder)
    with Lake.open(folder, house.settings) as lake:
        record(lake, said)


def pointer(house: Lakehouse, id_: int) -> dict[str, Any]:
    (found,) = [row for row in house.rejects("items") if house.reject("items", row["_row_hash"])[0]["row"]["id"] == id_]
    return {"batch": found["_batch"], "row_hash": found["_row_hash"]}


def stands_as_rebuilt(folder: Path) -> Counter[tuple[object, ...]]:
    """What silver says after a run, which is what a rebuild says, rejects and counts included."""
    house = open_shop(folder)
    require_success(house)
    found, rejects, account = content(house, "silver.items"), house.rejects("items"), house.quality("items")["tables"]
    require_success(house, rebuild=["items"])
    assert content(house, "silver.items") == found
    assert (house.rejects("items"), house.quality("items")["tables"]) == (rejects, account)
    return found


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_batch_that_is_taken_back_is_as_if_it_had_never_come_and_comes_back(tmp_path: Path, kind: str) -> None:
    house = shop(tmp_path, kind)
    whole = content(house, "silver.items")
    undo = Correction(kind="undo", batch=2, run_id="r", **WHO)
    say(tmp_path, undo)
    found = stands_as_rebuilt(tmp_path)
    assert {row[0] for row in found} == {1, 3}
    assert [row["_batch"] for row in house.rejects("items")] == [3, 1]
    say(tmp_path, Correction(kind="redo", batch=2, run_id="r", supersedes=undo.id, **WHO))
    assert stands_as_rebuilt(tmp_path) == whole


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_fixed_row_stands_in_the_place_of_the_one_that_came_and_a_dropped_one_is_none(tmp_path: Path, kind: str) -> None:
    house = shop(tmp_path, kind)
    bronze = house.scan("bronze.items").collect()
    row = bronze.filter(pl.col("id") == 5).with_columns(price=-pl.col("price").cast(pl.Decimal(9, 2)))
    fix = Correction(kind="fix", **pointer(house, 5), value={"rows": as_texts(row)}, **WHO)
    say(tmp_path, fix, Correction(kind="drop", **pointer(house, 2), **WHO))
    found = stands_as_rebuilt(tmp_path)
    assert {row[0] for row in found} == {1, 3, 4, 5}
    assert len(house.rejects("items")) == 1
    other = row.with_columns(id=pl.lit(9, pl.Int64))
    say(tmp_path, Correction(kind="fix", **fix_pointer(fix), value={"rows": as_texts(other)}, supersedes=fix.id, **WHO))
    assert {row[0] for row in stands_as_rebuilt(tmp_path)} == {1, 3, 4, 9}


def fix_pointer(fix: Correction) -> dict[str, Any]:
    return {"batch": fix.batch, "row_hash": fix.row_hash}


def test_tables_that_no_correction_names_are_not_behind(tmp_path: Path) -> None:
    house = shop(tmp_path, "scd1")
    said = {**WHO, "table": "others"}
    say(tmp_path, Correction(kind="undo", batch=2, run_id="r", **said))
    assert house.run().status == "unchanged"
