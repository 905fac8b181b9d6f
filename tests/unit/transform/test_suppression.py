"""Rows of erased people are left out by keyed hashes of their keys."""

from __future__ import annotations

from types import SimpleNamespace

import polars as pl
import pyarrow as pa
import pytest

from lakehouse.transform.suppression import Suppressed, Suppression, key_text, keyed_hash, mark

SECRET = b"k" * 32


def gone(columns: tuple[str, ...], on_erase: str, *texts: str) -> Suppression:
    hashes = {keyed_hash(text, SECRET): mark(text, SECRET) for text in texts}
    return Suppression(SECRET, [Suppressed(columns, on_erase, hashes)])  # type: ignore[arg-type]  # one of the two words


@pytest.mark.parametrize(("on_erase", "left"), [("delete", [(1, 1), (None, 3)]), ("keep", [(1, 1), (None, 2), (None, 3)])])
def test_a_row_goes_or_loses_what_points_to_the_person(on_erase: str, left: list[tuple[int | None, int]]) -> None:
    batch = pa.RecordBatch.from_pydict({"user": pa.array([1, 44, None], pa.int32()), "id": [1, 2, 3]})
    told = SimpleNamespace(suppressed=0)
    (rows,) = gone(("user",), on_erase, "44").of(iter([batch]), told)
    assert [tuple(row.values()) for row in rows.to_pylist()] == left
    assert (told.suppressed, rows.schema) == (1, batch.schema)


def test_a_key_of_two_parts_is_not_another_one_of_the_same_signs() -> None:
    rows = pl.DataFrame({"a": ["1;1:2", "1"], "b": ["3", "2;1:3"]})
    texts = rows.select(key_text(rows.schema, ["a", "b"])).to_series()
    assert texts.n_unique() == 2


def test_wider_types_have_one_text() -> None:
    for kind in (pl.Int16, pl.Int64, pl.Decimal(12, 0), pl.Decimal(12, 2), pl.String):
        rows = pl.DataFrame({"a": pl.Series(["40"]).cast(kind)})
        assert rows.select(key_text(rows.schema, ["a"])).item() == "40"
