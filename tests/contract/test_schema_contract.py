"""A PostgreSQL source that is altered between runs, under each policy of each aspect of the contract."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from lakehouse import Lakehouse
from lakehouse.model.run import Run
from lakehouse.stages import bronze
from tests.contract.backend import Backend
from tests.dying import DiedError, mortal
from tests.lakes import CLOCK, versions, write_project

TABLE = "metadata/tables/shop/t.yml"


class Altered:
    """The lake's table `t` over a table `t (id int, v ...)` that is altered."""

    def __init__(self, folder: Path, source: Backend, contract: str = "", words: str = "mode: full\nkeys: id\n") -> None:
        self.source, self.words = source, words
        self.folder = write_project(folder, {"metadata/sources/shop.yml": "connection: shop\n"})
        self.declare(contract)

    def declare(self, contract: str) -> None:
        write_project(self.folder, {TABLE: f"from: t\n{self.words}" + (f"schema_contract: {contract}\n" if contract else "")})

    def open(self, **settings: Any) -> Lakehouse:  # noqa: ANN401  as Lakehouse.open
        return Lakehouse.open(self.folder, clock=CLOCK, connection={"shop": self.source.url}, **settings)

    def run(self, *changes: str) -> Run:
        self.source.execute(*changes)
        return self.open().run()

    def load(self, *changes: str) -> int:
        """Run with success; how many rows bronze took. The next run finds nothing to do, and the source is as bronze has it."""
        done = self.run(*changes)
        assert done.status in ("success", "unchanged"), [step.error for step in done.steps if step.error]
        stands = versions(self.folder / "lake")
        assert [step.rows_out for step in self.open().run().steps] == [0, 0]
        assert versions(self.folder / "lake") == stands
        (found,) = self.open().reconcile(["t"]).tables
        assert not found.differing, found
        return done.steps[0].rows_out

    def refused(self, *changes: str) -> str:
        """Run without success; the error, which is the contract's, and nothing was written."""
        stands = versions(self.folder / "lake")
        done = self.run(*changes)
        error = done.steps[0].error or {}
        assert (done.steps[0].status, error.get("kind")) == ("failed", "ContractError"), done.steps
        assert versions(self.folder / "lake") == stands
        return error["message"]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.open().sql(query).rows()

    def silver(self) -> list[tuple[Any, ...]]:
        return self.rows("select id, v from silver.t order by id")

    def kind(self, name: str = "v") -> pl.DataType:
        """Silver's type of a column, which is bronze's."""
        kinds = [self.open().scan(layer).collect_schema()[name] for layer in ("bronze.t", "silver.t")]
        assert kinds[0] == kinds[1]
        return kinds[0]


def begin(altered: Altered, kind: str, value: str) -> None:
    assert altered.load(f"create table t (id int primary key, v {kind})", f"insert into t values (1, {value}), (2, {value})") == 2


class Drift(NamedTuple):
    """A column's type before and after, a value of either as SQL and as it arrives, and what bronze's column becomes."""

    before: str
    after: str
    old: str
    new: str
    wide: pl.DataType
    first: object
    last: object


WIDER = {
    "a": Drift("smallint", "int", "7", "70000", pl.Int32(), 7, 70000),
    "b": Drift("int", "bigint", "7", "5000000000", pl.Int64(), 7, 5000000000),
    "c": Drift("bigint", "numeric(21,2)", "7", "8.25", pl.Decimal(21, 2), 7, Decimal("8.25")),
    "d": Drift("numeric(12,2)", "numeric(14,4)", "1.25", "2.1234", pl.Decimal(14, 4), Decimal("1.25"), Decimal("2.1234")),
    "e": Drift("numeric(5,2)", "numeric(9,1)", "1.5", "12345678.5", pl.Decimal(10, 2), Decimal("1.5"), Decimal("12345678.5")),
    "f": Drift("real", "double precision", "0.5", "0.1", pl.Float64(), 0.5, 0.1),
    "g": Drift(
        "date",
        "timestamp",
        "'2024-02-29'",
        "'2024-03-01 10:20:30.5'",
        pl.Datetime("us", "UTC"),
        datetime(2024, 2, 29, tzinfo=UTC),
        datetime(2024, 3, 1, 10, 20, 30, 500_000, tzinfo=UTC),
    ),
}


def table(which: str, extra: str = "") -> str:
    return f"create table t (id int primary key, {', '.join(f'{name} {getattr(drift, which)}' for name, drift in WIDER.items())}{extra})"


def row(id_: int, which: str, extra: str = "") -> str:
    return f"insert into t values ({id_}, {', '.join(getattr(drift, which) for drift in WIDER.values())}{extra})"


def alter(which: str) -> str:
    return "alter table t " + ", ".join(f"alter {name} type {getattr(drift, which)}" for name, drift in WIDER.items())


def require_wide(altered: Altered, ids: int, new: int | None = None) -> None:
    """Silver has the wide types, and each row the values that it had in the source."""
    kinds = altered.open().scan("silver.t").collect_schema()
    assert {name: kinds[name] for name in WIDER} == {name: drift.wide for name, drift in WIDER.items()}
    found = altered.rows(f"select id, {', '.join(WIDER)} from silver.t order by id")
    told = [[drift.last if id_ == new else drift.first for drift in WIDER.values()] for id_ in range(1, ids + 1)]
    assert [list(row[1:]) for row in found] == told


@pytest.mark.parametrize("few", [0, bronze.FEW_AGAIN])
def test_evolve_widens_and_old_rows_stay_the_versions_that_they_were(
    postgresql: Backend, tmp_path: Path, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bronze, "FEW_AGAIN", few)  # 0: the SQL engine compares
    altered = Altered(tmp_path, postgresql, words="mode: full\nkeys: id\nhistory: scd2\n")
    altered.load(table("before"), row(1, "old"), row(2, "old"))
    assert altered.load(alter("after"), row(3, "new")) == 1
    require_wide(altered, 3, new=3)
    assert altered.rows("select id, _batch from bronze.t order by id")[:2] == [(1, 1), (2, 1)]
    assert altered.rows("select count(*) as n from silver.t where not is_current") == [(0,)]


def test_evolve_takes_a_narrower_type_as_the_wider_one(postgresql: Backend, tmp_path: Path) -> None:
    altered = Altered(tmp_path, postgresql)
    altered.load(table("after"), row(1, "old"), row(2, "old"))
    assert altered.load(alter("before"), row(3, "old")) == 1
    require_wide(altered, 3)


def test_freeze_stops_with_types_and_the_rows_that_need_them(postgresql: Backend, tmp_path: Path) -> None:
    altered = Altered(tmp_path, postgresql, "freeze")
    altered.load(table("before", ", v int"), row(1, "old", ", 7"), row(2, "old", ", 7"))
    error = altered.refused(alter("after") + ", alter v type text", row(3, "new", ", 'a secret'"))
    assert error.count("changed its type from") == len(WIDER) + 1
    assert error.count("(first rows: id 3)") == len(WIDER) + 1
    assert "column b changed its type from integer to bigint (first rows: id 3)" in error
    assert "secret" not in error
    assert "changed_types freeze" in error


def test_rescue_keeps_values_beside_their_columns_until_these_are_wide_enough(postgresql: Backend, tmp_path: Path) -> None:
    altered = Altered(tmp_path, postgresql, "rescue")
    altered.load(table("before", ", v int"), row(1, "old", ", 7"), row(2, "old", ", 7"))
    assert altered.load(alter("after") + ", alter v type text", row(3, "new", ", 'seven'")) == 3  # 1.25 came again as 1.2500
    assert altered.rows("select a, b, c, d, e, f, g, v from bronze.t where id = 3") == [(None,) * 8]
    (kept,) = altered.rows("select _rescued from bronze.t where id = 3")[0]
    assert json.loads(kept) == {
        "a": "70000",
        "b": "5000000000",
        "c": "8.25",
        "d": "2.1234",
        "e": "12345678.5",
        "f": "0.1",
        "g": "2024-03-01 10:20:30.5+00",
        "v": "seven",
    }
    assert altered.rows("select a, d, v from silver.t order by id") == [
        (7, Decimal("1.25"), 7),
        (7, Decimal("1.25"), 7),
        (None, None, None),
    ]
    altered.declare("evolve")
    assert "column v changed its type from integer to string (first rows: id 3)" in altered.refused()
    altered.load("alter table t drop column v", "alter table t add column v int")
    require_wide(altered, 3, new=3)


def test_rescued_values_that_come_again_are_not_new(postgresql: Backend, tmp_path: Path) -> None:
    altered = Altered(tmp_path, postgresql, "rescue")
    begin(altered, "int", "7")
    assert altered.load("alter table t alter v type text", "insert into t values (3, 'x')") == 1
    assert altered.load("update t set v = 'y' where id = 3") == 1
    assert altered.load("update t set v = null where id = 3", "update t set v = '8' where id = 2") == 2
    assert altered.silver() == [(1, 7), (2, 8), (3, None)]
    assert altered.open().run(full_refresh=True).steps[0].rows_out == 3
    assert altered.rows("select id, v, _rescued from bronze.t where _batch = (select max(_batch) from bronze.t) order by id") == [
        (1, None, '{"v":"7"}'),
        (2, None, '{"v":"8"}'),
        (3, None, None),
    ]
    assert altered.silver() == [(1, 7), (2, 8), (3, None)]


def test_int_to_text_is_nothing_that_evolve_can_do(postgresql: Backend, tmp_path: Path) -> None:
    altered = Altered(tmp_path, postgresql)
    begin(altered, "int", "7")
    error = altered.refused("alter table t alter v type text", "insert into t values (3, 'x')")
    assert "column v changed its type from integer to string (first rows: id 3)" in error
    assert altered.load("delete from t where id = 3", "alter table t alter v type int using v::int") == 0


def test_a_new_column_under_each_policy(postgresql: Backend, tmp_path: Path) -> None:
    added = ("alter table t add column size bigint", "update t set size = 5 where id = 1")
    altered = Altered(tmp_path, postgresql, "freeze")
    begin(altered, "int", "7")
    assert "new column size bigint (first rows: id 1)" in altered.refused(*added)
    altered.declare("discard")
    assert altered.load() == 0
    assert altered.open().run().steps[0].columns == {"discarded": ["size"]}
    altered.declare("rescue")
    assert altered.load() == 1
    assert altered.rows("select id, v, _rescued from bronze.t where _batch > 1") == [(1, 7, '{"size":"5"}')]
    assert "size" not in altered.open().scan("silver.t").collect_schema()
    altered.declare("evolve")
    assert altered.load() == 0
    assert altered.rows("select id, v, size from silver.t order by id") == [(1, 7, 5), (2, 7, None)]
    assert altered.load("update t set size = 6 where id = 1") == 1
    assert altered.rows("select id, v, size from silver.t order by id") == [(1, 7, 6), (2, 7, None)]


def test_a_column_that_is_declared_later_is_unpacked(postgresql: Backend, tmp_path: Path) -> None:
    altered = Altered(tmp_path, postgresql, "rescue", "mode: snapshot\nkeys: id\n")
    begin(altered, "int", "7")
    assert altered.load("alter table t add column size numeric(8,2)", "update t set size = 5.5 where id = 1") == 1
    assert altered.load("delete from t where id = 1") == 1
    altered.words += "columns: {id: integer, v: integer, size: 'decimal(8,2)'}\n"
    altered.declare("rescue")
    assert altered.load("insert into t values (4, 8, 1.5)") == 1
    assert altered.rows("select id, v, size from silver.t order by id") == [(2, 7, None), (4, 8, Decimal("1.50"))]
    assert altered.rows("select size, _op, _rescued from bronze.t where id = 1 order by _batch")[-1][1:] == ("delete", '{"size":"5.50"}')


@pytest.mark.parametrize("drift", ["drop column v", "rename column v to w"])
def test_a_column_that_is_gone_under_each_policy(postgresql: Backend, tmp_path: Path, drift: str) -> None:
    altered = Altered(tmp_path, postgresql)
    begin(altered, "int", "7")
    error = altered.refused(f"alter table t {drift}")
    assert "the source no longer has column v, which was integer" in error
    altered.declare("freeze")
    assert ("new column w integer (first rows: id 1; id 2)" in altered.refused()) is ("rename" in drift)
    altered.declare("evolve")
    took = altered.load("insert into t values (3)")
    assert took == (3 if "rename" in drift else 1)
    assert altered.silver()[-1] == (3, None)
    if "rename" in drift:
        assert altered.rows("select id, v, w from silver.t order by id") == [(1, None, 7), (2, None, 7), (3, None, None)]


def test_a_declared_column_that_is_gone(postgresql: Backend, tmp_path: Path) -> None:
    altered = Altered(tmp_path, postgresql, "", "mode: full\nkeys: id\ncolumns: {id: integer, v: integer}\n")
    begin(altered, "int", "7")
    assert "no column v" in altered.refused("alter table t drop column v")
    altered.declare("{missing_columns: evolve}")
    assert altered.load("insert into t values (3)") == 1
    assert altered.load("alter table t add column v int", "update t set v = 9 where id = 3") > 0
    assert altered.silver()[-1] == (3, 9)


def test_nulls_come_where_there_were_none(postgresql: Backend, tmp_path: Path) -> None:
    altered = Altered(tmp_path, postgresql, "freeze")
    altered.load("create table t (id int primary key, v int not null)", "insert into t values (1, 7)")
    assert altered.load("alter table t alter v drop not null", "insert into t values (3, null)") == 1
    assert altered.silver()[-1] == (3, None)


def test_a_declared_type_that_changes_is_a_changed_type(postgresql: Backend, tmp_path: Path) -> None:
    altered = Altered(tmp_path, postgresql, "freeze", "mode: full\nkeys: id\ncolumns: {id: integer, v: integer}\n")
    begin(altered, "bigint", "7")
    altered.words = altered.words.replace("v: integer", "v: bigint")
    altered.declare("freeze")
    assert "column v changed its type from integer to bigint; all of the first rows" in altered.refused()
    altered.declare("evolve")
    assert altered.load() == 0
    assert altered.kind() == pl.Int64()


def test_keys_and_cursors_stand_in_columns_of_their_own(postgresql: Backend, tmp_path: Path) -> None:
    altered = Altered(tmp_path, postgresql, "rescue", "mode: incremental\nkeys: id\ncursor: v\n")
    begin(altered, "int", "7")
    assert "column id changed its type" in altered.refused("alter table t alter id type bigint")
    altered.declare("evolve")
    assert altered.load("alter table t alter v type bigint", "insert into t values (3, 5000000000)") == 1
    assert [id_ for id_, _ in altered.silver()] == [1, 2, 3]
    assert "column v changed its type from bigint to timestamp" in altered.refused(
        "delete from t where id = 3", "alter table t alter v type timestamp using to_timestamp(v)"
    )


@pytest.mark.parametrize("contract", ["evolve", "rescue"])
def test_a_history_goes_on_over_a_widened_column(postgresql: Backend, tmp_path: Path, contract: str) -> None:
    words = "mode: incremental\nkeys: id\ncursor: at\nlookback: 9999d\nhistory: scd2\n"
    altered = Altered(tmp_path, postgresql, contract, words)
    start = "create table t (id int primary key, v int, at timestamp)"
    altered.load(start, "insert into t values (1, 7, '2024-01-01'), (2, 8, '2024-01-01')")
    altered.load("alter table t alter v type bigint", "update t set v = 5000000000, at = '2024-01-02' where id = 1")
    altered.declare("evolve")
    altered.load("update t set v = 9, at = '2024-01-03' where id = 1")
    history = altered.rows("select id, v, valid_from, is_current from silver.t order by id, valid_from")
    assert [(row[0], row[1], row[3]) for row in history] == [(1, 7, False), (1, 5000000000, False), (1, 9, True), (2, 8, True)]
    assert history[0][2].date() == date(2024, 1, 1)


def test_gold_follows_a_widened_column(postgresql: Backend, tmp_path: Path) -> None:
    altered = Altered(tmp_path, postgresql)
    write_project(
        altered.folder,
        {
            "metadata/models/dim_t.yml": "kind: dimension\nkeys: id\nsurrogate_key: t_key\n",
            "sql/gold/dim_t.sql": "select id, v from silver.t\n",
        },
    )
    postgresql.execute("create table t (id int primary key, v int)", "insert into t values (1, 7)")
    altered.open().run()
    keys = altered.rows("select t_key from gold.dim_t where id = 1")
    postgresql.execute("alter table t alter id type bigint, alter v type numeric(20,1)", "insert into t values (5000000000, 0.5)")
    altered.open().run()
    assert altered.rows("select id, v from gold.dim_t where id > 0 order by id") == [(1, 7), (5000000000, Decimal("0.5"))]
    assert altered.rows("select t_key from gold.dim_t where id = 1") == keys
    assert all(step.status == "unchanged" for step in altered.open().run().steps)


def test_a_crash_between_the_widening_and_its_rows_is_harmless(postgresql: Backend, tmp_path: Path) -> None:
    altered = Altered(tmp_path, postgresql)
    begin(altered, "int", "7")
    shutil.copytree(altered.folder / "lake", tmp_path / "before")
    postgresql.execute("alter table t alter v type bigint", "insert into t values (3, 5000000000)")
    for effect in (*range(1, 12), None):
        shutil.rmtree(altered.folder / "lake")
        shutil.copytree(tmp_path / "before", altered.folder / "lake")
        if effect is not None:
            with mortal(), suppress(DiedError):
                altered.open(fault=f"after:{effect}", lease_seconds=0.2).run()
        assert altered.open(lease_seconds=0.2).run().status in ("success", "unchanged")
        assert altered.silver() == [(1, 7), (2, 7), (3, 5000000000)]
        assert altered.rows("select id, v from bronze.t order by id") == altered.silver()
        assert altered.kind() == pl.Int64()


def test_backfills_and_samples_go_by_the_contract_too(postgresql: Backend, tmp_path: Path) -> None:
    words = "mode: incremental\nkeys: id\ncursor: at\n"
    altered = Altered(tmp_path, postgresql, "freeze", words)
    postgresql.execute("create table t (id int primary key, v int, at timestamp)", "insert into t values (1, 7, '2024-01-01')")
    altered.open().run()
    postgresql.execute("alter table t alter v type bigint", "insert into t values (2, 5000000000, '2023-01-01')")
    low, high = date(2022, 1, 1), date(2023, 6, 1)
    failed = altered.open().backfill(["t"], from_=low, to=high).steps[0]
    assert "column v changed its type" in (failed.error or {})["message"]
    altered.declare("rescue")
    assert altered.open().backfill(["t"], from_=low, to=high).steps[0].columns == {"rescued": ["v"]}
    assert altered.rows("select v, _rescued from bronze.t where id = 2") == [(None, '{"v":"5000000000"}')]
    altered.declare("evolve")
    assert altered.load() == 0
    assert altered.silver() == [(1, 7), (2, 5000000000)]


def test_a_healed_row_goes_by_the_contract_too(postgresql: Backend, tmp_path: Path) -> None:
    altered = Altered(tmp_path, postgresql, "rescue", "mode: incremental\nkeys: id\ncursor: at\n")
    altered.load(
        "create table t (id int primary key, v int, at timestamp)", "insert into t values (1, 7, '2024-01-01'), (2, 7, '2024-01-02')"
    )
    postgresql.execute("alter table t alter v type text", "update t set v = 'late' where id = 1")
    altered.open().run()
    (found,) = altered.open().reconcile(["t"], heal=True).tables
    assert (found.stale, found.healed) == (1, 1)
    assert altered.rows("select v, _rescued from bronze.t where id = 1 order by _batch") == [(7, None), (None, '{"v":"late"}')]
    assert altered.load() == 0


def test_new_columns_whose_names_cannot_stand_in_the_lake_are_refused_by_name(postgresql: Backend, tmp_path: Path) -> None:
    altered = Altered(tmp_path, postgresql, "rescue")
    postgresql.execute("create table t (id int primary key, v int)", "insert into t values (1, 7)")
    altered.open().run()
    for name in ("two words", "semi;colon", "back`tick", "dotted.name", "émoji 😀", "V", "valid_to", "_rescued"):
        error = altered.refused(f'alter table t add column "{name}" int')
        assert (repr(name) if name != "V" else "differ only in case") in error
        postgresql.execute(f'alter table t drop column "{name}"')
    assert altered.load() == 0
