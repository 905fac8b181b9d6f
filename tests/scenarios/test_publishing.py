"""Promise 4: readers see whole stars, in one step each, and can go back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from lakehouse import Lakehouse
from lakehouse.errors import QualityError, StorageError, UsageError
from lakehouse.lake import Lake
from lakehouse.model.manifest import Manifest
from lakehouse.model.run import Run, Step
from lakehouse.pipeline.publish import publish
from lakehouse.pipeline.stars import retained, retire
from tests.lakes import SHOP, SHOP_TABLES, change_source, open_shop, require_success, write_project

START = """
insert into customers values (1, 'Rome', '2026-01-01 00:00:00');
insert into orders values (1, 1, '10.00', '2026-01-02 00:00:00');
"""
NEVER_TWENTY = {"sql/checks/never_twenty.sql": "select id, amount from gold.fact_order where amount = 20\n"}
PARTS = {
    "metadata/models/part_count.yml": "kind: aggregate\nkeys: id\n",
    "sql/gold/part_count.sql": "select id, count(*) as n from silver.parts group by id\n",
    "metadata/tables/shop/parts.yml": "from: parts\nmode: full\nkeys: id\ncolumns: {id: bigint}\n",
}


@pytest.fixture(scope="module")
def _published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = write_project(tmp_path_factory.mktemp("shop"), SHOP)
    change_source(project / "source.db", SHOP_TABLES + START)
    require_success(open_shop(project))
    return project


@pytest.fixture
def shop(_published: Path, tmp_path: Path) -> Path:
    """A shop whose first star is published."""
    return Path(shutil.copytree(_published, tmp_path, dirs_exist_ok=True))


def order(project: Path, number: int, amount: int, customer: int = 1) -> None:
    change_source(project / "source.db", f"insert into orders values ({number}, {customer}, {amount}, '2026-02-{number:02} 00:00:00')")


def amounts(house: Lakehouse, **which: Any) -> list[int]:  # noqa: ANN401  as Lakehouse.sql
    return [int(row[0]) for row in house.sql("select amount from gold.fact_order order by id", **which).rows()]


def last(report: Run) -> Step:
    """The step that published, or did not."""
    assert report.steps[-1].step == "publish"
    return report.steps[-1]


def test_a_run_publishes_what_it_changed_and_nothing_else(shop: Path) -> None:
    house = open_shop(shop)
    assert [step.step for step in house.run().steps if step.step == "publish"] == []
    order(shop, 2, 5)
    done = last(house.run())
    assert (done.table, done.status, done.version, done.version_before) == ("star", "success", 2, 1)
    assert [star["changed"] for star in house.stars()] == [["dim_customer", "fact_order"], ["dim_customer", "fact_order"]]
    assert amounts(house) == [10, 5]
    assert amounts(house, star=1) == [10]


def test_a_failing_check_keeps_the_old_star_and_the_new_tables_to_look_at(shop: Path) -> None:
    write_project(shop, NEVER_TWENTY)
    order(shop, 2, 20)
    house = open_shop(shop)
    for _ in range(2):  # as long as it fails, each run says so
        report = house.run()
        assert report.status == "failed"
        error = last(report).error or {}
        assert error["exit_code"] == "3"
        assert "never_twenty" in error["message"]
        assert "id=2, amount=20.00" in error["message"]
        assert amounts(house) == [10]
        assert amounts(house, staged=True) == [10, 20]
        assert house.scan("gold.fact_order").collect().height == 1
    with pytest.raises(QualityError, match="never_twenty"):
        house.publish()
    write_project(shop, {"sql/checks/never_twenty.sql": "-- else: warn\n" + NEVER_TWENTY["sql/checks/never_twenty.sql"]})
    made = house.publish()
    assert made is not None
    assert made.star == 2
    assert house.stars()[0]["warnings"] == {"never_twenty": 1}
    assert amounts(house) == [10, 20]
    assert house.publish() is None


def test_back_to_an_older_star_and_forward_with_the_next_change(shop: Path) -> None:
    house = open_shop(shop)
    order(shop, 2, 5)
    require_success(house)
    back = house.rollback()
    assert (back.star, back.same_as) == (3, 1)
    assert amounts(house) == [10]
    assert house.status()[-1]["version"] == back.tables["fact_order"].version
    assert house.run().status == "unchanged"  # a run without changes leaves it so
    assert amounts(house) == [10]
    order(shop, 3, 7)
    require_success(house)
    assert amounts(house) == [10, 5, 7]
    assert [star["star"] for star in house.stars()] == [4, 3, 2, 1]
    assert house.rollback(2).star == 5
    assert house.rollback().same_as == 1  # the one before the star that is shown, not before its number
    made = house.publish()  # what was passed over comes by hand
    assert made is not None
    assert amounts(house) == [10, 5, 7]


@pytest.mark.parametrize("wrong", [3, 2, None])
def test_there_is_no_way_to_a_star_that_is_not_there(shop: Path, wrong: int | None) -> None:
    house = open_shop(shop)
    if wrong is not None:
        order(shop, 2, 5)
        require_success(house)
    with pytest.raises(UsageError):
        house.rollback(wrong)


def test_gold_as_it_was_seen_at_a_time(shop: Path) -> None:
    order(shop, 2, 5)
    require_success(open_shop(shop, clock="2030-01-03T00:00:00Z"))
    house = open_shop(shop)
    assert amounts(house, as_of=datetime(2030, 1, 2, 23, tzinfo=UTC)) == [10]
    assert amounts(house, as_of=datetime(2030, 1, 3, tzinfo=UTC)) == [10, 5]
    assert house.scan("gold.fact_order", as_of=datetime(2030, 1, 2).date()).collect().height == 1  # noqa: DTZ001  a day
    with pytest.raises(UsageError, match="no star that is kept is so old"):
        amounts(house, as_of=datetime(2029, 12, 31, tzinfo=UTC))
    with pytest.raises(UsageError, match="in one way"):
        amounts(house, star=1, staged=True)


def test_tables_that_need_each_other_go_together_and_others_by_themselves(tmp_path: Path) -> None:
    project = write_project(tmp_path, {**SHOP, **PARTS})
    change_source(project / "source.db", f"{SHOP_TABLES}{START} create table parts (id integer); insert into parts values (1);")
    house = open_shop(project)
    require_success(house)
    write_project(project, {"sql/gold/fact_order.sql": "select 1 as id, customer_id, ordered_at, amount from silver.orders\n"})
    order(project, 2, 5, customer=7)
    change_source(project / "source.db", "insert into parts values (2)")
    report = house.run()
    assert {step.table: step.status for step in report.steps if step.step == "gold"} == {
        "dim_customer": "success",
        "fact_order": "failed",
        "part_count": "success",
    }
    assert last(report).version == 2
    assert house.stars()[0]["changed"] == ["part_count"]
    assert house.sql("select count(*) from gold.part_count").item() == 2
    assert house.sql("select count(*) from gold.dim_customer").item() == 2
    assert house.sql("select count(*) from gold.dim_customer", staged=True).item() == 3
    write_project(project, SHOP)
    require_success(house)
    assert house.sql("select count(*) from gold.dim_customer").item() == 3


def test_a_model_that_alone_is_run_waits_for_those_that_need_it(shop: Path) -> None:
    order(shop, 2, 5, customer=7)
    report = open_shop(shop).run(["orders", "dim_customer"])
    assert report.status == "success"
    assert last(report).status == "skipped"
    assert "readers keep star 1" in (last(report).error or {})["message"]
    assert open_shop(shop).sql("select count(*) from gold.dim_customer").item() == 2
    with pytest.raises(StorageError, match=r"gold\.fact_order"):
        open_shop(shop).publish()
    require_success(open_shop(shop))
    assert open_shop(shop).sql("select count(*) from gold.dim_customer").item() == 3


def test_a_model_that_was_never_built_holds_no_star_back(shop: Path) -> None:
    write_project(shop, PARTS)  # the source has no such table
    order(shop, 2, 5)
    house = open_shop(shop)
    assert house.run().status == "failed"
    assert amounts(house) == [10, 5]
    with pytest.raises(UsageError, match=r"Star 2 has no gold\.part_count"):
        house.sql("select * from gold.part_count")


def test_a_lake_without_stars_shows_the_newest_tables_until_the_first_one(shop: Path) -> None:
    shutil.rmtree(shop / "lake/_stars")
    house = open_shop(shop)
    assert amounts(house) == [10]
    assert house.stars() == []
    assert not (shop / "lake/_stars").exists()  # reading makes nothing
    assert last(house.run()).version == 1


def test_tables_built_anew_make_a_new_star(shop: Path) -> None:
    shutil.rmtree(shop / "lake/gold")
    house = open_shop(shop)
    with pytest.raises(StorageError, match="another one than that of star 1"):
        amounts(house)
    require_success(house)
    assert amounts(house) == [10]
    with pytest.raises(StorageError, match="another one than that of star 1"):
        amounts(house, star=1)


def test_a_damaged_manifest_is_named_and_the_next_star_heals_it(shop: Path) -> None:
    manifest = shop / "lake/_stars/000000000001.json"
    manifest.write_text(manifest.read_text().replace('"version": 1', '"version": 0', 1))
    house = open_shop(shop)
    with pytest.raises(StorageError, match="star 1 is damaged"):
        amounts(house)
    assert "damaged" in (last(house.run()).error or {})["message"]
    made = house.publish()
    assert made is not None
    assert (made.star, amounts(house)) == (2, [10])


def test_who_was_overtaken_publishes_nothing_older(shop: Path) -> None:
    overtaking: list[Run] = []

    def overtake(step: Step) -> None:
        if (step.step, step.table) == ("gold", "fact_order") and not overtaking:
            order(shop, 3, 7)
            overtaking.append(open_shop(shop).run())

    order(shop, 2, 5)
    report = open_shop(shop).run(progress=overtake)
    assert last(overtaking[0]).version == 2
    assert [step.step for step in report.steps if step.step == "publish"] == []
    assert amounts(open_shop(shop)) == [10, 5, 7]
    assert len(open_shop(shop).stars()) == 2


def test_of_two_publishers_one_has_the_number_and_the_other_looks_again(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(shop / "lake/_stars")
    put: list[int] = []

    with Lake.open(shop, open_shop(shop).settings) as slow:
        there: Callable[[Manifest], bool] = slow.stars.put

        def overtaken(star: Manifest) -> bool:
            if not put:
                order(shop, 2, 5)
                require_success(open_shop(shop))
            put.append(star.star)
            return there(star)

        monkeypatch.setattr(slow.stars, "put", overtaken)
        assert publish(slow) is None
    assert put == [1]
    assert amounts(open_shop(shop)) == [10, 5]


def test_vacuum_keeps_what_kept_stars_need_and_retired_ones_are_gone(shop: Path) -> None:
    for number in (2, 3, 4):
        change_source(shop / "source.db", f"update orders set amount = {number}")
        require_success(open_shop(shop, clock=f"2030-01-0{number}T00:00:00Z"))
    house = open_shop(shop, clock="2030-01-05T00:00:00Z", star_days=1.5, stars_kept=1)
    with Lake.open(shop, house.settings) as lake:
        assert retire(lake) == [1, 2]
        assert retire(lake) == []
        for model in ("dim_customer", "fact_order"):
            table = DeltaTable(shop / "lake/gold" / model)
            table.vacuum(0, dry_run=False, enforce_retention_duration=False, full=True, keep_versions=retained(lake, model))
    assert amounts(house, star=3) == [3]
    assert amounts(house) == [4]
    with pytest.raises(UsageError, match="star 2 is not kept"):
        amounts(house, star=2)
