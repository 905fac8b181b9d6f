"""Which rows a window holds, exactly, and which are odd."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from lakehouse.model.run import Cursor, Odd, Window
from lakehouse.transform.cut import cut, odd_rows
from lakehouse.transform.zone import FIRST, LAST

DAYS = [None, date.min, date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 5), date.max]


def batch(values: list[object], kind: pa.DataType) -> pa.RecordBatch:
    return pa.record_batch({"at": pa.array(values, kind)})


def kept(values: list[object], kind: pa.DataType, window: Window) -> list[object]:
    return list(cut(batch(values, kind), "at", window).column("at").to_pylist())


def test_both_bounds() -> None:
    assert kept([1, 2, 3, None], pa.int16(), Window(2, 3)) == [2]
    assert kept([1, 2], pa.int16(), Window(-(2**40), 2**40)) == [1, 2]
    assert kept(["A", "a", "ä", "z"], pa.string(), Window("a", None)) == ["a", "ä", "z"]
    assert kept([1, None], pa.int16(), Window()) == [1, None]


def test_odd_rows_come_beside_the_window() -> None:
    assert kept([*DAYS], pa.date32(), Window(date(2024, 1, 2), date(2024, 1, 3), Odd(date(2024, 1, 4)))) == [
        None,
        date.min,
        date(2024, 1, 2),
        date(2024, 1, 5),
        date.max,
    ]
    assert kept([1, None, 5], pa.int64(), Window(2, 9, Odd())) == [None, 5]
    assert kept([None, None], pa.int64(), Window(2, 9, Odd())) == [None, None]


@pytest.mark.parametrize(
    ("values", "kind", "ahead", "odd"),
    [
        (DAYS, pa.date32(), date(2024, 1, 4), [True, True, False, False, True, True]),
        ([None, FIRST, datetime(2024, 1, 1, tzinfo=UTC), LAST], pa.timestamp("us", "UTC"), LAST, [True, True, False, True]),
        ([None, -(2**63), 0], pa.int64(), None, [True, False, False]),
        ([None, ""], pa.string(), None, [True, False]),
    ],
    ids=["date", "timestamp", "integer", "text"],
)
def test_odd(values: list[object], kind: pa.DataType, ahead: Cursor | None, odd: list[bool]) -> None:
    assert odd_rows(pa.array(values, kind), Odd(ahead)).to_pylist() == odd
