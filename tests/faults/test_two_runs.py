"""Two runs on one lake: whoever comes second sees what the first one wrote, and nothing stands twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from lakehouse.errors import ConflictError, UsageError
from lakehouse.lake import Lake
from lakehouse.model.run import Step
from lakehouse.stages.bronze import append
from lakehouse.stages.extract import extract
from tests.cli.project import ROWS, Project
from tests.lakes import SHOP, SHOP_TABLES, change_source, open_shop, sql_session, write_project

ORDERS = "insert into orders values (1, 1, 5, '2024-01-01 10:00:00')"


def shop(folder: Path) -> Path:
    project = write_project(folder, SHOP)
    change_source(project / "source.db", SHOP_TABLES)
    change_source(project / "source.db", ORDERS)
    return project


def load_orders(lake: Lake) -> int:
    return append(lake, extract(lake, lake.catalog.tables["orders"])).rows_out


def overtaken(batches: Iterator[pa.RecordBatch], other: Lake) -> Iterator[pa.RecordBatch]:
    """The stream, during which the other run loads the table first."""
    assert load_orders(other) == 1
    yield from batches


def test_a_first_load_that_comes_second_is_refused(tmp_path: Path) -> None:
    settings = open_shop(shop(tmp_path)).settings
    with Lake.open(tmp_path, settings) as first, Lake.open(tmp_path, settings) as second:
        under_way = extract(second, second.catalog.tables["orders"])
        under_way.stream = overtaken(under_way.stream, first)
        with pytest.raises(ConflictError):
            append(second, under_way)
        second.forget()
        assert load_orders(second) == 0


def test_a_later_load_that_comes_second_is_refused(tmp_path: Path) -> None:
    settings = open_shop(shop(tmp_path)).settings
    with Lake.open(tmp_path, settings) as first, Lake.open(tmp_path, settings) as second:
        assert load_orders(first) == 1
        change_source(tmp_path / "source.db", ORDERS.replace("(1, 1,", "(2, 1,"))
        under_way = extract(second, second.catalog.tables["orders"])
        assert load_orders(first) == 1
        with pytest.raises(ConflictError):
            append(second, under_way)


def test_three_runs_at_once_all_succeed_with_rows_once(tmp_path: Path) -> None:
    project = Project.make(tmp_path)
    with ThreadPoolExecutor(3) as threads:
        runs = [threads.submit(project.call, "run", "-o", "json") for _ in range(3)]
    assert [run.result().code for run in runs] == [0, 0, 0], [run.result().err for run in runs]
    for table, rows in ROWS.items():
        assert project.call("query", f"select count(*) as n from {table}", "-o", "json").json == [{"n": rows}]
    assert project.call("run", "-o", "json").json["status"] == "unchanged"


def test_a_run_that_was_overtaken_never_moves_gold_backwards(tmp_path: Path) -> None:
    project = shop(tmp_path)
    overtaking: list[str] = []

    def overtake(step: Step) -> None:
        if (step.step, step.table) == ("silver", "orders") and not overtaking:
            overtaking.append(open_shop(project).run().status)

    change_source(project / "source.db", "insert into customers values (1, 'Rome', '2023-01-01 00:00:00')")
    assert open_shop(project).run().status == "success"
    change_source(project / "source.db", ORDERS.replace("(1, 1,", "(2, 1,"))

    def late(step: Step) -> None:
        if (step.step, step.table) == ("silver", "orders") and len(overtaking) < 1:
            change_source(project / "source.db", ORDERS.replace("(1, 1,", "(3, 1,"))
        overtake(step)

    assert open_shop(project).run(progress=late).status == "success"
    assert open_shop(project).sql("select count(*) as n from gold.fact_order").item() == 3
    assert overtaking == ["success"]


def test_who_breaks_around_the_work_leaves_a_failed_run_with_what_was_done(tmp_path: Path) -> None:
    house = open_shop(shop(tmp_path))

    def broken(_name: str, work: Callable[[], list[Step]]) -> list[Step]:
        work()
        raise RuntimeError("the orchestrator is gone")

    with pytest.raises(RuntimeError):
        house.run(["orders"], around=broken)
    recorded = house.history()
    assert {row["run_status"] for row in recorded} == {"failed"}
    assert {(row["step"], row["status"]) for row in recorded} == {("bronze", "success"), ("silver", "success")}


def test_work_that_is_done_again_keeps_what_was_done(tmp_path: Path) -> None:
    house = open_shop(shop(tmp_path))
    again = house.run(["orders"], around=lambda _name, work: [step for steps in (work(), work()) for step in steps][-2:])
    assert [(step.step, step.status, step.rows_out) for step in again.steps] == [("bronze", "success", 1), ("silver", "success", 1)]


def test_more_memory_than_allowed_is_said_with_the_setting() -> None:
    with sql_session() as session, pytest.raises(UsageError, match="LAKEHOUSE_MEMORY_LIMIT"):
        session.rows("select list(repeat('x', 1000) || i) as l from range(2000000) t(i)")
