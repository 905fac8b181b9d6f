"""A stream over a source that changes all the time, stopped, ended and killed: afterwards the lake is the source."""

from __future__ import annotations

import json
import random
import signal
import time
from datetime import timedelta
from itertools import count
from pathlib import Path
from threading import Event

import pytest

from tests.lakes import SHOP, SHOP_TABLES, change_source, content, open_shop, write_project
from tests.servers import Postgres
from tests.streams.changing import Changes, Streaming, stop_cleanly

_numbers = count()
CUSTOMER = "insert into customers values ({0}, 'Rome', '2024-01-0{0} 00:00:00');"


def test_a_stream_ends_cleanly_when_told_and_after_its_time(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.create_database(f"stream {next(_numbers)}")
    project, changes = Streaming(tmp_path, url), Changes(url)
    try:
        told = project.start()
        time.sleep(4)
        assert "stopping after the poll under way" in stop_cleanly(told)
        timed = project.start("--for", "3s", "-o", "json")
        out, err = timed.communicate(timeout=60)
        assert timed.returncode == 0, err
        reports = [json.loads(line) for line in out.splitlines()]
        assert len({report["run_id"] for report in reports}) == len(reports) > 1
    finally:
        changes.stop()
    time.sleep(1.1)  # a window ends a second before the server's clock
    project.call("stream", "--once")
    project.require_equal()


@pytest.mark.parametrize(("seconds", "kills"), [(2, 2), pytest.param(12, 5, marks=pytest.mark.long)])
def test_a_killed_stream_loses_and_doubles_nothing(postgres: Postgres, tmp_path: Path, seconds: int, kills: int) -> None:
    url = postgres.create_database(f"stream {next(_numbers)}")
    project, changes, chance = Streaming(tmp_path, url), Changes(url, seed=kills), random.Random(kills)
    try:
        for _ in range(kills):
            process = project.start()
            time.sleep(seconds * (0.7 + chance.random() * 0.6))
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)
        last = project.start("--for", f"{seconds}s")
        _, err = last.communicate(timeout=120)
        assert last.returncode == 0, err
    finally:
        changes.stop()
    time.sleep(1.1)
    project.call("stream", "--once")
    project.require_equal()


def test_polls_share_one_catalogue_and_see_what_other_runs_write(tmp_path: Path) -> None:
    project = write_project(tmp_path, SHOP)
    change_source(project / "source.db", SHOP_TABLES + CUSTOMER.format(1))
    house, other, stop = open_shop(project), open_shop(project), Event()
    assert house.run().status == "success"
    change_source(project / "source.db", CUSTOMER.format(4))
    seen = []
    for number, report in enumerate(house.stream(["customers", "dim_customer"], every=timedelta(milliseconds=100), stop=stop)):
        assert report.status in ("success", "unchanged"), report
        seen.append((report.run_id, report.status))
        if number == 0:
            change_source(project / "source.db", CUSTOMER.format(2))
        if number == 1:
            change_source(project / "source.db", CUSTOMER.format(3))
            assert other.run(["customers"]).status == "success"  # silver moves on, the stream's dimension follows
        if number == 3:
            stop.set()
    assert [status for _, status in seen] == ["success", "success", "success", "unchanged"]
    assert len({run_id for run_id, _ in seen}) == 4
    assert house.scan("gold.dim_customer", staged=True).collect().height == 5
    assert house.scan("gold.dim_customer").collect().height == 2  # the fact that needs it was not selected
    assert {row["run_id"] for row in house.history()} >= {run_id for run_id, _ in seen[:3]}
    assert seen[3][0] not in {row["run_id"] for row in house.history()}


def test_a_failed_poll_is_told_and_the_next_one_goes_on(tmp_path: Path) -> None:
    project = write_project(tmp_path, SHOP)
    change_source(project / "source.db", SHOP_TABLES + CUSTOMER.format(1))
    house, stop = open_shop(project), Event()
    statuses = []
    for number, report in enumerate(house.stream(every=timedelta(milliseconds=100), stop=stop)):
        statuses.append(report.status)
        if number == 0:
            (project / "source.db").rename(project / "away.db")
        if number == 1:
            (project / "away.db").rename(project / "source.db")
            change_source(project / "source.db", CUSTOMER.format(2))
        if number == 2:
            stop.set()
    assert statuses == ["success", "failed", "success"]
    assert sum(content(house, "silver.customers").values()) == 2
