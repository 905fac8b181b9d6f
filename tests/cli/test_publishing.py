"""Publishing from the command line, and the page about it, walked as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.project import Project

PAGE = Path(__file__).parents[2] / "docs" / "publishing.md"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BAD = "insert into Orders values (13, 1, 5000, '2024-01-06 12:00:00')"
ANOTHER = "insert into Orders values (14, 1, 5, '2024-01-06 12:00:00')"
CHECK = {"sql/checks/small.sql": "select order_id, amount, 'Ann Example' as name from gold.fact_order where amount > 1000"}


def walk(project: Project, block: str) -> None:
    """Run the commands of a block of the page; what is none of ours, as one script of the shell."""
    own, other = (
        [line for line in block.splitlines() if line.startswith("lakehouse ")],
        "".join(line for line in block.splitlines(keepends=True) if not line.startswith("lakehouse ")),
    )
    subprocess.run(("/bin/bash", "-euo", "pipefail", "-c", other), cwd=project.folder, check=True)
    for line in own:
        done = project.call(*shlex.split(line, comments=True)[1:], CLOCK="2024-02-02T00:00:00Z")
        assert done.code == 0, (line, done.out, done.err)


def test_the_page_does_what_it_says(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "python":
            monkeypatch.chdir(project.folder)
            there: dict[str, Any] = {}
            exec(text, there)  # noqa: S102  the page is ours
            assert there["count"].item() == there["facts"].collect().height == 3
            continue
        if "sql/checks" in text:
            project.change(ANOTHER)
        walk(project, text)
    stars = project.call("publish", "--list", "-o", "json").json
    assert [(star["star"], star["same_as"]) for star in stars] == [(5, None), (4, 1), (3, 1), (2, None), (1, None)]
    assert [star["checks"] for star in stars] == [6, 4, 4, 6, 4]


def test_a_check_that_fails_ends_with_3_and_shows_no_name(loaded: Project) -> None:
    for name, text in CHECK.items():
        loaded.write(name, text)
    loaded.change(BAD)
    done = loaded.call("run")
    assert done.code == 3
    assert "small: `sql/checks/small.sql` gives rows (1 row: order_id=13, amount=5000.00, name=A***e)" in done.err
    assert "Example" not in done.out + done.err
    assert loaded.call("publish").code == 3
    assert loaded.ask("select count(*) as n from gold.fact_order") == [{"n": 3}]
    assert loaded.call("query", "--staged", "select count(*) as n from gold.fact_order", "-o", "json").json == [{"n": 4}]
    assert [row["rows"] for row in loaded.call("status", "-o", "json").json if row["table"] == "fact_order"] == [3]
    loaded.write("sql/checks/small.sql", "select * from gold.fact_order where amount > 5000")
    assert loaded.call("publish", "-o", "json").json["star"] == 2
    assert "Star 3 is published, the tables of star 1 again: dim_user, fact_order changed." in loaded.call("publish", "--rollback").out


def test_stars_that_are_outlived_are_forgotten(loaded: Project) -> None:
    assert loaded.call("publish", "--rollback", CLOCK="2024-02-02T00:00:00Z").code == 2
    loaded.change(ANOTHER)
    assert loaded.call("run", CLOCK="2024-02-03T00:00:00Z").code == 0
    later = {"CLOCK": "2024-06-01T00:00:00Z"}
    assert "still needed" in loaded.call("publish", "--forget", **later).out
    assert loaded.call("publish", "--forget", "-o", "json", STARS_KEPT="1", **later).json == {"forgotten": [1]}
    assert [star["star"] for star in loaded.call("publish", "--list", "-o", "json").json] == [2]
    assert loaded.ask("select count(*) as n from gold.fact_order") == [{"n": 4}]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("publish", "1"), "star 1 is published already"),
        (("publish", "--rollback", "7"), "star 7 is not kept (expected 1 to 1)"),
        (("publish", "--rollback", "--list"), "two things"),
        (("publish", "--forget", "--list"), "two things"),
        (("query", "--star", "7", "select 1 from gold.dim_user"), "star 7 is not kept"),
        (("query", "--as-of", "17", "select 1 from gold.dim_user"), "--as-of cannot be read"),
        (("query", "--as-of", "2001-01-01", "select 1 from gold.dim_user"), "no star that is kept is so old"),
        (("query", "--as-of", "2024-06-01", "--staged", "select 1 from gold.dim_user"), "in one way"),
    ],
)
def test_what_cannot_be_is_misuse_and_says_so(loaded: Project, words: tuple[str, ...], said: str) -> None:
    done = loaded.call(*words)
    assert done.code == 2
    assert said in done.err


def test_faults_of_checks_are_reported_with_all_others(project: Project) -> None:
    project.write("sql/checks/Bad-Name.sql", "select 1 as x from gold.dim_users")
    project.write("sql/checks/two.sql", "-- else: maybe\nselect 1; select 2")
    project.write("sql/checks/columns.sql", "select surname from silver.users")
    said = project.call("validate").err
    for fault in ("names the check", "did you mean gold.dim_user?", "expected fail or warn", "given 2 statements"):
        assert fault in said
    for name in ("Bad-Name", "two"):
        (project.folder / f"sql/checks/{name}.sql").unlink()
    assert "sql/checks/columns.sql:1" in project.call("validate").err
