"""The project's own metadata, and the schemas that editors check by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lakehouse.catalog import load
from lakehouse.catalog.graph import Graph
from lakehouse.catalog.schema import SCHEMAS, schema_text
from lakehouse.errors import UsageError

ROOT = Path(__file__).parents[3]


def test_the_project_s_own_metadata_is_sound() -> None:
    catalog = load(ROOT, deep=True)
    assert {"users", "artists", "tracks", "dates", "streams"} <= set(catalog.tables)
    assert {"dim_user", "dim_artist", "dim_track", "dim_date", "fact_stream"} <= set(catalog.models)


def test_every_table_comes_before_what_reads_it() -> None:
    graph = load(ROOT).graph
    order = graph.order()
    assert all(order.index(parent) < order.index(node) for node, above in graph.parents.items() for parent in above)


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_the_schema_files_are_the_models(kind: str) -> None:
    assert (ROOT / f"metadata/schema/{kind}.json").read_text(encoding="utf-8") == schema_text(kind)


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_a_schema_refuses_unknown_keys(kind: str) -> None:
    schema = json.loads(schema_text(kind))
    assert schema["additionalProperties"] is False
    assert all(part["additionalProperties"] is False for part in schema.get("$defs", {}).values())


def test_every_file_names_its_schema_in_its_first_line() -> None:
    for path in sorted(ROOT.glob("metadata/*/**/*.yml")):
        named = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# yaml-language-server: $schema=")
        assert (path.parent / named).resolve().parent == ROOT / "metadata/schema", path


def test_a_definition_changes_with_what_it_says_and_with_nothing_else() -> None:
    one, other = load(ROOT), load(ROOT)
    names = [*one.tables, *one.models]
    assert [one.definition(name) for name in names] == [other.definition(name) for name in names]
    assert len({one.definition(name) for name in names}) == len(names)
    assert all(0 <= one.definition(name) < 2**60 for name in names)


GRAPH = Graph({"a": [], "b": [], "c": ["a"], "d": ["c", "b"], "e": ["d"]}, {"b": ["daily"], "e": ["daily"]})


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], "abcde"),
        (["c"], "c"),
        (["c+"], "cde"),
        (["+c"], "ac"),
        (["+d"], "abcd"),
        (["+c+"], "acde"),
        (["a,b"], "ab"),
        (["tag:daily"], "be"),
        (["tag:daily", "a"], "abe"),
    ],
    ids=str,
)
def test_a_selection_names_nodes_in_order(words: list[str], names: str) -> None:
    assert sorted(GRAPH.select(words)) == sorted(names)
    assert GRAPH.select(words) == [node for node in GRAPH.order() if node in names]


@pytest.mark.parametrize("word", ["x", "tag:none", "+", "a++b"])
def test_a_selection_of_nothing_is_refused(word: str) -> None:
    with pytest.raises(UsageError):
        GRAPH.select([word])
