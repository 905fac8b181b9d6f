"""Which tombstones a table gets, in DuckDB and over small Arrow tables, beside a few lines of plain Python that say the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.transform.tombstones import Tombstones
from tests.lakes import sql_session
from tests.unit.transform.test_unseen import Row, batches

INCOMING = pa.schema([("k", pa.int64()), ("at", pa.int64()), ("v", pa.string())])
SEEN = pa.schema([*INCOMING, ("_batch", pa.int64()), ("_op", pa.string())])
RULE = Tombstones(("k", "at", "v"), ("k",), "at")


def tombstones(
    seen: list[Row], *, gone: list[int] | None = None, shown: list[int] | None = None, undone: tuple[int, ...] = ()
) -> Counter[Row]:
    """The product's answer, which is the same both ways, without the mark that all have."""
    rule = replace(RULE, undone=undone)
    keys = pa.table({"k": pa.array(gone if shown is None else shown, pa.int64())})
    with sql_session() as engine:
        engine.keep("_seen", SEEN, iter(batches(seen, SEEN)))
        engine.execute("create table bronze.seen as select * from _seen")
        engine.keep("incoming", keys.schema, iter(keys.to_batches()))
        found = engine.rows(rule.rows("incoming" if shown is None else f"({rule.absent()})")).to_pylist()
    seen_table = pa.Table.from_batches(batches(seen, SEEN))
    among = rule.among(seen_table, gone=keys) if shown is None else rule.among(seen_table, incoming=keys)
    assert Counter(tuple(row.values()) for row in among.to_pylist()) == Counter(tuple(row.values()) for row in found)
    assert {row["_op"] for row in found} <= {"delete"}
    return Counter((row["k"], row["at"], row["v"]) for row in found)


def expected(seen: list[Row], gone: set[int]) -> Counter[Row]:
    found: Counter[Row] = Counter()
    for key in gone:
        own = [row for row in seen if row[0] == key]
        if own and max(own, key=lambda row: row[3])[4] != "delete":
            rows = [row for row in own if row[4] is None]
            if rows:
                found[max(rows, key=lambda row: (row[1] is not None, row[1] or 0, row[3]))[:3]] += 1
    return found


def test_a_tombstone_has_the_last_values() -> None:
    seen = [(1, 1, "a", 1, None), (1, 2, "b", 2, None), (2, 1, "c", 1, None)]
    assert tombstones(seen, gone=[1, 3]) == Counter([(1, 2, "b")])


def test_what_is_buried_is_left_out_until_it_is_seen_again() -> None:
    seen: list[Row] = [(1, 1, "a", 1, None), (1, 1, "a", 2, "delete")]
    assert not tombstones(seen, gone=[1])
    assert tombstones([*seen, (1, 1, "b", 3, None)], gone=[1]) == Counter([(1, 1, "b")])


def test_a_batch_that_is_taken_back_ends_nothing_and_buries_still() -> None:
    seen: list[Row] = [(1, 1, "a", 1, None), (1, 2, "b", 2, None), (2, 1, "c", 2, None)]
    assert tombstones(seen, gone=[1, 2], undone=(2,)) == Counter([(1, 1, "a")])
    assert tombstones(seen, shown=[], undone=(2,)) == Counter([(1, 1, "a")])
    assert not tombstones([*seen, (1, 1, "a", 3, "delete")], gone=[1], undone=(2, 3))


def test_a_late_older_version_is_not_the_one_that_ends() -> None:
    assert tombstones([(1, 5, "new", 1, None), (1, 2, "old", 2, None)], gone=[1]) == Counter([(1, 5, "new")])


def test_a_row_that_silver_did_not_take_is_never_the_one_that_ends() -> None:
    assert tombstones([(1, 5, "a", 1, None), (1, 9, "odd", 2, "reject")], gone=[1]) == Counter([(1, 5, "a")])
    assert not tombstones([(1, 9, "odd", 2, "reject")], gone=[1])


def test_keys_that_the_source_shows_are_no_absent_ones() -> None:
    assert tombstones([(1, 1, "a", 1, None), (2, 1, "b", 1, None)], shown=[2, 3]) == Counter([(1, 1, "a")])


ROWS = st.tuples(
    st.integers(0, 2),
    st.one_of(st.none(), st.integers(0, 3)),
    st.sampled_from(["a", "b"]),
    st.sampled_from([None, None, "delete", "reject"]),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(ROWS, max_size=8), st.sets(st.integers(0, 3)))
def test_as_plain_python_says(rows: list[tuple[Any, ...]], keys: set[int]) -> None:
    seen = [(*row[:3], number, row[3]) for number, row in enumerate(rows, 1)]
    everybody = {row[0] for row in seen}
    assert tombstones(seen, gone=sorted(keys)) == expected(seen, keys)
    assert tombstones(seen, shown=sorted(keys)) == expected(seen, everybody - keys)


def test_the_values_of_a_tombstone_are_those_of_the_last_version_in_the_declared_order() -> None:
    further = Tombstones(["k", "s", "m"], ["k"], "s", [("m", True)])
    rows = [{"k": 1, "s": 5, "m": m, "_batch": batch, "_op": None} for batch, m in ((1, 3), (2, None), (3, 7))]
    schema = pa.schema([("k", pa.int64()), ("s", pa.int64()), ("m", pa.int64()), ("_batch", pa.int64()), ("_op", pa.string())])
    seen, gone = pa.Table.from_pylist(rows, schema=schema), pa.table({"k": [1]})
    assert further.among(seen, gone=gone).to_pylist() == [{"k": 1, "s": 5, "m": 3, "_op": "delete"}]
    with sql_session() as engine:
        engine.keep("seen", schema, iter(seen.to_batches()))
        engine.keep("gone", gone.schema, iter(gone.to_batches()))
        engine.execute("create view bronze.seen as select * from seen")
        assert engine.rows(further.rows("gone")).to_pylist() == [{"k": 1, "s": 5, "m": 3, "_op": "delete"}]
