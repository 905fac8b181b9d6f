"""Columns that tell of people are found by name or by shape, and no value is told."""

import pytest

from lakehouse.model.types import DataType, parse_type
from lakehouse.transform.personal import personal

STRING = DataType("string")


def kind(table: str, name: str, type_: str = "string", values: tuple[object, ...] = ()) -> str | None:
    found = personal(table, name, parse_type(type_), values)
    return None if found is None else found.kind


@pytest.mark.parametrize(
    ("table", "name", "type_", "wanted"),
    [
        ("t", "email", "string", "e-mail"),
        ("t", "EMailAddress", "string", "e-mail"),
        ("t", "phone_number", "string", "phone"),
        ("t", "mobile", "bigint", "phone"),
        ("t", "IBAN", "string", "IBAN"),
        ("t", "lastName", "string", "name"),
        ("t", "Nachname", "string", "name"),
        ("t", "dateOfBirth", "date", "birth date"),
        ("t", "birth_date", "string", "birth date"),
        ("t", "street", "string", "address"),
        ("t", "zip_code", "string", "address"),
        ("t", "ip_address", "string", "IP address"),
        ("t", "ssn", "string", "national id"),
        ("customers", "name", "string", "name"),
        ("t", "customer_name", "string", "name"),
        ("t", "card_number", "string", "card number"),
        ("products", "name", "string", None),
        ("t", "product_name", "string", None),
        ("t", "email_sent", "boolean", None),
        ("t", "email_sent_count", "integer", None),
        ("t", "address_id", "bigint", None),
        ("t", "phone_verified", "string", None),
        ("t", "place_of_birth", "string", None),
        ("t", "amount", "decimal(12,2)", None),
        ("t", "created_on", "date", None),
        ("t", "漢", "string", None),
    ],
)
def test_by_name(table: str, name: str, type_: str, wanted: str | None) -> None:
    assert kind(table, name, type_) == wanted


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (("ann@example.org", "b.c+d@x.co.uk"), "e-mail"),
        (("DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"), "IBAN"),
        (("DE00370400440532013000",), None),
        (("+49 30 123456", "(030) 12345-67"), "phone"),
        (("2024-01-01", "12345678", "1.234.567"), None),
        (("10.0.0.1", "2001:db8::1"), "IP address"),
        (("Hauptstraße 5", "12 Main Street"), "address"),
        (("red", "green", "a@b.de"), "e-mail"),
        (("red", None, "", 7), None),
        ((), None),
    ],
)
def test_by_shape(values: tuple[object, ...], wanted: str | None) -> None:
    assert kind("t", "c", values=values) == wanted


def test_the_shape_wins_over_the_name_and_reasons_count() -> None:
    found = personal("t", "phone", STRING, ["a@b.de", "c@d.de", "x"])
    assert str(found) == "e-mail: 2 of 3 sampled values look like one"
    found = personal("t", "email", STRING, ["a@b.de"])
    assert str(found) == "e-mail: its name says so; 1 of 1 sampled values look like one"


def test_no_value_is_told() -> None:
    values = ["secret.person@example.org", "+49 30 7654321", "DE89370400440532013000", "Ann Secret"]
    for name in ("email", "name", "note"):
        shown = str(personal("customers", name, STRING, values))
        assert not any(value in shown for value in values)


def test_long_texts_are_looked_at_in_part() -> None:
    assert kind("t", "document", values=("x" * 2_000_000, "y" * 400 + "@" + "z" * 400)) is None
    assert kind("t", "document", values=("mail to a@b.de, " + "x" * 2_000_000, "other")) == "e-mail"
