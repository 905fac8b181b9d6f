"""The row-wise plan of a table: what a row of bronze is before the fold, as one query in DuckDB's dialect over rows of bronze."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.layout import BATCH, DELETE, EXTRACTED_AT, OP, RESCUED, RUN_ID, TRUNCATE
from lakehouse.transform.names import quote
from lakehouse.transform.rescue import unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lakehouse.model.table import Table

TECHNICAL = (BATCH, RUN_ID, EXTRACTED_AT, OP)
"""The columns of bronze that are the lake's own; they go through the plan as they are, `_op` with what the table's conditions say."""


@dataclass(frozen=True)
class Rowwise:
    """The plan for one table: bronze rows -> cleaned -> derived -> marks and verdicts.

    Each level sees all columns of the one before it, so that a condition sees every column as it is after cleaning, derived ones too.

    Attributes:
        table: Its metadata.
        bronze: The schema of the rows that come in.
    """

    table: Table
    bronze: pa.Schema

    @property
    def needed(self) -> bool:
        """Whether the plan changes anything; where it does not, rows pass as they are and no SQL engine is opened."""
        return bool(self._marks) or RESCUED in self.bronze.names

    def named(self, column: str) -> str:
        """What silver calls a column of bronze."""
        return column

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The table's own columns as silver keeps them, in their order."""
        return tuple(name for level in (self._cleaned, self._derived) for name in level if name not in self.table.exclude)

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema of the rows that come out: the table's own columns, then the lake's own."""
        own = [pa.field(name, kind) for level in (self._cleaned, self._derived) for name, (_, kind) in level.items()]
        there = [self.bronze.field(name) for name in TECHNICAL if name in self.bronze.names and name not in self._marks]
        return pa.schema([*own, *there, *(pa.field(name, kind) for name, (_, kind) in self._marks.items())])

    def query(self, relation: str) -> str:
        """The query that gives `schema` over the rows of `relation`, which has the columns of `bronze`."""
        technical = [name for name in TECHNICAL if name in self.bronze.names]
        cleaned = _listed({**{name: text for name, (text, _) in self._cleaned.items()}, **{name: quote(name) for name in technical}})
        derived = f"select *, {_texts(self._derived)} from (select {cleaned} from {relation})" if self._derived else ""
        passing = [name for name in self.schema.names if name not in self._marks]
        marked = _listed({**{name: quote(name) for name in passing}, **{name: text for name, (text, _) in self._marks.items()}})
        return f"select {marked} from ({derived or f'select {cleaned} from {relation}'})"

    @cached_property
    def words(self) -> str:
        """The words of the table's file that the plan comes from, for messages."""
        given = (("apply_as_deletes", self.table.apply_as_deletes), ("apply_as_truncates", self.table.apply_as_truncates))
        return ", ".join(word for word, text in given if text) or "schema_contract"

    @cached_property
    def _cleaned(self) -> Mapping[str, tuple[str, pa.DataType]]:
        """Silver's name of each column of bronze that the table declares, the SQL over bronze's columns that gives it, and its type."""
        declared = self.table.columns
        ours = (*TECHNICAL, RESCUED)
        own = [field for field in self.bronze if field.name not in ours and (not declared or field.name in declared)]
        if RESCUED in self.bronze.names:
            return {field.name: (unpacked(field.name, field.type), field.type) for field in own}
        return {field.name: (quote(field.name), field.type) for field in own}

    @cached_property
    def _derived(self) -> Mapping[str, tuple[str, pa.DataType]]:
        """The columns that are made of the cleaned ones."""
        return {}

    @cached_property
    def _marks(self) -> Mapping[str, tuple[str, pa.DataType]]:
        """What the table's conditions say of a row: `_op`, and a boolean column for each rule that judges rows."""
        own = OP if OP in self.bronze.names else "null"
        said = [(self.table.apply_as_truncates, TRUNCATE), (self.table.apply_as_deletes, DELETE)]
        whens = " ".join(f"when ({condition}) then '{mark}'" for condition, mark in said if condition)
        if not whens:
            return {}
        buried = f"when {own} = '{DELETE}' then {own} " if OP in self.bronze.names else ""
        return {OP: (f"case {buried}{whens} else {own} end", pa.string())}


def _texts(level: Mapping[str, tuple[str, pa.DataType]]) -> str:
    return _listed({name: text for name, (text, _) in level.items()})


def _listed(texts: Mapping[str, str]) -> str:
    return ", ".join(f"{text} as {quote(name)}" for name, text in texts.items())
