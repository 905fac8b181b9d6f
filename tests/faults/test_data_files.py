"""A data file of the lake that is gone, cut or empty: the step that needs it fails and names it, and the others go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from tests.lakes import SHOP, SHOP_TABLES, change_source, open_shop, require_success, versions, write_project

START = """
insert into customers values (1, 'Rome', '2026-01-01 00:00:00'), (2, 'Oslo', '2026-01-05 00:00:00');
insert into orders values (1, 1, '10.00', '2026-01-02 00:00:00'), (2, 2, '20.50', '2026-01-06 00:00:00');
"""
CHANGES = """
update customers set city = 'Pisa', changed_at = '2026-01-10 00:00:00' where id = 1;
update orders set amount = '11.00' where id = 1;
"""
DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "end cut": lambda file: file.write_bytes(file.read_bytes()[:-4]),
    "noise": lambda file: file.write_bytes(file.read_bytes()[:4] + b"\xff" * (file.stat().st_size - 8) + file.read_bytes()[-4:]),
}
NEEDED_BY = {
    "bronze/customers": ("bronze", "customers"),
    "silver/customers": ("silver", "customers"),
    "gold/dim_customer": ("gold", "dim_customer"),
    "silver/orders": ("silver", "orders"),
}


def loaded(folder: Path) -> Lakehouse:
    project = write_project(folder, SHOP)
    change_source(project / "source.db", SHOP_TABLES + START)
    require_success(open_shop(project))
    change_source(project / "source.db", CHANGES)
    return open_shop(project)


EACH = [(table, damage) for table in NEEDED_BY for damage in DAMAGES if damage in ("gone", "cut") or table.startswith("gold")]


@pytest.mark.parametrize(("table", "damage"), EACH)
def test_a_damaged_file_is_named_by_the_step_that_needs_it(tmp_path: Path, table: str, damage: str) -> None:
    house = loaded(tmp_path)
    (file,) = (tmp_path / "lake" / table).glob("*.parquet")
    DAMAGES[damage](file)
    stands = versions(tmp_path / "lake")
    done = house.run()
    failed = {(step.step, step.table): step.error or {} for step in done.steps if step.status == "failed"}
    assert list(failed) == [NEEDED_BY[table]]
    error = failed[NEEDED_BY[table]]
    assert error["kind"] == "StorageError"
    assert table.replace("/", ".") in error["message"]
    assert file.name in error["message"]
    assert versions(tmp_path / "lake")[table] == stands[table]
    other = "orders" if "customer" in table else "customers"
    assert {step.status for step in done.steps if step.table == other} == {"success"}
    assert {row["table"] for row in house.history() if row["status"] == "failed"} == {NEEDED_BY[table][1]}


@pytest.mark.parametrize("damage", ["gone", "empty", "noise"])
def test_a_damaged_file_among_many_rows_is_named_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    monkeypatch.setattr("lakehouse.stages.bronze.FEW_SEEN", 0)  # the SQL engine compares
    house = loaded(tmp_path)
    (file,) = (tmp_path / "lake/bronze/customers").glob("*.parquet")
    DAMAGES[damage](file)
    (error,) = [step.error or {} for step in house.run().steps if step.status == "failed"]
    assert (error["kind"], file.name in error["message"]) == ("StorageError", True)


def test_what_is_built_from_bronze_can_be_built_again(tmp_path: Path) -> None:
    house = loaded(tmp_path)
    next((tmp_path / "lake/silver/customers").glob("*.parquet")).unlink()
    (error,) = [step.error or {} for step in house.run().steps if step.status == "failed"]
    assert "remove the lake's silver and gold folders" in error["message"]
    for layer in ("silver", "gold"):
        shutil.rmtree(tmp_path / "lake" / layer)
    require_success(house)
    assert house.sql("select city from silver.customers where id = 1 and is_current").item() == "Pisa"
    assert house.run().status == "unchanged"
