"""A table of the lake beside the source's table behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse.model.types import DataType
from lakehouse.sources.condition import CursorColumn
from lakehouse.transform.arrow import arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.model.table import Table
    from lakehouse.sources.dialect import SourceColumn, SourceTable
    from lakehouse.transform.protection import Protection


@dataclass(frozen=True, slots=True)
class Described:
    """A table of the lake beside the source's table behind it.

    Attributes:
        table: The metadata.
        source: The source's own table.
        columns: The columns that are read, by their lake name: the source's column and the lake's type.
        first: How many rows of it are seen at all, the newest ones; None is all.
        protection: What becomes of its personal data before any row leaves this module.
    """

    table: Table
    source: SourceTable
    columns: dict[str, tuple[SourceColumn, DataType]]
    first: int | None = None
    protection: Protection | None = None

    @property
    def types(self) -> dict[str, DataType]:
        """The lake's types of the columns, as they are read."""
        return {name: DataType("string") if name in self.hidden else kind for name, (_, kind) in self.columns.items()}

    @property
    def hidden(self) -> tuple[str, ...]:
        """The columns of which tokens are read, and no values."""
        return () if self.protection is None else self.protection.names

    @property
    def schema(self) -> pa.Schema:
        """The columns as the database gives them."""
        return arrow_schema({name: kind for name, (_, kind) in self.columns.items()})

    def guarded(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The rows without personal data in clear."""
        return rows if self.protection is None else self.protection.door(rows)

    @property
    def cursor(self) -> CursorColumn:
        """The cursor's column; for tables that have one."""
        return CursorColumn(*self.columns[self.table.cursor or ""], self.table.cursor_zone)
