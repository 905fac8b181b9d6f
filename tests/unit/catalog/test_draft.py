"""A drafted file says what was found and passes the catalogue, whatever the source calls its things."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.catalog import load
from lakehouse.catalog.draft import source_text, table_text
from lakehouse.model.discovery import FoundColumn, FoundTable, Personal, Proposal
from lakehouse.model.types import DataType, parse_type
from lakehouse.transform.spelling import refused_columns

ODD = st.text(max_size=8) | st.sampled_from(
    ["null", "No", "on", "true", "y", "~", "1e5", "e1", "a: b", "- a", "# a", "{a}", "'", '"', "id"]
)


def column(name: str, kind: str = "string", *, note: str = "", left_out: str = "") -> FoundColumn:
    return FoundColumn(name, "text", parse_type(kind), note=note, left_out=left_out)


def loaded(folder: Path, table: FoundTable) -> dict[str, str]:
    """The columns of the drafted table, as the catalogue reads them back."""
    for name, text in {"sources/s.yml": source_text("s"), "tables/s/drafted.yml": table_text(table)}.items():
        path = folder / "metadata" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    read = load(folder, deep=True).tables["drafted"]
    assert read.object == table.object
    assert (read.mode, read.keys, read.cursor) == (table.proposal.mode, table.proposal.keys, table.proposal.cursor)
    return {name: str(shape.type) for name, shape in read.columns.items()}


def test_what_is_said(tmp_path: Path) -> None:
    table = FoundTable(
        "public.Order Line",
        rows=1200,
        rows_are="estimated",
        columns=(
            column("id", "bigint"),
            column("no", "decimal(12,2)"),
            column("mail", note="not every value is a date"),
            FoundColumn("e", "text", DataType("string"), personal=Personal("e-mail", ("its name says so",))),
            column("Unit Price", left_out="it has a blank"),
        ),
        proposal=Proposal("incremental", ("id", "no"), "the primary key", "id", ("its name", "no NULL"), 10, "scd1"),
    )
    assert loaded(tmp_path, table) == {"id": "bigint", "no": "decimal(12,2)", "mail": "string", "e": "string"}
    assert table_text(table).splitlines()[1:] == [
        "# Found by `lakehouse discover`; about 1,200 rows. What is guessed says why: look it over, then it is yours.",
        'from: "public.Order Line"',
        "mode: incremental",
        "# keys: the primary key",
        'keys: [id, "no"]',
        "# cursor: its name; no NULL",
        "cursor: id",
        "# lookback: a guess of how late a row can come",
        "lookback: 10",
        "history: scd1",
        "columns:",
        "  id: bigint",
        '  "no": decimal(12,2)',
        "  mail: string  # not every value is a date",
        "  e: string  # PII? e-mail: its name says so",
        "  # e: {type: string, pii: hmac, key: people, case: lower, unicode: NFC, trim: true}",
        '  # left out: "Unit Price": it has a blank',
    ]


@pytest.mark.parametrize("name", ["null", "No", "on", "true", "y", "Off", "e1", "select"])
def test_words_of_yaml_are_names_all_the_same(tmp_path: Path, name: str) -> None:
    table = FoundTable(name, columns=(column(name, "timestamp"),), proposal=Proposal("incremental", (name,), "", name, (), "1d", "scd2"))
    assert loaded(tmp_path, table) == {name: "timestamp"}


@given(names=st.lists(ODD, unique=True, max_size=6), said=st.text(max_size=20))
def test_odd_names_and_reasons_never_break_a_file(names: list[str], said: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    refused = refused_columns(names)
    columns = (column("first"), *(column(name, note=said, left_out=refused.get(name, "")) for name in names if name != "first"))
    table = FoundTable("t", columns=columns, proposal=Proposal(keys_why=said, cursor_why=(said, said)))
    assert set(loaded(tmp_path_factory.mktemp("drafted"), table)) == {"first", *(name for name in names if name not in refused)}


def test_a_table_of_a_thousand_columns_that_are_left_out_stays_readable(tmp_path: Path) -> None:
    table = FoundTable("t", columns=(column("a"), *(column(f"{number} x" * 20, left_out="why " * 40) for number in range(2000))))
    assert loaded(tmp_path, table) == {"a": "string"}
    assert table_text(table).endswith("  # left out: 1960 more\n")
