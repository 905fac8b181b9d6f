"""Each mode of reading, lived through on real databases: what came, changed, went and came back is there, and quiet runs write nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lakehouse import Lakehouse
from lakehouse.lake import Lake
from lakehouse.layout import SNAPSHOT, SNAPSHOT_ROWS
from lakehouse.model.run import Run, Step
from lakehouse.stages import bronze
from lakehouse.stages.bronze import FEW_AGAIN
from tests.contract.backend import Backend
from tests.lakes import CLOCK, versions, write_project
from tests.servers import Azurite
from tests.stores import make_container

TABLE = "metadata/tables/shop/t.yml"
Rows = list[tuple[object, ...]]


@pytest.fixture(params=["sqlite", "postgresql"])
def source(request: pytest.FixtureRequest) -> Backend:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Backend)
    return found


class House:
    """A project of one table over a source that changes."""

    def __init__(self, folder: Path, source: Backend, table: str) -> None:
        self.folder = write_project(folder / "project", {"metadata/sources/shop.yml": "connection: shop\n"})
        self.source = source
        self.declare(table)

    def declare(self, table: str) -> None:
        write_project(self.folder, {TABLE: f"from: t\n{table}"})

    def open(self) -> Lakehouse:
        return Lakehouse.open(self.folder, clock=CLOCK, batch_rows=1000, connection={"shop": self.source.url})

    def run(self, *changes: str, full_refresh: bool = False) -> Run:
        if changes:
            self.source.execute(*changes)
        return self.open().run(full_refresh=full_refresh)

    def live(self, *changes: str) -> int:
        """Change the source and run; how many rows bronze took. Without any, no table has a new version."""
        before = versions(self.folder / "lake")
        report = self.run(*changes)
        assert report.status in ("success", "unchanged"), [step.error for step in report.steps if step.error]
        written = report.steps[0].rows_out
        assert (versions(self.folder / "lake") == before) is not bool(written)
        return written

    def failed(self, report: Run) -> Step:
        (step,) = [step for step in report.steps if step.status == "failed"]
        return step

    def rows(self, query: str) -> Rows:
        return sorted(self.open().sql(query).rows(), key=repr)

    def number(self, app_id: str) -> int | None:
        with Lake.open(self.folder, self.open().settings) as lake:
            table = lake.table("bronze", "t")
            assert table is not None
            return table.number(app_id)


FILLER = [0, FEW_AGAIN + 1000]
"""Rows beside those of the story: few are compared in Arrow, many by the SQL engine."""


def fill(rows: int) -> list[str]:
    numbers = f"with recursive r(n) as (select 1 union all select n + 1 from r where n < {rows}) select n from r"
    return [f"insert into t select n + 100, 'x' from ({numbers}) f"] * bool(rows)


@pytest.mark.parametrize("filler", FILLER)
@pytest.mark.parametrize("history", ["scd1", "scd2"])
def test_snapshot(source: Backend, tmp_path: Path, filler: int, history: str) -> None:
    house = House(tmp_path, source, f"mode: snapshot\nkeys: id\nhistory: {history}\n")
    current = "select id, v from silver.t where id < 100" + (" and is_current" if history == "scd2" else "")
    start = ["create table t (id integer primary key, v text)", "insert into t values (1, 'a'), (2, 'b'), (3, 'c')"]
    assert house.live(*start, *fill(filler)) == 3 + filler
    assert house.live() == 0
    assert house.live("update t set v = 'B' where id = 2") == 1
    assert house.live("delete from t where id = 3") == 1
    assert house.rows(current) == [(1, "a"), (2, "B")]
    assert house.rows("select id, v from bronze.t where _op = 'delete'") == [(3, "c")]
    assert house.live() == 0
    assert house.live("insert into t values (3, 'c')") == 1
    assert house.live("update t set v = 'b' where id = 2") == 1
    assert house.rows(current) == [(1, "a"), (2, "b"), (3, "c")]
    assert house.live("delete from t where id = 1", "insert into t values (4, null)") == 2
    assert house.rows(current) == [(2, "b"), (3, "c"), (4, None)]
    assert house.live() == 0
    assert (house.number(SNAPSHOT), house.number(SNAPSHOT_ROWS)) == (house.number("lakehouse.batch"), 3 + filler)


@pytest.mark.parametrize("filler", FILLER)
def test_a_snapshot_read_anew_takes_every_row_and_still_finds_what_is_gone(source: Backend, tmp_path: Path, filler: int) -> None:
    house = House(tmp_path, source, "mode: snapshot\nkeys: id\n")
    house.live("create table t (id integer primary key, v text)", "insert into t values (1, 'a'), (2, 'b')", *fill(filler))
    report = house.run("delete from t where id = 1", full_refresh=True)
    assert report.steps[0].rows_out == 2 + filler
    assert house.rows("select id from silver.t where id < 100") == [(2,)]


@pytest.mark.parametrize("filler", FILLER)
def test_a_source_that_shows_nothing_buries_nothing_unless_told(source: Backend, tmp_path: Path, filler: int) -> None:
    house = House(tmp_path, source, "mode: snapshot\nkeys: id\n")
    house.live("create table t (id integer primary key, v text)", "insert into t values (1, 'a')", *fill(filler))
    stands = versions(house.folder / "lake")
    error = house.failed(house.run("delete from t")).error or {}
    assert (error["kind"], error["exit_code"]) == ("QualityError", "3")
    assert f"where there were {1 + filler}" in error["message"]
    assert versions(house.folder / "lake") == stands
    house.declare("mode: snapshot\nkeys: id\ndeletes: {empty: apply}\n")
    assert house.live() == 1 + filler
    assert house.rows("select count(*) as n from silver.t") == [(0,)]
    assert house.live() == 0


def test_a_source_that_lacks_too_much_buries_nothing_unless_told(source: Backend, tmp_path: Path) -> None:
    house = House(tmp_path, source, "mode: snapshot\nkeys: id\n")
    house.live("create table t (id integer primary key, v text)", *fill(300))
    assert house.live("delete from t where id <= 200") == 100
    error = house.failed(house.run("delete from t where id <= 310")).error or {}
    assert (error["kind"], "110 of 200 keys vanished" in error["message"]) == ("QualityError", True)
    house.declare("mode: snapshot\nkeys: id\ndeletes: {at_most: 0.6}\n")
    assert house.live() == 110


@pytest.mark.parametrize("filler", FILLER[1:])
def test_among_many_rows_too(sqlite: Backend, tmp_path: Path, filler: int) -> None:
    house = House(tmp_path, sqlite, "mode: snapshot\nkeys: id\n")
    house.live("create table t (id integer primary key, v text)", *fill(filler * 3))
    error = house.failed(house.run(f"delete from t where id <= {100 + 2 * filler}")).error or {}
    assert f"{2 * filler} of {3 * filler} keys vanished" in error["message"]


def test_a_snapshot_that_breaks_off_commits_nothing(sqlite: Backend, tmp_path: Path) -> None:
    house = House(tmp_path, sqlite, "mode: snapshot\nkeys: id\n")
    house.live("create table t (id integer primary key, v integer)", "insert into t values (1, 1), (2, 2)")
    stands = versions(house.folder / "lake")
    assert house.failed(house.run("delete from t where id = 1", "insert into t values (9, 'no number')")).step == "bronze"
    assert versions(house.folder / "lake") == stands
    assert house.live("update t set v = 9 where id = 9") == 2


@pytest.mark.parametrize("few", [0, FEW_AGAIN])
def test_a_snapshot_s_lake_may_be_on_azure(
    sqlite: Backend, azurite: Azurite, tmp_path: Path, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bronze, "FEW_AGAIN", few)  # 0: the SQL engine compares, few rows too
    house = House(tmp_path, sqlite, "mode: snapshot\nkeys: id\n")
    lake: dict[str, Any] = {"lake": f"abfss://{make_container(azurite.url)}/prod", "azure": {"emulator": azurite.url}}
    sqlite.execute("create table t (id integer primary key, v text)", "insert into t values (1, 'a'), (2, 'b'), (3, 'c')")
    opened = house.open()
    for change, taken in (("", 3), ("delete from t where id = 3", 1), ("", 0), ("insert into t values (3, 'c')", 1)):
        sqlite.execute(*[change] * bool(change))
        opened = Lakehouse.open(house.folder, clock=CLOCK, connection={"shop": sqlite.url}, **lake)
        assert opened.run().steps[0].rows_out == taken
    assert sorted(opened.sql("select id, v from silver.t").rows()) == [(1, "a"), (2, "b"), (3, "c")]


def test_append_with_keys(source: Backend, tmp_path: Path) -> None:
    house = House(
        tmp_path, source, "mode: append\nkeys: id\ncursor: at\nlookback: 9999d\ncolumns: {id: bigint, v: string, at: timestamp}\n"
    )
    assert (
        house.live("create table t (id integer primary key, v text, at timestamp)", "insert into t values (1, 'a', '2024-01-01 00:00:00')")
        == 1
    )
    assert house.live() == 0
    assert house.live("insert into t values (2, 'b', '2024-01-02 00:00:00')") == 1
    assert house.live("update t set v = 'A' where id = 1") == 1
    assert house.rows("select v from bronze.t") == [("A",), ("a",), ("b",)]
    assert house.rows("select id, v from silver.t") == [(1, "A"), (2, "b")]
    assert house.live("update t set v = 'a' where id = 1") == 1
    assert house.live() == 0


@pytest.mark.parametrize("cursor", ["cursor: at\nlookback: 9999d\n", ""])
def test_append_without_keys_counts(source: Backend, tmp_path: Path, cursor: str) -> None:
    house = House(tmp_path, source, f"mode: append\n{cursor}columns: {{v: string, at: timestamp}}\n")
    one = "insert into t values ('a', '2024-01-01 00:00:00')"
    assert house.live("create table t (v text, at timestamp)", one, one) == 2
    assert house.live() == 0
    assert house.live(one) == 1
    assert house.live("insert into t values ('b', '2024-01-02 00:00:00')") == 1
    assert house.rows("select v, count(*) as n from silver.t group by v") == [("a", 3), ("b", 1)]
    assert house.live() == 0


def test_full_reads_what_differs_and_keeps_what_is_gone(source: Backend, tmp_path: Path) -> None:
    house = House(tmp_path, source, "mode: full\nkeys: id\n")
    assert house.live("create table t (id integer primary key, v text)", "insert into t values (1, 'a'), (2, 'b')") == 2
    assert house.live("update t set v = 'B' where id = 2") == 1
    assert house.live("delete from t where id = 1") == 0
    assert house.rows("select id, v from silver.t") == [(1, "a"), (2, "B")]
    assert house.live("update t set v = 'b' where id = 2") == 1


def test_change_tracking_needs_sql_server(source: Backend, tmp_path: Path) -> None:
    house = House(tmp_path, source, "mode: change_tracking\nkeys: id\n")
    error = house.failed(house.run("create table t (id integer primary key, v text)")).error or {}
    assert (error["kind"], error["exit_code"]) == ("UsageError", "2")
    assert "needs SQL Server" in error["message"]
