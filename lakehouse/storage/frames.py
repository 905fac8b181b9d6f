"""Frames on their way into a table."""

from __future__ import annotations

from typing import cast

import polars as pl
import pyarrow as pa

from lakehouse.errors import StorageError


def to_batches(frame: pl.DataFrame, schema: pa.Schema) -> list[pa.RecordBatch]:
    """A frame as Arrow batches of exactly `schema`.

    Raises:
        StorageError: A column is missing or a value does not fit.
    """
    try:
        own = frame if frame.columns == schema.names else frame.select(schema.names)
        table: pa.Table = own.to_arrow(compat_level=pl.CompatLevel.oldest())
        return cast("list[pa.RecordBatch]", table.cast(schema).to_batches())
    except (pa.ArrowInvalid, pl.exceptions.ColumnNotFoundError) as exc:
        raise StorageError(f"rows do not fit the table's columns: {exc}") from exc
