"""A table measured in its database and in the lake: the same counts and checksums for the same rows, other ones for others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.engines.observed import Observed, Seen
from lakehouse.layout import BATCH
from lakehouse.model.measure import Measure, bucket
from lakehouse.model.run import Window
from lakehouse.model.table import Table
from lakehouse.sources.measure import Measured
from lakehouse.transform.arrow import arrow_schema
from tests.contract.backend import Backend, define
from tests.lakes import sql_session

TEXTS = ("", "a", "~", ";", "1;2", "é", "日本", "🎵", "it's", 'quo"te', "back\\slash", " led", "x" * 300, None)
DAYS = (date(1, 1, 1), date(1969, 12, 31), date(1970, 1, 1), date(2024, 2, 29), date(9999, 12, 31), None)
INSTANTS = (
    datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2024, 3, 31, 1, 30, 0, 1, UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
)
AMOUNTS = ("0.00", "-0.05", "9.90", "1000000.00", "-99999999.99", None)
ROWS = 160
WHOLE = Window()


def create(backend: Backend) -> Table:
    """A table with a row for many combinations of odd values, and its metadata."""
    backend.execute(
        "create table things (id bigint not null, code varchar(400), amount numeric(12,2), flag boolean, day date, at timestamp not null)"
    )
    draw = Random(7)
    text = (lambda value: str(value) if value is not None else None) if backend.takes_texts else (lambda value: value)
    rows = []
    for place in range(ROWS):
        at = draw.choice(INSTANTS) if place % 3 else datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=place)
        key = (place - ROWS // 2) * draw.choice((1, 3, 10**6, 10**12))
        flag = draw.choice((True, False, None))
        values = (key, draw.choice(TEXTS), draw.choice(AMOUNTS), flag, text(draw.choice(DAYS)), text(at.replace(tzinfo=None)))
        rows.append(values)
    backend.insert("things", *{row[0]: row for row in rows}.values())
    columns = {"id": "bigint", "code": "string", "amount": "decimal(12,2)", "flag": "boolean", "day": "date", "at": "timestamp"}
    return define("things", keys="id", cursor="at", columns=columns)


@contextmanager
def both(backend: Backend, table: Table, folder: Path) -> Iterator[tuple[Measured, Observed]]:
    """The table measured in the source, and its rows as they came, in a file, by the lake's engine."""
    rows = pa.Table.from_batches(backend.batches(table))
    rows = rows.append_column(BATCH, pa.array([1] * rows.num_rows, pa.int64()))
    pq.write_table(rows, folder / "rows.parquet")
    seen = Seen(rows.schema, [str(folder / "rows.parquet")], table.keys, rows.column_names[:-1], batches=1)
    with backend.open() as database, sql_session() as session:
        yield Measured(database, database.describe(table)), Observed(session, seen)


def measures(source: Measured) -> list[Measure]:
    return [source.measure(), source.measure(keys_only=True)]


@pytest.mark.parametrize("keys", ["id", "code", ["code", "id"], "day"])
def test_both_sides_count_alike(backend: Backend, tmp_path: Path, keys: str | list[str]) -> None:
    table = create(backend).model_copy(update={"keys": (keys,) if isinstance(keys, str) else tuple(keys)})
    with both(backend, table, tmp_path) as (source, lake):
        for measure in measures(source):
            assert measure.digested or measure.mixed or backend.kind == "sqlserver"
            for width in (1, 7, 10**9, 2**58):
                theirs = source.counts(measure, width)
                assert theirs == lake.counts(measure, width)
                assert sum(counts[0] or 0 for counts in theirs.values()) >= ROWS - 50
            assert source.ends(measure.axis) == lake.ends(measure.axis)


@pytest.mark.parametrize(
    "change",
    [
        "update things set code = 'b' where id = {key}",
        "update things set amount = 9.91 where id = {key}",
        "update things set day = '2024-03-01' where id = {key}",
        "delete from things where id = {key}",
    ],
)
def test_one_changed_value_changes_its_bucket_alone(keyed: Backend, tmp_path: Path, change: str) -> None:
    table = create(keyed)
    with both(keyed, table, tmp_path) as (source, lake):
        key = min((row["id"] for row in keyed.read(table)), key=abs)
        keyed.execute(change.format(key=key))
        measure = source.measure()
        theirs, ours = source.counts(measure, 1000), lake.counts(measure, 1000)
        differing = [base for base in theirs.keys() | ours.keys() if theirs.get(base) != ours.get(base)]
        assert len(differing) == 1
        span = bucket(differing[0], 1000)
        assert span.low <= key < span.high


def test_conditions_name_their_keys(backend: Backend, tmp_path: Path) -> None:
    table = create(backend)
    for keys in (("id",), ("code", "id"), ("day", "id"), ("at", "id")):
        named = table.model_copy(update={"keys": keys})
        with both(backend, named, tmp_path) as (source, _), backend.open() as database:
            rows = [row for row in backend.read(named) if row["code"] is not None and row["day"] is not None]
            wanted = pa.Table.from_pylist([{name: row[name] for name in keys} for row in rows])
            what, found = database.describe(named), set[object]()
            for condition, _ in source.having(wanted):
                found |= {row["id"] for batch in database.read(what, WHOLE, only=condition) for row in batch.to_pylist()}
            assert found >= {row["id"] for row in rows}


@pytest.mark.parametrize("keys", ["id", "code"])
def test_every_row_of_a_bucket_is_read(backend: Backend, tmp_path: Path, keys: str) -> None:
    table = create(backend).model_copy(update={"keys": (keys,)})
    with both(backend, table, tmp_path) as (source, lake), backend.open() as database:
        what, measure = database.describe(table), source.measure()
        width = 10**7 if measure.axis.by == "key" else 10**15
        for base, counts in lake.counts(measure, width).items():
            condition = source.inside(measure.axis, [bucket(base, width)])
            read = pa.Table.from_batches(database.read(what, WHOLE, only=condition), arrow_schema(what.types))
            if keys == "id":
                assert read.num_rows == counts[0]
            doubtful, rows = lake.doubtful(measure.axis, [bucket(base, width)], iter(read.to_batches()), read.schema)
            assert (doubtful.num_rows, rows) == (0, read.num_rows)
