"""Partitions that are read again: silver has what the last read of each partition showed, and a key is where it was seen last."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.lake import Lake
from lakehouse.model.extraction import Extraction
from lakehouse.model.run import Window
from lakehouse.settings import Settings
from lakehouse.stages.bronze import append
from lakehouse.stages.silver import fold
from tests.lakes import write_project

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]
Read = dict[int, tuple[int, str]]
"""What one read shows: for each key its partition and its value."""

reads: st.SearchStrategy[list[Read]] = st.lists(
    st.dictionaries(st.integers(0, 4), st.tuples(st.integers(0, 2), st.sampled_from("ab")), min_size=1, max_size=4), min_size=1, max_size=5
)
FILES = {
    "metadata/sources/any.yml": "connection: any\n",
    "metadata/tables/any/t.yml": "from: t\nmode: full\nkeys: k\nreplace_partitions: p\ncolumns: {k: bigint, p: bigint, v: string}\n",
}


def expected(found: list[Read]) -> set[tuple[int, int, str]]:
    there: Read = {}
    for read in found:
        shown = {partition for partition, _ in read.values()}
        there = {key: row for key, row in there.items() if row[0] not in shown} | read
    return {(key, *row) for key, row in there.items()}


def agree(found: list[Read], pauses: list[bool], *, whole: bool) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = write_project(Path(place), FILES)
        with Lake.open(folder, Settings.load(folder)) as lake:
            table = lake.catalog.tables["t"]
            types = {name: column.type for name, column in table.columns.items()}
            for number, read in enumerate(found):
                rows = pa.RecordBatch.from_pylist([{"k": k, "p": p, "v": v} for k, (p, v) in read.items()])
                at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number)
                extraction = Extraction(table, types, Window(), at, iter([rows]), whole=whole, rows=rows.num_rows)
                extraction.replaces = table.replace_partitions
                append(lake, extraction)
                if pauses[number]:
                    fold(lake, table)
            fold(lake, table)
            silver = lake.table("silver", "t")
            assert silver is not None
            assert set(silver.scan().collect().select("k", "p", "v").rows()) == expected(found)


moments = st.lists(st.booleans(), min_size=5, max_size=5)


@settings(max_examples=6, deadline=None, suppress_health_check=CHECKS)
@given(reads, moments, st.booleans())
def test_partitions_that_are_read_again(found: list[Read], folds: list[bool], whole: bool) -> None:
    agree(found, folds, whole=whole)


@pytest.mark.long
@settings(max_examples=500, deadline=None, suppress_health_check=CHECKS)
@given(reads, moments, st.booleans())
def test_partitions_that_are_read_again_long(found: list[Read], folds: list[bool], whole: bool) -> None:
    agree(found, folds, whole=whole)
