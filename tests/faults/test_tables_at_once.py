"""Several tables at once: the same tables as one after another, and nothing of one that another suffers from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from tests.faults.sites import TABLES
from tests.lakes import CLOCK, SHOP, SHOP_TABLES, change_source, content, open_shop, require_success, versions, write_project

DAYS = {
    1: """
insert into customers values (1, 'Rome', '2026-01-01 00:00:00'), (2, 'Oslo', '2026-01-05 00:00:00');
insert into orders values (1, 1, '10.00', '2026-01-02 00:00:00'), (2, 2, '20.50', '2026-01-06 00:00:00'),
    (3, 9, '0.01', '2026-01-06 00:00:00');
""",
    2: """
update customers set city = 'Pisa', changed_at = '2026-01-10 00:00:00' where id = 1;
insert into customers values (9, 'Bonn', '2026-01-08 00:00:00');
update orders set amount = '11.00' where id = 1;
""",
}


def shop(folder: Path, *days: int) -> Path:
    project = write_project(folder, SHOP)
    change_source(project / "source.db", SHOP_TABLES)
    for day in days:
        change_source(project / "source.db", DAYS[day])
    return project


def at_once(project: Path, lake: str = "lake", number: int = 4) -> Lakehouse:
    return open_shop(project, lake=lake, tables_at_once=number)


def test_the_tables_are_those_of_one_after_another(tmp_path: Path) -> None:
    project = shop(tmp_path)
    for script in DAYS.values():
        change_source(project / "source.db", script)
        for number in (1, 4):
            require_success(at_once(project, f"lake{number}", number))
    for table in TABLES:
        assert content(at_once(project, "lake4"), table) == content(at_once(project, "lake1"), table)


def test_a_run_without_changes_makes_no_version(tmp_path: Path) -> None:
    project = shop(tmp_path, 1)
    require_success(at_once(project))
    before = versions(project / "lake")
    report = at_once(project).run()
    assert report.status == "unchanged"
    assert versions(project / "lake") == before


def test_the_report_has_the_steps_in_their_order(tmp_path: Path) -> None:
    project = shop(tmp_path, 1)
    steps = [(step.step, step.table) for step in at_once(project).run().steps]
    assert steps.pop() == ("publish", "star")
    assert steps == [(step.step, step.table) for step in at_once(project, number=1).run().steps]


def test_a_table_that_fails_stops_only_what_depends_on_it(tmp_path: Path) -> None:
    project = shop(tmp_path, 1)
    change_source(project / "source.db", "alter table customers rename to people")
    done = {(step.step, step.table): step.status for step in at_once(project).run().steps}
    assert done["bronze", "customers"] == "failed"
    assert done["silver", "customers"] == done["gold", "dim_customer"] == done["gold", "fact_order"] == "skipped"
    assert done["bronze", "orders"] == done["silver", "orders"] == "success"


def test_one_connection_reads_all_tables_in_turn(tmp_path: Path) -> None:
    project = shop(tmp_path, 1, 2)
    write_project(project, {"metadata/sources/shop.yml": "connection: shop\nconnections: 1\n"})
    require_success(at_once(project))
    assert at_once(project).sql("select count(*) as n from bronze.orders").item() == 3


def test_an_error_at_every_effect_leaves_tables_that_the_next_run_makes_whole(tmp_path: Path) -> None:
    project = shop(tmp_path, 1)
    require_success(at_once(project, "right"))
    for number in range(1, 30, 4):
        lake = f"lake{number}"
        open_shop(project, lake=lake, tables_at_once=4, fault=f"error:{number}").run()
        require_success(at_once(project, lake))
        for table in TABLES:
            assert content(at_once(project, lake), table) == content(at_once(project, "right"), table), number


SLOW = """
from lakehouse import Lakehouse
from lakehouse.cli.main import _terminated
import os, signal, sys, time
signal.signal(signal.SIGTERM, _terminated)
def around_reads():
    from lakehouse.sources.database import Database
    read = Database.read
    def slowly(self, what, window, rows=None):
        for batch in read(self, what, window, rows):
            os.write(1, b"reading\\n")
            for start in range(batch.num_rows):
                time.sleep(0.02)
                yield batch.slice(start, 1)
    Database.read = slowly
around_reads()
Lakehouse.open(sys.argv[1], tables_at_once=4).run()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_tables_and_the_ledger_says_so(tmp_path: Path, number: signal.Signals) -> None:
    project = shop(tmp_path)
    rows = ", ".join(f"({row}, 1, '1.00', '2026-01-02 00:00:00')" for row in range(2000))
    change_source(project / "source.db", f"insert into orders values {rows}")
    change_source(project / "source.db", f"insert into customers values {rows.replace(', 1,', ',')}".replace("'1.00'", "'Rome'"))
    settings = {"LAKEHOUSE_CLOCK": CLOCK, "LAKEHOUSE_CONNECTION__SHOP": f"sqlite:///{project / 'source.db'}"}
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, str(project)], env=os.environ | settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "reading\n"
        assert run.stdout.readline() == "reading\n"
        time.sleep(0.3)
        begun = time.monotonic()
        run.send_signal(number)
        run.communicate(timeout=30)
        assert time.monotonic() - begun < 20
        assert run.returncode not in (0, None)
    recorded = at_once(project).history()
    assert {row["run_status"] for row in recorded} == {"interrupted"}
    assert {(row["step"], row["table"]) for row in recorded if row["status"] == "interrupted"} == {
        ("bronze", "customers"),
        ("bronze", "orders"),
    }
    require_success(at_once(project))
    assert at_once(project).sql("select count(*) as n from bronze.orders").item() == 2000
