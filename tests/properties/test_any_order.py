"""Promise 3: silver and gold are functions of the set of bronze rows, however they were cut and in whatever order they came."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.lake import Lake
from lakehouse.model.run import Commit
from lakehouse.settings import Settings
from lakehouse.stages.silver import fold
from lakehouse.transform.fold import fold_current, fold_history, row_hash
from tests.lakes import write_project
from tests.properties import model
from tests.properties.model import Row, Version

EPOCH, DAY = datetime(1970, 1, 1, tzinfo=UTC), date(1970, 1, 1)
CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
Batches = list[list[tuple[int, int, str | None, str | None]]]
"""Rows (key, sequence, value, what the row is) as they are cut into commits."""

rows = st.tuples(
    st.integers(0, 2),
    st.integers(0, 5),
    st.sampled_from(["a", "b", None]),
    st.sampled_from([None, None, None, "delete", "delete", "reject"]),
)
shown = rows.map(lambda row: row[:3])
cuts: st.SearchStrategy[Batches] = st.lists(st.lists(rows, min_size=1, max_size=5), min_size=1, max_size=6)
plain = cuts.map(lambda batches: [[(k, s, v, None) for k, s, v, _ in batch] for batch in batches])
"""Any list of versions in any order and any batching: few keys, few sequence values, few contents; `plain` without marks."""

SEQUENCES: dict[str, tuple[Callable[[int], Any], Callable[[int], str], pa.DataType]] = {
    "bigint": (lambda n: n, str, pa.int64()),
    "timestamp": (lambda n: EPOCH + timedelta(microseconds=n), str, pa.timestamp("us", "UTC")),
    "date": (lambda n: DAY + timedelta(days=n), str, pa.date32()),
    "string": (str, lambda n: f"1:{n}", pa.string()),
}
"""For each sequence type: the value of a small number, its text inside the row hash, its Arrow type."""


def versions_of(batches: Batches, value: Callable[[int], Any] = lambda n: n) -> list[Version]:
    return [Version(k, value(s), v, number, op, value(s + 1)) for number, batch in enumerate(batches, 1) for k, s, v, op in batch]


def pure(versions: list[Version], tracked: list[str] | None) -> set[Row]:
    """The product's fold over a frame, marked where a version is a delete: SCD2 with `tracked`, SCD1 without."""
    schema = {"k": pl.Int64, "s": pl.Int64, "v": pl.String, "_batch": pl.Int64, "_op": pl.String}
    taken = [version[:5] for version in versions if version.op != "reject"]
    frame = pl.LazyFrame(taken, schema=schema, orient="row").with_columns(pl.lit(EPOCH).dt.cast_time_unit("us").alias("_extracted_at"))
    if not any(version.op for version in versions):
        frame = frame.drop("_op", "_extracted_at")
    frame = frame.with_columns(pl.col("s").alias("_seq"), row_hash(frame.collect_schema(), ["k", "s", "v"]))
    if tracked is None:
        return set(fold_current(frame, ["k"]).collect().select("k", "s", "v", "_batch").rows())
    folded = fold_history(frame, ["k"], tracked).collect()
    return set(folded.select("k", "v", "_batch", "valid_from", "valid_to", "is_current").rows())


def agree_purely(batches: Batches, shuffled: list[int]) -> None:
    versions = versions_of(batches)
    texts: dict[Any, str | None] = {n: str(n) for n in range(6)}
    versions = [version for _, version in sorted(zip(shuffled, versions, strict=False), key=lambda pair: pair[0])]
    assert pure(versions, ["v"]) == model.history(versions, texts)
    assert pure(versions, None) == model.current(versions, texts)


orders = st.permutations(range(30))


@settings(max_examples=150, deadline=None, suppress_health_check=CHECKS)
@given(cuts | plain, orders)
def test_the_pure_fold_is_the_model(batches: Batches, shuffled: list[int]) -> None:
    agree_purely(batches, shuffled)


@pytest.mark.long
@settings(max_examples=20_000, deadline=None, suppress_health_check=CHECKS)
@given(cuts | plain, orders)
def test_the_pure_fold_is_the_model_long(batches: Batches, shuffled: list[int]) -> None:
    agree_purely(batches, shuffled)


def project(folder: Path, kind: str) -> Path:
    """Two tables over equal rows: `now` (SCD1) and `ever` (SCD2); without a type the time of extraction is the sequence."""
    own = f"sequence_by: s\ncolumns: {{k: bigint, s: {kind}, v: string}}\n" if kind else "columns: {k: bigint, v: string}\n"
    tables = {
        f"metadata/tables/any/{name}.yml": f"from: t\nmode: full\nkeys: k\nhistory: {history}\n{own}"
        for name, history in (("now", "scd1"), ("ever", "scd2"))
    }
    return write_project(folder, {"metadata/sources/any.yml": "connection: any\n", **tables})


@contextmanager
def lake_of(folder: Path, lake: str = "lake") -> Iterator[Lake]:
    opened = Lake.open(folder, Settings.load(folder, lake=lake))
    try:
        yield opened
    finally:
        opened.close()


def instant(clock: int, kind: str) -> datetime:
    """The clock's moment, in the sequence's own unit."""
    return EPOCH + (timedelta(days=clock) if kind == "date" else timedelta(microseconds=clock))


def append(lake: Lake, table: str, batch: list[tuple[int, int, str | None, str | None]], kind: str, clock: int, *, marked: bool) -> None:
    """One commit of bronze rows, as the bronze stage would write them."""
    value, _, arrow = SEQUENCES[kind or "timestamp"]
    fields = [("k", pa.int64()), *([("s", arrow)] if kind else []), ("v", pa.string())]
    technical = [("_batch", pa.int64()), ("_run_id", pa.string()), ("_extracted_at", pa.timestamp("us", "UTC"))]
    schema = pa.schema([*fields, *technical, *([("_op", pa.string())] if marked else [])])
    bronze = lake.table("bronze", table) or lake.make_table("bronze", table, schema)
    stamp = {"_batch": bronze.batch + 1, "_run_id": lake.run_id, "_extracted_at": instant(clock, kind)}
    marks = [{"_op": op} if marked else {} for _, _, _, op in batch]
    found = [
        {"k": k, "v": v, **stamp, **mark, **({"s": value(s)} if kind else {})} for (k, s, v, _), mark in zip(batch, marks, strict=True)
    ]
    bronze.append([pa.RecordBatch.from_pylist(found, schema=schema)], lambda: Commit(lake.run_id, "bronze"))


def silver_rows(lake: Lake) -> tuple[set[Row], set[Row]]:
    """The rows of `now` and `ever` as the model writes them; each row once."""
    now, ever = (table.scan().collect() for name in ("now", "ever") if (table := lake.table("silver", name)))
    seq = "s" if "s" in now.columns else pl.lit(None).alias("s")
    found = now.select("k", seq, "v", "_batch").rows(), ever.select("k", "v", "_batch", "valid_from", "valid_to", "is_current").rows()
    assert [len(set(part)) for part in found] == [len(part) for part in found]
    return set(found[0]), set(found[1])


def agree_in_the_lake(batches: Batches, folds: list[bool], kind: str, clocks: list[int]) -> None:
    """Append batch by batch and fold after some of them: what silver holds is the model's answer, and a rebuild's."""
    with tempfile.TemporaryDirectory() as place:
        folder, marked = project(Path(place), kind), any(op for batch in batches for *_, op in batch)
        for number, (batch, folding) in enumerate(zip(batches, [*folds, *[False] * len(batches)], strict=False), 1):
            with lake_of(folder) as lake:
                for name in ("now", "ever"):
                    append(lake, name, batch, kind, clocks[(number - 1) % len(clocks)], marked=marked)
                    if folding or number == len(batches):
                        fold(lake, lake.catalog.tables[name])
        with lake_of(folder) as lake:
            found = silver_rows(lake)
        assert found == expected(batches, kind, clocks)
        shutil.copytree(folder / "lake/bronze", folder / "rebuilt/bronze")
        with lake_of(folder, "rebuilt") as lake:
            for table in lake.catalog.tables.values():
                fold(lake, table)
            assert silver_rows(lake) == found


def expected(batches: Batches, kind: str, clocks: list[int]) -> tuple[set[Row], set[Row]]:
    value, text, _ = SEQUENCES[kind or "timestamp"]
    ticks = [clocks[place % len(clocks)] for place in range(len(batches))]
    if kind:
        versions = [
            Version(k, value(s), v, number, op, value(s + 1) if kind == "bigint" else value(s) if kind == "string" else value(tick))
            for number, (batch, tick) in enumerate(zip(batches, ticks, strict=True), 1)
            for k, s, v, op in batch
        ]
        texts: dict[Any, str | None] = {value(n): text(n) for n in range(6)}
        return model.current(versions, texts), model.history(versions, texts)
    versions = [
        Version(k, value(tick), v, number, op, value(tick))
        for number, (batch, tick) in enumerate(zip(batches, ticks, strict=True), 1)
        for k, _, v, op in batch
    ]
    texts = dict.fromkeys((value(n) for n in clocks), None)
    return {(k, None, v, b) for k, _, v, b in model.current(versions, texts)}, model.history(versions, texts)


pauses = st.lists(st.booleans(), min_size=6, max_size=6)
ticks = st.lists(st.integers(0, 5), min_size=1, max_size=6)
kinds = [pytest.param(kind, id=kind or "extraction") for kind in (*SEQUENCES, "")]
sampled = [
    pytest.param(kind, id=kind or "extraction", marks=[pytest.mark.long] * (kind in ("bigint", "date"))) for kind in (*SEQUENCES, "")
]


@pytest.mark.parametrize("kind", sampled)
@settings(max_examples=6, deadline=None, suppress_health_check=CHECKS)
@given(cuts | plain, pauses, ticks)
def test_silver_is_the_model(kind: str, batches: Batches, folds: list[bool], clocks: list[int]) -> None:
    agree_in_the_lake(batches, folds, kind, clocks)


@pytest.mark.long
@pytest.mark.parametrize("kind", sampled)
@settings(max_examples=600, deadline=None, suppress_health_check=CHECKS)
@given(cuts | plain, pauses, ticks)
def test_silver_is_the_model_long(kind: str, batches: Batches, folds: list[bool], clocks: list[int]) -> None:
    agree_in_the_lake(batches, folds, kind, clocks)


@pytest.mark.parametrize("kind", sampled)
def test_a_late_batch_alone_hides_no_later_one(kind: str) -> None:
    late: Batches = [[(1, 5, "a", None)], [(1, 1, "b", None)], [(1, 3, "a", None), (2, 3, "a", None)]]
    agree_in_the_lake(late, [True] * 3, kind, [5, 1, 3])


@pytest.mark.parametrize("kind", sampled)
def test_a_late_version_revives_no_deleted_key_and_a_later_row_does(kind: str) -> None:
    lived: Batches = [[(1, 3, "a", None)], [(1, 3, "a", "delete")], [(1, 2, "b", None)], [(1, 3, "c", None)], [(1, 5, "c", "delete")]]
    lived += [[(1, 1, "a", None)]]
    for first in (3, 4, 6):
        agree_in_the_lake(lived[:first], [True] * first, kind, [1, 2, 3, 4, 5])


@pytest.mark.parametrize("kind", sampled)
def test_a_row_that_comes_back_ends_the_gone_one_where_it_starts(kind: str) -> None:
    lived: Batches = [[(1, 1, "a", None)], [(1, 1, "a", "delete")], [(1, 3, "b", None)]]
    agree_in_the_lake(lived, [True] * 3, kind, [1, 5, 6])


def in_any_order(versions: list[tuple[int, int, str | None]], first: list[int], sizes: list[int]) -> None:
    """Versions without ties: another order and another cut give the same rows, apart from the batch they came with."""
    apart = list({(k, s): (k, s, v) for k, s, v in versions}.values())
    shuffled = [apart[i] for i in first if i < len(apart)]
    results = []
    for ordered, size in ((apart, sizes[0]), (shuffled, sizes[1])):
        batches: Batches = [[(*row, None) for row in ordered[start : start + size]] for start in range(0, len(ordered), size)]
        results.append({(k, v, since, to) for k, v, _, since, to, _ in pure(versions_of(batches), ["v"])})
    assert results[0] == results[1]


@settings(max_examples=100, deadline=None, suppress_health_check=CHECKS)
@given(st.lists(shown, min_size=1, max_size=18), st.permutations(range(18)), st.lists(st.integers(1, 5), min_size=2, max_size=2))
def test_without_ties_order_and_cut_change_nothing(versions: list[tuple[int, int, str | None]], first: list[int], sizes: list[int]) -> None:
    in_any_order(versions, first, sizes)
