"""Values go into `_rescued` and come out as they were, or not at all."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from lakehouse.transform.rescue import exact, packed, rescued, text
from tests.lakes import sql_session

INSTANT = pa.timestamp("us", "UTC")
SAME = [
    (pa.int16(), [-32768, 0, 32767]),
    (pa.int64(), [-(2**63), 2**53 + 1, 2**63 - 1]),
    (pa.decimal128(38, 10), [Decimal("1234567890123456789012345678.0123456789"), Decimal("-0.0000000001"), Decimal(0)]),
    (pa.decimal128(38, 38), [Decimal("0." + "1" * 38)]),
    (pa.float32(), [0.10000000149011612, -1.25, float("inf")]),
    (pa.float64(), [0.1, 1e308, 5e-324, 1 / 3, 123456789012345680.0]),
    (pa.bool_(), [True, False]),
    (pa.string(), ["", "null", 'o\'clock "quoted"', "two\nlines\t", "back\\slash", "😀 é 漢", "\x01", "x" * 1_000_000]),
    (pa.binary(), [b"", b"\x00\xff", b"'quoted'"]),
    (pa.date32(), [date(1, 1, 1), date(1969, 12, 31), date(9999, 12, 31)]),
    (
        INSTANT,
        [datetime(1, 1, 1, tzinfo=UTC), datetime(2024, 2, 29, 10, 20, 30, 123456, UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)],
    ),
]


def taken(values: list[object], kind: pa.DataType, as_: pa.DataType) -> list[object]:
    """The values after their way through `_rescued`."""
    rows = pa.table({"v": pa.array([None, *values], kind)})
    with sql_session() as engine:
        engine.keep("came", rows.schema, iter(rows.to_batches()))
        texts = f"select {text('v', kind)} as v from came"
        kept = f"select {packed(['v'])} as _rescued from ({texts})"
        found = engine.rows(f"select _rescued, {exact(rescued('v'), as_)} as v from ({kept})")
    first, *others = found.column("_rescued").to_pylist()
    assert first is None
    assert [list(json.loads(other)) for other in others] == [["v"]] * len(values)
    back: list[object]
    none, *back = found.column("v").cast(as_).to_pylist()
    assert none is None
    return back


@pytest.mark.parametrize(("kind", "values"), SAME, ids=lambda given: str(given) if isinstance(given, pa.DataType) else "")
def test_values_come_back_exactly(kind: pa.DataType, values: list[object]) -> None:
    assert taken(values, kind, kind) == values


@pytest.mark.parametrize(
    ("values", "kind", "as_", "back"),
    [
        (["7", "7.00", "1.5", " 7", "1e3", "x", "99999999999"], pa.string(), pa.int32(), [7, 7, None, None, None, None, None]),
        (["1.25", "1.250", "1.255", "12345"], pa.string(), pa.decimal128(5, 2), [Decimal("1.25")] * 2 + [None] * 2),
        ([0.1, 0.5], pa.float64(), pa.float32(), [None, 0.5]),
        ([2**53 + 1, 7], pa.int64(), pa.float64(), [None, 7.0]),
        ([datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 1, tzinfo=UTC)], INSTANT, pa.date32(), [date(2024, 1, 1), None]),
        ([date(2024, 1, 1)], pa.date32(), INSTANT, [datetime(2024, 1, 1, tzinfo=UTC)]),
        (["yes", "true"], pa.string(), pa.bool_(), [None, True]),
        (["tomorrow", "2024-01-01"], pa.string(), INSTANT, [None, datetime(2024, 1, 1, tzinfo=UTC)]),
    ],
)
def test_nothing_is_rounded_or_guessed(values: list[object], kind: pa.DataType, as_: pa.DataType, back: list[object]) -> None:
    assert taken(values, kind, as_) == back
