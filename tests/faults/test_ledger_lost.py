"""The ledger tells what ran; deleted, it comes back from what the tables' commits know, also when their logs were cleaned."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from lakehouse.lake import Lake
from lakehouse.ledger import STEPS
from tests.cli.project import Project
from tests.lakes import open_shop

KNOWN = ["run_id", '"table"', "status", "reads", "mode", "window_from", "window_to", "extracted_at", "rows_read", "rows_new"]
KNOWN += ["bytes", "checksum", "definition", "version_before", "version"]
WINDOWS = f"select {', '.join(KNOWN)} from ledger.windows where status = 'success' order by run_id, 2"


def grow(project: Project) -> None:
    project.change("insert into Orders values (20, 1, 3, '2024-01-20 10:00:00'); update Users set name = 'Eve' where user_id = 1")
    assert project.call("run").code == 0
    project.change("insert into Orders values (21, 1, 3, '2024-01-10 10:00:00')")
    assert project.call("backfill", "orders", "--from", "2024-01-09", "--to", "2024-01-11").code == 0
    assert project.call("run", "--select", "orders", "--full-refresh").code == 0


def test_windows_tell_what_was_read_and_written(loaded: Project) -> None:
    grow(loaded)
    loaded.call("run", "--select", "orders")
    loaded.change("alter table Orders rename column amount to total")
    assert loaded.call("run", "--select", "orders").code == 1
    rows = loaded.ask("select reads, status, rows_read, rows_new, version_before, version from ledger.windows where \"table\" = 'orders'")
    told = {(row["reads"], row["status"], row["rows_read"], row["rows_new"], row["version_before"], row["version"]) for row in rows}
    assert told == {
        ("window", "success", 3, 3, 0, 1),
        ("window", "success", 2, 1, 1, 2),
        ("backfill", "success", 1, 1, 2, 3),
        ("refresh", "success", 5, 5, 3, 4),
        ("window", "unchanged", 1, 0, None, 4),
        (None, "failed", 0, 0, None, None),
    }
    log = DeltaTable(loaded.folder / "lake/bronze/orders").get_add_actions(flatten=True)
    sizes = sum(pa.table(log).column("size_bytes").to_pylist())
    assert loaded.ask("select sum(bytes)::bigint as n from ledger.windows where \"table\" = 'orders'") == [{"n": sizes}]
    runs = loaded.ask("select status, count(*) as n from ledger.runs group by all order by all")
    assert runs == [{"status": "failed", "n": 1}, {"status": "success", "n": 4}, {"status": "unchanged", "n": 1}]


def test_a_deleted_ledger_comes_back_from_the_commits(loaded: Project) -> None:
    grow(loaded)
    assert loaded.call("run").code == 0
    before = loaded.ask(WINDOWS)
    steps = len(loaded.ask("select * from ledger.steps where status = 'success'"))
    shutil.rmtree(loaded.folder / "lake/_ledger")
    assert loaded.ask("select * from ledger.windows") == loaded.call("history", "-o", "json").json == []
    assert loaded.call("doctor", "--rebuild-ledger", "-o", "json").json == {"restored": steps}
    assert loaded.ask(WINDOWS) == before
    assert {row["rebuilt"] for row in loaded.ask("select rebuilt from ledger.runs")} == {True}
    assert loaded.call("doctor", "--rebuild-ledger", "-o", "json").json == {"restored": 0}
    assert loaded.call("run", "-o", "json").json["status"] == "unchanged"
    assert len(loaded.ask("select * from ledger.steps where status = 'unchanged' and not coalesce(rebuilt, false)")) == 6


def test_kept_commits_outlive_a_cleaned_log(loaded: Project) -> None:
    grow(loaded)
    before = loaded.ask(WINDOWS)
    house = open_shop(loaded.folder, source="shop.db", clock="2024-02-01T00:00:00+00:00")
    assert house.keep_commits() > 0
    assert house.keep_commits() == 0
    for log in (loaded.folder / "lake").glob("bronze/*/_delta_log"):
        DeltaTable(log.parent).create_checkpoint()
        newest = max(log.glob("*.json"))
        for commit in log.glob("*.json"):
            if commit != newest:
                commit.unlink()
    shutil.rmtree(loaded.folder / "lake/_ledger")
    assert house.rebuild_ledger() > 0
    assert loaded.ask(WINDOWS) == before


def test_a_ledger_of_an_earlier_release_goes_on(loaded: Project) -> None:
    place = loaded.folder / "lake/_ledger/steps"
    old = [field.name for field in STEPS][:15]
    rows: list[dict[str, Any]] = pa.table(DeltaTable(place).to_pyarrow_table()).select(old).to_pylist()
    shutil.rmtree(place)
    write_deltalake(place, pa.Table.from_pylist(rows, pa.schema([STEPS.field(name) for name in old])))
    assert len(loaded.call("history", "-o", "json").json) == len(rows)
    assert len(loaded.ask("select * from ledger.windows")) == 2
    loaded.change("insert into Orders values (20, 1, 3, '2024-01-20 10:00:00')")
    assert loaded.call("run").code == 0
    assert loaded.ask("select rows_new, checksum is null as old from ledger.windows where \"table\" = 'orders' order by version") == [
        {"rows_new": 3, "old": True},
        {"rows_new": 1, "old": False},
    ]


def test_runs_at_once_over_a_ledger_of_an_earlier_release(tmp_path: Path) -> None:
    project = Project.make(tmp_path)
    house = open_shop(tmp_path, source="shop.db")
    with Lake.open(tmp_path, house.settings) as lake:
        assert lake.ledger.steps().collect().is_empty()
    assert project.call("run").code == 0
    assert house.scan("ledger.runs").collect()["status"].to_list() == ["success"]
