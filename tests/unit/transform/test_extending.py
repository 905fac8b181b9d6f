"""Versions upon what stands give what the fold and the difference give, without either."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.layout import DELETE
from lakehouse.transform.extending import current_upon, history_upon, last_of_each
from lakehouse.transform.fold import difference, fold_current, fold_history

Row = tuple[Any, ...]
VERSION: dict[str, type[pl.DataType]] = {"k": pl.Int64, "s": pl.Int64, "v": pl.String, "_batch": pl.Int64, "_seq": pl.Int64}
KEYS, SEQUENCES, VALUES = st.integers(0, 5), st.integers(0, 4), st.sampled_from(["a", "b", None])
MARKS = st.sampled_from([None, DELETE])
OWN = ["k", "s", "v", "_batch"]


def versions(rows: list[Row]) -> pl.DataFrame:
    """Versions (key, sequence, value, mark) of one batch after another's, each with a hash of its own."""
    frame = pl.DataFrame([row[:3] for row in rows], schema={name: VERSION[name] for name in ("k", "s", "v")}, orient="row")
    marks = pl.Series("_op", [row[3] for row in rows], dtype=pl.String)
    seen = pl.lit(None, pl.Datetime("us", "UTC")).alias("_extracted_at")
    return (
        frame.with_columns(pl.lit(2, pl.Int64).alias("_batch"), pl.col("s").alias("_seq"), marks, seen)
        .with_row_index("_hash")
        .cast({"_hash": pl.String})
    )


def rows_of(frame: pl.DataFrame, columns: list[str]) -> list[Row]:
    return sorted(frame.select(columns).rows(), key=repr)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(KEYS, st.tuples(SEQUENCES, VALUES)), st.lists(st.tuples(KEYS, SEQUENCES, VALUES, MARKS)))
def test_one_row_a_key_is_as_folded(stood: dict[int, tuple[int, str | None]], rows: list[Row]) -> None:
    standing = pl.DataFrame([(key, *row, 1) for key, row in stood.items()], schema={name: VERSION[name] for name in OWN}, orient="row")
    came = versions(rows)
    marks = {"_op": pl.lit(None, pl.String), "_extracted_at": pl.lit(None, pl.Datetime("us", "UTC")), "_hash": pl.lit("")}
    stands = standing.filter(pl.col("k").is_in(came["k"].implode()))
    before = stands.with_columns(pl.col("s").alias("_seq"), **marks).select(came.columns)
    folded = fold_current(pl.concat([before, came]).lazy(), ["k"]).collect().select(OWN)
    lost, put = difference(stands, folded, ["k"])
    gone, shown = current_upon(stands, last_of_each(came, ["k"]), ["k"], "s")
    assert rows_of(gone, ["k"]) == rows_of(lost, ["k"])
    assert rows_of(shown, OWN) == rows_of(put, OWN)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(KEYS, VALUES), st.dictionaries(KEYS, st.tuples(st.integers(5, 9), VALUES)))
def test_a_history_is_as_folded(stood: dict[int, str | None], rows: dict[int, tuple[int, str | None]]) -> None:
    came = versions([(key, *row, None) for key, row in rows.items()])
    old = pl.DataFrame(
        [(key, 1, value, 1) for key, value in stood.items() if key in rows], schema={name: VERSION[name] for name in OWN}, orient="row"
    )
    open_ = old.with_columns(pl.col("s").alias("valid_from"), pl.lit(None, pl.Int64).alias("valid_to"), is_current=pl.lit(value=True))
    before = old.with_columns(pl.col("s").alias("_seq"), pl.lit("").alias("_hash"))
    both = pl.concat([before, came.select(before.columns)])
    folded = fold_history(both.lazy(), ["k"], ["v"]).collect().select(open_.columns)
    lost, put = difference(open_, folded, ["k", "valid_from"])
    gone, shown = history_upon(open_, came, ["k"], ["v"])
    assert rows_of(gone, ["k", "valid_from"]) == rows_of(lost, ["k", "valid_from"])
    assert rows_of(shown, open_.columns) == rows_of(put, open_.columns)


def test_where_nothing_says_its_place_every_version_counts() -> None:
    standing = pl.DataFrame({"k": [1, 2], "_path": ["one", "two"]})
    gone, shown = current_upon(standing, versions([(1, 0, "new", None), (3, 0, "other", None)]), ["k"], None, ["_path"])
    assert gone.rows() == [(1, "one")]
    assert shown["k"].to_list() == [1, 3]
