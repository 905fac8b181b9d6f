"""Values beside their columns: texts in bronze's `_rescued`, a JSON object a row; SQL in DuckDB's dialect packs and unpacks them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.layout import RESCUED
from lakehouse.transform.arrow import lake_type
from lakehouse.transform.names import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMES = {"string": "varchar", "binary": "blob", "timestamp": "timestamptz"}


def sql_type(kind: pa.DataType) -> str:
    """What DuckDB calls a type of the lake."""
    word = str(lake_type(kind))
    return _NAMES.get(word, word)


def text(value: str, kind: pa.DataType) -> str:
    """SQL for the text of a value: bytes as hex digits, instants in UTC, floats as doubles, all else as DuckDB writes it."""
    if pa.types.is_float32(kind):
        return f"({value})::double::varchar"
    return f"lower(hex({value}))" if pa.types.is_binary(kind) else f"({value})::varchar"


def exact(value: str, kind: pa.DataType) -> str:
    """SQL for a text as a value of the type, NULL where it is none or would be rounded or cut."""
    if pa.types.is_string(kind):
        return value
    if pa.types.is_boolean(kind):
        return f"case {value} when 'true' then true when 'false' then false end"
    if pa.types.is_binary(kind):
        return f"case when regexp_full_match({value}, '([0-9a-f]{{2}})*') then unhex({value}) end"
    cast = f"try_cast({value} as {sql_type(kind)})"
    if pa.types.is_date(kind):
        pattern = r"[0-9]{4}-[0-9]{2}-[0-9]{2}( 00:00:00(\+00)?)?"
        return f"case when regexp_full_match({value}, '{pattern}') then try_cast(left({value}, 10) as date) end"
    if pa.types.is_timestamp(kind):
        pattern = r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
        return f"case when regexp_full_match({value}, '{pattern}') then {cast} end"
    if pa.types.is_floating(kind):
        double = f"try_cast({value} as double)"
        whole = f"{double}::varchar = {value} or regexp_full_match({value}, '[+-]?[0-9.]{{1,15}}')"  # 15 digits name one double
        return f"case when ({whole}) and {cast}::double = {double} then {cast} end"
    scale = kind.scale if pa.types.is_decimal(kind) else 0
    return f"case when regexp_full_match({value}, '[+-]?[0-9]*(\\.[0-9]{{0,{scale}}}0*)?') then {cast} end"


def rescued(column: str) -> str:
    """SQL for the text that `_rescued` has of a column, or NULL."""
    return f"json_extract_string({RESCUED}, '$.\"{column}\"')"


def unpacked(column: str, kind: pa.DataType) -> str:
    """SQL for a column's value: its own, else the one that was rescued where the type holds it exactly."""
    return f"coalesce({quote(column)}, {exact(rescued(column), kind)})"


def packed(columns: Sequence[str]) -> str:
    """SQL for `_rescued` of columns of texts: only those that are not NULL; NULL where none is."""
    pairs = ", ".join(f"'{name}', {quote(name)}" for name in columns)
    return f"nullif(json_merge_patch('{{}}', json_object({pairs}))::varchar, '{{}}')"
