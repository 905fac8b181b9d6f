"""docs/types.md says what the dialects do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lakehouse.model.types import DataType
from lakehouse.sources import mysql_types as mysql
from lakehouse.sources import postgres, sqlite, tsql

PAGE = (Path(__file__).parents[3] / "docs/types.md").read_text(encoding="utf-8")


def of_postgres(native: str) -> DataType:
    word, precision, scale = parts(native)
    return postgres.lake_type(word, -1 if precision is None else ((precision << 16) | ((scale or 0) & 0x7FF)) + 4)


def of_sqlserver(native: str) -> DataType:
    digits = {"money": (19, 4), "smallmoney": (10, 4)}
    word, precision, scale = parts(native)
    return tsql.lake_type(word, *digits.get(word, (precision, scale)))


def parts(native: str) -> tuple[str, int | None, int | None]:
    match = re.fullmatch(r"(\w+)(?:\((\d+)(?:,(-?\d+))?\))?", native)
    assert match is not None
    return match[1], match[2] and int(match[2]), match[3] and int(match[3])  # type: ignore[return-value]  # None stays None


CHAPTERS: dict[str, Callable[[str], DataType]] = {
    "PostgreSQL": of_postgres,
    "MySQL and MariaDB": mysql.lake_type,
    "SQL Server": of_sqlserver,
    "SQLite": sqlite.lake_type,
}


def rows() -> Iterator[tuple[str, str, str]]:
    """Chapter, native type and lake type of every type that the page names."""
    for chapter in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        for natives, lakes in re.findall(r"^\| (`[^|]*`) \| ([^|]*) \|", chapter, flags=re.MULTILINE):
            names = re.findall(r"`([^`]*)`", natives)
            types = re.split(r", (?=[a-z])", lakes)
            for name, lake in zip(names, types * len(names) if len(types) == 1 else types, strict=True):
                yield chapter.partition("\n")[0], name, lake


@pytest.mark.parametrize(("chapter", "native", "lake"), list(rows()))
def test_the_page_s_types_are_the_code_s(chapter: str, native: str, lake: str) -> None:
    obstacles = {"MySQL and MariaDB": mysql.obstacle(native), "SQL Server": tsql.OBSTACLES.get(native, "")}
    assert bool(obstacles.get(chapter)) is (lake == "refused")
    if lake != "refused":
        assert str(CHAPTERS[chapter](native)) == lake


def test_every_type_that_the_code_knows_is_on_the_page() -> None:
    there = {chapter: {re.split(r"[( ]", native)[0] for name, native, _ in rows() if name == chapter} for chapter in CHAPTERS}
    known = {"PostgreSQL": postgres.TYPES, "MySQL and MariaDB": mysql.TYPES, "SQL Server": {**tsql.TYPES, **tsql.OBSTACLES}}
    assert {name: set(types) - there[name] for name, types in known.items()} == {name: set() for name in known}
