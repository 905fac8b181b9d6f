"""Promise 2: whatever effect fails, or whatever moment the process dies at, the next run brings the lake to the same tables."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from lakehouse.errors import StorageError
from lakehouse.lake import Lake
from lakehouse.pipeline.run import run
from lakehouse.storage.effects import CRASH_CODE
from tests.lakes import SHOP, SHOP_TABLES, change_source, content, open_shop, require_success, versions, write_project

DAYS = {
    1: """
insert into customers values (1, 'Rome', '2026-01-01 00:00:00'), (2, 'Oslo', '2026-01-05 00:00:00');
insert into orders values (1, 1, '10.00', '2026-01-02 00:00:00'), (2, 2, '20.50', '2026-01-06 00:00:00'),
    (3, 9, '0.01', '2026-01-06 00:00:00'), (4, null, '7.00', '2026-01-07 00:00:00');
""",
    2: """
update customers set city = 'Pisa', changed_at = '2026-01-10 00:00:00' where id = 1;
update customers set city = 'Lima', changed_at = '2026-01-03 00:00:00' where id = 2;
insert into customers values (9, 'Bonn', '2026-01-08 00:00:00');
update orders set amount = '11.00' where id = 1;
insert into orders values (5, 1, '5.00', '2026-01-11 00:00:00');
""",
}
TABLES = ("bronze.customers", "bronze.orders", "silver.customers", "silver.orders", "gold.dim_customer", "gold.fact_order")
Content = dict[str, Counter[tuple[object, ...]]]


def all_tables(project: Path) -> Content:
    house = open_shop(project)
    return {table: content(house, table) for table in TABLES}


def effects_of(project: Path) -> list[str]:
    """Run without a fault; the effects in their order."""
    with Lake.open(project, open_shop(project).settings) as lake:
        assert run(lake).status == "success"
        return list(lake.effects.trace)


class Story:
    """Two fault-free runs, kept: the project before each, its tables after each, its effects."""

    def __init__(self, folder: Path) -> None:
        project = write_project(folder / "project", SHOP)
        change_source(project / "source.db", SHOP_TABLES)
        self.folder, self.after, self.effects = folder, dict[int, Content](), dict[int, list[str]]()
        for day, script in DAYS.items():
            change_source(project / "source.db", script)
            shutil.copytree(project, folder / f"before-{day}")
            self.effects[day] = effects_of(project)
            self.after[day] = all_tables(project)

    def before(self, day: int, name: str) -> Path:
        """A fresh copy of the project as it was before a day's run."""
        project = self.folder / name.replace(":", "-")
        shutil.copytree(self.folder / f"before-{day}", project)
        return project

    def require_whole(self, project: Path, day: int) -> None:
        """The next run ends with the fault-free tables, and the one after it makes no version."""
        require_success(open_shop(project))
        assert all_tables(project) == self.after[day]
        stands = versions(project / "lake")
        require_success(open_shop(project))
        assert versions(project / "lake") == stands
        shutil.rmtree(project)

    def crash(self, day: int, fault: str) -> None:
        """Die by the fault in a process of its own, then require all."""
        project = self.before(day, f"{day}-{fault}")
        settings = {
            "LAKEHOUSE_FAULT": fault,
            "LAKEHOUSE_CLOCK": str(open_shop(project).settings.clock),
            "LAKEHOUSE_CONNECTION__SHOP": f"sqlite:///{project / 'source.db'}",
        }
        command = [sys.executable, "-m", "lakehouse", "run", "--project", str(project)]
        done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == CRASH_CODE, done.stdout + done.stderr
        self.require_whole(project, day)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("story"))


def test_the_story_commits_each_table_once_a_day(story: Story) -> None:
    for day in DAYS:
        counted = Counter(story.effects[day])
        assert [counted[f"commit {table}"] for table in TABLES] == [1] * len(TABLES)
    assert story.after[1] != story.after[2]


def test_data_comes_before_what_is_built_on_it(story: Story) -> None:
    for day in DAYS:
        commits = [name.removeprefix("commit ") for name in story.effects[day] if name.startswith("commit ")]
        for earlier, later in (("bronze.orders", "silver.orders"), ("silver.customers", "gold.dim_customer"), (*TABLES[-2:],)):
            assert commits.index(earlier) < commits.index(later)
        assert commits[-1].startswith("ledger")


@pytest.mark.parametrize("day", DAYS)
def test_an_error_at_every_effect(story: Story, day: int) -> None:
    for k, effect in enumerate(story.effects[day], 1):
        project = story.before(day, f"{day}-error-{k}")
        with contextlib.suppress(StorageError):
            done = open_shop(project, fault=f"error:{k}").run()
            assert done.status == "failed" or effect.endswith("ledger.steps"), effect
        story.require_whole(project, day)


@pytest.mark.parametrize("day", DAYS)
def test_errors_at_one_effect_after_another(story: Story, day: int) -> None:
    project = story.before(day, f"{day}-errors")
    for k in range(1, len(story.effects[day]) + 1, 3):
        with contextlib.suppress(StorageError):
            open_shop(project, fault=f"error:{k}").run()
    story.require_whole(project, day)


@pytest.mark.parametrize("mode", ["before", "after"])
@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("third", range(3))
def test_a_crash_at_some_effects(story: Story, day: int, mode: str, third: int) -> None:
    length = len(story.effects[day])
    story.crash(day, f"{mode}:{1 + (third * length + (mode == 'after') * length // 2) // 3 % length}")


@pytest.mark.long
@pytest.mark.parametrize("mode", ["before", "after"])
@pytest.mark.parametrize("day", DAYS)
def test_a_crash_at_every_effect(story: Story, day: int, mode: str) -> None:
    for k in range(1, len(story.effects[day]) + 1):
        story.crash(day, f"{mode}:{k}")
