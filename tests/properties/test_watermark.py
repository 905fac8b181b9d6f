"""Rule 1, invariant I5: the watermark is the greatest cursor committed below the frozen bound, never above it, and no row is lost."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.lake import Lake
from lakehouse.settings import Settings
from lakehouse.stages.bronze import append
from lakehouse.stages.extract import extract
from lakehouse.transform.zone import FIRST
from tests.lakes import change_source, write_project

START = datetime(2035, 1, 1, tzinfo=UTC)
"""Later than the machine's clock, so that the set one decides what is ahead."""
ODD: dict[int, str] = {-1: "null", 9_999: "'9999-12-31 00:00:00'"}
Write = tuple[int, int, str]

writes = st.tuples(st.integers(0, 5), st.sampled_from([*range(30), *ODD]), st.sampled_from("abc"))
"""A key, the hour of its cursor (or an odd one), a content."""
runs = st.lists(st.tuples(st.lists(writes, max_size=4), st.integers(0, 9)), min_size=1, max_size=6)
"""What is written before each run, and by how many hours the clock moves on."""


def told(hour: int) -> str:
    return ODD.get(hour) or f"'{(START + timedelta(hours=hour)).replace(tzinfo=None)}'"


def check(steps: list[tuple[list[Write], int]], *, keyed: bool, lag: int, policy: str) -> None:
    """Write and run step by step, with a dict as the source; rows below the watermark are written late and are the look-back's affair."""
    key = "id integer primary key" if keyed else "id integer"
    words = f"cursor: at\nlag: {lag}h\nlookback: 9999d\nodd_cursors: {policy}\ncolumns: {{id: integer, v: string, at: timestamp}}\n"
    table = f"from: t\nmode: incremental\n{'keys: id' if keyed else 'tags: [x]'}\n{words}"
    with tempfile.TemporaryDirectory() as place:
        project = write_project(Path(place), {"metadata/sources/any.yml": "connection: any\n", "metadata/tables/any/t.yml": table})
        change_source(project / "source.db", f"create table t ({key}, v text, at timestamp)")
        source: dict[int, tuple[int, str]] | list[tuple[int, int, str]] = {} if keyed else []
        shown: set[tuple[int, str, int]] = set()
        clock, newest = START, FIRST
        for written, hours in steps:
            clock += timedelta(hours=hours)
            for number, hour, value in written:
                change_source(project / "source.db", f"insert or replace into t values ({number}, '{value}', {told(hour)})")
                if isinstance(source, dict):
                    source[number] = (hour, value)
                else:
                    source.append((number, hour, value))
            rows = [(k, h, v) for k, (h, v) in source.items()] if isinstance(source, dict) else source
            chosen = Settings.load(project, clock=clock, connection={"any": f"sqlite:///{project}/source.db"})
            with Lake.open(project, chosen) as lake:
                extraction = extract(lake, lake.catalog.tables["t"])
                append(lake, extraction)
                high = clock - timedelta(hours=lag)
                below = [START + timedelta(hours=h) for _, h, _ in rows if h not in ODD and START + timedelta(hours=h) < high]
                mark = lake.watermark("t")
                newest = max([newest, *below])
                assert mark == (None if newest == FIRST else newest)
                assert extraction.window.to == high
                bronze = lake.table("bronze", "t")
                found = [] if bronze is None else bronze.scan().select("id", "v", "at").collect().rows()
            due = [(k, v, h) for k, h, v in rows if h in ODD or START + timedelta(hours=h) < high]
            shown |= set(due)
            if keyed:
                assert {(k, v, hour_of(at)) for k, v, at in found} == shown
            else:
                assert sorted((k, v, hour_of(at)) for k, v, at in found) == sorted(due)
            if not written and not hours:
                assert extraction.rows == len(due)


def hour_of(at: datetime | None) -> int:
    return -1 if at is None else 9_999 if at.year == 9_999 else int((at - START) / timedelta(hours=1))


CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@pytest.mark.parametrize("keyed", [True, False], ids=["keys", "no keys"])
@settings(max_examples=12, deadline=None, suppress_health_check=CHECKS)
@given(runs, st.integers(0, 5), st.sampled_from(["read_once", "reject"]))
def test_the_watermark_is_the_greatest_committed_cursor(keyed: bool, steps: list[tuple[list[Write], int]], lag: int, policy: str) -> None:
    check(steps, keyed=keyed, lag=lag, policy=policy)


@pytest.mark.long
@pytest.mark.parametrize("keyed", [True, False], ids=["keys", "no keys"])
@settings(max_examples=1_000, deadline=None, suppress_health_check=CHECKS)
@given(runs, st.integers(0, 5), st.sampled_from(["read_once", "reject"]))
def test_the_watermark_is_the_greatest_committed_cursor_long(
    keyed: bool, steps: list[tuple[list[Write], int]], lag: int, policy: str
) -> None:
    check(steps, keyed=keyed, lag=lag, policy=policy)
