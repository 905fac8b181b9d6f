"""Frames on their way into a table."""

from __future__ import annotations

from typing import cast

import polars as pl
import pyarrow as pa

from lakehouse.errors import StorageError
from lakehouse.transform import kernels


def to_batches(frame: pl.DataFrame, schema: pa.Schema) -> list[pa.RecordBatch]:
    """A frame as Arrow batches of exactly `schema`.

    Raises:
        StorageError: A column is missing or a value does not fit.
    """
    try:
        own = frame if frame.columns == schema.names else frame.select(schema.names)
        table: pa.Table = own.to_arrow(compat_level=pl.CompatLevel.oldest())
        columns = [kernels.cast(column, field.type) for column, field in zip(table.columns, schema, strict=True)]
        return cast("list[pa.RecordBatch]", pa.Table.from_arrays(columns, schema=schema).to_batches())
    except (pa.ArrowInvalid, pl.exceptions.ColumnNotFoundError) as exc:
        raise StorageError(f"rows do not fit the table's columns: {exc}") from exc
