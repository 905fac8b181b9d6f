"""Past windows down the same road: the lake ends as if it had been there from the start."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from lakehouse.errors import UsageError
from lakehouse.lake import Lake
from lakehouse.model.run import Cursor, Run, parse_bound
from tests.lakes import SHOP, SHOP_TABLES, change_source, content, open_shop, require_success, versions, write_project

JANUARY, FEBRUARY = date(2024, 1, 1), date(2024, 2, 1)
CUSTOMERS, ORDERS = "metadata/tables/shop/customers.yml", "metadata/tables/shop/orders.yml"
START = f"""{SHOP_TABLES}
insert into customers values (1, 'Rome', '2024-01-01 00:00:00'), (2, 'Oslo', '2024-02-02 00:00:00'),
    (3, 'Bern', '2024-01-31 23:59:59.999999');
insert into orders values (1, 1, 5, '2024-01-10 00:00:00'), (2, 1, 7, '2024-02-01 00:00:00'), (3, 2, 9, '2024-02-05 00:00:00'),
    (4, 3, 1, '2023-12-31 00:00:00');
"""
TABLES = ("silver.customers", "silver.orders", "gold.dim_customer", "gold.fact_order")
TECHNICAL = ("_batch", "_run_id", "_extracted_at")


def project_of(folder: Path, since: str = "start_at: 2024-02-01\n") -> Path:
    shop = {**SHOP, CUSTOMERS: SHOP[CUSTOMERS] + since, ORDERS: SHOP[ORDERS] + since}
    project = write_project(folder, shop)
    change_source(project / "source.db", START)
    return project


def star(house: Lakehouse) -> dict[str, Counter[tuple[object, ...]]]:
    return {table: content(house, table, TECHNICAL) for table in TABLES}


def watermark(house: Lakehouse, table: str) -> Cursor | None:
    with Lake.open(house.project, house.settings) as lake:
        return lake.watermark(table)


def require(done: Run, status: str) -> None:
    assert done.status == status, [step.error for step in done.steps if step.error]


def test_a_month_backfilled_equals_a_lake_that_had_it_from_the_start(tmp_path: Path) -> None:
    late, whole = open_shop(project_of(tmp_path / "late")), open_shop(project_of(tmp_path / "whole", ""))
    for house in (late, whole):
        require_success(house)
    assert late.sql("select count(*) as n from silver.orders").item() == 2
    before = watermark(late, "orders")
    require(late.backfill(from_=date(2020, 1, 1), to=FEBRUARY), "success")
    assert star(late) == star(whole)
    assert watermark(late, "orders") == before == datetime(2024, 2, 5, tzinfo=UTC)


def test_the_same_backfill_again_changes_nothing(tmp_path: Path) -> None:
    house = open_shop(project_of(tmp_path))
    require_success(house)
    require(house.backfill(from_=JANUARY, to=FEBRUARY), "success")
    before = versions(tmp_path / "lake")
    require(house.backfill(from_=JANUARY, to=FEBRUARY), "unchanged")
    require(house.backfill(from_=datetime(2024, 1, 5, tzinfo=UTC), to=date(2024, 1, 20)), "unchanged")
    require_success(house)
    assert versions(tmp_path / "lake") == before


@pytest.mark.parametrize("windows", [[(1, 20), (10, 32)], [(20, 32), (1, 20)], [(1, 32), (5, 6)], [(31, 32), (1, 2), (1, 32)]])
def test_overlapping_reversed_and_half_done_windows_end_alike(tmp_path: Path, windows: list[tuple[int, int]]) -> None:
    house, whole = open_shop(project_of(tmp_path / "late")), open_shop(project_of(tmp_path / "whole", "start_at: 2024-01-01\n"))
    require_success(house)
    require_success(whole)
    for low, high in windows:
        house.backfill(from_=date(2024, 1, low), to=FEBRUARY if high > 31 else date(2024, 1, high))
    assert star(house) == star(whole)


def test_a_backfill_before_any_run_leaves_the_rest_to_the_run(tmp_path: Path) -> None:
    house, whole = open_shop(project_of(tmp_path / "late", "")), open_shop(project_of(tmp_path / "whole", ""))
    require(house.backfill(["orders", "customers"], from_=JANUARY, to=FEBRUARY), "success")
    assert watermark(house, "orders") is None
    assert house.sql("select count(*) as n from silver.orders").item() == 1
    require_success(house)
    require_success(whole)
    assert star(house) == star(whole)


def test_a_corrected_past_row_comes_by_backfill(tmp_path: Path) -> None:
    house = open_shop(project_of(tmp_path, "start_at: 2024-01-01\n"))
    require_success(house)
    change_source(tmp_path / "source.db", "update orders set amount = 6 where id = 1")
    require(house.backfill(["orders"], from_=JANUARY, to=FEBRUARY), "success")
    assert house.sql("select amount from gold.fact_order where id = 1").item() == 6


def test_what_lies_above_the_safe_bound_is_not_read(tmp_path: Path) -> None:
    house = open_shop(project_of(tmp_path), clock="2024-02-03T00:00:00Z")
    report = house.backfill(from_=JANUARY, to=date(2030, 1, 1))
    require(report, "success")
    read = next(step for step in report.steps if (step.step, step.table) == ("bronze", "orders"))
    assert read.window == {"from": "2024-01-01 00:00:00+00:00", "to": "2024-02-03 00:00:00+00:00"}
    assert house.sql("select max(id) as id from bronze.orders").item() == 2


def test_integer_and_date_cursors_have_past_windows(tmp_path: Path) -> None:
    by_id = SHOP[ORDERS].replace("cursor: ordered_at\nlookback: 9999d", "cursor: id\nstart_at: 3")
    house = open_shop(write_project(project_of(tmp_path), {ORDERS: by_id}))
    require_success(house)
    require(house.backfill(["orders"], from_=1, to=2), "success")
    assert [row["id"] for row in house.sql("select id from bronze.orders order by id").to_dicts()] == [1, 3, 4]
    by_day = by_id.replace("cursor: id\nstart_at: 3", "cursor: ordered_on\nstart_at: 2024-02-05").replace(
        "columns: {", "columns: {ordered_on: date, "
    )
    other = open_shop(write_project(project_of(tmp_path / "days"), {ORDERS: by_day}))
    change_source(tmp_path / "days/source.db", "alter table orders add ordered_on date; update orders set ordered_on = date(ordered_at);")
    require_success(other)
    require(other.backfill(["orders"], from_=datetime(2024, 1, 9, 10, tzinfo=UTC), to=datetime(2024, 1, 31, 1, tzinfo=UTC)), "success")
    assert [row["id"] for row in other.sql("select id from bronze.orders order by id").to_dicts()] == [1, 3]


def test_what_is_no_window_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    project = write_project(project_of(tmp_path), {CUSTOMERS: "from: customers\nmode: full\nkeys: id\nhistory: scd2\n"})
    house = open_shop(project)
    for bounds in ((FEBRUARY, JANUARY), (JANUARY, JANUARY), (JANUARY, 5)):
        with pytest.raises(UsageError):
            house.backfill(from_=bounds[0], to=bounds[1])
    with pytest.raises(UsageError, match="customers has no cursor"):
        house.backfill(["customers"], from_=JANUARY, to=FEBRUARY)
    assert house.backfill(["orders"], from_=1, to=5).status == "failed"
    assert not (project / "lake" / "bronze").exists()


def test_a_run_over_what_a_backfill_brought_moves_the_watermark(tmp_path: Path) -> None:
    house = open_shop(project_of(tmp_path, ""))
    require(house.backfill(from_=date(2020, 1, 1), to=date(2025, 1, 1)), "success")
    assert watermark(house, "orders") is None
    assert sum(step.rows_out for step in house.run().steps) == 0
    assert watermark(house, "orders") == datetime(2024, 2, 5, tzinfo=UTC)
    before = versions(tmp_path / "lake")
    assert house.run().status == "unchanged"
    assert versions(tmp_path / "lake") == before


def test_a_window_above_the_safe_bound_is_refused(tmp_path: Path) -> None:
    house = open_shop(project_of(tmp_path), clock="2024-02-03T00:00:00Z")
    report = house.backfill(["orders"], from_=date(2030, 1, 1), to=date(2031, 1, 1))
    error = next(step.error for step in report.steps if step.error)
    assert "can be read safely below 2024-02-03" in error["message"]
    assert error["exit_code"] == "2"


@pytest.mark.parametrize("text", ["0001-01-01T00:00+05:00", "9999-12-31T23:00-05:00", "yesterday", ""])
def test_a_bound_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_bound(text)
