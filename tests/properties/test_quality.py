"""Whatever rules, feeds and cuts: each row is accepted, rejected or dropped; silver and its rejects are functions of bronze's rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse import Lakehouse
from tests.lakes import change_source, open_shop, write_project

CHILD = """
from: child
mode: incremental
keys: id
cursor: at
lookback: 9999d
history: {history}
columns: {{id: bigint, a: bigint, b: bigint, p: bigint, at: timestamp}}
expect:
"""
PARENT = "from: parent\nmode: snapshot\nkeys: id\ndeletes: {at_most: 1.0, empty: apply}\ncolumns: {id: bigint}\n"
RULES = (
    "  r1: {that: a > 0, else: quarantine}\n",
    "  r2: {range: {column: b, max: 2}, else: drop}\n",
    "  r3: {not_null: b, else: quarantine}\n",
    "  u1: {unique: a, else: quarantine}\n",
    "  f1: {foreign_key: {columns: p, table: parent}, else: quarantine}\n",
    "  f2: {foreign_key: {columns: p, table: child, to: id}, else: quarantine}\n",
    "  w1: {that: b = 1}\n",
    "  w2: {unique: [a, b]}\n",
)
SMALL = st.one_of(st.none(), st.integers(0, 3))
ROW = st.tuples(st.one_of(st.none(), st.integers(1, 4)), SMALL, SMALL, SMALL, st.integers(0, 5))
CUT = st.tuples(st.lists(ROW, max_size=4), st.sets(st.integers(0, 3)))
TABLES = "create table child (id integer, a integer, b integer, p integer, at timestamp); create table parent (id integer primary key);"


def lake(folder: Path, rules: frozenset[int], history: str) -> Lakehouse:
    expect = "".join(RULES[number] for number in sorted(rules)) or "  w1: {that: b = 1}\n"
    files = {
        "metadata/sources/shop.yml": "connection: shop\n",
        "metadata/tables/shop/child.yml": CHILD.format(history=history) + expect,
        "metadata/tables/shop/parent.yml": PARENT,
    }
    return open_shop(write_project(folder, files))


def bring(database: Path, rows: list[tuple[Any, ...]], parents: set[int]) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany("insert into child values (?, ?, ?, ?, '2029-01-0' || (? + 1) || ' 00:00:00')", rows)
        connection.execute("delete from parent")
        connection.executemany("insert into parent values (?)", [(each,) for each in sorted(parents)])


def held(house: Lakehouse) -> tuple[list[Any], list[Any]]:
    rows = sorted(house.scan("silver.child").collect().rows(), key=repr)
    names = ("reason", "rules", "key", "_batch", "_row_hash")
    listed = sorted((tuple(row[name] for name in names) for row in house.rejects("child", limit=999)), key=repr)
    return rows, listed


def agree(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[list[tuple[Any, ...]], set[int]]], rules: frozenset[int], history: str
) -> None:
    """Cut by cut, then a rebuild: the same rows, rejects and account."""
    folder = tmp_path_factory.mktemp("quality")
    change_source(folder / "source.db", TABLES)
    house = lake(folder, rules, history)
    for rows, parents in cuts:
        bring(folder / "source.db", rows, parents)
        done = house.run()
        assert done.status in ("success", "unchanged"), [step.error for step in done.steps if step.error]
    account = next((row for row in house.quality("child")["tables"]), {"unaccounted": 0, "input": 0})
    assert (account["unaccounted"], account["input"]) == (0, house.scan("bronze.child").collect().height if account["input"] else 0)
    if account["input"]:
        before = held(house)
        house.run(rebuild=["child"])
        assert held(house) == before
        assert next(row for row in house.quality("child")["tables"]) == account


lived = st.lists(CUT, min_size=1, max_size=4), st.frozensets(st.integers(0, len(RULES) - 1)), st.sampled_from(["scd1", "scd2"])


@given(*lived)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_was_built_cut_by_cut_is_what_a_rebuild_gives(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[list[tuple[Any, ...]], set[int]]], rules: frozenset[int], history: str
) -> None:
    agree(tmp_path_factory, cuts, rules, history)


@pytest.mark.long
@given(*lived)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_was_built_cut_by_cut_is_what_a_rebuild_gives_long(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[list[tuple[Any, ...]], set[int]]], rules: frozenset[int], history: str
) -> None:
    agree(tmp_path_factory, cuts, rules, history)
