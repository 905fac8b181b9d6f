"""What goes together with which kind of cursor, in the file and in the source's own types."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from lakehouse.catalog import load
from lakehouse.catalog.notes import notes
from lakehouse.model.cursor import with_type
from lakehouse.model.table import Table
from tests.lakes import write_project


def table(**words: object) -> Table:
    return Table.model_validate({"name": "t", "source": "s", "from": "t", "mode": "incremental", "keys": "id", "cursor": "at", **words})


def faults(kind: str, **words: object) -> list[str]:
    return [key for _, key in with_type(table(**words), kind)]


@pytest.mark.parametrize(
    ("kind", "words", "keys"),
    [
        ("timestamp", {"lag": "5m", "lookback": "1d", "start_at": "2024-01-01", "cursor_zone": "Europe/Berlin"}, []),
        ("timestamp", {"lag": 5, "lookback": 1, "start_at": 7}, ["lookback", "lag", "start_at"]),
        ("bigint", {"lag": 5, "lookback": 1, "start_at": 7}, []),
        ("bigint", {"lag": "5m", "cursor_zone": "UTC"}, ["lag", "cursor_zone"]),
        ("date", {"cursor_zone": "Asia/Kolkata", "odd_cursors": "read_once"}, []),
        ("bigint", {"odd_cursors": "read_once"}, ["odd_cursors"]),
        ("bigint", {"odd_cursors": "read_once", "sequence_by": "at"}, ["odd_cursors"]),
        ("bigint", {"odd_cursors": "read_once", "sequence_by": "seen"}, []),
        ("bigint", {"odd_cursors": "reject"}, []),
        ("string", {}, []),
        ("string", {"lookback": "1d", "lag": 5, "start_at": 7, "cursor_zone": "UTC"}, ["lookback", "lag", "start_at", "cursor_zone"]),
        ("double", {}, ["cursor"]),
        ("binary", {"lag": 5}, ["cursor"]),
    ],
)
def test_what_fits_a_type(kind: str, words: dict[str, object], keys: list[str]) -> None:
    assert faults(kind, **words) == keys


@pytest.mark.parametrize("words", [{"lag": "1d"}, {"cursor_zone": "UTC"}, {"odd_cursors": "reject"}, {"cursor_set_by": "application"}])
def test_without_a_cursor_nothing_speaks_of_it(words: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="there is none"):
        Table.model_validate({"name": "t", "source": "s", "from": "t", "mode": "full", **words})


def test_a_cursor_that_the_application_sets_needs_a_lag() -> None:
    with pytest.raises(ValidationError, match="needs a `lag`"):
        table(cursor_set_by="application")
    assert table(cursor_set_by="application", lag="10m").lag


def test_rows_without_a_cursor_and_tombstones_need_a_sequence() -> None:
    with pytest.raises(ValidationError, match="where keys can go"):
        table(odd_cursors="read_once", deletes="sweep")
    assert table(odd_cursors="read_once", deletes="sweep", sequence_by="seen").marked


def test_what_a_text_cursor_cannot_promise_is_said(tmp_path: Path) -> None:
    files = {"metadata/sources/s.yml": "connection: s\n"}
    for name, kind in (("a", "string"), ("b", "bigint")):
        text = f"from: t\nmode: incremental\ncursor: at\ncolumns: {{at: {kind}}}\n"
        files[f"metadata/tables/s/{name}.yml"] = text
    (note,) = notes(load(write_project(tmp_path, files), deep=True))
    assert note.startswith("metadata/tables/s/a.yml: cursor: a text cursor")
