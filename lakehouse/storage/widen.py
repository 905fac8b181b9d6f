"""Widen: a Delta table's columns become wider; its rows are written anew, since the writer widens no type in place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.storage.commits import conflict
from lakehouse.transform import kernels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakehouse.model.run import Commit
    from lakehouse.storage.delta import Table


def widen(table: Table, schema: pa.Schema, commit: Commit) -> None:
    """Give the table a schema of wider types and further nullable columns, its rows unchanged else, in one commit.

    The rows are streamed; `_batch` and whatever else stands in them stays, and so do the numbers of earlier commits.

    Raises:
        ConflictError: Another writer committed since this handle read the table.
    """
    batch, there = table.batch + 1, table.schema
    changes = {field.name: f"{there.field(field.name).type} to {field.type}" for field in schema if field.name in there.names}
    changed = {name: change for name, change in changes.items() if there.field(name).type != schema.field(name).type}
    carried = replace(commit, facts={**commit.facts, "widened": changed, "rows_widened": table.rows()})
    table.replace(_recast(table, schema), lambda: carried, schema)
    if table.batch != batch:
        raise conflict(table.name)


def _recast(table: Table, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    from lakehouse.storage.frames import to_batches  # noqa: PLC0415  a run that widens nothing does not load polars

    there = table.schema
    for part in table.scan().collect_batches(chunk_size=131_072, maintain_order=True):
        for batch in to_batches(part, there):
            columns = [
                kernels.cast(batch.column(field.name), field.type) if field.name in there.names else pa.nulls(batch.num_rows, field.type)
                for field in schema
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)
