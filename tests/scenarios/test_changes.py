"""What the words for applying changes make of a source's rows, from run to run: partitions, snapshots, truncates, names, ties."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.lakes import change_source, open_shop, require_success, versions, write_project

SOURCE = {"metadata/sources/shop.yml": "connection: shop\n"}


def project_of(folder: Path, words: str, *statements: str) -> Path:
    """A project of one table over a source that these statements made, run once."""
    project = write_project(folder, {**SOURCE, "metadata/tables/shop/t.yml": f"from: t\n{words}"})
    run(project, *statements)
    return project


def run(project: Path, *statements: str) -> None:
    change_source(project / "source.db", ";\n".join(statements))
    require_success(open_shop(project))


def rows(project: Path, query: str) -> list[tuple[Any, ...]]:
    return sorted(open_shop(project).sql(query).rows(), key=str)


def test_a_partition_that_is_read_again_loses_what_it_lacks(tmp_path: Path) -> None:
    words = "mode: full\nkeys: id\nwhere: day = (select max(day) from t)\nreplace_partitions: day\n"
    words += "columns: {id: bigint, day: bigint, amount: bigint}\n"
    project = project_of(tmp_path, words, "create table t (id, day, amount)", "insert into t values (1, 1, 10), (2, 1, 20)")
    run(project, "insert into t values (3, 2, 30), (4, 2, 40)")
    run(project, "delete from t where id = 3", "update t set amount = 41 where id = 4")
    assert rows(project, "select id, day, amount from silver.t") == [(1, 1, 10), (2, 1, 20), (4, 2, 41)]
    assert rows(project, "select id, amount from bronze.t where _op = 'delete'") == [(3, 30)]
    run(project, "insert into t values (3, 2, 30)")
    assert rows(project, "select id from silver.t") == [(1,), (2,), (3,), (4,)]
    stands = versions(project / "lake")
    require_success(open_shop(project))
    assert versions(project / "lake") == stands


def test_a_window_of_a_day_replaces_its_day(tmp_path: Path) -> None:
    words = "mode: incremental\nkeys: id\ncursor: day\nlookback: 1\nreplace_partitions: day\ndeletes: {as_row: true}\n"
    words += "columns: {id: bigint, day: bigint, amount: bigint}\n"
    project = project_of(tmp_path, words, "create table t (id, day, amount)", "insert into t values (1, 1, 10), (2, 2, 20), (3, 2, 30)")
    run(project, "delete from t where id in (1, 3)", "insert into t values (4, 3, 40)")
    shown = "select id, amount, is_deleted from silver.t"
    assert rows(project, shown) == [(1, 10, False), (2, 20, False), (3, 30, True), (4, 40, False)]
    run(project, "insert into t values (5, 1, 50), (5, 3, 51)")
    assert rows(project, f"{shown} where id = 5") == [(5, 51, False)]


def test_a_table_of_snapshots_that_come_late(tmp_path: Path) -> None:
    words = "mode: full\nkeys: id\nsnapshot_column: day\nhistory: scd2\ncolumns: {id: bigint, day: bigint, amount: bigint}\n"
    project = project_of(tmp_path, words, "create table t (id, day, amount)", "insert into t values (1, 1, 10), (2, 1, 20), (1, 3, 10)")
    shown = "select id, valid_from, valid_to from silver.t"
    assert rows(project, shown) == [(1, 1, None), (2, 1, 3)]
    run(project, "insert into t values (2, 2, 20), (3, 2, 5)")
    assert rows(project, shown) == [(1, 1, 2), (1, 3, None), (2, 1, 3), (3, 2, 3)]


def test_a_truncate_ends_keys_that_the_batch_does_not_show(tmp_path: Path) -> None:
    words = "mode: full\nkeys: id\nsequence_by: n\nhistory: scd2\napply_as_truncates: said = 'T'\nexclude: said\n"
    words += "columns: {id: bigint, n: bigint, said: string}\n"
    project = project_of(tmp_path, words, "create table t (id, n, said)", "insert into t values (1, 1, 'I'), (2, 2, 'I'), (3, 9, 'I')")
    run(project, "delete from t", "insert into t values (0, 5, 'T'), (2, 7, 'I')")
    assert rows(project, "select * exclude (_batch, n) from silver.t") == [
        (1, 1, 5, False),
        (2, 2, 5, False),
        (2, 7, None, True),
        (3, 9, None, True),
    ]
    run(project, "insert into t values (1, 3, 'I')")
    assert rows(project, "select id, valid_from, valid_to from silver.t where id = 1") == [(1, 1, 5)]


def test_a_word_that_names_no_column_of_the_source_fails_its_table(tmp_path: Path) -> None:
    words = "mode: full\nkeys: id\nsequence_by: n\nhistory: scd2\ntrack: nowhere\n"
    project = write_project(tmp_path, {**SOURCE, "metadata/tables/shop/t.yml": f"from: t\n{words}"})
    change_source(project / "source.db", "create table t (id bigint, n bigint, v text)")
    (step,) = [step for step in open_shop(project).run().steps if step.status == "failed"]
    error = step.error or {}
    assert error["kind"] == "ModelError"
    assert "names 'nowhere'" in error["message"]
    assert "metadata/tables/shop/t.yml: track" in error["message"]


@pytest.mark.parametrize("history", ["scd1", "scd2"])
def test_silver_may_do_without_the_column_that_orders(tmp_path: Path, history: str) -> None:
    words = f"mode: full\nkeys: id\nsequence_by: n\nhistory: {history}\nexclude: n\ncolumns: {{id: bigint, n: bigint, v: string}}\n"
    project = project_of(tmp_path, words, "create table t (id, n, v)", "insert into t values (1, 5, 'a'), (2, 5, 'a')")
    run(project, "insert into t values (1, 3, 'late'), (2, 7, 'new'), (3, 1, 'old')")
    current = " where is_current" if history == "scd2" else ""
    assert rows(project, f"select id, v from silver.t{current}") == [(1, "a"), (2, "new"), (3, "old")]
    run(project, "insert into t values (1, 9, 'b')")
    assert rows(project, f"select id, v from silver.t{current}") == [(1, "b"), (2, "new"), (3, "old")]


def test_a_source_that_calls_a_column_as_silver_calls_its_own(tmp_path: Path) -> None:
    words = "mode: snapshot\nkeys: id\ndeletes: {as_row: true}\n"
    project = write_project(tmp_path, {**SOURCE, "metadata/tables/shop/t.yml": f"from: t\n{words}"})
    change_source(project / "source.db", "create table t (id bigint, is_deleted bigint)")
    (step,) = [step for step in open_shop(project).run().steps if step.status == "failed"]
    assert "the source has a column is_deleted" in (step.error or {})["message"]


NAMES = ["Order", "select", "group", "Value2", "x" * 63]


@pytest.mark.parametrize("history", ["scd1", "scd2"])
def test_names_that_sql_reserves_are_merged_like_any_other(tmp_path: Path, history: str) -> None:
    columns = ", ".join(f"{name}: bigint" for name in NAMES)
    words = f"mode: full\nkeys: [Order, select]\nsequence_by: group\nhistory: {history}\ndeletes: column\n"
    words += f"apply_as_deletes: '\"Value2\" = 0'\nignore_null_updates: Value2\ncolumns: {{{columns}}}\n"
    listed = ", ".join(f'"{name}"' for name in NAMES)
    project = project_of(tmp_path, words, f"create table t ({listed})", "insert into t values (1, 1, 1, 5, 1), (1, 2, 1, 6, 1)")
    run(
        project, 'update t set "group" = 2, "Value2" = null where "select" = 1', 'update t set "Value2" = 0, "group" = 3 where "select" = 2'
    )
    current = " where is_current" if history == "scd2" else ""
    assert rows(project, f"select {listed} from silver.t{current}") == [(1, 1, 2 if history == "scd1" else 1, 5, 1)]


FEED = [
    (1, 1, "a", "I"),
    (1, 3, "b", "U"),
    (1, 4, "b", "U"),
    (1, 6, None, "D"),
    (1, 5, "c", "U"),
    (2, 2, "a", "I"),
    (2, 2, "z", "U"),
    (2, 8, "a", "U"),
]
"""Eight events: a change, a no-op, a delete with a late update, and two rows of one key and instant."""


@pytest.mark.parametrize("order", list(itertools.permutations(range(8)))[:: 40320 // 6], ids=str)
def test_eight_events_in_any_order(tmp_path: Path, order: tuple[int, ...]) -> None:
    words = "mode: full\nkeys: id\nsequence_by: n\norder_by: v\nhistory: scd2\ndeletes: column\napply_as_deletes: op = 'D'\nexclude: op\n"
    words += "columns: {id: bigint, n: bigint, v: string, op: string}\n"
    project = project_of(tmp_path, words, "create table t (id, n, v, op)")
    for part in (order[:3], order[3:4], order[4:]):
        run(project, *(f"insert into t values {FEED[place]}".replace("None", "null") for place in part))
    expected = [(1, "a", 1, 3), (1, "b", 3, 5), (1, "c", 5, 6), (2, "a", 8, None), (2, "z", 2, 8)]
    assert rows(project, "select id, v, valid_from, valid_to from silver.t") == sorted(expected, key=str)
