from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from lakehouse.errors import SourceDataError
from lakehouse.model.types import parse_type
from lakehouse.transform.arrow import arrow_schema, arrow_type, cast_batch


def cast(column: pa.Array, kind: str) -> list[object]:
    batch = pa.RecordBatch.from_arrays([column], names=["c"])
    done = cast_batch(batch, arrow_schema({"c": parse_type(kind)}), "shop.orders")
    assert done.schema.field("c").type == arrow_type(parse_type(kind))
    return list(done.column("c").to_pylist())


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("2024-02-29", "date", date(2024, 2, 29)),
        ("2024-02-29 12:30:00", "timestamp", datetime(2024, 2, 29, 12, 30, tzinfo=UTC)),
        ("2024-02-29T12:30:00.000001", "timestamp", datetime(2024, 2, 29, 12, 30, 0, 1, tzinfo=UTC)),
        ("2024-02-29 12:30:00+00", "timestamp", datetime(2024, 2, 29, 12, 30, tzinfo=UTC)),
        ("2024-02-29T12:30:00Z", "timestamp", datetime(2024, 2, 29, 12, 30, tzinfo=UTC)),
        ("12.30", "decimal(6,2)", Decimal("12.30")),
        ("-7", "decimal(38,10)", Decimal(-7)),
        ("9223372036854775807", "bigint", 2**63 - 1),
        ("-0", "integer", 0),
    ],
)
def test_a_text_becomes_what_it_says(text: str, kind: str, value: object) -> None:
    assert cast(pa.array([text, None]), kind) == [value, None]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2023-02-29", "date"),
        ("2024-13-01 00:00:00", "timestamp"),
        ("infinity", "timestamp"),
        ("12.345", "decimal(6,2)"),
        ("123456.00", "decimal(6,2)"),
        ("1e3", "decimal(6,2)"),
        ("NaN", "decimal(6,2)"),
        ("2147483648", "integer"),
        ("1.5", "bigint"),
        ("", "integer"),
        ("", "timestamp"),
        ("maybe", "boolean"),
    ],
)
def test_a_text_that_does_not_fit_is_refused(text: str, kind: str) -> None:
    with pytest.raises(SourceDataError) as caught:
        cast(pa.array(["1" if kind != "date" else "2024-01-01", text] if kind != "timestamp" else [text]), kind)
    assert "column c" in str(caught.value)
    assert caught.value.where == "shop.orders"


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([1.5]), "bigint"),
        (pa.array([2.0**63]), "bigint"),
        (pa.array([float("nan")]), "integer"),
        (pa.array([40_000]), "smallint"),
        (pa.array([2]), "boolean"),
        (pa.array([Decimal("1.005")]), "decimal(6,2)"),
        (pa.array([datetime(2024, 1, 1, 0, 0, 0, 1)], pa.timestamp("us")), "date"),  # noqa: DTZ001  a naive source value
        (pa.array([1], pa.timestamp("ns")), "timestamp"),
        (pa.array([2**53 + 1]), "double"),
    ],
    ids=range(9),
)
def test_no_value_is_cut_or_rounded(column: pa.Array, kind: str) -> None:
    with pytest.raises(SourceDataError):
        cast(column, kind)


def test_an_instant_keeps_its_moment() -> None:
    there = pa.array([datetime(2024, 7, 1, 12, tzinfo=UTC)]).cast(pa.timestamp("us", "Asia/Kolkata"))
    assert cast(there, "timestamp") == [datetime(2024, 7, 1, 12, tzinfo=UTC)]


def test_an_instant_without_a_zone_is_utc() -> None:
    naive = pa.array([datetime(2024, 7, 1, 12)], pa.timestamp("s"))  # noqa: DTZ001  a naive source value
    assert cast(naive, "timestamp") == [datetime(2024, 7, 1, 12, tzinfo=UTC)]


def test_an_instant_that_python_cannot_hold_is_refused() -> None:
    with pytest.raises(SourceDataError, match="9999"):
        cast(pa.array([2**62], pa.timestamp("us")), "timestamp")


def test_no_rows_and_only_nulls_pass() -> None:
    assert cast(pa.array([], pa.string()), "timestamp") == []
    assert cast(pa.array([None, None], pa.string()), "timestamp") == [None, None]


def test_columns_come_in_the_order_of_the_schema() -> None:
    batch = pa.RecordBatch.from_pydict({"b": [1], "extra": ["x"], "a": ["y"]})
    done = cast_batch(batch, arrow_schema({"a": parse_type("string"), "b": parse_type("smallint")}), "")
    assert done.to_pylist() == [{"a": "y", "b": 1}]


def test_an_error_shows_no_value_of_a_hidden_column() -> None:
    batch = pa.RecordBatch.from_pydict({"born": ["canary"]})
    with pytest.raises(SourceDataError, match="column born has a value that is no date32") as refused:
        cast_batch(batch, pa.schema([("born", pa.date32())]), "shop.users", hidden=("born",))
    assert "canary" not in str(refused.value)
    assert refused.value.__cause__ is None
