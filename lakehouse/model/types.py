"""The lake's column types: one small vocabulary for metadata, sources and tables."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

PLAIN = ("boolean", "smallint", "integer", "bigint", "float", "double", "string", "binary", "date", "timestamp")
INTEGERS = ("smallint", "integer", "bigint")
_ALIASES = {"int": "integer", "long": "bigint", "text": "string", "bool": "boolean", "datetime": "timestamp", "real": "float"}
_DECIMAL = re.compile(r"^(?:decimal|numeric)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)$")
MAX_PRECISION = 38


class DataType(NamedTuple):
    """A type of the lake. `timestamp` is an instant in UTC microseconds.

    Attributes:
        name: One of `PLAIN`, or `decimal`.
        precision: Digits in all, for decimals only.
        scale: Digits after the point, for decimals only.
    """

    name: str
    precision: int = 0
    scale: int = 0

    def __str__(self) -> str:
        """As metadata writes it.

        >>> str(DataType("decimal", 12, 2))
        'decimal(12,2)'
        """
        return f"decimal({self.precision},{self.scale})" if self.name == "decimal" else self.name


def parse_type(text: object) -> DataType:
    """The type that a metadata text names.

    >>> parse_type("numeric(12, 2)")
    DataType(name='decimal', precision=12, scale=2)

    Raises:
        ValueError: The text names no type of the lake.
    """
    if isinstance(text, DataType):
        return text
    word = str(text).strip().lower()
    word = _ALIASES.get(word, word)
    if word in PLAIN:
        return DataType(word)
    if match := _DECIMAL.match(word):
        precision, scale = int(match[1]), int(match[2] or 0)
        if 1 <= precision <= MAX_PRECISION and scale <= precision:
            return DataType("decimal", precision, scale)
    raise ValueError(f"{text!r} is no type; allowed: {', '.join(PLAIN)}, decimal(p,s) with p up to {MAX_PRECISION}")


TypeName = Annotated[
    DataType,
    BeforeValidator(parse_type),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "description": "boolean, smallint, integer, bigint, float, double, string, binary, date, timestamp, decimal(p,s)",
        }
    ),
]
