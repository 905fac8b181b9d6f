"""Rewriting: files keep their ranges of keys, what is too much is cut, and open versions stand apart from closed ones."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.model.run import Commit
from lakehouse.storage import parquet, rewriting
from lakehouse.storage.delta import Table
from lakehouse.storage.frames import to_batches
from tests.stores import Store, rows_of

HISTORY = pa.schema([("id", pa.int64()), ("valid_from", pa.int64()), ("valid_to", pa.int64()), ("is_current", pa.bool_())])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_files(monkeypatch)


def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROWS_A_GROUP", 4)
    monkeypatch.setattr(rewriting, "ROWS_A_GROUP", 4)
    monkeypatch.setattr(rewriting, "MOST_ROWS", 6)


def cities(folder: Path, ids: list[int]) -> Table:
    table = Store(folder.as_uri()).create()
    table.replace(to_batches(frame(ids, "old"), table.schema), lambda: Commit("run", "test"))
    return table


def frame(ids: list[int], city: str) -> pl.DataFrame:
    return pl.DataFrame({"id": ids, "city": [city] * len(ids)}, schema={"id": pl.Int64, "city": pl.String})


def change(table: Table, ids: list[int]) -> int:
    keys = pl.DataFrame({"id": ids}, schema={"id": pl.Int64})
    there = table.lookup(keys)
    return table.apply(there.select("id"), frame(ids, "new"), ["id"], Commit("run", "test"))


def ranges(table: Table) -> list[tuple[int, int]]:
    return sorted((file.least["id"], file.greatest["id"]) for file in table.files())


@pytest.mark.usefixtures("small")
def test_changed_rows_go_back_to_where_they_were(tmp_path: Path) -> None:
    table = cities(tmp_path, list(range(0, 24, 2)))
    assert ranges(table) == [(0, 6), (8, 14), (16, 22)]
    assert change(table, [2, 3, 18]) == 2
    assert ranges(table) == [(0, 6), (8, 14), (16, 22)]


@pytest.mark.usefixtures("small")
def test_new_rows_do_not_widen_other_files(tmp_path: Path) -> None:
    table = cities(tmp_path, list(range(0, 24, 2)))
    assert change(table, [2, 9, 99]) == 1
    assert ranges(table) == [(0, 6), (8, 14), (9, 99), (16, 22)]


@pytest.mark.usefixtures("small")
def test_a_file_with_too_many_rows_is_cut_by_its_keys(tmp_path: Path) -> None:
    table = cities(tmp_path, list(range(0, 40, 10)))
    assert change(table, [0, 41, 35, 36, 37]) == 1
    assert ranges(table) == [(0, 30), (35, 41)]


@pytest.mark.usefixtures("small")
def test_open_versions_stand_apart_from_closed_ones(tmp_path: Path) -> None:
    table = Store(tmp_path.as_uri()).create(schema=HISTORY)
    rows = pl.DataFrame([(n, 1, 2 if n % 2 else None, n % 2 == 0) for n in range(12)], schema=HISTORY.names, orient="row")
    table.replace(to_batches(rows, HISTORY), lambda: Commit("run", "test"))
    assert sorted((file.rows, file.nulls["valid_to"]) for file in table.files()) == [(2, 0), (2, 2), (4, 0), (4, 4)]
    there = table.lookup(pl.DataFrame({"id": [2]}), current=True)
    closed = there.with_columns(valid_to=5, is_current=False).cast({"valid_to": pl.Int64})
    came = pl.concat([closed, there.with_columns(valid_from=pl.lit(5, pl.Int64))])
    assert table.apply(there, came, ["id", "valid_from"], Commit("run", "test")) == 1
    assert sorted((file.rows, file.nulls["valid_to"]) for file in table.files()) == [(1, 0), (2, 0), (2, 2), (4, 0), (4, 4)]


@pytest.mark.usefixtures("small")
def test_files_that_mix_them_are_parted_when_they_are_touched(tmp_path: Path) -> None:
    table = Store(tmp_path.as_uri()).create(schema=HISTORY)
    rows = pl.DataFrame([(n, 1, 2 if n % 2 else None, n % 2 == 0) for n in range(20)], schema=HISTORY.names, orient="row")
    table.append(to_batches(rows, HISTORY), lambda: Commit("run", "test"))
    there = table.lookup(pl.DataFrame({"id": [2]}), current=True)
    table.apply(there, there.with_columns(valid_from=pl.lit(3, pl.Int64)), ["id", "valid_from"], Commit("run", "test"))
    assert all(file.nulls["valid_to"] in (0, file.rows) for file in table.files())
    assert len(rows_of(table)) == 20


def test_a_source_may_call_a_column_of_its_own_so(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.int64()), ("is_current", pa.string()), ("valid_to", pa.int64())])
    table = Store(tmp_path.as_uri()).create(schema=schema)
    rows = pl.DataFrame({"id": [1, 2], "is_current": ["yes", None], "valid_to": [None, 4]}, schema_overrides={"valid_to": pl.Int64})
    table.replace(to_batches(rows, schema), lambda: Commit("run", "test"))
    table.apply(rows.head(1), rows.head(1).with_columns(valid_to=pl.lit(9, pl.Int64)), ["id"], Commit("run", "test"))
    assert rows_of(table) == [(1, "yes", 9), (2, None, 4)]


def test_many_small_files_are_put_together(tmp_path: Path) -> None:
    table = Store(tmp_path.as_uri()).create(schema=HISTORY)
    for turn in range(20):
        there = table.lookup(pl.DataFrame({"id": [1]}), current=True)
        closed = there.with_columns(valid_to=pl.lit(turn, pl.Int64), is_current=pl.lit(value=False))
        new = pl.DataFrame([(1, turn, None, True)], schema=there.schema, orient="row")
        table.apply(there, pl.concat([closed, new]), ["id", "valid_from"], Commit("run", "test"))
        assert len(table.files()) <= 10
    assert sorted(rows_of(table)) == sorted([(1, turn, turn + 1, False) for turn in range(19)] + [(1, 19, None, True)])


def test_a_key_comes_back_where_no_version_is_open(tmp_path: Path) -> None:
    table = Store(tmp_path.as_uri()).create(schema=HISTORY)
    old = pl.DataFrame([(1, 1, 2, False), (2, 1, 3, False)], schema=HISTORY.names, orient="row")
    table.replace(to_batches(old, HISTORY), lambda: Commit("run", "test"))
    new = pl.DataFrame([(1, 1, 4, False), (1, 7, None, True)], schema=HISTORY.names, orient="row")
    assert table.apply(old.head(1), new, ["id", "valid_from"], Commit("run", "test")) == 1
    assert rows_of(table) == [(1, 1, 4, False), (1, 7, None, True), (2, 1, 3, False)]


def found_by(table: Table) -> str:
    return str(json.loads(table.history(1)[0]["lakehouse"])["rewriting"]["found_by"])


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("ids", [[2], [2, 9, 18]])  # one file, which is held; three, which are not
def test_rows_that_say_where_they_stand_are_not_searched(tmp_path: Path, ids: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "HELD", 1)
    table = cities(tmp_path, list(range(24)))
    there = table.lookup(frame(ids, "").select("id"), ["id"], placed=True)
    assert there.columns == ["id", *rewriting.PLACED]
    table.apply(there, frame([], ""), ["id"], Commit("run", "test"))
    assert sorted(rows_of(table)) == [(number, "old") for number in range(24) if number not in ids]
    assert found_by(table) == "lookup"


@pytest.mark.usefixtures("small")
def test_rows_whose_files_are_no_more_are_searched_again(tmp_path: Path) -> None:
    table = cities(tmp_path, list(range(8)))
    there = table.lookup(frame([2], "").select("id"), ["id"], placed=True)
    change(table, [3])
    table.apply(there, frame([], ""), ["id"], Commit("run", "test"))
    assert {number for number, _ in rows_of(table)} == {0, 1, 3, 4, 5, 6, 7}
    assert found_by(table) == "keys"


@pytest.mark.usefixtures("small")
def test_of_a_file_that_was_read_in_part_first_all_lost_rows_go(tmp_path: Path) -> None:
    table = cities(tmp_path, list(range(16)))
    there = table.lookup(frame([2, 3, 5, 9], "").select("id"))
    table.lookup(frame([2], "").select("id"))
    table.apply(there.select("id"), frame([], ""), ["id"], Commit("run", "test"))
    assert {number for number, _ in rows_of(table)} == set(range(16)) - {2, 3, 5, 9}


@settings(max_examples=10, deadline=None)
@given(st.lists(st.dictionaries(st.integers(0, 40), st.booleans(), min_size=1, max_size=9), max_size=4))
def test_any_changes_give_the_rows_of_a_dictionary(tmp_path_factory: pytest.TempPathFactory, turns: list[dict[int, bool]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        small_files(patch)
        table = cities(tmp_path_factory.mktemp("turns"), list(range(0, 30, 3)))
        known = dict.fromkeys(range(0, 30, 3), "old")
        for turn, changes in enumerate(turns):
            there = table.lookup(pl.DataFrame({"id": list(changes)}, schema={"id": pl.Int64}))
            assert dict(there.rows()) == {key: known[key] for key in changes if key in known}
            put = [key for key, stays in changes.items() if stays]
            table.apply(there.select("id"), frame(put, f"turn {turn}"), ["id"], Commit("run", "test"))
            known = {key: city for key, city in known.items() if key not in changes} | dict.fromkeys(put, f"turn {turn}")
        assert sorted(rows_of(table)) == sorted(known.items())
