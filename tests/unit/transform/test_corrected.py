from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pyarrow as pa

from lakehouse.layout import BATCH, ROW_HASH
from lakehouse.transform.corrected import STANDING, Corrected, Moved, Rows, as_texts, of_texts, with_pointer
from lakehouse.transform.rejects import frame

SCHEMA = pa.schema(
    [
        ("a", pa.int64()),
        ("b", pa.decimal128(9, 2)),
        ("c", pa.bool_()),
        ("d", pa.date32()),
        ("e", pa.timestamp("us", "UTC")),
        ("f", pa.float64()),
        ("g", pa.binary()),
        ("h", pa.string()),
    ]
)
ROWS = pl.DataFrame({"id": [1, 2, 2, 3], "v": ["a", "b", "b", "c"], BATCH: [1, 1, 2, 3]})


def test_rows_come_back_from_their_texts_as_they_were() -> None:
    rows = pl.DataFrame(
        [
            (-5, Decimal("-1.50"), False, date(2024, 2, 29), datetime(2024, 1, 1, 2, 3, 4, 5, UTC), 0.1, b"\x00\xff", ""),
            (None,) * 8,
            (2**62, Decimal(7), True, date(1, 1, 1), datetime(1960, 1, 1, tzinfo=UTC), float("inf"), b"", "é\n"),
        ],
        schema=frame(SCHEMA).schema,
        orient="row",
    )
    assert of_texts(as_texts(rows), SCHEMA).equals(rows)


def test_a_day_becomes_an_instant_where_its_column_did() -> None:
    wider = pa.schema([("d", pa.timestamp("us", "UTC"))])
    assert of_texts([{"d": "2024-02-29"}], wider)["d"].to_list() == [datetime(2024, 2, 29, tzinfo=UTC)]


def test_batches_taken_back_are_out_and_other_rows_stand_in_the_place_of_fixed_ones() -> None:
    hashed = with_pointer(ROWS.lazy()).collect()
    wrong = hashed.filter(pl.col("id") == 2).head(1)
    out = pl.DataFrame([(1, wrong[ROW_HASH][0], "x")], schema=frame(STANDING).schema, orient="row")
    corrected = Corrected(frozenset([3]), out, wrong.with_columns(v=pl.lit("B")))
    rows = Rows(lambda *_: ROWS.lazy(), corrected)
    assert sorted(rows.above().collect().rows()) == [(1, "a", 1), (2, "B", 1), (2, "b", 2)]
    assert rows.above(1).collect().rows() == [(2, "b", 2)]
    assert sorted(rows.of_batches([1]).collect()[ROW_HASH]) == sorted(hashed.filter(pl.col(BATCH) == 1)[ROW_HASH])
    moved = Moved.between(Corrected(), corrected, upto=3)
    assert (moved.all_batches, sorted(moved.among(hashed.lazy()).collect()["id"])) == ([1, 3], [2, 3])
    assert Moved.between(corrected, corrected, upto=3).is_empty
