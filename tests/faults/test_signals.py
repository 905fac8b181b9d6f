"""SIGTERM and Ctrl-C end a load at once and cleanly: the commit under way is finished, the ledger tells, nothing stays held."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import pytest

from lakehouse.lake import Lake
from lakehouse.model.run import Run, Step
from lakehouse.pipeline.attempt import attempt
from lakehouse.pipeline.run import run
from lakehouse.storage.leases import FOLDER
from tests.cli.project import Project
from tests.lakes import SHOP, SHOP_TABLES, change_source, open_shop, write_project

ORDERS = 400_000
ENDS = [(signal.SIGTERM, 143), (signal.SIGINT, 130)]


def end_while_writing(project: Project, number: signal.Signals, *words: str) -> subprocess.Popen[str]:
    """Start a command and send it a signal as soon as it holds `bronze.orders`."""
    process = project.start(*words, BATCH_ROWS="200")
    folder, end = project.folder / "lake/bronze/orders" / FOLDER, time.monotonic() + 40
    while not any(folder.glob("0*")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(number)
    return process


@pytest.mark.parametrize(("number", "code"), ENDS, ids=["SIGTERM", "Ctrl-C"])
def test_a_run_that_is_told_to_end(project: Project, number: signal.Signals, code: int) -> None:
    project.add_orders(ORDERS)
    out, err = (process := end_while_writing(project, number, "run", "--select", "orders")).communicate(timeout=40)
    assert (process.returncode, out) == (code, ""), err
    assert err == "Interrupted: what was committed stays, the rest comes with the next run.\n"
    told = project.ask("select s.step, s.status, r.status as run, s.version_before from ledger.steps s join ledger.runs r using (run_id)")
    assert [(row["step"], row["status"], row["run"]) for row in told] == [("bronze", "interrupted", "interrupted")]
    window = project.ask("select window_to, rows_read, error from ledger.windows")[0]
    assert window["window_to"] == "2024-02-01 00:00:00+00:00"
    assert "interrupted" in window["error"]
    assert json.loads(max((project.folder / "lake/bronze/orders" / FOLDER).iterdir()).read_text())["free"] is True
    begun = time.monotonic()
    assert project.call("run", "--select", "orders").code == 0
    assert time.monotonic() - begun < 30
    assert project.ask("select count(*) as n, count(distinct order_id) as keys from bronze.orders") == [
        {"n": ORDERS + 3, "keys": ORDERS + 3}
    ]


def test_a_backfill_that_is_told_to_end(loaded: Project) -> None:
    loaded.add_orders(ORDERS)
    shutil.rmtree(loaded.folder / "lake/bronze/orders" / FOLDER)
    process = end_while_writing(loaded, signal.SIGTERM, "backfill", "orders", "--from", "2024-01-06", "--to", "2024-02-01")
    _, err = process.communicate(timeout=40)
    assert process.returncode == 143, err
    assert "Traceback" not in err
    assert loaded.ask("select status, reads from ledger.windows where reads = 'backfill'") == [
        {"status": "interrupted", "reads": "backfill"}
    ]


@contextmanager
def terminated() -> Iterator[None]:
    """SIGTERM raises what the command line raises."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def shop(folder: Path) -> Path:
    project = write_project(folder, SHOP)
    change_source(project / "source.db", SHOP_TABLES + "insert into orders values (1, 1, 5, '2024-01-01 10:00:00')")
    return project


def test_a_signal_that_an_engine_swallows_ends_the_run_all_the_same(tmp_path: Path) -> None:
    house = open_shop(shop(tmp_path))

    def swallowed(_name: str, work: Callable[[], list[Step]]) -> list[Step]:
        with suppress(SystemExit):
            signal.raise_signal(signal.SIGTERM)
        return work()

    with terminated(), pytest.raises(SystemExit):
        house.run(["orders"], around=swallowed)
    recorded = house.history()
    assert {row["run_status"] for row in recorded} == {"interrupted"}
    assert [(row["step"], row["status"]) for row in recorded] == [("bronze", "interrupted")]


def test_a_signal_as_the_run_is_to_be_recorded_waits_until_it_is(tmp_path: Path) -> None:
    def asked(_report: Run) -> bool:
        signal.raise_signal(signal.SIGTERM)
        return True

    with Lake.open(shop(tmp_path), open_shop(tmp_path).settings) as lake, terminated(), pytest.raises(SystemExit):
        run(lake, ["orders"], record=asked)
    assert [(row["step"], row["status"]) for row in open_shop(tmp_path).history()] == [("bronze", "success"), ("silver", "success")]


def test_what_an_engine_makes_of_a_signal_is_no_failure_of_the_table(tmp_path: Path) -> None:
    told: list[BaseException] = []

    def broken() -> Step:
        told.append(SystemExit(143))
        raise RuntimeError("the reader broke off")

    with Lake.open(shop(tmp_path), open_shop(tmp_path).settings) as lake:
        step, ended = attempt(lake, "bronze", "orders", broken, told)
    assert (step.status, ended) == ("interrupted", told[0])


def test_a_panic_is_a_recorded_failure(tmp_path: Path) -> None:
    class PanicException(BaseException):
        pass

    def panic() -> Step:
        raise PanicException("index out of bounds")

    with Lake.open(shop(tmp_path), open_shop(tmp_path).settings) as lake:
        step, ended = attempt(lake, "bronze", "orders", panic)
    assert (step.status, ended) == ("failed", None)
    assert step.error is not None
    assert "PanicException: index out of bounds" in step.error["message"]
