"""Runs at once and runs that die: who lives is respected, who is dead is followed, who wakes up too late changes nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lakehouse.settings import Azure
from lakehouse.storage.effects import CRASH_CODE, Effects
from lakehouse.storage.leases import FOLDER, Leases
from lakehouse.storage.place import Places
from tests.cli.project import ROWS, Project

SLEEPER = """
import os, signal, sys
from pathlib import Path
from lakehouse.errors import ConflictError
from lakehouse.lake import Lake
from lakehouse.stages.bronze import append
from lakehouse.stages.extract import extract

def asleep(batches):
    for batch in batches:
        yield batch.slice(0, 1)
        os.kill(os.getpid(), signal.SIGSTOP)  # it holds the lease, and has written nothing yet
        yield batch.slice(1)

with Lake.open(Path.cwd()) as lake:
    under_way = extract(lake, lake.catalog.tables["orders"])
    under_way.stream = asleep(under_way.stream)
    try:
        append(lake, under_way)
    except ConflictError as exc:
        print("refused")
        lake.forget()
    print(append(lake, extract(lake, lake.catalog.tables["orders"])).status)
"""


def lease(project: Project, table: str) -> dict[str, object]:
    """What the newest lease of a table says."""
    found = json.loads(max((project.folder / "lake" / table / FOLDER).iterdir()).read_text())
    assert isinstance(found, dict)
    return found


def require_once(project: Project) -> None:
    """Every row once, and nothing left to do."""
    for table, rows in ROWS.items():
        assert project.ask(f"select count(*) as n from {table}") == [{"n": rows}], table
    assert project.call("run", "-o", "json").json["status"] == "unchanged"


def test_six_first_runs_at_once_make_each_table_once(project: Project) -> None:
    with ThreadPoolExecutor(6) as threads:
        runs = list(threads.map(lambda _: project.call("run", "-o", "json"), range(6)))
    assert [run.code for run in runs] == [0] * 6, [run.err for run in runs]
    require_once(project)
    for log in (project.folder / "lake").glob("*/*/_delta_log"):
        commits = sorted(path.name for path in log.glob("*.json"))
        assert [int(name.partition(".")[0]) for name in commits] == list(range(len(commits)))
    batches = project.ask("select count(distinct _batch) as n from bronze.orders")
    assert batches == [{"n": 1}]


def test_who_died_holding_a_table_is_followed_at_once(project: Project) -> None:
    for fault in range(1, 40):
        if project.call("run", FAULT=f"before:{fault}").code != CRASH_CODE:
            raise AssertionError("no crash before a commit of bronze.orders")
        held = project.folder / "lake/bronze/orders" / FOLDER
        if held.exists() and (project.folder / "lake/bronze/orders/_delta_log").exists():
            break
    assert not lease(project, "bronze/orders").get("free")
    begun = time.monotonic()
    assert project.call("run", LEASE_SECONDS="60").code == 0
    assert time.monotonic() - begun < 30
    assert lease(project, "bronze/orders")["free"] is True
    require_once(project)


def test_a_run_that_lives_is_respected_and_the_other_tables_go_on(project: Project) -> None:
    place = Places(Azure()).at((project.folder / "lake/bronze/orders").as_uri())
    other = Leases(lambda: "the other run", Effects(), term=20, patience=0)
    other.take(place, "bronze.orders")
    try:
        done = project.call("run", "-o", "json", WAIT_SECONDS="0.2")
        steps = {(step["step"], step["table"]): step for step in done.json["steps"]}
        refused = steps["bronze", "orders"]["error"]
        assert done.code == 1
        assert (refused["kind"], refused["transient"]) == ("BusyError", "true")
        assert "bronze.orders: another run is writing this table (given run the other run" in refused["message"]
        assert steps["silver", "users"]["status"] == "success"
        assert "Traceback" not in done.err
    finally:
        other.close()
    assert project.call("run").code == 0
    require_once(project)


def test_a_run_without_changes_takes_no_lease(loaded: Project) -> None:
    before = loaded.tree()
    assert loaded.call("run").code == 0
    assert loaded.tree() == before


def test_a_run_that_slept_while_another_one_took_over_changes_nothing(project: Project) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    sleeper = subprocess.Popen((sys.executable, "-c", SLEEPER), cwd=project.folder, env=project.environment(), text=True, **pipes)  # type: ignore[call-overload]
    try:
        stat, end = Path(f"/proc/{sleeper.pid}/stat"), time.monotonic() + 30
        while stat.read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < end
            time.sleep(0.05)
        assert project.call("run", LEASE_SECONDS="1").code == 0
        os.kill(sleeper.pid, signal.SIGCONT)
        out, err = sleeper.communicate(timeout=60)
    finally:
        sleeper.kill()
    assert out.split() == ["refused", "unchanged"], out + err
    require_once(project)
