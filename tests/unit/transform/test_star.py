"""The star's SQL, run in DuckDB over rows that stand in the test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from lakehouse.engines.duck import Session
from lakehouse.model.star import Calendar, Model
from lakehouse.transform.star import calendar, dimension, fact, moved
from tests.lakes import sql_session

DIM = Model.model_validate({"name": "dim", "kind": "dimension", "keys": "id", "surrogate_key": "dim_key", "history": "scd2"})
PLAIN = Model.model_validate({"name": "plain", "kind": "dimension", "keys": ["a", "b"], "surrogate_key": "plain_key"})
FACT = Model.model_validate(
    {
        "name": "sale",
        "kind": "fact",
        "keys": "n",
        "as_of": "ts",
        "references": {"dim_key": {"dimension": "dim", "match": {"id": "dim_id"}}},
    }
)
Row = tuple[Any, ...]
VERSIONS: list[Row] = [(1, "a", 10, 20, False), (1, "b", 20, 30, False), (1, "c", 30, None, True), (2, "x", 15, None, True)]


@pytest.fixture
def engine() -> Iterator[Session]:
    with sql_session() as session:
        yield session


def put(engine: Session, name: str, columns: str, rows: list[Row]) -> None:
    """A table with these columns (`id bigint, ...`) and rows."""
    engine.execute(f"create or replace table {name} ({columns})")
    for row in rows:
        engine.execute(f"insert into {name} values ({', '.join('null' if v is None else repr(v) for v in row)})")


def ask(engine: Session, query: str) -> list[dict[str, Any]]:
    return list(engine.rows(query).to_pylist())


def star(engine: Session, versions: list[Row], facts: list[Row]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The dimension's and the fact's rows for versions (id, v, from, to, current) and facts (n, dim_id, ts)."""
    put(engine, "_source", "id bigint, v varchar, valid_from bigint, valid_to bigint, is_current boolean", versions)
    put(engine, "silver.sales", "n bigint, dim_id bigint, ts bigint", facts)
    shape = engine.rows("select * from _source limit 0").schema
    engine.execute(f"create or replace table gold.dim as {dimension(DIM, shape, ['select distinct dim_id as id from silver.sales'])}")
    engine.execute("create or replace table _source as select * from silver.sales")
    rows = ask(engine, f"select * from ({fact(FACT, {'dim': DIM}, ['n', 'dim_id', 'ts'])}) order by n")
    return ask(engine, "select * from gold.dim"), rows


def first_key(*parts: str) -> int:
    return int(hashlib.md5(";".join([*parts, "first"]).encode(), usedforsecurity=False).hexdigest()[:15], 16)


def found(engine: Session, *, dim_id: int | None, at: int | None) -> str | None:
    """Which version a fact gets: its value, or `unknown`."""
    members, rows = star(engine, VERSIONS, [(1, dim_id, at)])
    (key,) = [row["dim_key"] for row in rows]
    (member,) = [row for row in members if row["dim_key"] == key]
    return "unknown" if key == -1 else member["v"]


@pytest.mark.parametrize(
    ("at", "version"), [(-5, "a"), (9, "a"), (10, "a"), (19, "a"), (20, "b"), (29, "b"), (30, "c"), (10**9, "c")], ids=str
)
def test_a_fact_gets_the_version_valid_at_its_time(engine: Session, at: int, version: str) -> None:
    assert found(engine, dim_id=1, at=at) == version


def test_a_fact_without_a_member_gets_the_unknown_one(engine: Session) -> None:
    assert found(engine, dim_id=None, at=10) == "unknown"


def test_keys_are_sixty_bits_and_unique(engine: Session) -> None:
    members, _ = star(engine, VERSIONS, [])
    keys = [row["dim_key"] for row in members]
    assert len(set(keys)) == len(VERSIONS) + 1
    assert all(key == -1 or 0 <= key < 2**60 for key in keys)


def test_the_earliest_version_has_the_first_key(engine: Session) -> None:
    members, _ = star(engine, VERSIONS, [])
    assert {row["v"]: row["dim_key"] for row in members if row["valid_from"] in (10, 15)} == {"a": first_key("1"), "x": first_key("2")}


def test_an_older_version_takes_the_first_key(engine: Session) -> None:
    before = {row["valid_from"]: row["dim_key"] for row in star(engine, VERSIONS, [])[0]}
    after = {row["valid_from"]: row["dim_key"] for row in star(engine, [(1, "z", 5, 10, False), *VERSIONS], [])[0]}
    assert after[5] == before[10] == first_key("1")
    assert after[10] not in before.values()
    assert after[20] == before[20]


def test_a_member_that_only_facts_know_is_inferred_once(engine: Session) -> None:
    members, rows = star(engine, VERSIONS, [(1, 9, 10), (2, 9, 99), (3, None, 1)])
    assert [row for row in members if row["is_inferred"]] == [
        {"dim_key": first_key("9"), "id": 9, "v": None, "valid_from": None, "valid_to": None, "is_current": True, "is_inferred": True}
    ]
    assert [row["dim_key"] for row in rows] == [first_key("9"), first_key("9"), -1]


def test_the_member_that_comes_later_keeps_the_inferred_key(engine: Session) -> None:
    facts: list[Row] = [(1, 9, 10), (2, 9, 99)]
    inferred = [row["dim_key"] for row in star(engine, VERSIONS, facts)[1]]
    assert [row["dim_key"] for row in star(engine, [*VERSIONS, (9, "late", 50, None, True)], facts)[1]] == inferred


def test_no_fact_is_lost_or_doubled(engine: Session) -> None:
    facts: list[Row] = [(n, dim_id, at) for n, (dim_id, at) in enumerate((i, t) for i in (1, 2, 3, None) for t in (0, 10, 20, 30, None))]
    _, rows = star(engine, VERSIONS, facts)
    assert [(row["n"], row["dim_id"], row["ts"]) for row in rows] == facts


def test_an_empty_dimension_still_has_its_members(engine: Session) -> None:
    members, rows = star(engine, [], [(1, 9, 10), (2, None, 10)])
    assert sorted(row["dim_key"] for row in members) == [-1, first_key("9")]
    assert [row["dim_key"] for row in rows] == [first_key("9"), -1]


def test_keys_of_two_columns_cannot_be_confused(engine: Session) -> None:
    put(engine, "_source", "a varchar, b varchar", [("x;1:y", "z"), ("x", "1:y;z"), ("x", "y"), ("", "x"), ("x", "")])
    shape = engine.rows("select * from _source limit 0").schema
    rows = ask(engine, dimension(PLAIN, shape, []))
    assert len({row["plain_key"] for row in rows}) == 6
    assert [row["a"] for row in rows if row["plain_key"] == -1] == [None]


@pytest.mark.parametrize("kind", ["smallint", "integer", "bigint", "decimal(5, 0)", "decimal(12, 2)", "decimal(38, 10)"])
@pytest.mark.parametrize("value", [0, 7, -30, 1200])
def test_a_widened_key_column_changes_no_key(engine: Session, kind: str, value: int) -> None:
    put(engine, "_source", f"id {kind}, v varchar, valid_from bigint, valid_to bigint, is_current boolean", [(value, "a", 1, None, True)])
    shape = engine.rows("select * from _source limit 0").schema
    assert first_key(str(value)) in {row["dim_key"] for row in ask(engine, dimension(DIM, shape, []))}


def test_a_reference_goes_through_the_version_that_another_found(engine: Session) -> None:
    part = Model.model_validate({"name": "part", "kind": "dimension", "keys": "v", "surrogate_key": "part_key"})
    words = FACT.model_dump(by_alias=True)
    words["references"] = {"part_key": {"dimension": "part", "match": {"v": "v"}, "through": "dim_key"}, **words["references"]}
    put(engine, "gold.part", "part_key bigint, v varchar, is_inferred boolean", [(1, "a", False), (2, "b", False), (-1, None, False)])
    star(engine, VERSIONS, [])
    put(engine, "_source", "n bigint, dim_id bigint, ts bigint", [(1, 1, 15), (2, 1, 20), (3, 1, 30), (4, None, 15)])
    query = fact(Model.model_validate(words), {"dim": DIM, "part": part}, ["n", "dim_id", "ts"])
    assert [row["part_key"] for row in ask(engine, f"select * from ({query}) order by n")] == [1, 2, -1, -1]


def test_two_roles_of_one_dimension_are_found_apart(engine: Session) -> None:
    words = FACT.model_dump(by_alias=True)
    words["references"] = {name: {"dimension": "dim", "match": {"id": f"{name}_id"}} for name in ("buyer", "seller")}
    star(engine, VERSIONS, [])
    put(engine, "_source", "n bigint, buyer_id bigint, seller_id bigint, ts bigint", [(1, 1, 2, 15)])
    (row,) = ask(engine, fact(Model.model_validate(words), {"dim": DIM}, ["n", "buyer_id", "seller_id", "ts"]))
    assert (row["buyer"], row["seller"]) == (first_key("1"), first_key("2"))


def days(engine: Session, first: date, last: date, fiscal: int = 1) -> dict[date | None, dict[str, Any]]:
    span = Calendar(starts_on=first, ends_on=last, fiscal_year_starts_in=fiscal)
    return {row["date"]: row for row in ask(engine, calendar(span, "date_key"))}


def test_the_calendar_has_each_day_once_and_the_unknown_day(engine: Session) -> None:
    rows = days(engine, date(2024, 2, 27), date(2024, 3, 2))
    assert sorted(row["date_key"] for row in rows.values()) == [-1, 20240227, 20240228, 20240229, 20240301, 20240302]
    assert all(value is None for name, value in rows[None].items() if name != "date_key")


@pytest.mark.parametrize("day", [date(2020, 12, 31), date(2021, 1, 3), date(2021, 1, 4), date(2024, 12, 30), date(2027, 1, 1)], ids=str)
def test_the_calendar_counts_weeks_as_iso_8601_does(engine: Session, day: date) -> None:
    row = days(engine, day, day)[day]
    assert (row["iso_year"], row["iso_week"], row["weekday"]) == tuple(day.isocalendar())
    assert (row["year"], row["month"], row["day"]) == (day.year, day.month, day.day)
    assert row["is_weekend"] == (day.isoweekday() > 5)
    assert (row["month_name"], row["weekday_name"]) == (f"{day:%B}", f"{day:%A}")


@pytest.mark.parametrize(
    ("day", "starts_in", "year", "quarter"),
    [
        (date(2024, 6, 30), 7, 2024, 4),
        (date(2024, 7, 1), 7, 2025, 1),
        (date(2024, 12, 31), 7, 2025, 2),
        (date(2025, 1, 1), 7, 2025, 3),
        (date(2024, 12, 31), 1, 2024, 4),
        (date(2024, 8, 31), 7, 2025, 1),
        (date(2024, 3, 31), 2, 2025, 1),
        (date(2024, 11, 30), 12, 2024, 4),
        (date(2024, 12, 1), 12, 2025, 1),
    ],
)
def test_a_fiscal_year_is_named_after_the_one_it_ends_in(engine: Session, day: date, starts_in: int, year: int, quarter: int) -> None:
    row = days(engine, day, day, starts_in)[day]
    assert (row["fiscal_year"], row["fiscal_quarter"]) == (year, quarter)


def test_shapes_come_without_rows(engine: Session) -> None:
    put(engine, "_source", "a bigint", [])
    assert engine.rows("select * from _source").schema == pa.schema([("a", pa.int64())])


def test_a_fact_before_the_first_version_gets_the_unknown_member_where_that_is_declared(engine: Session) -> None:
    late = DIM.model_copy(update={"early": "unknown"})
    star(engine, VERSIONS, [])
    put(engine, "_source", "n bigint, dim_id bigint, ts bigint", [(1, 1, 9), (2, 1, 10)])
    before, first = ask(engine, f"select * from ({fact(FACT, {'dim': late}, ['n', 'dim_id', 'ts'])}) order by n")
    assert (before["dim_key"], first["dim_key"]) == (-1, first_key("1"))


def test_scd1_columns_have_the_latest_value_in_every_version(engine: Session) -> None:
    put(engine, "_source", "id bigint, v varchar, valid_from bigint, valid_to bigint, is_current boolean", VERSIONS)
    shape = engine.rows("select * from _source limit 0").schema
    rows = ask(engine, dimension(DIM.model_copy(update={"scd1": ("v",)}), shape, []))
    assert sorted((row["id"], row["valid_from"], row["v"]) for row in rows if row["id"]) == [
        *((1, begin, "c") for begin in (10, 20, 30)),
        (2, 15, "x"),
    ]


@pytest.mark.parametrize(
    ("versions", "spans"),
    [
        ([*VERSIONS, (1, "z", 25, 30, False)], [(1, 25, 30)]),
        ([VERSIONS[0], *VERSIONS[2:]], [(1, 20, 30)]),
        ([(1, "z", 5, 10, False), *VERSIONS], [(1, None, 10), (1, 10, 20)]),
        ([*VERSIONS, (3, "n", 7, None, True)], [(3, None, None)]),
        ([VERSIONS[0], (1, "other", 20, 30, False), *VERSIONS[2:]], []),
    ],
    ids=["split", "merged", "before", "new", "attribute"],
)
def test_spans_in_which_facts_find_another_version(engine: Session, versions: list[Row], spans: list[Row]) -> None:
    before = star(engine, VERSIONS, [])[0]
    star(engine, versions, [])
    listed = "dim_key, id, valid_from"
    put(engine, "old", "dim_key bigint, id bigint, valid_from bigint", [(row["dim_key"], row["id"], row["valid_from"]) for row in before])
    engine.execute(f"create or replace table changed as select {listed}, 1 as _n from gold.dim union all select {listed}, -1 from old")
    found = {tuple(row.values()) for row in ask(engine, moved(DIM, ["id", "dim_key"], "changed"))}
    assert {span for span in found if span[1] is None or span[1] != span[2]} >= set(spans)
    assert {span[0] for span in found} == {span[0] for span in spans}
