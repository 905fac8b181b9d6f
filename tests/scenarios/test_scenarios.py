"""Stories: each folder beside this file is a project, what its source lived through, and what its tables hold after each run.

`source/<n>.sql` is applied to a SQLite file, then comes run n, then the commands of `acts/<n>.txt`, where `@k` is the id of run k and
`edit FILE OLD NEW` changes a file. `expected/<n>.<layer>.<table>.csv` is the table after that: the columns it names, an empty cell for
NULL, instants as DuckDB writes them in UTC. A story with `right/<n>.sql` ends as if these scripts had been its source from the start.
"""

from __future__ import annotations

import csv
import shlex
import shutil
from collections import Counter
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from lakehouse.catalog import load
from lakehouse.cli.main import commands
from tests.lakes import CLOCK, change_source, content, open_shop, require_success, versions

HERE = Path(__file__).parent
STORIES = sorted(folder.name for folder in HERE.iterdir() if (folder / "source").is_dir())
WHO = ("_run_id", "_batch", "_extracted_at")
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


def act(project: Path, words: list[str], ids: list[str]) -> None:
    """One line of a file of acts."""
    if words[0] == "edit":
        text = (project / words[1]).read_text(encoding="utf-8")
        assert words[2] in text, text
        (project / words[1]).write_text(text.replace(words[2], words[3]), encoding="utf-8")
        return
    given = [ids[int(word[1:]) - 1] if word.startswith("@") else word for word in words]
    given = [str(project / word) if word.endswith((".csv", ".json")) else word for word in given]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_CONNECTION__SHOP", f"sqlite:///{project / 'source.db'}")
        patch.setenv("LAKEHOUSE_CLOCK", CLOCK)
        assert not commands(given)([*given, "--project", str(project)], standalone_mode=False), words


def tell(project: Path, number: int, ids: list[str]) -> None:
    """One run of a story, with the acts after it."""
    change_source(project / "source.db", (project / f"source/{number}.sql").read_text(encoding="utf-8"))
    done = open_shop(project).run()
    assert done.status in ("success", "unchanged"), [step.error for step in done.steps if step.error]
    ids.append(done.run_id)
    file = project / f"acts/{number}.txt"
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        act(project, shlex.split(line), ids)


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
    house, ids = open_shop(project), list[str]()
    for number in runs(story):
        tell(project, number, ids)
        for file in sorted((project / "expected").glob(f"{number}.*.csv")):
            columns, rows = expected(file)
            assert found(house, file.stem.partition(".")[2], columns) == rows, file.name
    if (project / "right").is_dir():
        require_right_world(project, tmp_path / "right")


def require_right_world(project: Path, right: Path) -> None:
    """The tables are those of the world that had it right from the start; no row is unaccounted for; bronze alone gives them again."""
    shutil.copytree(project, right, ignore=shutil.ignore_patterns("lake", "source", "source.db", "acts"))
    (right / "right").rename(right / "source")
    ids = list[str]()
    for file in sorted((right / "source").glob("*.sql")):
        tell(right, int(file.stem), ids)
    tables = [*(f"silver.{name}" for name in load(project).tables), *(f"gold.{name}" for name in load(project).models)]
    stands = {table: content(open_shop(project), table, WHO) for table in tables}
    assert stands == {table: content(open_shop(right), table, WHO) for table in tables}
    assert {account["unaccounted"] for account in open_shop(project).quality()["tables"]} == {0}
    shutil.copytree(project / "lake/bronze", project / "again/bronze")
    require_success(open_shop(project, lake="again"))
    assert stands == {table: content(open_shop(project, lake="again"), table, WHO) for table in tables}


@pytest.mark.parametrize("story", [name for name in STORIES if not (HERE / name / "right").is_dir()])
def test_told_in_one_run_the_star_s_facts_are_those_of_the_last(story: str, tmp_path: Path) -> None:
    project, ids = tmp_path / story, list[str]()
    shutil.copytree(HERE / story, project)
    for number in runs(story):
        tell(project, number, ids)
    shutil.copytree(project / "lake/bronze", project / "again/bronze")
    require_success(open_shop(project, lake="again"))
    for model in load(project).models:
        tables = [open_shop(project, lake=lake).scan(f"gold.{model}").collect() for lake in ("lake", "again")]
        assert Counter(tables[0].rows()) == Counter(tables[1].rows()), model
    stands = versions(project / "lake")
    require_success(open_shop(project))
    assert versions(project / "lake") == stands
