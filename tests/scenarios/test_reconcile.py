"""What a cursor cannot see is named, key by key, and brought right; a lake that is as its source says so by aggregates alone."""

from __future__ import annotations

from lakehouse.lake import Lake
from lakehouse.model.reconciliation import Reconciliation
from lakehouse.model.run import parse_bound
from tests.lakes import SHOP, require_success, versions
from tests.shop import NO_LOOKBACK, ORDERS, ROWS, Make, Shop


def figures(done: Reconciliation) -> dict[str, tuple[int, ...]]:
    """Each table's missing, stale, surplus, superseded and healed keys."""
    assert done.run.status != "failed", [step.error for step in done.run.steps if step.error]
    return {row.table: (row.missing, row.stale, row.surplus, row.superseded, row.healed) for row in done.tables}


def disturb(shop: Shop) -> None:
    """Do what no window without a look-back brings: late rows, back-dated updates, updates that move no cursor, deletes."""
    shop.change(
        "insert into customers values (5001, 'Bern', '2024-01-02'), (5002, 'Oslo', '2024-01-03'), (-7, 'Linz', '2024-01-03')",
        "update customers set city = 'Graz' where id in (17, 1800, 2999)",
        "update customers set city = 'Lyon', changed_at = '2024-01-01' where id = 28",
        "update orders set amount = amount + 1 where id in (5, 6)",
        "insert into orders values (9000, 1, 3, '2024-01-05')",
    )


def test_all_that_a_window_cannot_bring_is_named_and_healed(make: Make) -> None:
    shop = make()
    house = shop.house()
    require_success(house)
    disturb(shop)
    assert house.run().status == "unchanged"
    found = house.reconcile()
    assert figures(found) == {"customers": (3, 4, 0, 0, 0), "orders": (1, 2, 0, 0, 0)}
    customers = found.tables[0]
    assert customers.keys["missing"] == [-7, 5001, 5002]
    assert customers.keys["stale"] == [17, 28, 1800, 2999]
    assert customers.compared == ROWS + 3
    before = versions(shop.folder / "lake")
    assert figures(house.reconcile()) == figures(found)
    assert versions(shop.folder / "lake") == before

    with Lake.open(house.project, house.settings) as lake:
        mark = lake.watermark("customers")
    healed = house.reconcile(heal=True)
    assert figures(healed) == {"customers": (3, 4, 0, 0, 7), "orders": (1, 2, 0, 0, 3)}
    with Lake.open(house.project, house.settings) as lake:
        assert lake.watermark("customers") == mark
    after = versions(shop.folder / "lake")
    again = house.reconcile(heal=True)
    assert figures(again) == {"customers": (0, 0, 0, 1, 0), "orders": (0, 0, 0, 0, 0)}
    assert again.tables[0].keys["superseded"] == [28]
    assert [(row.buckets_read, row.rows_read) for row in again.tables] == [(0, 0), (0, 0)]
    assert versions(shop.folder / "lake") == after
    assert house.run().status == "unchanged"


def test_the_healed_star_is_that_of_a_long_lookback(make: Make) -> None:
    short, long = make(), make({}, "long")
    for shop in (short, long):
        require_success(shop.house())
        disturb(shop)
        require_success(shop.house())
    assert short.star() != long.star()
    short.house().reconcile(heal=True)
    assert short.star() == long.star()


def test_few_rows_of_a_large_table_are_read(make: Make) -> None:
    shop = make()
    require_success(shop.house())
    shop.change("update customers set city = 'Graz' where id = 1500")
    row = shop.house().reconcile(["customers"]).tables[0]
    assert (row.stale, row.buckets_read) == (1, 1)
    assert row.buckets >= ROWS // 300
    assert 0 < row.rows_read < 400
    assert row.statements <= 6


def test_rows_above_the_watermark_are_not_due(make: Make) -> None:
    shop = make()
    require_success(shop.house())
    shop.change(
        "insert into customers values (7000, 'Bern', '2024-06-01')",
        "update customers set city = 'Bern', changed_at = '2024-06-02' where id < 500",
    )
    assert figures(shop.house().reconcile(["customers"])) == {"customers": (0, 0, 0, 0, 0)}
    require_success(shop.house())
    assert figures(shop.house().reconcile(["customers"])) == {"customers": (0, 0, 0, 0, 0)}


def test_rows_that_are_gone_are_named_though_they_stay(make: Make) -> None:
    shop = make()
    require_success(shop.house())
    shop.change("delete from customers where id in (3, 4, 2000)")
    row = shop.house().reconcile(["customers"], heal=True).tables[0]
    assert (row.surplus, row.healed, row.keys["surplus"]) == (3, 0, [3, 4, 2000])
    assert "deletes: sweep" in row.note


def test_since_limits_by_the_cursor(make: Make) -> None:
    shop = make()
    require_success(shop.house())
    shop.change(
        "insert into customers values (5001, 'Bern', '2024-01-02'), (5002, 'Oslo', '2024-01-20')",
        "delete from customers where id in (1, 28)",
    )
    row = shop.house().reconcile(["customers"], since=parse_bound("2024-01-15")).tables[0]
    assert (row.keys["missing"], row.keys["surplus"]) == ([5002], [28])
    refused = shop.house().reconcile(["customers"], since=5)
    assert [step.error["exit_code"] for step in refused.run.steps if step.error] == ["2"]


def test_rows_without_keys_are_counted(make: Make) -> None:
    table = SHOP[ORDERS].replace("keys: id\n", "").replace("lookback: 9999d\n", "")
    shop = make({**NO_LOOKBACK, ORDERS: table})
    for name in (name for name in SHOP if "fact_order" in name):
        (shop.folder / name).unlink()
    shop.change("insert into orders values (5000, 1, 1, '2024-01-02')")
    require_success(shop.house())
    assert figures(shop.house().reconcile(["orders"])) == {"orders": (0, 0, 0, 0, 0)}
    shop.change("insert into orders values (5001, 1, 1, '2024-01-03')", "delete from orders where id = 7")
    done = shop.house().reconcile(["orders"], heal=True)
    assert figures(done) == {"orders": (1, 0, 1, 0, 1)}
    assert shop.house().sql("select count(*) as n from silver.orders where id = 5001").item() == 1
    assert figures(shop.house().reconcile(["orders"])) == {"orders": (0, 0, 1, 0, 0)}


def test_before_the_first_run_nothing_is_due(make: Make) -> None:
    done = make().house().reconcile()
    assert figures(done) == {"customers": (0, 0, 0, 0, 0), "orders": (0, 0, 0, 0, 0)}
    assert all("before the first run" in row.note for row in done.tables)
