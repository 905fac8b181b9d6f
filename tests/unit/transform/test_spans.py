"""Spans: every row in one part, the parts in the order of the keys, none much greater than the others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.transform.spans import Spans

INSTANT = datetime(2025, 1, 1, tzinfo=UTC)


def cut(rows: pl.DataFrame, keys: list[str], parts: int) -> list[pl.DataFrame]:
    spans = Spans.of(rows.lazy(), keys, rows.height, parts)
    return [spans.part(rows.lazy(), number).collect() for number in range(len(spans))]


def test_parts_are_about_equal_though_keys_come_in_a_rhythm() -> None:
    rows = pl.DataFrame({"id": list(range(1000)) * 200})
    sizes = [part.height for part in cut(rows, ["id"], 4)]
    assert len(sizes) == 4
    assert max(sizes) < 60_000


def test_rows_with_null_in_a_key_come_first() -> None:
    rows = pl.DataFrame({"a": [None, 1, 1, 2, 2, None], "b": [5, None, 1, None, 7, None]})
    parts = cut(rows, ["a", "b"], 3)
    assert sum(part.height for part in parts) == 6
    assert parts[0]["a"].null_count() == 2


def test_one_key_alone_is_one_part() -> None:
    assert [part.height for part in cut(pl.DataFrame({"id": [7] * 100}), ["id"], 5) if part.height] == [100]


@pytest.mark.parametrize(
    "values",
    [
        [Decimal(n) / 4 for n in range(40)],
        [INSTANT + timedelta(microseconds=n) for n in range(40)],
        [(INSTANT + timedelta(days=n)).date() for n in range(40)],
        [f"key {n}" for n in range(40)],
        [bytes([n]) for n in range(40)],
        [n % 2 == 0 for n in range(40)],
        [n / 7 for n in range(40)],
    ],
    ids=lambda values: type(values[0]).__name__,
)
def test_keys_of_every_type_are_cut(values: list[Any]) -> None:
    rows = pl.DataFrame({"key": values[::-1]})
    parts = cut(rows, ["key"], 2)
    assert [part.height for part in parts] == [20, 20]
    assert sorted(value for part in parts for value in part["key"]) == sorted(values)


@given(st.lists(st.tuples(st.integers(0, 3), st.text("ab", max_size=2)), min_size=1), st.integers(1, 6))
def test_parts_follow_each_other(rows: list[tuple[int, str]], parts: int) -> None:
    found = [sorted(part.rows()) for part in cut(pl.DataFrame(rows, schema=["a", "b"], orient="row"), ["a", "b"], parts)]
    assert [row for part in found for row in part] == sorted(rows)
    assert not any(set(one) & set(other) for one, other in pairwise(found))
