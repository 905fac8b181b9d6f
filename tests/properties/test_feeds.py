"""Promise 3 over everything that a change feed can say: silver is the plain model's answer, in any order and any batches."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.engines.duck import Duck
from lakehouse.lake import Lake
from lakehouse.model.run import Commit
from lakehouse.model.table import Table
from lakehouse.pipeline.in_memory import fold_in_memory
from lakehouse.quality.judging import without_lake
from lakehouse.settings import Settings
from lakehouse.stages.silver import fold
from lakehouse.storage.frames import to_batches
from lakehouse.transform.fold import row_hash
from lakehouse.transform.rowwise import Rowwise
from lakehouse.transform.versions import Versions
from tests.lakes import write_project
from tests.properties.feed import Event, Feed, silver
from tests.properties.model import Row

CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large, HealthCheck.filter_too_much]
COLUMNS = ["k", "s", "t", "value", "note"]
BRONZE = pa.schema(
    [
        ("k", pa.int64()),
        ("s", pa.int64()),
        ("t", pa.int64()),
        ("value", pa.string()),
        ("note", pa.string()),
        ("said", pa.string()),
        ("_batch", pa.int64()),
        ("_run_id", pa.string()),
        ("_extracted_at", pa.timestamp("us", "UTC")),
        ("_op", pa.string()),
    ]
)
Rows = list[list[tuple[int, int, int | None, str | None, str | None, str | None]]]
"""Rows (key, sequence, second sequence, value, note, what it says) as they are cut into commits."""

rows = st.tuples(
    st.integers(0, 2),
    st.integers(0, 5),
    st.sampled_from([None, 0, 1]),
    st.sampled_from(["a", "b", None]),
    st.sampled_from(["x", "y", None]),
    st.sampled_from([None, None, None, None, "delete", "delete", "truncate"]),
)
cuts: st.SearchStrategy[Rows] = st.lists(st.lists(rows, min_size=1, max_size=5), min_size=1, max_size=5)
feeds = st.builds(
    Feed,
    history=st.booleans(),
    then=st.sampled_from(["", "asc", "desc"]),
    fills=st.sampled_from([(), ("value",), ("value", "note")]),
    track=st.sampled_from([("value", "note"), ("value",), ("note",), ()]),
    as_row=st.booleans(),
    snapshots=st.booleans(),
).map(lambda feed: feed._replace(fills=() if feed.snapshots else feed.fills))


def words(feed: Feed) -> dict[str, Any]:
    """The table's file for a feed."""
    found: dict[str, Any] = {"mode": "full", "keys": "k", "history": "scd2" if feed.history else "scd1", "exclude": ["said"]}
    found |= {"snapshot_column": "s"} if feed.snapshots else {"sequence_by": ["s", "t"] if feed.then == "asc" else "s"}
    if feed.snapshots and feed.then == "asc":
        found["order_by"] = "t"
    if feed.then == "desc":
        found["order_by"] = "t desc"
    found |= {"deletes": {"detect": "column", "as_row": feed.as_row}, "apply_as_deletes": "said = 'delete'"}
    found |= {} if feed.snapshots else {"apply_as_truncates": "said = 'truncate'"}
    found |= {"ignore_null_updates": list(feed.fills)} if feed.fills else {}
    if feed.history and set(feed.track) != {"value", "note"}:
        found["track"] = list(feed.track) or {"except": ["value", "note", *(["t"] if tracks_t(feed) else [])]}
    if feed.history and tracks_t(feed) and "track" not in found:
        found["track"] = {"except": ["t"]}
    found["columns"] = {"k": "bigint", "s": "bigint", "t": "bigint", "value": "string", "note": "string", "said": "string"}
    return found


def tracks_t(feed: Feed) -> bool:
    """Whether `t` is content like any other column: the model has no place for that, so it is left out of what is tracked."""
    return feed.then != "asc" or feed.snapshots


def table_of(feed: Feed) -> Table:
    return Table.model_validate({"name": "t", "source": "any", "from": "t", **words(feed)})


def said(batches: Rows, feed: Feed) -> Rows:
    """Without truncates, where a table of snapshots has none."""
    return [[(*row[:5], None if feed.snapshots and row[5] == "truncate" else row[5]) for row in batch] for batch in batches]


def frame_of(batches: Rows) -> pl.DataFrame:
    """The rows as bronze has them."""
    found = [(*row, number, "", None, None) for number, batch in enumerate(batches, 1) for row in batch]
    schema = pl.DataFrame(pl.from_arrow(BRONZE.empty_table())).schema
    return pl.DataFrame(found, schema=schema, orient="row").with_columns(pl.lit(0).cast(schema["_extracted_at"]).alias("_extracted_at"))


def events_of(bronze: pl.DataFrame) -> list[Event]:
    hashed = bronze.with_columns(row_hash(bronze.schema, COLUMNS))
    return [Event(*row) for row in hashed.select("k", "s", "t", "value", "note", "_batch", "_hash", "said").rows()]


def shown(found: pl.DataFrame, feed: Feed) -> set[Row]:
    """The rows of silver as the model writes them, each once."""
    names = [*COLUMNS, *(["is_deleted"] if feed.as_row else []), "_batch"]
    names += ["valid_from", "valid_to", "is_current"] if feed.history else []
    listed = found.select(names).rows()
    assert len(set(listed)) == len(listed)
    return without_t(listed, feed)


def without_t(listed: Iterable[Row], feed: Feed) -> set[Row]:
    """The rows; without `t` where it is an untracked column like any other, of which the model knows nothing."""
    return {(*row[:2], *row[3:]) for row in listed} if feed.history and tracks_t(feed) else set(listed)


def agree(batches: Rows, feed: Feed, order: list[int]) -> None:
    """The fold over marked versions, without any engine: what the row-wise plan would say stands in `_op` already."""
    bronze = frame_of(said(batches, feed))
    about = table_of(feed)
    roles = Versions(about, Rowwise(about, BRONZE))
    marked = bronze.with_columns(pl.col("said").alias("_op"))[[place for place in order if place < bronze.height]]
    versions = roles.of(marked.lazy())
    found = roles.folded(versions, roles.ends(versions))
    assert shown(found, feed) == without_t(silver(events_of(bronze), feed), feed)


orders = st.permutations(range(25))


@settings(max_examples=1_200, deadline=None, suppress_health_check=CHECKS)
@given(cuts, feeds, orders)
def test_a_feed_in_any_order_is_the_model(batches: Rows, feed: Feed, order: list[int]) -> None:
    agree(batches, feed, order)


@pytest.mark.long
@settings(max_examples=45_000, deadline=None, suppress_health_check=CHECKS)
@given(cuts, feeds, orders)
def test_a_feed_in_any_order_is_the_model_long(batches: Rows, feed: Feed, order: list[int]) -> None:
    agree(batches, feed, order)


def folded(batches: Rows, feed: Feed) -> pl.DataFrame:
    """What silver is of these batches, without any engine."""
    about = table_of(feed)
    roles = Versions(about, Rowwise(about, BRONZE))
    versions = roles.of(frame_of(batches).with_columns(pl.col("said").alias("_op")).lazy())
    return roles.folded(versions, roles.ends(versions))


def cut_in(rows: list[Any], size: int) -> Rows:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


@settings(max_examples=100, deadline=None, suppress_health_check=CHECKS)
@given(st.lists(rows, min_size=1, max_size=15, unique_by=lambda row: row[:2]), feeds, st.randoms(), st.integers(1, 5), st.integers(1, 5))
def test_without_ties_order_and_cut_change_nothing(events: list[Any], feed: Feed, drawn: Random, size: int, other: int) -> None:
    one = folded(said(cut_in(events, size), feed), feed)
    drawn.shuffle(events)
    two = folded(said(cut_in(events, other), feed), feed)
    assert one.drop("_batch").sort(pl.all()).equals(two.drop("_batch").sort(pl.all()))


@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
@given(cuts, feeds)
def test_intervals_do_not_overlap_and_at_most_the_last_one_is_open(batches: Rows, feed: Feed) -> None:
    found = folded(said(batches, feed), feed._replace(history=True)).sort("k", "valid_from")
    after = pl.col("valid_from").shift(-1).over("k")
    assert found.filter(pl.col("valid_to") > after).is_empty()
    assert found.filter(pl.col("valid_to").is_null() & after.is_not_null()).is_empty()
    assert found.filter(pl.col("valid_from") >= pl.col("valid_to")).is_empty()
    assert (found["is_current"] == found["valid_to"].is_null()).all()


@pytest.fixture(scope="module")
def duck() -> Iterator[Duck]:
    engine = Duck(256 * 1024**2)
    yield engine
    engine.close()


@settings(max_examples=40, deadline=None, suppress_health_check=CHECKS)
@given(cuts, feeds)
def test_a_feed_in_memory_is_the_model(duck: Duck, batches: Rows, feed: Feed) -> None:
    bronze = frame_of(said(batches, feed))
    built = fold_in_memory(table_of(feed), bronze, without_lake(duck.session))
    assert shown(built.rows, feed) == without_t(silver(events_of(bronze), feed), feed)


@contextmanager
def lake_of(folder: Path, lake: str = "lake") -> Iterator[Lake]:
    opened = Lake.open(folder, Settings.load(folder, lake=lake))
    try:
        yield opened
    finally:
        opened.close()


def compacted(folder: Path) -> None:
    """Bronze and silver in as few files as there can be, and no older ones."""
    for layer in ("bronze", "silver"):
        if (folder / "lake" / layer / "t").exists():
            table = DeltaTable(str(folder / "lake" / layer / "t"))
            table.optimize.compact()
            table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)


def agree_in_the_lake(batches: Rows, feed: Feed, pauses: list[str]) -> None:
    """Append batch by batch, and fold, rebuild or compact after some of them: silver is the model's answer, and a rebuild's."""
    batches = said(batches, feed)
    with tempfile.TemporaryDirectory() as place:
        folder = write_project(Path(place), {"metadata/sources/any.yml": "connection: any\n"})
        file = folder / "metadata/tables/any/t.yml"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"from": "t", **words(feed)}))
        for number, batch in enumerate(batches, 1):
            with lake_of(folder) as lake:
                bronze = lake.table("bronze", "t") or lake.make_table("bronze", "t", BRONZE)
                rows = frame_of([[]] * (number - 1) + [batch]).with_columns(pl.lit(bronze.batch + 1).alias("_batch"))
                bronze.append(to_batches(rows, BRONZE), lambda: Commit("run", "bronze"))
                done = "fold" if number == len(batches) else pauses[(number - 1) % len(pauses)]
                if done != "wait":
                    fold(lake, lake.catalog.tables["t"], rebuild=done == "rebuild")
            if done == "compact":
                compacted(folder)
        with lake_of(folder) as lake:
            seen = lake.table("bronze", "t")
            made = lake.table("silver", "t")
            assert seen is not None
            assert made is not None
            found, version = made.scan().collect(), made.version
            assert shown(found, feed) == without_t(silver(events_of(seen.scan().collect()), feed), feed)
            assert fold(lake, lake.catalog.tables["t"]).status == "unchanged"
            fold(lake, lake.catalog.tables["t"], rebuild=True)
            assert made.scan().collect().sort(pl.all()).equals(found.sort(pl.all()))
            assert made.version == version + 1


pauses = st.lists(st.sampled_from(["fold", "fold", "wait", "rebuild", "compact"]), min_size=1, max_size=4)


@settings(max_examples=8, deadline=None, suppress_health_check=CHECKS)
@given(cuts, feeds, pauses)
def test_a_feed_in_the_lake_is_the_model(batches: Rows, feed: Feed, pauses: list[str]) -> None:
    agree_in_the_lake(batches, feed, pauses)


@pytest.mark.long
@settings(max_examples=1_500, deadline=None, suppress_health_check=CHECKS)
@given(cuts, feeds, pauses)
def test_a_feed_in_the_lake_is_the_model_long(batches: Rows, feed: Feed, pauses: list[str]) -> None:
    agree_in_the_lake(batches, feed, pauses)
