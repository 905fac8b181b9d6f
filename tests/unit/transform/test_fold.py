from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from lakehouse.transform.fold import difference, fold_current, fold_history, row_hash

Row = tuple[Any, ...]


def versions(*rows: Row) -> pl.LazyFrame:
    """Versions (key, sequence, batch, value), with the hash that the product gives them."""
    frame = pl.LazyFrame(rows, schema={"k": pl.Int64, "_seq": pl.Int64, "_batch": pl.Int64, "v": pl.String}, orient="row")
    return frame.with_columns(row_hash(frame.collect_schema(), ["k", "v"]))


def history(*rows: Row) -> set[Row]:
    folded = fold_history(versions(*rows), ["k"], ["v"]).collect()
    return set(folded.select("k", "v", "valid_from", "valid_to", "is_current").rows())


def current(*rows: Row) -> set[Row]:
    return set(fold_current(versions(*rows), ["k"]).collect().select("k", "v", "_seq").rows())


def hash_of(kind: pl.DataType, value: object, *names: str) -> str:
    frame = pl.DataFrame({name: pl.Series([value], dtype=kind) for name in names or ("a",)})
    return str(frame.select(row_hash(frame.schema, frame.columns)).item())


def test_the_last_version_is_current() -> None:
    assert current((1, 20, 1, "new"), (1, 10, 2, "old"), (2, 5, 1, "other")) == {(1, "new", 20), (2, "other", 5)}


def test_of_a_tie_the_later_batch_is_current() -> None:
    assert current((1, 10, 2, "second"), (1, 10, 1, "first")) == {(1, "second", 10)}


def test_of_a_tie_in_one_batch_the_greater_hash_is_current() -> None:
    one, other = (1, 10, 1, "a"), (1, 10, 1, "b")
    hashes = dict(versions(one, other).select("v", "_hash").collect().rows())
    greater = max(hashes, key=lambda value: hashes[value])
    assert current(one, other) == current(other, one) == {(1, greater, 10)}


def test_intervals_are_half_open_and_the_last_is_open() -> None:
    assert history((1, 10, 1, "a"), (1, 30, 1, "c"), (1, 20, 2, "b")) == {
        (1, "a", 10, 20, False),
        (1, "b", 20, 30, False),
        (1, "c", 30, None, True),
    }


def test_a_version_that_changes_nothing_makes_no_row() -> None:
    assert history((1, 10, 1, "a"), (1, 20, 1, "a"), (1, 30, 1, "b")) == {(1, "a", 10, 30, False), (1, "b", 30, None, True)}


def test_a_late_version_splits_what_seemed_one() -> None:
    assert history((1, 10, 1, "a"), (1, 30, 1, "a"), (1, 20, 2, "b")) == {
        (1, "a", 10, 20, False),
        (1, "b", 20, 30, False),
        (1, "a", 30, None, True),
    }


def test_a_change_back_is_a_version() -> None:
    assert len(history((1, 1, 1, "a"), (1, 2, 2, "b"), (1, 3, 3, "a"))) == 3


def test_of_a_tie_the_last_counts_and_may_merge_its_neighbours() -> None:
    assert history((1, 1, 1, "a"), (1, 2, 1, "b"), (1, 2, 2, "a")) == {(1, "a", 1, None, True)}


def test_null_is_a_value_like_another() -> None:
    assert history((1, 1, 1, None), (1, 2, 1, None), (1, 3, 1, "a"), (1, 4, 1, None)) == {
        (1, None, 1, 3, False),
        (1, "a", 3, 4, False),
        (1, None, 4, None, True),
    }


def test_keys_do_not_touch() -> None:
    assert history((1, 1, 1, "a"), (2, 2, 1, "a"), (3, 3, 1, "b")) == {
        (1, "a", 1, None, True),
        (2, "a", 2, None, True),
        (3, "b", 3, None, True),
    }


def test_keys_of_two_columns() -> None:
    rows = [(1, "x", 1, "a"), (1, "y", 2, "b"), (2, "x", 3, "c"), (1, "x", 4, "d")]
    frame = pl.LazyFrame(rows, schema=["k", "l", "_seq", "v"], orient="row").with_columns(_batch=1, _hash=pl.lit("h"))
    folded = fold_history(frame, ["k", "l"], ["v"]).collect().select("k", "l", "v", "valid_to")
    assert set(folded.rows()) == {(1, "x", "a", 4), (1, "x", "d", None), (1, "y", "b", None), (2, "x", "c", None)}


def test_without_tracked_columns_a_key_has_one_row() -> None:
    folded = fold_history(versions((1, 1, 1, "a"), (1, 2, 1, "b"), (2, 1, 1, "a")), ["k"], []).collect()
    assert set(folded.select("k", "valid_from", "valid_to").rows()) == {(1, 1, None), (2, 1, None)}


def test_no_versions_no_history() -> None:
    assert history() == set()
    assert current() == set()


def test_valid_from_and_to_have_the_type_of_the_sequence() -> None:
    instants = versions((1, 1, 1, "a"), (1, 2, 1, "b")).with_columns(pl.col("_seq").cast(pl.Datetime("us", "UTC")))
    schema = fold_history(instants, ["k"], ["v"]).collect_schema()
    assert schema["valid_from"] == schema["valid_to"] == pl.Datetime("us", "UTC")


@pytest.mark.parametrize("kind", [pl.Int16(), pl.Int32(), pl.Int64(), pl.Decimal(12, 0), pl.Decimal(12, 2), pl.Decimal(38, 10)], ids=str)
def test_an_integer_has_one_hash_in_every_exact_type(kind: pl.DataType) -> None:
    for value in (0, 7, -30, 1200):
        assert hash_of(kind, value) == hash_of(pl.Int64(), value)


@pytest.mark.parametrize("wide", [pl.Decimal(20, 2), pl.Decimal(20, 6), pl.Decimal(38, 3)], ids=str)
def test_a_widened_decimal_changes_no_hash(wide: pl.DataType) -> None:
    for text in ("12.30", "-0.50", "0.00", "100.05", "-100.00"):
        assert hash_of(pl.Decimal(6, 2), Decimal(text)) == hash_of(wide, Decimal(text))


def test_a_new_null_column_changes_no_hash() -> None:
    frame = pl.DataFrame({"a": [1], "b": ["x"]})
    wider = frame.with_columns(aa=pl.lit(None, dtype=pl.Int64), z=pl.lit(None, dtype=pl.String))
    assert frame.select(row_hash(frame.schema, frame.columns)).item() == wider.select(row_hash(wider.schema, wider.columns)).item()


def test_the_order_of_columns_changes_no_hash() -> None:
    frame = pl.DataFrame({"a": [1], "b": ["x"]})
    assert frame.select(row_hash(frame.schema, ["a", "b"])).item() == frame.select(row_hash(frame.schema, ["b", "a"])).item()


def test_texts_cannot_pose_as_other_columns() -> None:
    one = pl.DataFrame({"a": ["x;b=1:y"], "b": [None]}, schema={"a": pl.String, "b": pl.String})
    two = pl.DataFrame({"a": ["x"], "b": ["y"]})
    assert one.select(row_hash(one.schema, ["a", "b"])).item() != two.select(row_hash(two.schema, ["a", "b"])).item()
    assert hash_of(pl.String(), "") != hash_of(pl.String(), None)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (pl.String(), "a", "A"),
        (pl.String(), "a", "a "),
        (pl.Boolean(), True, False),
        (pl.Boolean(), False, None),
        (pl.Binary(), b"\x00", b"\x00\x00"),
        (pl.Date(), date(2024, 1, 1), date(2024, 1, 2)),
        (pl.Datetime("us", "UTC"), datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, microsecond=1, tzinfo=UTC)),
        (pl.Float64(), 0.1, 0.1 + 2**-50),
        (pl.Decimal(12, 2), Decimal("10.00"), Decimal("1.00")),
    ],
    ids=range(9),
)
def test_other_values_have_other_hashes(kind: pl.DataType, one: object, other: object) -> None:
    assert hash_of(kind, one) != hash_of(kind, other)


def test_difference_turns_old_into_new() -> None:
    schema = {"k": pl.Int64, "v": pl.String}
    old = pl.DataFrame([(1, "same"), (2, "changed"), (3, "gone"), (4, None)], schema=schema, orient="row")
    new = pl.DataFrame([(1, "same"), (2, "other"), (4, None), (5, "came")], schema=schema, orient="row")
    lost, found = difference(old, new, ["k"])
    assert set(lost.rows()) == {(2,), (3,)}
    assert set(found.rows()) == {(2, "other"), (5, "came")}


def test_a_row_that_stays_survives_one_of_its_identity_that_goes() -> None:
    old = pl.DataFrame({"a": [1, 1, 2], "b": ["x", "y", "z"]})
    new = pl.DataFrame({"a": [1, 2], "b": ["y", "z"]})
    lost, came = difference(old, new, ["a"])
    left = old.join(lost, on="a", how="anti")
    assert sorted(pl.concat([left, came]).rows()) == [(1, "y"), (2, "z")]
