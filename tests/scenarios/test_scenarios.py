"""Stories: each folder beside this file is a project, what its source lived through, and what its tables hold after each run.

`source/<n>.sql` is applied to a SQLite file, then comes run n. `expected/<n>.<layer>.<table>.csv` is the table after run n:
the columns it names, an empty cell for NULL, instants as DuckDB writes them in UTC.
"""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from lakehouse.catalog import load
from tests.lakes import change_source, open_shop, require_success, versions

HERE = Path(__file__).parent
STORIES = sorted(folder.name for folder in HERE.iterdir() if (folder / "source").is_dir())
Rows = Counter[tuple[str, ...]]


def expected(file: Path) -> tuple[list[str], Rows]:
    with file.open(encoding="utf-8", newline="") as lines:
        columns, *rows = csv.reader(lines)
    return columns, Counter(tuple(row) for row in rows)


def found(house: Lakehouse, table: str, columns: list[str]) -> Rows:
    shown = ", ".join(f"coalesce(cast({column} as varchar), '') as {column}" for column in columns)
    return Counter(house.sql(f"select {shown} from {table}").rows())


def runs(story: str) -> list[int]:
    return sorted(int(file.stem) for file in (HERE / story / "source").glob("*.sql"))


@pytest.fixture(params=STORIES)
def story(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_expectation_belongs_to_a_run(story: str) -> None:
    assert {int(file.name.partition(".")[0]) for file in (HERE / story / "expected").glob("*.csv")} <= set(runs(story))
    assert runs(story) == list(range(1, len(runs(story)) + 1))
    load(HERE / story, deep=True)


def test_the_story_comes_out_as_told(story: str, tmp_path: Path) -> None:
    project = tmp_path / story
    shutil.copytree(HERE / story, project)
    house = open_shop(project)
    for number in runs(story):
        change_source(project / "source.db", (project / f"source/{number}.sql").read_text(encoding="utf-8"))
        require_success(house)
        for file in sorted((project / "expected").glob(f"{number}.*.csv")):
            columns, rows = expected(file)
            assert found(house, file.stem.partition(".")[2], columns) == rows, file.name


def test_told_in_one_run_the_star_s_facts_are_those_of_the_last(story: str, tmp_path: Path) -> None:
    project = tmp_path / story
    shutil.copytree(HERE / story, project)
    for number in runs(story):
        change_source(project / "source.db", (project / f"source/{number}.sql").read_text(encoding="utf-8"))
        require_success(open_shop(project))
    shutil.copytree(project / "lake/bronze", project / "again/bronze")
    require_success(open_shop(project, lake="again"))
    for model in load(project).models:
        tables = [open_shop(project, lake=lake).scan(f"gold.{model}").collect() for lake in ("lake", "again")]
        assert Counter(tables[0].rows()) == Counter(tables[1].rows()), model
    stands = versions(project / "lake")
    require_success(open_shop(project))
    assert versions(project / "lake") == stands
