"""Whatever a database calls its tables and columns: the files that `discover` writes are valid, and they run."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse import Lakehouse
from lakehouse.catalog import load
from lakehouse.pipeline.skeleton import make_project
from lakehouse.transform.names import quote
from tests.servers import Postgres

NASTY = st.sampled_from(
    [
        *("select", "null", "No", "true", "y", "1e5", "order", "valid_from", "is_current", "IS_CURRENT", "_batch", "filename", "rowid"),
        *("a b", "a.b", 'a"b', "a'b", "a--b", "a;b", "a\nb", "é", "漢字", "# x", "a: b", "$x", " lead", "trail ", "x" * 62, "updated_at"),
    ]
)
PLAIN = st.text(st.sampled_from("abAB_1 $"), min_size=1, max_size=5)
ANY = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
NAME = NASTY | PLAIN | ANY.filter(lambda name: not name.lower().startswith("sqlite_"))
TYPE = st.sampled_from(["integer", "text", "timestamp", "numeric(10,2)", "date"])
VALUES = {"integer": "1", "text": "'a'", "timestamp": "'2024-01-01 00:00:00'", "numeric(10,2)": "1.5", "date": "'2024-01-01'"}


def columns(*, twins: bool) -> st.SearchStrategy[list[tuple[str, str]]]:
    return st.lists(st.tuples(NAME, TYPE), min_size=1, max_size=5, unique_by=lambda column: column[0] if twins else fold(column[0]))


def tables(*, twins: bool) -> st.SearchStrategy[dict[str, list[tuple[str, str]]]]:
    listed = st.lists(st.tuples(NAME, columns(twins=twins)), min_size=1, max_size=4, unique_by=lambda t: t[0] if twins else fold(t[0]))
    return listed.map(dict)


def fold(name: str) -> str:
    """A name as SQLite compares it: it folds ASCII alone."""
    return "".join(sign.lower() if sign.isascii() else sign for sign in name)


def statements(table: str, shape: list[tuple[str, str]]) -> list[str]:
    """A table with its first column as key, and one row."""
    listed = ", ".join(f"{quote(name)} {kind}{' not null primary key' * (number == 0)}" for number, (name, kind) in enumerate(shape))
    values = ", ".join(VALUES[kind] for _, kind in shape)
    return [f"create table {quote(table)} ({listed})", f"insert into {quote(table)} values ({values})"]


def require_valid_and_running(folder: Path, url: str, wanted: int) -> None:
    """Every table is taken or left out with a reason; what was written is valid, runs, and a look again writes nothing."""
    make_project(folder)
    house = Lakehouse.open(folder, connection={"odd": url})
    found = house.discover("odd", write=True)
    assert len(found.tables) == wanted
    taken = [table for table in found.tables if not table.left_out]
    assert sorted(load(folder, deep=True).tables) == sorted(str(table.table) for table in taken)
    report = house.run()
    assert [step.error for step in report.steps if step.error] == []
    for table in taken:
        assert house.scan(f"silver.{table.table}").collect().height == 1
    assert house.discover("odd", write=True).written == ()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(found=tables(twins=False))
def test_sqlite(found: dict[str, list[tuple[str, str]]], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("odd")
    with closing(sqlite3.connect(folder / "odd.db")) as database, database:
        for name, shape in found.items():
            for statement in statements(name, shape):
                database.execute(statement)
    require_valid_and_running(folder / "project", f"sqlite://{folder / 'odd.db'}", len(found))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(found=tables(twins=True))
def test_postgresql(found: dict[str, list[tuple[str, str]]], postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("odd")
    url = postgres.create_database(folder.name)
    with psycopg.connect(url) as connection:
        for name, shape in found.items():
            for statement in statements(name, shape):
                connection.execute(statement.encode())
    require_valid_and_running(folder, url, len(found))
