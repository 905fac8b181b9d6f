"""Local times and instants: one order, nothing before its time, and bounds that leave no row out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import SourceDataError
from lakehouse.transform.zone import FIRST, LAST, day_of, local_from, local_to, midnight, to_instants, zoned_batch

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]
START = datetime(2024, 1, 1, tzinfo=UTC)
INSTANT = pa.timestamp("us", "UTC")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def instants(zone: str, *local: datetime | None) -> list[datetime | None]:
    return list(to_instants(pa.array(local, INSTANT), zone).to_pylist())


def test_local_times_become_instants() -> None:
    found = instants("Europe/Berlin", at("2024-01-15T12:00"), at("2024-07-15T12:00:00.000001"), None)
    assert found == [at("2024-01-15T11:00"), at("2024-07-15T10:00:00.000001"), None]


def test_the_repeated_hour_is_its_second_pass() -> None:
    local = [at("2024-10-27T01:59:59.999999"), at("2024-10-27T02:00"), at("2024-10-27T02:59:59"), at("2024-10-27T03:00")]
    assert instants("Europe/Berlin", *local) == [
        at("2024-10-26T23:59:59.999999"),
        at("2024-10-27T01:00"),
        at("2024-10-27T01:59:59"),
        at("2024-10-27T02:00"),
    ]


def test_the_ends_of_time_stay() -> None:
    assert instants("America/New_York", FIRST, LAST, at("9999-12-31T22:00")) == [FIRST, LAST, LAST]


def test_a_time_that_the_clocks_left_out_is_refused() -> None:
    batch = pa.record_batch({"at": pa.array([at("2024-03-31T02:30")], INSTANT)})
    with pytest.raises(SourceDataError, match="Europe/Berlin never had"):
        zoned_batch(batch, batch.schema, "at", "Europe/Berlin", "shop.t")


@pytest.mark.parametrize("text", ["2024-01-02T10:00:00Z", "2024-01-02 10:00:00+01:00", "2024-01-02 10:00 +02"])
def test_a_text_with_its_own_zone_is_refused(text: str) -> None:
    batch = pa.record_batch({"at": [text]})
    with pytest.raises(SourceDataError, match="zone of its own"):
        zoned_batch(batch, pa.schema([("at", INSTANT)]), "at", "Europe/Berlin", "shop.t")


def test_a_day_alone_is_no_zone() -> None:
    batch = pa.record_batch({"at": ["2024-01-02", "2024-01-02 00:00:00"]})
    typed = zoned_batch(batch, pa.schema([("at", INSTANT)]), "at", "Europe/Berlin", "shop.t")
    assert typed.column("at").to_pylist() == [at("2024-01-01T23:00")] * 2


def test_days_and_midnights() -> None:
    assert day_of(at("2024-01-01T23:30"), "Europe/Berlin") == date(2024, 1, 2)
    assert day_of(LAST, "Asia/Kolkata") == date.max
    assert midnight(date(2024, 7, 1), None) == at("2024-07-01")
    assert midnight(date(2024, 7, 1), "Europe/Berlin") == at("2024-06-30T22:00")
    assert midnight(date(2018, 11, 4), "America/Sao_Paulo") == at("2018-11-04T03:00")


def test_bounds_at_the_ends_of_time_are_bounds() -> None:
    assert (local_from(FIRST, "America/New_York"), local_to(LAST, "Asia/Kolkata")) == (FIRST, LAST)


minutes = st.integers(0, 2 * 366 * 24 * 60)
"""Two years, every change of the clocks among them."""


@given(st.sampled_from(ZONES), minutes, minutes)
def test_no_row_is_placed_before_it_was_written_or_left_out_of_its_window(zone: str, written: int, bound: int) -> None:
    moment, limit = START + timedelta(minutes=written), START + timedelta(minutes=bound)
    local = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC, fold=0)
    (meant,) = instants(zone, local)
    assert meant is not None
    assert moment <= meant <= moment + timedelta(hours=1)
    if meant >= limit:
        assert local >= local_from(limit, zone)
    else:
        assert local < local_to(limit, zone)


@given(st.sampled_from(ZONES), st.integers(-180, 180), st.integers(-180, 180))
def test_nor_where_the_clocks_are_set(zone: str, written: int, bound: int) -> None:
    for change in (at("2024-03-31T01:00"), at("2024-10-27T01:00"), at("2024-11-03T06:00"), at("2024-04-06T15:00")):
        since = int((change - START).total_seconds() // 60)
        test_no_row_is_placed_before_it_was_written_or_left_out_of_its_window.hypothesis.inner_test(zone, since + written, since + bound)  # type: ignore[attr-defined]


@given(st.sampled_from(ZONES), minutes, minutes)
def test_one_order(zone: str, one: int, other: int) -> None:
    moments = sorted({START + timedelta(minutes=one), START + timedelta(minutes=other)})
    local = sorted(moment.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC, fold=0) for moment in moments)
    found = [moment for moment in instants(zone, *local) if moment is not None]
    assert found == sorted(found)
