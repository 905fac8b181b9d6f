"""An erasure dies at any of its effects: the same erasure again finishes it, and a run in between does no harm."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from lakehouse.errors import LakehouseError
from lakehouse.lake import Lake
from lakehouse.pipeline.erase import erase
from tests.lakes import SHOP, SHOP_TABLES, change_source, content, open_shop, require_success, write_project

ROWS = """
insert into customers values (1, 'Rome', '2024-01-01'), (770044, 'Ultima Thule', '2024-01-02');
insert into orders values (10, 1, 5, '2024-01-04'), (11, 770044, 6.5, '2024-01-05'), (12, 770044, 7, '2024-01-06');
"""
TABLES = ("bronze.customers", "bronze.orders", "silver.customers", "silver.orders", "gold.dim_customer", "gold.fact_order")


def house(folder: Path, fault: str = "") -> Lakehouse:
    return open_shop(folder, fault=fault, key={"erasure": "0f" * 32})


def state(folder: Path) -> list[object]:
    there = house(folder)
    accounts = [(row["table"], row["accepted"], row["unaccounted"]) for row in there.quality()["tables"]]
    return [*(content(there, table, ("_batch", "_run_id", "_extracted_at")) for table in TABLES), accounts]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the person."""
    folder = write_project(tmp_path_factory.mktemp("erase"), SHOP)
    change_source(folder / "source.db", SHOP_TABLES + ROWS)
    require_success(house(folder))
    return folder


def strike(loaded: Path, tmp_path: Path, numbers: list[int] | None = None, *, between: bool = False) -> int:
    """Break an erasure at these effects, or at each, one after the other; how many it has."""
    sound = shutil.copytree(loaded, tmp_path / "sound")
    with Lake.open(sound, house(sound).settings) as lake:
        erase(lake, "customers", ["770044"])
        count = lake.effects.count
    wanted = state(sound)
    for number in numbers or range(1, count + 1):
        folder = shutil.copytree(loaded, tmp_path / str(number))
        try:
            house(folder, f"error:{number}").erase("customers", "770044")
        except LakehouseError:
            if between:
                require_success(house(folder))
            done = house(folder).erase("customers", "770044")
            assert (done.status, done.certificate) in (("erased", 1), ("already", 1)), number
        assert state(folder) == wanted, number
        assert {row["status"] for row in house(folder).prove_erased(values=["770044", "Ultima Thule"])} == {"ok"}, number
        require_success(house(folder))
        assert state(folder) == wanted, number
        shutil.rmtree(folder)
    return count


def test_an_erasure_that_broke_is_finished_by_the_next(loaded: Path, tmp_path: Path) -> None:
    assert strike(loaded, tmp_path, [19]) > 20


@pytest.mark.long
@pytest.mark.parametrize("between", [False, True], ids=["again", "a run between"])
def test_an_erasure_that_broke_at_any_effect_is_finished_by_the_next(loaded: Path, tmp_path: Path, between: bool) -> None:
    strike(loaded, tmp_path, between=between)
