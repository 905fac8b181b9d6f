"""A plain table looks as the library would draw it; what is not plain is left to the library."""

from __future__ import annotations

from typing import Any

import pytest

from lakehouse.cli import output
from lakehouse.cli.output import print_table
from lakehouse.cli.table import drawn

ROWS: list[dict[str, Any]] = [
    {"step": "bronze", "rows": 1200, "seconds": 0.25, "note": "[red]no markup[/red]", "empty": None},
    {"step": "silver", "rows": None, "seconds": 12.0, "note": " https://a.b:1 :warning:", "empty": None},
    {"step": "", "rows": -1, "seconds": 1e6, "note": "x" * 40, "empty": True},
]


@pytest.mark.parametrize("title", [None, "run abc: unchanged in 0.10 s"])
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], [{"step": "a"}, {"step": "b"}]])
def test_it_is_the_library_s_table(
    rows: list[dict[str, Any]], title: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    print_table(rows, title=title)
    quick = capsys.readouterr().out
    monkeypatch.setattr(output, "drawn", lambda *_: None)
    print_table(rows, title=title)
    assert quick == capsys.readouterr().out


@pytest.mark.parametrize("text", ["caf\u00e9", "\u8868", "two\nlines", "a\ttab", "an end ", "x" * 98])
def test_what_is_not_plain_is_left_to_the_library(text: str) -> None:
    assert drawn(["a"], [[text]], [False], "", 100) is None
    assert drawn(["a"], [["plain"]], [False], text, 100) is None
    assert drawn([], [], [], "", 100) is None


def test_a_terminal_gets_the_library_s_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(output, "drawn", lambda *_: "not this one")
    print_table(ROWS[:1])
    assert "bronze" in capsys.readouterr().out
