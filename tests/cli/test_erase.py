"""`lakehouse erase` as its page shows it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.project import Done, Project

PAGE = Path(__file__).parents[2] / "docs/erasure.md"
KEY = {"KEY__ERASURE": "0f" * 32}


def test_the_commands_of_the_page(loaded: Project) -> None:
    lines = re.findall(r"^\$ lakehouse (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    done: list[Done] = [loaded.call(*shlex.split(line), **KEY) for line in lines]
    assert [each.code for each in done] == [0] * 4, [each.err for each in done]
    assert "Nothing was written" in done[0].out
    assert "certificate 1" in done[1].out
    assert {row["status"] for row in done[3].json} == {"ok"}
    assert loaded.ask("select user_key from gold.fact_order where order_id = 11") == [{"user_key": -1}]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--table", "users"), "nobody is named"),
        (("--table", "nobody", "--key", "1"), "no silver table"),
        (("--table", "users", "--key", "many"), "cannot be one"),
        (("--table", "users", "--key", "1", "--key", "2"), "number of parts"),
        (("--verify", "7"), "no certificate 7"),
        (("--verify", "--key", "1"), "--verify takes no"),
    ],
)
def test_misuse(loaded: Project, words: tuple[str, ...], says: str) -> None:
    done = loaded.call("erase", *words, **KEY)
    assert done.code == 2
    assert says in done.err
