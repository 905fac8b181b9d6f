"""Guesses which columns tell of people, by their names and by the shape of some values. No value ever leaves this module."""

from __future__ import annotations

import ipaddress
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from lakehouse.model.discovery import Personal
from lakehouse.transform.spelling import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lakehouse.model.types import DataType

HALF = 0.5
LOOKED_AT = 500
"""How many signs of a value are looked at."""
_TEXTUAL = ("string", "smallint", "integer", "bigint", "decimal")
_NAMES: tuple[tuple[str, frozenset[str]], ...] = (
    ("e-mail", frozenset({"email", "mail", "e mail", "emailaddress", "mailaddress"})),
    ("IBAN", frozenset({"iban"})),
    ("bank account", frozenset({"account number", "bank account", "accountnumber", "kontonummer", "bic", "sort code"})),
    ("card number", frozenset({"card number", "cardnumber", "credit card", "creditcard", "cvv", "cvc"})),
    ("phone", frozenset({"phone", "telephone", "tel", "mobile", "cell", "cellphone", "phonenumber", "fax", "msisdn", "telefon", "handy"})),
    ("birth date", frozenset({"birth", "birthday", "birthdate", "dob", "born", "dateofbirth", "geburtsdatum", "geburtstag"})),
    ("IP address", frozenset({"ip", "ipaddress", "ipaddr", "remote addr"})),
    ("national id", frozenset({"ssn", "social security", "passport", "national id", "tax id", "taxid", "driver license", "steuer id"})),
    (
        "address",
        frozenset({"address", "addr", "street", "postcode", "postal code", "zip", "zipcode", "plz", "strasse", "anschrift", "adresse"}),
    ),
    (
        "name",
        frozenset(
            {
                *("firstname", "lastname", "middlename", "fullname", "surname", "forename", "givenname", "familyname", "username"),
                *("first name", "last name", "middle name", "full name", "given name", "family name", "maiden name", "vorname", "nachname"),
            }
        ),
    ),
)
_PEOPLE = frozenset(
    {
        *("user", "users", "customer", "customers", "client", "clients", "employee", "employees", "person", "persons", "people"),
        *("contact", "contacts", "patient", "patients", "member", "members", "student", "students", "subscriber", "subscribers", "guest"),
        *("owner", "author", "driver", "passenger", "recipient", "kunde", "kunden", "mitarbeiter", "personen"),
    }
)
_ABOUT = frozenset({"id", "count", "verified", "sent", "type", "domain", "status", "key", "hash", "opt", "consent", "place", "valid"})
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[A-Za-z]{2,}")
_PHONE = re.compile(r"(\+|00|0|\()[0-9 ()/.\-]{6,22}")
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_STREET = re.compile(
    r"\b(street|st|road|rd|avenue|ave|lane|ln|drive|boulevard|blvd|rue|via|calle)\b|(stra(ß|ss)e|str\.|platz|weg|gasse)\b", re.IGNORECASE
)
_PERSON = re.compile(r"[^\W\d_][\w'.\u2019-]*( [^\W\d_][\w'.\u2019-]*){1,3}")


def personal(table: str, name: str, kind: DataType, values: Iterable[object]) -> Personal | None:
    """What a column tells of people, and why that is guessed; None where nothing says so.

    Args:
        table: The table's name, since `name` means a person in a table of customers.
        name: The column's name.
        kind: The column's type in the lake.
        values: Some of its values; they are looked at and forgotten.
    """
    by_name = _by_name(table, name, kind)
    texts = [value[:LOOKED_AT].strip() for value in values if isinstance(value, str) and value[:LOOKED_AT].strip()]
    by_shape = _by_shape(texts, person=by_name == "name")
    found = by_name if by_name and (not by_shape or by_shape[0] == by_name) else by_shape[0] if by_shape else None
    if found is None:
        return None
    reasons = ["its name says so"] * (by_name == found) + ([by_shape[1]] if by_shape else [])
    return Personal(found, tuple(reasons))


def _by_name(table: str, name: str, kind: DataType) -> str | None:
    parts = words(name)
    dated = kind.name in ("date", "timestamp")
    if not parts or (kind.name not in _TEXTUAL and not dated):
        return None
    single, pairs = set(parts), {" ".join(pair) for pair in pairwise(parts)}
    for found, known in _NAMES:
        hit = known & (single | pairs)
        if hit and (dated == (found == "birth date") or (found == "birth date" and kind.name == "string")):
            rest = {word for word in parts if word not in " ".join(hit).split()}
            return None if rest & _ABOUT else found
    named = parts[-1] == "name" and kind.name == "string"
    about_people = bool(set(parts[:-1]) & _PEOPLE) or (len(parts) == 1 and bool(set(words(table)) & _PEOPLE))
    return "name" if named and about_people else None


def _by_shape(texts: Sequence[str], *, person: bool) -> tuple[str, str] | None:
    """The kind that the values look like, with the sentence that says how many do."""
    shapes: list[tuple[str, Callable[[str], bool]]] = [
        ("e-mail", lambda text: _EMAIL.fullmatch(text) is not None),
        ("IBAN", _is_iban),
        ("IP address", _is_ip),
        ("phone", _is_phone),
        ("address", lambda text: any(sign.isdigit() for sign in text) and _STREET.search(text) is not None),
    ]
    if person:
        shapes.append(("name", lambda text: _PERSON.fullmatch(text) is not None))
    for found, looks in shapes:
        hits = sum(map(looks, texts))
        if texts and hits >= HALF * len(texts):
            return found, f"{hits} of {len(texts)} sampled values look like one"
    inside = sum(1 for text in texts if "@" in text and _EMAIL.search(text))
    return ("e-mail", f"{inside} of {len(texts)} sampled values hold one") if inside else None


def _is_iban(text: str) -> bool:
    """By its check digits (ISO 13616: letters as 10 to 35, the first four signs last, modulo 97 is 1)."""
    plain = text.replace(" ", "").upper()
    return _IBAN.fullmatch(plain) is not None and int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])) % 97 == 1


def _is_ip(text: str) -> bool:
    if text.count(".") != 3 and text.count(":") < 2:  # noqa: PLR2004  the dots of IPv4, the least colons of IPv6
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _is_phone(text: str) -> bool:
    digits = sum(sign.isdigit() for sign in text)
    return _PHONE.fullmatch(text) is not None and not _DAY.match(text) and 7 <= digits <= 15 and "." not in text  # noqa: PLR2004  E.164 allows 15 digits
