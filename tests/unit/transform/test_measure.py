"""Where a row stands among buckets and among the versions of its key, as the SQL engine computes it."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from lakehouse.layout import EXTRACTED_AT
from lakehouse.model.measure import bucket
from lakehouse.model.run import following
from lakehouse.transform.measure import literal, mix, sequence
from tests.lakes import sql_session

INSTANT = pa.timestamp("us", "UTC")
SEEN = datetime(2024, 5, 1, tzinfo=UTC)
SCHEMA = pa.schema([("at", INSTANT), (EXTRACTED_AT, INSTANT)])


@pytest.mark.parametrize("width", [1, 2, 7, 1000])
def test_every_number_is_in_the_bucket_of_its_base_and_in_no_other(width: int) -> None:
    with sql_session() as session:
        rows = session.rows(f"select n, n - n % {width} as base from range(-50, 50) t(n)").to_pylist()
    for row in rows:
        homes = [base for base in {each["base"] for each in rows} if bucket(base, width).low <= row["n"] < bucket(base, width).high]
        assert homes == [row["base"]]


def test_sets_of_equal_sums_have_different_mixes() -> None:
    with sql_session() as session:
        query = f"select sum({mix(['n::bigint'])}) from (values (list_value{{}})) v(l), unnest(l) t(n)"
        sums = [session.rows(query.format(numbers)).columns[0][0].as_py() for numbers in ((10, 15), (11, 14), (0, 3, 5, 6), (1, 2, 4, 7))]
    assert len(set(sums)) == 4


@pytest.mark.parametrize(
    ("own", "place"),
    [
        (datetime(2024, 4, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)),
        (None, SEEN),
        (datetime(1, 1, 1, tzinfo=UTC), SEEN),
        (datetime(9999, 1, 1, tzinfo=UTC), SEEN),
    ],
)
def test_an_odd_cursor_is_ordered_by_its_extraction(own: datetime | None, place: datetime) -> None:
    with sql_session() as session:
        session.stream("seen", SCHEMA, iter(pa.Table.from_pylist([{"at": own, EXTRACTED_AT: SEEN}], SCHEMA).to_batches()))
        found = session.rows(f"select epoch_us({sequence('at', SCHEMA, may_be_odd=True)}) as n from seen").to_pylist()
    assert found == [{"n": int(place.timestamp()) * 1_000_000}]
    assert sequence("at", SCHEMA, may_be_odd=False) == '"at"'


def test_no_value_lies_between_one_and_the_following() -> None:
    assert following(datetime.max.replace(tzinfo=UTC)) is None
    assert following(7) == 8
    after = following("a'b")
    assert isinstance(after, str)
    with sql_session() as session:
        assert session.rows(f"select {literal(after)} > 'a''b' and {literal(after)} < 'a''b ' as so").to_pylist() == [{"so": True}]
