"""What MySQL and MariaDB call their types, in the schema and on the wire, and what they are in the lake."""

from __future__ import annotations

import re
from typing import Any

from pymysql.constants import FIELD_TYPE, FLAG

from lakehouse.model.types import MAX_PRECISION, DataType

_NATIVE = re.compile(r"^(\w+)(?:\((\d+)(?:,(\d+))?\))?")
TYPES = {
    "smallint": "smallint",
    "year": "smallint",
    "mediumint": "integer",
    "int": "integer",
    "bigint": "bigint",
    "float": "float",
    "double": "double",
    "date": "date",
    "datetime": "timestamp",
    "timestamp": "timestamp",
}
_WIRE = {
    FIELD_TYPE.TINY: "tinyint",
    FIELD_TYPE.SHORT: "smallint",
    FIELD_TYPE.INT24: "mediumint",
    FIELD_TYPE.LONG: "int",
    FIELD_TYPE.LONGLONG: "bigint",
    FIELD_TYPE.YEAR: "year",
    FIELD_TYPE.FLOAT: "float",
    FIELD_TYPE.DOUBLE: "double",
    FIELD_TYPE.BIT: "bit",
    FIELD_TYPE.DATE: "date",
    FIELD_TYPE.NEWDATE: "date",
    FIELD_TYPE.DATETIME: "datetime",
    FIELD_TYPE.TIMESTAMP: "timestamp",
    FIELD_TYPE.TIME: "time",
    FIELD_TYPE.JSON: "json",
    FIELD_TYPE.GEOMETRY: "geometry",
    242: "vector",
}
_BYTES = 63  # the "character set" of what is no text
_UNSIGNED = {"tinyint": "smallint", "smallint": "integer", "mediumint": "integer", "int": "bigint"}
_SHAPES = re.compile(r"^(geom|point|linestring|polygon|multi)")


def lake_type(native: str) -> DataType:
    """The lake's type for a COLUMN_TYPE of information_schema; what has no like travels as its text.

    `tinyint(1)` and `bit(1)` are what BOOLEAN and flags become in MySQL.

    >>> str(lake_type("bigint(20) unsigned"))
    'decimal(20,0)'
    """
    match = _NATIVE.match(native.lower())
    if match is None:
        return DataType("string")
    word, length, scale = match[1], int(match[2] or 0), int(match[3] or 0)
    unsigned = "unsigned" in native.lower()
    if word == "decimal":
        return DataType("decimal", length, scale) if length <= MAX_PRECISION else DataType("string")
    if word == "bit":
        return DataType("boolean") if length == 1 else DataType("decimal", 20, 0) if length == 64 else DataType("bigint")  # noqa: PLR2004
    if word == "bigint" and unsigned:
        return DataType("decimal", 20, 0)
    if word == "tinyint" and not unsigned:
        return DataType("boolean" if length == 1 else "smallint")
    if word in ("binary", "varbinary") or word.endswith("blob"):
        return DataType("binary")
    return DataType(_UNSIGNED[word] if unsigned and word in _UNSIGNED else TYPES.get(word, "string"))


def word_of(native: str) -> str:
    """The bare word of a COLUMN_TYPE: `int` of `int(11) unsigned`."""
    match = _NATIVE.match(native.lower())
    return match[1] if match else ""


def obstacle(native: str) -> str:
    """Why a column of a COLUMN_TYPE cannot be read; empty where it can."""
    word = word_of(native)
    if _SHAPES.match(word):
        return "shapes have no text that keeps every digit (ST_AsText and ST_AsBinary give what there is)"
    return "the driver does not know vectors" if word == "vector" else ""


def declared(field: Any) -> str:  # noqa: ANN401  pymysql has no types
    """A column of a result as COLUMN_TYPE would write it (the protocol's "Column Definition": a decimal's length counts sign and point)."""
    unsigned = bool(field.flags & FLAG.UNSIGNED)
    if field.type_code in (FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL):
        return f"decimal({field.length - (field.scale > 0) - (not unsigned)},{field.scale})"
    word = _WIRE.get(field.type_code)
    if word is None:
        return "enum" if field.flags & (FLAG.ENUM | FLAG.SET) else "varbinary" if field.charsetnr == _BYTES else "text"
    return f"{word}({field.length})" + " unsigned" * unsigned if word in ("tinyint", "bit") else word + " unsigned" * unsigned
