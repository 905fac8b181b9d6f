"""What a person makes of rows of bronze: SQL over each row, or values in an edited file; exactly of the column's type, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.model.types import DataType
from lakehouse.transform.arrow import lake_type
from lakehouse.transform.cleaning import cast, sql_type
from lakehouse.transform.names import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

UNFIT = "_unfit"
"""The names of the columns whose new value cannot be one, with commas; NULL where all can."""


def edited(relation: str, bronze: pa.Schema, made: Mapping[str, str]) -> str:
    """A query in DuckDB's dialect that gives the rows of a relation with new values in some columns, and `_unfit`.

    Args:
        relation: The rows; they have bronze's columns, and others.
        bronze: Its columns.
        made: SQL for the new values; of text or of what the column is.
    """
    texts = ", ".join(f"cast(({sql}) as varchar) as {quote('_new_' + name)}" for name, sql in made.items())
    values = {name: _exactly(quote("_new_" + name), bronze.field(name).type) for name in made}
    unfit = ", ".join(f"case when {quote('_new_' + name)} is not null and {sql} is null then '{name}' end" for name, sql in values.items())
    columns = ", ".join(f"{values.get(name, quote(name))} as {quote(name)}" for name in bronze.names)
    return f"select {columns}, nullif(concat_ws(',', {unfit}), '') as {UNFIT} from (select *, {texts} from {relation})"


def can_be_edited(kind: pa.DataType) -> bool:
    """Whether people can write values of this type."""
    found = lake_type(kind)
    return found is not None and found.name != "binary"


def _exactly(text: str, kind: pa.DataType) -> str:
    to = lake_type(kind) or DataType("string")
    if to.name == "string":
        return text
    if to.name == "float":
        return f"cast({cast(text, DataType('string'), DataType('double'))} as {sql_type(to)})"
    return cast(text, DataType("string"), to)
