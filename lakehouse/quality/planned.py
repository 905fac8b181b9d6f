"""Rows of bronze through a table's row-wise plan, which is SQL, chunk by chunk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from lakehouse.storage.frames import to_batches

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from lakehouse.engines.duck import Session
    from lakehouse.transform.rowwise import Rowwise


def planned(rows: pl.LazyFrame, plan: Rowwise, open_session: Callable[[], AbstractContextManager[Session]]) -> pl.LazyFrame:
    """The rows as a row-wise plan gives them; as they are where it changes nothing.

    Raises:
        ModelError: A condition names what is not there, or breaks at a value.
    """
    if not plan.needed:
        return rows
    where = f"metadata/tables/{plan.table.source}/{plan.table.name}.yml: {plan.words}"
    schema = pl.DataFrame(pl.from_arrow(plan.schema.empty_table())).schema

    def through(part: pl.DataFrame) -> pl.DataFrame:
        with open_session() as engine:
            engine.stream("rows_of_bronze", plan.bronze, iter(to_batches(part, plan.bronze)))
            engine.model("_planned", plan.query("rows_of_bronze"), where, "a condition")
            found = pl.DataFrame(pl.from_arrow(engine.rows("select * from _planned")))
        return found.select(pl.col(name).cast(kind) for name, kind in schema.items())

    through(pl.DataFrame(pl.from_arrow(plan.bronze.empty_table())))  # else the engine around it would hide the error
    return rows.map_batches(through, projection_pushdown=False, schema=schema, streamable=True)
