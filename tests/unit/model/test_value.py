"""What people write becomes a value of its column's type, or is refused with what was expected."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from lakehouse.model.types import parse_type
from lakehouse.model.value import literal, typed


@pytest.mark.parametrize(
    ("given", "kind", "value"),
    [
        ("44", "integer", 44),
        (-32_768, "smallint", -32_768),
        ("true", "boolean", True),
        ("0.10", "decimal(12,2)", Decimal("0.10")),
        (0.1, "decimal(12,2)", Decimal("0.10")),
        (5, "decimal(38,0)", Decimal(5)),
        ("1e3", "double", 1000.0),
        (7, "double", 7.0),
        ("2024-02-29", "date", date(2024, 2, 29)),
        ("2024-05-01T12:00:00+02:00", "timestamp", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("2024-05-01", "timestamp", datetime(2024, 5, 1, tzinfo=UTC)),
        ("it's", "string", "it's"),
        ("00ff", "binary", b"\x00\xff"),
        (None, "date", None),
    ],
)
def test_a_value(given: object, kind: str, value: object) -> None:
    found = typed(given, parse_type(kind))
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("x", "integer"),
        (1.0, "integer"),
        (True, "integer"),
        (32_768, "smallint"),
        ("0.105", "decimal(12,2)"),
        ("12345678901.00", "decimal(12,2)"),
        ("NaN", "decimal(12,2)"),
        (1234567890.1234567, "decimal(38,10)"),
        (1, "boolean"),
        (1234, "string"),
        ("2023-02-29", "date"),
        (2024, "timestamp"),
        ("0000-01-01", "timestamp"),
        ("9999-12-31T23:00:00-05:00", "timestamp"),
        ("xyz", "binary"),
    ],
)
def test_no_value(given: object, kind: str) -> None:
    with pytest.raises(ValueError, match=r"expected .*, given "):
        typed(given, parse_type(kind))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (44, "44"),
        (True, "true"),
        ("a'; drop table x", "'a''; drop table x'"),
        (Decimal("0.10"), "0.10"),
        (datetime(2024, 5, 1, 10, tzinfo=UTC), "timestamptz '2024-05-01 10:00:00+00:00'"),
        (b"\xff", "from_hex('ff')"),
        (None, "null"),
    ],
)
def test_a_literal(value: object, text: str) -> None:
    assert literal(value) == text
