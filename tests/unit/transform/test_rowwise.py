"""What the row-wise plan makes of the marks that bronze has."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lakehouse.model.table import Table
from lakehouse.transform.rowwise import Rowwise
from tests.lakes import sql_session

SCHEMA = pa.schema([("id", pa.int64()), ("said", pa.string()), ("_op", pa.string())])
TABLE = {"name": "t", "source": "s", "from": "t", "mode": "full", "keys": "id", "columns": {"id": "bigint", "said": "string"}}
TABLE |= {"deletes": "column", "apply_as_deletes": "said = 'D'", "apply_as_truncates": "said = 'T'"}


@pytest.mark.parametrize(
    ("own", "said", "mark"),
    [
        (None, "D", "delete"),
        (None, "T", "truncate"),
        (None, "I", None),
        (None, None, None),
        ("reject", "D", "reject"),
        ("reject", "T", "reject"),
        ("delete", "T", "delete"),
    ],
)
def test_a_mark_that_bronze_made_stays(own: str | None, said: str | None, mark: str | None) -> None:
    rows = pa.Table.from_pylist([{"id": 1, "said": said, "_op": own}], schema=SCHEMA)
    with sql_session() as session:
        session.show("seen", rows)
        (row,) = session.rows(Rowwise(Table.model_validate(TABLE), SCHEMA).query("seen")).to_pylist()
    assert row["_op"] == mark
