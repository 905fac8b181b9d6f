"""The last-observation rule in DuckDB, beside a few lines of plain Python that say the same."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.transform.unseen import Unseen
from tests.lakes import sql_session

Row = tuple[Any, ...]
INCOMING = pa.schema([("k", pa.int64()), ("at", pa.int64()), ("v", pa.string())])
SEEN = pa.schema([*INCOMING, ("_batch", pa.int64())])
SMALL = st.one_of(st.none(), st.integers(0, 2))
ROWS = st.tuples(SMALL, st.integers(0, 4), st.sampled_from([None, "", "a", "b"]))


def unseen(
    seen: list[Row], incoming: list[Row], *, keys: tuple[str, ...] = ("k",), low: int | None = None, newest: int | None = None
) -> Counter[Row]:
    """The product's answer, which is the same both ways; `seen` has the batch as its last value."""
    with sql_session() as engine:
        engine.stream("_seen", SEEN, iter(batches(seen, SEEN)))
        engine.execute("create table bronze.seen as select * from _seen")
        engine.keep("incoming", INCOMING, iter(batches(incoming, INCOMING)))
        rule = Unseen(INCOMING.names, keys, "at", low, newest)
        feed = bool(keys) and engine.rows(rule.several()).num_rows > 0
        by_query = Counter(tuple(row.values()) for row in engine.rows(rule.rows(feed=feed)).to_pylist())
    by_table = rule.among(pa.Table.from_batches(batches(incoming, INCOMING)), pa.Table.from_batches(batches(seen, SEEN)))
    assert Counter(tuple(row.values()) for row in by_table.to_pylist()) == by_query
    return by_query


def batches(rows: list[Row], schema: pa.Schema) -> list[pa.RecordBatch]:
    return [pa.RecordBatch.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)]


def expected(seen: list[Row], incoming: list[Row]) -> Counter[Row]:
    """Rows that are not in the last batch of their key, or, of a key that comes several times, in none."""
    last: dict[object, int] = {}
    for key, _, _, batch in seen:
        last[key] = max(batch, last.get(key, 0))
    several = {key for key, times in Counter(row[0] for row in incoming).items() if times > 1}
    known = {row[:3] for row in seen if row[0] in several or row[3] == last[row[0]]}
    return Counter(row for row in incoming if row not in known)


def test_a_row_equal_to_the_last_observation_is_skipped() -> None:
    assert unseen([(1, 1, "a", 1)], [(1, 1, "a"), (2, 1, "a")]) == Counter([(2, 1, "a")])


def test_a_change_back_at_one_cursor_value_is_seen() -> None:
    seen = [(1, 1, "a", 1), (1, 1, "b", 2)]
    assert unseen(seen, [(1, 1, "a")]) == Counter([(1, 1, "a")])
    assert not unseen([*seen, (1, 1, "a", 3)], [(1, 1, "a")])


def test_null_equals_null_and_nothing_else() -> None:
    seen = [(None, 1, None, 1), (1, 1, None, 1)]
    assert not unseen(seen, [(None, 1, None), (1, 1, None)])
    assert unseen(seen, [(None, 1, ""), (1, 1, "")]) == Counter([(None, 1, ""), (1, 1, "")])


def test_a_later_observation_below_the_window_counts() -> None:
    seen = [(1, 5, "a", 1), (1, 1, "b", 2), (2, 5, "a", 1)]
    assert unseen(seen, [(1, 5, "a"), (2, 5, "a")], low=3, newest=5) == Counter([(1, 5, "a")])


def test_a_row_without_a_cursor_is_compared() -> None:
    assert unseen([(1, None, "a", 1)], [(1, None, "a"), (2, None, "a"), (3, 9, "a")], newest=5) == Counter([(2, None, "a"), (3, 9, "a")])


def test_a_key_that_comes_again_and_anew_is_a_feed() -> None:
    seen = [(1, 1, "a", 1), (1, 2, "b", 2)]
    assert unseen(seen, [(1, 1, "a")], newest=2) == Counter([(1, 1, "a")])
    assert unseen(seen, [(1, 1, "a"), (1, 3, "c")], newest=2) == Counter([(1, 3, "c")])


def test_two_versions_of_one_batch_are_both_seen() -> None:
    assert not unseen([(1, 1, "a", 1), (1, 2, "b", 1)], [(1, 1, "a"), (1, 2, "b")])


def test_nan_equals_nan() -> None:
    shape = pa.schema([("k", pa.int64()), ("v", pa.float64())])
    incoming = pa.Table.from_pylist([{"k": 1, "v": float("nan")}, {"k": 2, "v": float("nan")}], shape)
    seen = pa.Table.from_pylist([{"k": 1, "v": float("nan"), "_batch": 1}], pa.schema([*shape, ("_batch", pa.int64())]))
    for keys in (("k",), ()):
        assert Unseen(["k", "v"], keys).among(incoming, seen).column("k").to_pylist() == [2]


def test_keys_of_two_columns() -> None:
    seen = [(1, 1, "a", 1), (1, 1, "b", 2)]
    assert not unseen(seen, [(1, 1, "a"), (1, 1, "b")], keys=("k", "v"))


def test_without_keys_multiplicities_count() -> None:
    seen = [(1, 1, "a", 1), (1, 1, "a", 2), (1, 2, "b", 2)]
    incoming = [(1, 1, "a")] * 3 + [(1, 2, "b")] + [(1, 3, "c")] * 2
    assert unseen(seen, incoming, keys=()) == Counter([(1, 1, "a"), (1, 3, "c"), (1, 3, "c")])


def test_without_keys_only_the_window_is_compared() -> None:
    assert not unseen([(1, 5, "a", 1), (1, 1, "a", 1)], [(1, 5, "a")], keys=(), low=5)


def test_an_instant_bounds_the_window() -> None:
    low = datetime(2024, 1, 2, tzinfo=UTC)
    shape = pa.schema([("at", pa.timestamp("us", "UTC")), ("_batch", pa.int64())])
    with sql_session() as engine:
        engine.stream("_seen", shape, iter([pa.RecordBatch.from_pylist([{"at": low, "_batch": 1}], schema=shape)]))
        engine.execute("create table bronze.seen as select * from _seen")
        engine.execute('create table incoming as select "at" from bronze.seen')
        assert engine.rows(Unseen(["at"], (), "at", low).rows()).num_rows == 0
        assert engine.rows(Unseen(["at"], (), "at", low + timedelta(microseconds=1)).rows()).num_rows == 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(ROWS, st.integers(1, 3)), max_size=8), st.lists(ROWS, max_size=6))
def test_as_plain_python_says_with_keys(seen: list[tuple[Row, int]], incoming: list[Row]) -> None:
    rows = [(*row, batch) for row, batch in seen]
    assert unseen(rows, incoming) == expected(rows, incoming)
    assert unseen(rows, incoming, newest=max((row[1] for row in rows), default=0)) == expected(rows, incoming)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(ROWS, st.integers(1, 3)), max_size=8), st.lists(ROWS, max_size=6))
def test_as_plain_python_says_without_keys(seen: list[tuple[Row, int]], incoming: list[Row]) -> None:
    rows = [(*row, batch) for row, batch in seen]
    for newest in (None, max((row[1] for row in rows), default=0)):
        assert unseen(rows, incoming, keys=(), newest=newest) == Counter(incoming) - Counter(row for row, _ in seen)


def test_a_feed_that_shows_several_versions_of_a_key_settles() -> None:
    seen = [(1, 1, "a", 1), (1, 2, "b", 1), (1, 3, "c", 2)]
    feed = [(1, 1, "a"), (1, 2, "b"), (1, 3, "c")]
    assert not unseen(seen, feed)
    assert unseen(seen, [*feed, (1, 4, "d")]) == Counter([(1, 4, "d")])


MARKED = pa.schema([*INCOMING, ("_op", pa.string())])
SEEN_MARKED = pa.schema([*MARKED, ("_batch", pa.int64())])


def unseen_marked(seen: list[Row], incoming: list[Row]) -> Counter[Row]:
    """As `unseen`, over tables that mark their rows."""
    rule = Unseen(MARKED.names, ("k",), "at")
    with sql_session() as engine:
        engine.keep("_seen", SEEN_MARKED, iter(batches(seen, SEEN_MARKED)))
        engine.execute("create table bronze.seen as select * from _seen")
        engine.keep("incoming", MARKED, iter(batches(incoming, MARKED)))
        by_query = Counter(tuple(row.values()) for row in engine.rows(rule.rows(feed=engine.rows(rule.several()).num_rows > 0)).to_pylist())
    tables = (pa.Table.from_batches(batches(rows, shape)) for rows, shape in ((incoming, MARKED), (seen, SEEN_MARKED)))
    assert Counter(tuple(row.values()) for row in rule.among(*tables).to_pylist()) == by_query
    return by_query


def test_a_row_that_comes_back_after_its_tombstone_is_new() -> None:
    row, end = (1, 1, "a", None), (1, 1, "a", "delete", 2)
    assert not unseen_marked([(*row, 1)], [row])
    assert unseen_marked([(*row, 1), end], [row]) == Counter([row])
    assert not unseen_marked([(*row, 1), end, (*row, 3)], [row])


def test_so_are_the_rows_of_a_feed() -> None:
    feed = [(1, 1, "a", None), (1, 2, "b", None)]
    seen = [(*row, 1) for row in feed]
    assert not unseen_marked(seen, feed)
    assert unseen_marked([*seen, (1, 2, "b", "delete", 2)], feed) == Counter(feed)
    assert not unseen_marked([*seen, (1, 2, "b", "delete", 2), *((*row, 3) for row in feed)], feed)


def test_a_reject_that_is_read_again_is_seen_and_one_that_was_mended_is_new() -> None:
    seen = [(1, None, "a", "reject", 1)]
    assert not unseen_marked(seen, [(1, None, "a", "reject")])
    assert unseen_marked(seen, [(1, None, "a", None)]) == Counter([(1, None, "a", None)])
