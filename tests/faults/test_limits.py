"""A disk that runs full, a process that breaks off or was forked, a clock that steps back, metadata that change: the lake stays right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.model.run import Step
from tests.cli.project import Project
from tests.lakes import SHOP_TABLES, change_source, open_shop, require_success, write_project

FULL = {
    "metadata/sources/shop.yml": "connection: shop\n",
    "metadata/tables/shop/customers.yml": "from: customers\nmode: full\nkeys: id\nhistory: scd2\ncolumns: {id: bigint, city: string}\n",
}
ABORTED = """
import os, sys
from lakehouse import Lakehouse
assert Lakehouse.open(".").run().status == "success"
os.abort()
"""
FORKED = """
import multiprocessing, sys
from lakehouse import Lakehouse
from lakehouse.errors import UsageError

def work(answers):
    try:
        answers.put(Lakehouse.open(".").run().status)
    except UsageError as exc:
        answers.put(str(exc))

if __name__ == "__main__":
    Lakehouse.open(".").run()
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        answers = context.Queue()
        child = context.Process(target=work, args=(answers,))
        child.start()
        print(answers.get(timeout=40))
        child.join(20)
"""


def orders(project: Project) -> int:
    count = project.ask("select count(*) as n from bronze.orders")[0]["n"]
    assert isinstance(count, int)
    return count


def script(project: Project, text: str) -> subprocess.CompletedProcess[str]:
    path = project.folder / "script.py"
    path.write_text(text)
    return subprocess.run(
        (sys.executable, path), cwd=project.folder, env=project.environment(), capture_output=True, text=True, timeout=120, check=False
    )


def test_a_disk_that_is_full_fails_the_table_and_adds_no_version(loaded: Project) -> None:
    loaded.add_orders(60_000)
    before = {name: text for name, text in loaded.tree().items() if "_delta_log" in name}
    done = loaded.call_limited("RLIMIT_FSIZE", 150_000, "run", "-o", "json")
    steps = {(step["step"], step["table"]): step for step in done.json["steps"]}
    assert done.code == 1
    assert "a file cannot be written: " in steps["bronze", "orders"]["error"]["message"]
    assert "File too large" in done.err
    assert steps["silver", "users"]["status"] == "unchanged"
    assert {name: text for name, text in loaded.tree().items() if "_delta_log" in name} == before
    told = loaded.ask("select status, error, rows_read from ledger.windows where \"table\" = 'orders' and status <> 'success'")
    assert [(row["status"], row["rows_read"]) for row in told] == [("failed", 60_001)]
    assert loaded.call("run").code == 0
    assert orders(loaded) == 60_003


def test_too_few_addresses_are_refused_before_anything_starts(loaded: Project) -> None:
    before = loaded.tree(ledger=True)
    done = loaded.call_limited("RLIMIT_AS", 600 * 1024**2, "run")
    assert done.code == 2, done.err
    assert "600 MiB of addresses" in done.err
    assert loaded.tree(ledger=True) == before


def test_a_process_out_of_memory_leaves_no_half_batch(loaded: Project) -> None:
    loaded.add_orders(200_000)
    done = loaded.call_limited("RLIMIT_AS", 2200 * 1024**2, "run", "--select", "orders")  # an engine may abort: nothing can catch that
    assert orders(loaded) in (3, 200_003)
    assert done.code == 0 or loaded.ask("select count(*) as n from silver.orders") == [{"n": 3}]
    assert loaded.call("run").code == 0
    assert orders(loaded) == loaded.ask("select count(*) as n from gold.fact_order")[0]["n"] == 200_003


def test_a_process_that_aborts_after_its_work_leaves_nothing_to_do(project: Project) -> None:
    assert script(project, ABORTED).returncode < 0
    assert project.call("run", "-o", "json").json["status"] == "unchanged"
    assert [row["status"] for row in project.ask("select status from ledger.runs order by started_at, status")] == ["success", "unchanged"]


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_fork_of_a_process_that_used_the_lake_is_refused_with_advice(project: Project) -> None:
    done = script(project, FORKED)
    refused, spawned = done.stdout.splitlines()
    assert "fork of one that used the lake" in refused
    assert "spawn" in refused
    assert (spawned, done.returncode) == ("unchanged", 0), done.stderr


def test_a_clock_that_steps_back_keeps_batches_and_intervals_in_order(tmp_path: Path) -> None:
    project = write_project(tmp_path, FULL)
    change_source(project / "source.db", SHOP_TABLES + "insert into customers values (1, 'Rome', null)")
    for city, clock in (("Rome", "2026-01-01T12:00:00"), ("Pisa", "2026-01-01T11:00:00"), ("Bari", "2026-01-01T11:30:00")):
        change_source(project / "source.db", f"update customers set city = '{city}'")
        require_success(open_shop(project, clock=f"{clock}+00:00"))
    house = open_shop(project)
    batches = house.scan("bronze.customers").sort("_batch").collect()
    assert batches["city"].to_list() == ["Rome", "Pisa", "Bari"]
    assert batches["_extracted_at"].is_sorted()
    history = house.scan("silver.customers").sort("valid_from").collect()
    assert history["city"].to_list() == ["Rome", "Pisa", "Bari"]
    assert history["is_current"].to_list() == [False, False, True]
    assert history["valid_to"].to_list()[:2] == history["valid_from"].to_list()[1:]


def test_a_run_uses_the_metadata_that_it_began_with_and_the_ledger_names_them(project: Project) -> None:
    def edit(step: Step) -> None:
        if (step.step, step.table) == ("bronze", "orders"):
            project.replace("metadata/tables/shop/users.yml", "history: scd2", "history: scd1")

    house = open_shop(project.folder, source="shop.db")
    digest = project.call("plan").code, house.run(progress=edit).metadata
    assert house.sql("select count(*) as n from silver.users where is_current").item() == 2
    assert house.run(["users"]).status == "success"
    first, second = house.sql("select metadata from ledger.runs order by steps desc")["metadata"].to_list()
    assert first == digest[1]
    assert first != second
    windows = house.sql("select definition from ledger.windows where \"table\" = 'users' order by version, reads, run_id")
    assert windows["definition"].n_unique() == 2
