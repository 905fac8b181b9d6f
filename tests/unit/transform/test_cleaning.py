"""What silver makes of a value: exactly another, or nothing and a mark."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from lakehouse.model.cleaning import Column, Derived
from lakehouse.model.table import Table
from lakehouse.model.types import parse_type
from lakehouse.transform.arrow import arrow_schema
from lakehouse.transform.cleaning import cast, derived, sql_type
from lakehouse.transform.rowwise import Rowwise

ZONE = "set timezone = 'UTC'"


def made(value: Any, source: str, to: str, form: str | None = None) -> Any:  # noqa: ANN401  any value
    kind = parse_type(source)
    with duckdb.connect() as engine:
        engine.execute(ZONE)
        found = engine.execute(f"select {cast('x', kind, parse_type(to), form)} from (select ?::{sql_type(kind)} as x)", [value]).fetchone()
    assert found
    return found[0].astimezone(UTC) if isinstance(found[0], datetime) else found[0]


@pytest.mark.parametrize(
    ("value", "source", "to", "wanted"),
    [
        ("42", "string", "integer", 42),
        ("42.00", "string", "integer", 42),
        ("42.5", "string", "integer", None),
        ("4e2", "string", "integer", None),
        ("9999999999", "string", "integer", None),
        (" 42", "string", "integer", None),
        ("1.50", "string", "decimal(9,1)", Decimal("1.5")),
        ("1.55", "string", "decimal(9,1)", None),
        (".5", "string", "decimal(9,2)", Decimal("0.50")),
        ("0.1", "string", "double", 0.1),
        ("0.12345678901234567", "string", "double", None),
        ("1e400", "string", "double", None),
        ("Yes", "string", "boolean", True),
        ("maybe", "string", "boolean", None),
        ("2024-02-29", "string", "date", date(2024, 2, 29)),
        ("2023-02-29", "string", "date", None),
        ("2024-02-29 10:00", "string", "date", None),
        ("2024-02-29 10:00:00.123456", "string", "timestamp", datetime(2024, 2, 29, 10, 0, 0, 123456, UTC)),
        ("2024-02-29T10:00:00+02:00", "string", "timestamp", datetime(2024, 2, 29, 8, tzinfo=UTC)),
        ("2024-02-29 10:00:00.1234567", "string", "timestamp", None),
        (2**53, "bigint", "double", float(2**53)),
        (2**53 + 1, "bigint", "double", None),
        (70000, "bigint", "smallint", None),
        (1.0, "double", "integer", 1),
        (1.5, "double", "integer", None),
        (float("nan"), "double", "decimal(9,2)", None),
        (0.1, "double", "decimal(9,2)", Decimal("0.10")),
        (0.123, "double", "decimal(9,2)", None),
        (Decimal("1.25"), "decimal(9,2)", "decimal(9,1)", None),
        (Decimal("1.20"), "decimal(9,2)", "decimal(9,1)", Decimal("1.2")),
        (Decimal("1.50"), "decimal(9,2)", "integer", None),
        (1, "integer", "boolean", True),
        (2, "integer", "boolean", None),
        (datetime(2024, 1, 1, tzinfo=UTC), "timestamp", "date", date(2024, 1, 1)),
        (datetime(2024, 1, 1, 1, tzinfo=UTC), "timestamp", "date", None),
        (date(2024, 1, 1), "date", "timestamp", datetime(2024, 1, 1, tzinfo=UTC)),
        (12, "integer", "string", "12"),
        (None, "string", "integer", None),
    ],
)
def test_a_value_is_exactly_another_or_nothing(value: object, source: str, to: str, wanted: object) -> None:
    assert made(value, source, to) == wanted


def test_a_format_says_how_a_text_writes_a_day() -> None:
    assert made("29.02.2024", "string", "date", "%d.%m.%Y") == date(2024, 2, 29)
    assert made("29.02.2024 10:00", "string", "date", "%d.%m.%Y %H:%M") is None
    assert made("29.02.2024 10:00", "string", "timestamp", "%d.%m.%Y %H:%M") == datetime(2024, 2, 29, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("sql", "kind", "wanted"),
    [
        ("n", "smallint", 3),
        ("n + 0.5", "integer", None),
        ("x", "integer", None),
        ("n", "string", "3"),
    ],
)
def test_a_derived_value_has_its_declared_type_exactly(sql: str, kind: str, wanted: object) -> None:
    value = derived(Derived(sql=sql, type=parse_type(kind)))
    with duckdb.connect() as engine:
        engine.execute("create table t as select 3 as n, 'x' as x")
        assert engine.execute(f"select {value.sql}, {value.fails} from t").fetchone() == (wanted, wanted is None)


def planned(words: dict[str, Any], **values: object) -> dict[str, Any]:
    """One row through the plan of a table."""
    table = Table.model_validate({"name": "t", "source": "s", "from": "t", "mode": "full", **words})
    plan = Rowwise(table, arrow_schema({name: shape.type for name, shape in table.columns.items()}))
    with duckdb.connect() as engine:
        engine.execute(ZONE)
        columns = ", ".join(f"?::{sql_type(table.columns[name].type)} as {name}" for name in values)
        found = engine.execute(plan.query(f"(select {columns})"), list(values.values()))
        names = [each[0] for each in found.description or ()]
        assert names == plan.schema.names
        row = found.fetchone()
    assert row
    return dict(zip(names, row, strict=True))


def test_the_order_of_cleaning() -> None:
    shape = {
        "type": "string",
        "trim": True,
        "case": "lower",
        "nulls": ["n/a"],
        "map": {"eins": "1"},
        "as": "integer",
        "default": 7,
        "rename": "n",
    }
    assert planned({"columns": {"x": shape}}, x=" EINS ") == {"n": 1, "_uncast": None}
    assert planned({"columns": {"x": shape}}, x="N/A") == {"n": 7, "_uncast": None}
    assert planned({"columns": {"x": shape}}, x="zwei") == {"n": 7, "_uncast": "n"}


def test_keys_are_one_however_they_are_written() -> None:
    words = {"keys": "k", "normalize_keys": True, "columns": {"k": "string", "v": "string"}}
    written = ["\u00c5nn", "A\u030anN\u00a0", " \u00e5nn\t"]
    assert {planned(words, k=text, v=text)["k"] for text in written} == {"\u00e5nn"}
    assert planned(words, k="X ", v="X ")["v"] == "X "
    assert planned(words, k="\u0130", v="")["k"] == planned(words, k="I\u0307\u2003", v="")["k"]


def test_columns_that_are_made_see_the_others_after_cleaning() -> None:
    words = {"columns": {"x": {"type": "string", "trim": True, "rename": "y"}}, "derive": {"z": {"sql": "y || '!'", "type": "string"}}}
    assert planned(words, x=" a ") == {"y": "a", "z": "a!", "_uncast": None}


@pytest.mark.parametrize(
    "shape",
    [
        {"type": "integer", "trim": True},
        {"type": "binary", "as": "string"},
        {"type": "string", "format": "%Y"},
        {"type": "integer", "nulls": ["x"]},
        {"type": "integer", "default": True},
        {"type": "string", "as": "integer", "default": "1"},
        {"type": "boolean", "as": "date"},
    ],
)
def test_words_that_do_not_go_together(shape: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Column.model_validate(shape)
