"""Promise 3 over everything that a change feed can say: silver is the plain model's answer, in any order and any batches."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.model.table import Table
from lakehouse.transform.fold import row_hash
from lakehouse.transform.rowwise import Rowwise
from lakehouse.transform.versions import Versions
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


@settings(max_examples=700, deadline=None, suppress_health_check=CHECKS)
@given(cuts, feeds, orders)
def test_a_feed_in_any_order_is_the_model(batches: Rows, feed: Feed, order: list[int]) -> None:
    agree(batches, feed, order)


@pytest.mark.long
@settings(max_examples=45_000, deadline=None, suppress_health_check=CHECKS)
@given(cuts, feeds, orders)
def test_a_feed_in_any_order_is_the_model_long(batches: Rows, feed: Feed, order: list[int]) -> None:
    agree(batches, feed, order)
