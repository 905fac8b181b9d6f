"""Several processes on one lake: whatever they do to one table at one time, its rows are there once and none is lost."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from tests.faults.child import wait_for
from tests.faults.sites import TABLES, WHO, Site
from tests.lakes import SHOP, SHOP_TABLES, change_source, content, copy_layer, open_shop, require_success, write_project
from tests.stores import Store, rows_of

ROOT = Path(__file__).parents[2]
START = """
insert into customers values (1, 'Rome', '2026-01-01 00:00:00'), (2, 'Oslo', '2026-01-05 00:00:00');
insert into orders values (1, 1, '10.00', '2026-01-02 00:00:00'), (2, 2, '20.50', '2026-01-06 00:00:00');
"""
BEFORE = "insert into orders values (3, 1, '3.00', '2026-01-08 00:00:00'); update orders set amount = '11.00' where id = 1;"
WHILE = """
update customers set city = 'Pisa', changed_at = '2026-01-09 00:00:00' where id = 1;
insert into orders values (4, 1, '4.00', '2026-01-03 00:00:00'), (5, 2, '5.00', '2026-01-10 00:00:00');
update orders set amount = '12.00' where id = 1;
"""
RUN, REFRESH, BACKFILL = ("run",), ("run", "--full-refresh"), ("backfill", "--from", "2026-01-01", "--to", "2026-01-20")


def start(site: Site, *words: str) -> subprocess.Popen[str]:
    command = (sys.executable, "-m", *words)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, env=site.environment(), text=True, **pipes)  # type: ignore[call-overload,no-any-return]


@contextmanager
def paused(site: Site, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command that has read its first table and writes when the block ends."""
    folder = site.project / f"pause-{'-'.join(words)}"
    folder.mkdir()
    process = start(site, "tests.faults.child", "paused", str(folder), *words, "--project", str(site.project))
    try:
        wait_for(folder / "read", lambda: process.poll() is None)
        yield process
    finally:
        (folder / "go").touch()
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert "Traceback" not in err


def shop(folder: Path) -> Site:
    site = Site(write_project(folder, SHOP))
    change_source(folder / "source.db", SHOP_TABLES + START)
    require_success(site.open())
    change_source(folder / "source.db", BEFORE)
    return site


def require_source(site: Site) -> None:
    """The last observation of each key is the source, no observation follows an equal one, and the star is the one of this bronze."""
    house = site.open()
    require_success(house)
    last = {}
    for row in house.scan("bronze.orders").sort("_batch").collect().rows(named=True):
        last[row["id"]] = (row["customer_id"], str(row["amount"]), f"{row['ordered_at']:%Y-%m-%d}")
    assert last == {
        1: (1, "12.00", "2026-01-02"),
        2: (2, "20.50", "2026-01-06"),
        3: (1, "3.00", "2026-01-08"),
        4: (1, "4.00", "2026-01-03"),
        5: (2, "5.00", "2026-01-10"),
    }
    site.require_one_truth(died=0)
    require_star_of_bronze(site, house)


def require_star_of_bronze(site: Site, house: Lakehouse) -> None:
    copy_layer("bronze", site.project / "lake", site.project / "again")
    require_success(open_shop(site.project, lake="again"))
    for table in TABLES[2:]:
        assert content(house, table) == content(open_shop(site.project, lake="again"), table), table


LONG = pytest.mark.long
PAIRS = [
    pytest.param(RUN, BACKFILL, id="run-backfill"),
    pytest.param(REFRESH, RUN, id="refresh-run", marks=LONG),
    pytest.param(BACKFILL, RUN, id="backfill-run", marks=LONG),
    pytest.param(RUN, REFRESH, id="run-refresh", marks=LONG),
    pytest.param(REFRESH, BACKFILL, id="refresh-backfill", marks=LONG),
]


@pytest.mark.parametrize(("slow", "fast"), PAIRS)
def test_one_that_wrote_between_another_s_read_and_write(tmp_path: Path, slow: tuple[str, ...], fast: tuple[str, ...]) -> None:
    site = shop(tmp_path)
    with paused(site, *slow):
        change_source(tmp_path / "source.db", WHILE)
        other = site.call(*fast)
        assert other.code == 0, other.out + other.err
    require_source(site)
    if REFRESH not in (slow, fast):
        observed = Counter(site.open().scan("bronze.orders").collect().drop(WHO).rows())
        assert max(observed.values()) == 1


def test_two_that_have_both_read_before_either_writes(tmp_path: Path) -> None:
    site = shop(tmp_path)
    change_source(tmp_path / "source.db", WHILE)
    with paused(site, *RUN), paused(site, *BACKFILL):
        pass
    require_source(site)


@pytest.mark.parametrize(("writers", "times"), [(3, 10), pytest.param(6, 20, marks=LONG)])
def test_rows_of_many_appending_processes_are_all_there_once(tmp_path: Path, writers: int, times: int) -> None:
    store = Store((tmp_path / "lake").as_uri())
    store.create()
    site = Site(write_project(tmp_path, SHOP))
    processes = [start(site, "tests.faults.child", "appends", store.uri, "cities", f"writer {n}", str(times)) for n in range(writers)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
    table = store.open()
    assert rows_of(table) == sorted(((n, f"writer {w}") for w in range(writers) for n in range(times)), key=str)
    assert (table.version, table.batch) == (writers * times, writers * times)
    assert [entry["version"] for entry in table.history()] == list(range(writers * times, -1, -1))


@pytest.mark.parametrize(("processes", "rounds"), [(3, 1), pytest.param(4, 12, marks=LONG)])
def test_runs_at_once_over_keys_that_all_of_them_change(tmp_path: Path, processes: int, rounds: int) -> None:
    site, chance = shop(tmp_path), random.Random(rounds)
    for number in range(rounds):
        words = [chance.choice((RUN, RUN, BACKFILL)) for _ in range(processes)]
        started = [start(site, "lakehouse", *given, "--project", str(tmp_path)) for given in words]
        while any(process.poll() is None for process in started):
            key, day = chance.randint(1, 4), chance.randint(1, 9)
            change_source(
                tmp_path / "source.db",
                f"insert or replace into customers values ({key}, 'city {chance.randint(1, 99)}', '2026-01-0{day} 00:00:00');"
                f"insert into orders (customer_id, amount, ordered_at) values ({key}, '{number}.00', '2026-01-0{day} 12:00:00');",
            )
            time.sleep(0.05)
        for process in started:
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, out + err
    require_success(house := site.open())
    site.require_one_truth(died=0)
    observed = Counter(house.scan("bronze.customers").collect().drop("_run_id", "_extracted_at").rows())
    assert max(observed.values()) == 1
    assert max(Counter(house.scan("bronze.orders").collect().drop(WHO).rows()).values()) == 1
    require_star_of_bronze(site, house)
