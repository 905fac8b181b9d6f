"""A heal brings each differing row once, and buries nothing that came back while it was under way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from sqlglot import exp

from lakehouse import Lakehouse
from lakehouse.lake import Lake
from lakehouse.pipeline.comparing import Comparing
from lakehouse.sources.measure import Measured
from tests.lakes import CLOCK, change_source, require_success, write_project

TABLE = "from: things\nmode: incremental\nkeys: id\ncursor: at\n"
DECIMAL = f"{TABLE}columns: {{id: 'decimal(12,0)', v: integer, at: timestamp}}\n"
SWEPT = f"{TABLE}deletes: sweep\ncolumns: {{id: bigint, v: integer, at: timestamp}}\n"


def project(folder: Path, table: str) -> Lakehouse:
    made = write_project(folder, {"metadata/sources/files.yml": "connection: files\n", "metadata/tables/files/things.yml": table})
    numbers = ", ".join(f"({number}, 0, '2026-01-02 00:00:00')" for number in range(1, 1_501))
    change_source(
        made / "source.db",
        f"create table things (id decimal(12,0) primary key, v integer, at timestamp); insert into things values {numbers},"
        " (9999, 0, '2026-01-03 00:00:00')",
    )
    return house(made)


def house(folder: Path, clock: str = CLOCK) -> Lakehouse:
    return Lakehouse.open(folder, clock=clock, connection={"files": f"sqlite:///{folder / 'source.db'}"})


def test_rows_whose_keys_no_condition_names_come_once(tmp_path: Path) -> None:
    require_success(project(tmp_path, DECIMAL))
    change_source(tmp_path / "source.db", "update things set v = 1 where id <= 1200")
    assert house(tmp_path).reconcile(heal=True).tables[0].healed == 1_200
    counts = house(tmp_path).sql("select count(*) as n, count(*) filter (where v = 1) as changed from bronze.things").row(0)
    assert counts == (1_501 + 1_200, 1_200)


def test_a_key_that_came_back_meanwhile_is_not_buried(tmp_path: Path) -> None:
    require_success(project(tmp_path, SWEPT))
    change_source(tmp_path / "source.db", "delete from things where id = 7")
    with Lake.open(tmp_path, house(tmp_path).settings) as lake:
        comparing = Comparing(lake, lake.catalog.tables["things"])
        (_, compare), (_, heal) = comparing.parts(heal=True)
        compare()
        assert comparing.report.surplus == 1
        change_source(tmp_path / "source.db", "insert into things values (7, 5, '2026-01-03 00:00:00')")
        assert house(tmp_path).run().status == "success"
        lake.forget("things")  # as after the conflict that the heal's commit would meet
        assert heal().status == "unchanged"
    assert house(tmp_path).sql("select v from silver.things where id = 7").item() == 5


def test_a_rejected_row_that_goes_does_not_bar_its_key(tmp_path: Path) -> None:
    require_success(project(tmp_path, f"{SWEPT}odd_cursors: reject\n"))
    for change in (
        "insert into things values (8888, 1, '9999-12-30 00:00:00')",
        "delete from things where id = 8888",
        "insert into things values (8888, 2, '2026-01-04 00:00:00')",
    ):
        change_source(tmp_path / "source.db", change)
        require_success(house(tmp_path))
    assert house(tmp_path).sql("select v from silver.things where id = 8888").item() == 2


def test_a_look_is_not_the_heal_that_is_due(tmp_path: Path) -> None:
    require_success(project(tmp_path, f"{SWEPT}reconcile: {{every: 1d}}\n"))
    change_source(tmp_path / "source.db", "update things set v = 3 where id = 5")
    assert "heal" not in {step.step for step in house(tmp_path).run().steps}
    later = house(tmp_path, "2030-01-03T00:00:00Z")
    assert later.reconcile().tables[0].stale == 1
    assert {step.step: step.rows_out for step in later.run().steps}["heal"] == 1
    assert "heal" not in {step.step for step in later.run().steps}


def test_a_key_that_the_first_look_showed_is_not_buried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_success(project(tmp_path, SWEPT))
    change_source(tmp_path / "source.db", "update things set v = 1 where id = 5; delete from things where id = 6")
    named = Measured.having

    def having(measured: Measured, keys: pa.Table) -> Iterator[tuple[exp.Expr, pa.Table]]:
        change_source(tmp_path / "source.db", "delete from things where id = 5")  # between the looks
        return named(measured, keys)

    monkeypatch.setattr(Measured, "having", having)
    assert house(tmp_path).reconcile().tables[0].keys["surplus"] == [6]
    assert house(tmp_path).reconcile().tables[0].keys["surplus"] == [5, 6]


def test_numbers_that_a_column_without_a_type_holds_are_found_by_their_texts(tmp_path: Path) -> None:
    made = project(tmp_path, f"{TABLE}deletes: sweep\ncolumns: {{id: string, v: integer, at: timestamp}}\n")
    change_source(
        tmp_path / "source.db",
        "create table loose (id, v integer, at timestamp); insert into loose select cast(id as integer), v, at from things;"
        " drop table things; alter table loose rename to things",
    )
    require_success(made)
    change_source(tmp_path / "source.db", "update things set v = 1 where id = 5; delete from things where id = 6")
    found = house(tmp_path).reconcile(heal=True).tables[0]
    assert (found.keys["stale"], found.keys["surplus"], found.healed) == (["5"], ["6"], 2)
    assert house(tmp_path).sql("select count(*) from silver.things").item() == 1_500
