"""Heals beside other runs, and what a lost ledger knows of them."""

from __future__ import annotations

import shutil

import pyarrow as pa
import pytest

from lakehouse.errors import SourceError
from lakehouse.lake import Lake
from lakehouse.model.extraction import Extraction
from lakehouse.model.run import Step, parse_bound
from lakehouse.model.table import Table
from lakehouse.pipeline import comparing
from lakehouse.stages.bronze import bury
from tests.lakes import require_success
from tests.shop import CUSTOMERS, NO_LOOKBACK, ORDERS, Make


@pytest.mark.parametrize("stale", [False, True])
def test_heal_judges_anew_what_another_run_saw_come_back(make: Make, monkeypatch: pytest.MonkeyPatch, stale: bool) -> None:
    shop = make({**NO_LOOKBACK, ORDERS: f"{NO_LOOKBACK[ORDERS]}deletes: {{detect: sweep, every: 52w}}\n"})
    require_success(shop.house())
    shop.change("delete from orders where id in (17, 18)")
    if stale:
        shop.change("update orders set amount = 1 where id = 5")
    judged: list[list[int]] = []

    def late(lake: Lake, table: Table, keys: pa.Table, step: str = "sweep", *, include_undone: bool = False) -> Step:
        judged.append(sorted(keys.column("id").to_pylist()))
        if len(judged) == 1:
            shop.change("insert into orders values (17, 1, 17.50, '2024-06-01')")
            require_success(shop.house())
        return bury(lake, table, keys, step, include_undone=include_undone)

    monkeypatch.setattr(comparing, "bury", late)
    row = shop.house().reconcile(["orders"], heal=True).tables[0]
    assert judged == [[17, 18], [18]]
    assert shop.house().sql("select id from silver.orders where id in (17, 18)").rows() == [(17,)]
    assert (row.surplus, row.differing, row.keys["surplus"]) == (1, 0, [18])
    assert shop.house().reconcile(["orders"]).tables[0].differing == 0


def test_what_counts_as_done(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = make({**NO_LOOKBACK, CUSTOMERS: f"{NO_LOOKBACK[CUSTOMERS]}reconcile: {{every: 1d}}\n"})
    require_success(shop.house("2030-01-01T00:00Z"))
    shop.change("update customers set city = 'Graz' where id = 17")
    assert shop.house("2030-01-03T00:00Z").reconcile().tables[0].stale == 1
    shop.house("2030-01-03T00:00Z").reconcile(["customers"], heal=True, since=parse_bound("2024-05-01"))

    def unread(_lake: Lake, table: Table, _keys: pa.Table) -> Extraction:
        raise SourceError("it does not answer", where=table.source, next_step="Run again.")

    with monkeypatch.context() as broken:
        broken.setattr(comparing, "reread", unread)
        failed = shop.house("2030-01-03T01:00Z").run()
        assert [s.status for s in failed.steps if s.step == "heal"] == ["failed"]
    done = shop.house("2030-01-03T02:00Z").run()
    assert [s.rows_out for s in done.steps if s.step == "heal"] == [1]
    assert [s for s in shop.house("2030-01-03T03:00Z").run().steps if s.step == "heal"] == []


@pytest.mark.parametrize("keyed", [True, False])
def test_sweeps_and_healings_come_back_from_their_commits(make: Make, keyed: bool) -> None:
    orders = f"{NO_LOOKBACK[ORDERS]}deletes: sweep\n" if keyed else NO_LOOKBACK[ORDERS].replace("keys: id\n", "")
    shop = make({**NO_LOOKBACK, ORDERS: orders})
    for name in (name for name in NO_LOOKBACK if "fact_order" in name):
        (shop.folder / name).unlink()
    house = shop.house()
    require_success(house)
    shop.change("delete from orders where id = 17", "insert into orders values (5001, 1, 1, '2024-06-01')")
    require_success(house)
    shop.change("delete from orders where id = 18", "insert into orders values (5002, 1, 1, '2024-01-03')")
    assert house.reconcile(["orders"], heal=True).tables[0].healed == 1 + keyed
    told = """
        select run_id, step, rows_out, bytes, version_before, version from ledger.steps
        where status = 'success' and step in ('bronze', 'sweep', 'heal') and "table" = 'orders' order by version
    """
    before = house.sql(told).rows()
    assert house.rebuild_ledger() == 0
    shutil.rmtree(shop.folder / "lake/_ledger")
    assert house.rebuild_ledger() > 0
    assert house.sql(told).rows() == before
