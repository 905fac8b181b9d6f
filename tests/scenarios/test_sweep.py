"""Rows that vanish from the source end in the lake, and what is due by itself is done inside a run."""

from __future__ import annotations

import pytest

from lakehouse import Lakehouse
from lakehouse.lake import Lake
from lakehouse.model.reconciliation import Reconciled
from lakehouse.model.run import Run, Step
from lakehouse.stages.compare import sweep
from tests.lakes import require_success, versions
from tests.shop import CUSTOMERS, NO_LOOKBACK, ORDERS, ROWS, Make

SWEPT = {name: f"{text}deletes: sweep\n" for name, text in NO_LOOKBACK.items()}


def steps(done: Run, name: str) -> dict[str, Step]:
    return {step.table: step for step in done.steps if step.step == name}


def swept(house: Lakehouse, table: str) -> Reconciled:
    with Lake.open(house.project, house.settings) as lake:
        return sweep(lake, lake.catalog.tables[table]).report


def test_deleted_rows_end(make: Make) -> None:
    shop = make(SWEPT)
    require_success(shop.house())
    shop.change("delete from customers where id in (3, 4, 2000)", "delete from orders where id = 17")
    found = swept(shop.house(), "customers")
    assert (found.surplus, found.missing, found.keys["surplus"]) == (3, 0, [3, 4, 2000])
    assert found.buckets_read <= 3
    assert found.rows_read < 1_000
    done = shop.house().run()
    assert {name: (step.rows_in, step.rows_out) for name, step in steps(done, "sweep").items()} == {
        "customers": (ROWS - 3, 3),
        "orders": (ROWS - 1, 1),
    }
    house = shop.house()
    assert house.sql("select count(*) as n from silver.orders").item() == ROWS - 1
    open_rows = "select count(*) as n from silver.customers where is_current"
    assert house.sql(open_rows).item() == ROWS - 3
    before = versions(shop.folder / "lake")
    assert house.run().status == "unchanged"
    assert versions(shop.folder / "lake") == before
    assert (swept(house, "customers").surplus, swept(house, "customers").rows_read) == (0, 0)
    assert [(row.missing, row.stale, row.surplus) for row in house.reconcile().tables] == [(0, 0, 0), (0, 0, 0)]


def test_a_row_that_comes_back_lives_again(make: Make) -> None:
    shop = make(SWEPT)
    require_success(shop.house())
    shop.change("delete from orders where id = 17")
    require_success(shop.house())
    shop.change("insert into orders values (17, 1, 17.50, '2024-01-18 00:16:00')")
    assert shop.house().reconcile(["orders"]).tables[0].keys["missing"] == [17]
    assert shop.house().reconcile(["orders"], heal=True).tables[0].healed == 1
    assert shop.house().sql("select count(*) as n from silver.orders").item() == ROWS
    assert shop.house().run().status == "unchanged"


def test_what_came_and_went_between_two_runs_balances_nothing(make: Make) -> None:
    """In one bucket of keys as many rows come as go, with the same sum of keys."""
    shop = make(SWEPT)
    shop.change("delete from orders where id in (11, 14)")
    require_success(shop.house())
    shop.change(
        "delete from orders where id in (10, 15)",
        "insert into orders values (11, 1, 1, '2024-06-01'), (14, 1, 1, '2024-06-01')",
    )
    assert swept(shop.house(), "orders").keys["surplus"] == [10, 15]


@pytest.mark.parametrize(("change", "words"), [("delete from orders", "no row"), ("delete from orders where id > 900", "2100 of 3000")])
def test_a_source_that_lost_too_much_stops(make: Make, change: str, words: str) -> None:
    shop = make(SWEPT)
    require_success(shop.house())
    before = versions(shop.folder / "lake")
    shop.change(change)
    done = shop.house().run()
    error = steps(done, "sweep")["orders"].error
    assert error is not None
    assert (error["kind"], error["exit_code"]) == ("QualityError", "3")
    assert words in error["message"]
    assert versions(shop.folder / "lake") == before
    healed = shop.house().reconcile(["orders"], heal=True)
    assert healed.run.status == "failed"
    allowed = f"{NO_LOOKBACK[ORDERS]}deletes: {{detect: sweep, at_most: 1, empty: apply}}\n"
    (shop.folder / ORDERS).write_text(allowed)
    require_success(shop.house())
    assert shop.house().sql("select count(*) as n from silver.orders").item() == (0 if "where" not in change else 900)


def test_a_sweep_is_made_when_it_is_due(make: Make) -> None:
    shop = make({**NO_LOOKBACK, ORDERS: f"{NO_LOOKBACK[ORDERS]}deletes: {{detect: sweep, every: 1d}}\n"})
    made = [list(steps(shop.house(clock).run(), "sweep")) for clock in ("2030-01-01T00:00Z", "2030-01-01T23:59Z", "2030-01-02T00:00Z")]
    assert made == [["orders"], [], ["orders"]]


def test_a_run_reconciles_and_heals_when_it_is_due(make: Make) -> None:
    shop = make({**NO_LOOKBACK, CUSTOMERS: f"{NO_LOOKBACK[CUSTOMERS]}reconcile: {{every: 1d}}\n"})
    require_success(shop.house("2030-01-01T00:00Z"))
    shop.change("update customers set city = 'Graz' where id = 17")
    soon = shop.house("2030-01-01T12:00Z").run()
    assert (soon.status, steps(soon, "reconcile")) == ("unchanged", {})
    done = shop.house("2030-01-02T12:00Z").run()
    assert steps(done, "reconcile")["customers"].failed_checks == {"stale": 1}
    assert steps(done, "heal")["customers"].rows_out == 1
    assert shop.house().sql("select city from gold.dim_customer where id = 17 and is_current").item() == "Graz"


def test_heal_ends_what_is_gone(make: Make) -> None:
    shop = make({**SWEPT, CUSTOMERS: f"{NO_LOOKBACK[CUSTOMERS]}deletes: {{detect: sweep, every: 52w}}\n"})
    require_success(shop.house())
    shop.change("delete from customers where id in (3, 4)", "update customers set city = 'Graz' where id = 5")
    row = shop.house().reconcile(["customers"], heal=True).tables[0]
    assert (row.stale, row.surplus, row.healed, row.note) == (1, 2, 3, "")
    assert shop.house().sql("select count(*) as n from silver.customers where is_current").item() == ROWS - 2
    assert shop.house().reconcile(["customers"]).tables[0].differing == 0


def test_heal_ends_what_is_gone_from_a_snapshot(make: Make) -> None:
    whole = NO_LOOKBACK[ORDERS].replace("mode: incremental", "mode: snapshot").replace("cursor: ordered_at\n", "")
    shop = make({**NO_LOOKBACK, ORDERS: whole})
    require_success(shop.house())
    shop.change(
        "delete from orders where id = 3",
        "update orders set amount = 1 where id = 4",
        "insert into orders values (5000, 1, 1, '2024-01-01')",
    )
    row = shop.house().reconcile(["orders"], heal=True).tables[0]
    assert (row.missing, row.stale, row.surplus, row.healed) == (1, 1, 1, 3)
    assert shop.house().run().status == "unchanged"
    assert shop.house().reconcile(["orders"]).tables[0].differing == 0
