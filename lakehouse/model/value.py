"""Values that people write, in a file or on a command line, as values of a column's type, and as literals of SQL."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.model.types import DataType

_BITS = {"smallint": 16, "integer": 32, "bigint": 64}
_FORMS = {
    "date": " such as 2024-05-01",
    "timestamp": " such as 2024-05-01T10:30:00 (UTC, where no zone is named)",
    "string": " (in quotes, where it looks like another type)",
    "binary": " as hex digits",
}
EXACT_DIGITS = 15
"""So many digits of a decimal number survive in a float, as which YAML reads them."""
_WIDE = Context(prec=80)


def typed(given: object, kind: DataType) -> object:
    """The value that somebody wrote, as a column of this type holds it; None stays None.

    >>> from lakehouse.model.types import DataType
    >>> typed("44", DataType("integer")), typed("2024-05-01", DataType("timestamp")).isoformat()
    (44, '2024-05-01T00:00:00+00:00')

    Raises:
        ValueError: It is none of this type, or does not fit into it.
    """
    if given is None:
        return None
    try:
        found = _read(given, kind)
    except (ValueError, InvalidOperation, OverflowError):
        found = None
    if found is None:
        raise ValueError(f"expected {kind}{_FORMS.get(kind.name, '')}, given {given!r}")
    return found


def _read(given: object, kind: DataType) -> object | None:
    text = given.strip() if isinstance(given, str) else None
    number = given if isinstance(given, int | float) and not isinstance(given, bool) else None
    match kind.name:
        case "string":
            return given if isinstance(given, str) else None
        case "boolean":
            return given if isinstance(given, bool) else {"true": True, "false": False}.get((text or "").lower())
        case "smallint" | "integer" | "bigint":
            whole = number if isinstance(number, int) else None if text is None else int(text)
            limit = 2 ** (_BITS[kind.name] - 1)
            return whole if whole is not None and -limit <= whole < limit else None
        case "float" | "double":
            written = number if text is None else text
            return None if written is None else float(written)
        case "decimal":
            return None if number is None and text is None else _decimal(text if text is not None else str(number), given, kind)
        case "date":
            return None if text is None else date.fromisoformat(text)
        case "timestamp":
            return None if text is None else _instant(text)
        case _:
            return None if text is None else bytes.fromhex(text)


def _decimal(text: str, given: object, kind: DataType) -> Decimal | None:
    value = Decimal(text)
    if not value.is_finite() or (isinstance(given, float) and len(value.as_tuple().digits) > EXACT_DIGITS):
        return None  # a float has lost digits already: such a number stands in quotes
    exact = value.quantize(Decimal(1).scaleb(-kind.scale), context=_WIDE)
    return exact if exact == value and abs(exact) < Decimal(10) ** (kind.precision - kind.scale) else None


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def literal(value: object) -> str:
    """A value of a column as a literal of DuckDB's SQL.

    >>> literal("it's"), literal(date(2024, 5, 1))
    ("'it''s'", "date '2024-05-01'")
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return f"timestamptz '{value.isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    if isinstance(value, bytes):
        return f"from_hex('{value.hex()}')"
    if isinstance(value, float):
        return f"'{value!r}'::double"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value)
