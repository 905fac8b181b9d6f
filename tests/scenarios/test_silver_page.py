"""The page about silver says what silver does: each of its examples, in many orders and batches."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
import pytest
import yaml

from lakehouse.engines.duck import Duck
from lakehouse.model.table import Table
from lakehouse.pipeline.in_memory import fold_in_memory
from lakehouse.quality.judging import without_lake
from lakehouse.transform.arrow import arrow_type

PAGE = Path(__file__).parents[2] / "docs" / "silver.md"
_SECTION = re.compile(r"^## (.+?)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```(yaml|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TECHNICAL = {"_batch": pl.Int64(), "_extracted_at": pl.Datetime("us", "UTC"), "_op": pl.String(), "_run_id": pl.String()}
ORDERS = 12

Grid = list[dict[str, str | None]]


class Example(NamedTuple):
    """One example of the page: a table's file, the rows of bronze, those of silver, and of the rejects where it shows some."""

    title: str
    table: Table
    given: Grid
    tables: list[Grid]


def grid(text: str) -> Grid:
    head, *lines = ([cell.strip() for cell in line.split("|")] for line in text.strip().splitlines())
    return [{name: None if cell == "NULL" else cell for name, cell in zip(head, line, strict=True)} for line in lines]


def examples(page: str) -> Iterator[Example]:
    for title, body in _SECTION.findall(page):
        blocks: list[tuple[str, str]] = _BLOCK.findall(body)
        starts = [place for place, (kind, _) in enumerate(blocks) if kind == "yaml"]
        for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(blocks)], strict=False), 1):
            words = {"name": "example", "source": "page", **yaml.safe_load(blocks[start][1])}
            given, *tables = (grid(text) for _, text in blocks[start + 1 : end])
            yield Example(f"{title} {number}" if len(starts) > 1 else title, Table.model_validate(words), given, tables)


def value(cell: str | None, kind: pl.DataType) -> Any:  # noqa: ANN401  any value of a lake
    if cell is None:
        return None
    if isinstance(kind, pl.Datetime):
        return datetime.fromisoformat(f"{cell}+00:00")
    if kind == pl.Date:
        return date.fromisoformat(cell)
    if kind == pl.Boolean:
        return cell == "true"
    return pl.Series([cell]).cast(kind)[0]


def bronze(example: Example) -> pl.DataFrame:
    declared = pa.schema([(name, arrow_type(column.type)) for name, column in example.table.columns.items()])
    kinds = pl.DataFrame(pl.from_arrow(declared.empty_table())).schema
    schema = {name: {**kinds, **_TECHNICAL}[name] for name in example.given[0]}
    return pl.DataFrame([[value(row[name], kind) for name, kind in schema.items()] for row in example.given], schema, orient="row")


def text(found: Any) -> str | None:  # noqa: ANN401  any value of a lake
    if isinstance(found, datetime):
        return found.strftime("%Y-%m-%d %H:%M")
    return None if found is None else str(found).lower() if isinstance(found, bool) else str(found)


def shown(frame: pl.DataFrame, like: Grid) -> list[list[str | None]]:
    names = list(like[0]) if like else frame.columns
    return sorted(([text(row[name]) for name in names] for row in frame.select(names).to_dicts()), key=str)


def in_some_order(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The rows in another order, and in other batches where the example does not say in which."""
    drawn = random.Random(seed)
    shuffled = rows[drawn.sample(range(rows.height), rows.height)]
    if "_batch" in rows.columns:
        return shuffled
    cuts = [drawn.random() < 0.5 for _ in range(rows.height)]
    return shuffled.with_columns(pl.Series("_batch", cuts).cum_sum().cast(pl.Int64) + 1)


@pytest.fixture(scope="module")
def duck() -> Iterator[Duck]:
    engine = Duck(256 * 1024**2)
    yield engine
    engine.close()


EXAMPLES = list(examples(PAGE.read_text(encoding="utf-8")))


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.title for example in EXAMPLES])
def test_an_example_of_the_page(duck: Duck, example: Example) -> None:
    rows = bronze(example)
    silver, *rejects = example.tables
    for seed in range(ORDERS):
        built = fold_in_memory(example.table, in_some_order(rows, seed), without_lake(duck.session))
        assert shown(built.rows, silver) == sorted(([*row.values()] for row in silver), key=str)
        if rejects:
            assert shown(built.rejects, rejects[0]) == sorted(([*row.values()] for row in rejects[0]), key=str)


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) > 12
