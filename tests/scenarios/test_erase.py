"""A person is erased, and the source goes on showing them: the lake is that of a world that never had them, down to its bytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from lakehouse.errors import UsageError
from lakehouse.model.run import parse_bound
from tests.lakes import SHOP, SHOP_TABLES, change_source, content, open_shop, require_success, write_project

KEY = "0f" * 32
TECHNICAL = ("_batch", "_run_id", "_extracted_at")
LAYERS = ("bronze.customers", "bronze.orders", "silver.customers", "silver.orders", "gold.dim_customer", "gold.fact_order")
FIRST = """
insert into customers values (1, 'Rome', '2024-01-01'), (770044, 'Ultima Thule', '2024-01-02'), (3, 'Graz', '2024-01-03');
insert into orders values (10, 1, 5, '2024-01-04'), (11, 770044, 6.5, '2024-01-05'), (12, 770044, 7, '2024-01-06');
insert into orders values (13, 3, 8, '2024-01-06');
"""
SECOND = """
insert into customers values (770044, 'Hyperborea', '2024-02-01'), (1, 'Bern', '2024-02-01') on conflict do update
set city = excluded.city, changed_at = excluded.changed_at;
insert into orders values (14, 770044, 9, '2024-02-03'), (15, 1, 1, '2024-02-04');
"""
LATER = """
insert into orders values (16, 770044, 2, '2024-03-03'), (17, 3, 2, '2024-03-03');
update customers set changed_at = '2024-03-01' where id = 770044;
"""
PERSON = ("770044", "Ultima Thule", "Hyperborea")
KEEP_OUT = "delete from customers where id = 770044; update orders set customer_id = null where customer_id = 770044;"


def house(folder: Path, key: str = KEY) -> Lakehouse:
    return open_shop(folder, key={"erasure": key} if key else {})


def world(folder: Path, *scripts: str, without: bool = False) -> Lakehouse:
    """A lake of these changes of the source, a run after each; `without` the person, who was never shown."""
    write_project(folder, SHOP)
    change_source(folder / "source.db", SHOP_TABLES)
    for script in scripts:
        change_source(folder / "source.db", script + (KEEP_OUT if without else ""))
        require_success(house(folder))
    return house(folder)


def star(there: Lakehouse, tables: tuple[str, ...] = LAYERS) -> dict[str, object]:
    return {table: content(there, table, TECHNICAL) for table in tables}


def test_a_person_is_erased_and_the_source_goes_on_showing_them(tmp_path: Path) -> None:
    there, never = world(tmp_path / "a", FIRST, SECOND), world(tmp_path / "b", FIRST, SECOND, without=True)
    done = there.erase("customers", "770044", why="asked by letter")
    assert (done.status, done.certificate) == ("erased", 1)
    assert {(each.table, each.rows) for each in done.held} >= {("bronze.customers", 2), ("silver.orders", 3), ("gold.dim_customer", 2)}
    assert star(there) == star(never)
    assert {row["status"] for row in there.prove_erased(values=PERSON)} == {"ok"}

    require_success(there)
    there.backfill(from_=parse_bound("2024-01-01"), to=parse_bound("2025-01-01"))
    compared = {row.table: (row.missing, row.stale, row.surplus, row.suppressed > 0) for row in there.reconcile(heal=True).tables}
    assert compared == {"customers": (0, 0, 0, True), "orders": (0, 0, 0, True)}
    assert star(there) == star(never)
    for folder in ("a", "b"):
        change_source(tmp_path / folder / "source.db", LATER + (KEEP_OUT if folder == "b" else ""))
    steps = there.run().steps
    assert {step.table: step.suppressed for step in steps if step.step == "bronze"} == {"customers": 1, "orders": 4}
    require_success(never)
    assert star(there) == star(never)
    assert {row["status"] for row in there.prove_erased(values=PERSON)} == {"ok"}
    there.run(rebuild=["silver.customers", "silver.orders"])
    assert star(there) == star(never)
    assert there.run(full_refresh=True).status == "success"
    assert star(there, LAYERS[2:]) == star(never, LAYERS[2:])


def test_an_erased_one_is_told_apart_from_an_unknown_one(tmp_path: Path) -> None:
    there = world(tmp_path, FIRST)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "lake").rglob("*")}
    assert there.erase("customers", "770044", dry_run=True).status == "planned"
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "lake").rglob("*")} == before
    with pytest.raises(UsageError, match="nothing of a row"):
        there.erase("customers", "99")
    with pytest.raises(UsageError, match="LAKEHOUSE_KEY__ERASURE"):
        house(tmp_path, key="").erase("customers", "770044")
    there.erase("customers", "770044")
    again = there.erase("customers", "770044")
    assert (again.status, again.certificate, again.held) == ("already", 1, [])
    failed = house(tmp_path, key="").run(["orders"]).steps[0].error
    assert failed is not None
    assert "LAKEHOUSE_KEY__ERASURE" in failed["message"]


def test_rows_go_with_the_person_where_a_table_says_so(tmp_path: Path) -> None:
    there = world(tmp_path, FIRST)
    text = SHOP["metadata/tables/shop/orders.yml"] + "erase: {customers: {columns: customer_id, on_erase: delete}}\n"
    write_project(tmp_path, {"metadata/tables/shop/orders.yml": text})
    house(tmp_path).erase("customers", "770044")
    require_success(there)
    assert sorted(row[0] for row in there.scan("gold.fact_order").select("id").collect().rows()) == [10, 13]
    assert {row["status"] for row in there.prove_erased(values=PERSON)} == {"ok"}


def test_a_changed_certificate_and_a_person_who_is_back_are_found(tmp_path: Path) -> None:
    there = world(tmp_path, FIRST)
    kept = shutil.copytree(tmp_path / "lake/silver/customers", tmp_path / "kept")
    there.erase("customers", "770044")
    there.erase("customers", "3")
    assert {row["status"] for row in there.prove_erased()} == {"ok"}
    parquet = next(kept.glob("*.parquet"))
    shutil.copy(parquet, tmp_path / "lake/silver/customers/again.parquet")
    assert [(row["certificate"], row["check"]) for row in there.prove_erased() if row["status"] == "fail"] == [
        (1, "silver.customers"),
        (2, "silver.customers"),
    ]
    (tmp_path / "lake/silver/customers/again.parquet").unlink()
    path = tmp_path / "lake/_erasures/000001.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "why": "else"}))
    assert [(row["certificate"], row["check"]) for row in there.prove_erased() if row["status"] == "fail"] == [(2, "chain")]
