"""The row-wise plan of a table: what a row of bronze is before the fold, as one query in DuckDB's dialect over rows of bronze."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.layout import BATCH, DELETE, EXTRACTED_AT, OP, RESCUED, ROW_HASH, RUN_ID, TRUNCATE
from lakehouse.transform.checks import verdicts
from lakehouse.transform.cleaning import Made, cleaned, derived
from lakehouse.transform.names import quote
from lakehouse.transform.rejects import UNCAST
from lakehouse.transform.rescue import unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lakehouse.model.table import Table

_UNMADE = "_unmade"
SPELLING = "_spelling"
"""The keys as the source writes them, in one text; in tables whose keys silver writes otherwise, and whose keys the lake buries."""
TECHNICAL = (BATCH, RUN_ID, EXTRACTED_AT, OP, ROW_HASH)
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
        return bool(self._marks) or bool(self.table.cleaned) or RESCUED in self.bronze.names

    def named(self, column: str) -> str:
        """What silver calls a column of bronze."""
        return self.table.named(column)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The table's own columns as silver keeps them, in their order."""
        return tuple(name for level in (self._cleaned, self._derived) for name in level if name not in self.table.exclude)

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema of the rows that come out: the table's own columns, then the lake's own."""
        own = [pa.field(name, made.kind) for level in (self._cleaned, self._derived) for name, made in level.items()]
        there = [self.bronze.field(name) for name in TECHNICAL if name in self.bronze.names and name not in self._marks]
        texts = [pa.field(name, pa.string()) for name in (*self._spelling, *self._uncast)]
        return pa.schema([*own, *there, *texts, *(pa.field(name, kind) for name, (_, kind) in self._marks.items())])

    def query(self, relation: str) -> str:
        """The query that gives `schema` over the rows of `relation`, which has the columns of `bronze`."""
        technical = {name: quote(name) for name in TECHNICAL if name in self.bronze.names}
        level = {**_texts(self._cleaned), **technical, **self._spelling, **_failing(self._cleaned, UNCAST)}
        rows = f"select {_listed(level)} from {relation}"
        if self._derived:
            rows = f"select *, {_listed({**_texts(self._derived), **_failing(self._derived, _UNMADE)})} from ({rows})"
        passing = {name: quote(name) for name in self.schema.names if name not in (*self._marks, UNCAST)}
        if self._spelling and OP in self._marks:  # a row that itself ends its key ends it however it is written
            passing[SPELLING] = f"case when ({self._marks[OP][0]}) is not distinct from {OP} then {SPELLING} end"
        return f"select {_listed({**passing, **self._uncast, **{name: text for name, (text, _) in self._marks.items()}})} from ({rows})"

    @property
    def keeps_keys(self) -> bool:
        """Whether silver has the values of keys just as bronze has them."""
        return RESCUED not in self.bronze.names and not any(self._written_otherwise)

    @property
    def _written_otherwise(self) -> list[bool]:
        """For each key, whether cleaning changes its values."""
        keys = [field for field in self.bronze if field.name in self.table.keys]
        return [self.table.writes_otherwise(key.name, is_text=_is_text(key)) for key in keys]

    @property
    def respells(self) -> bool:
        """Whether several keys of the source can be one of silver, and a tombstone of the lake can end one of them."""
        return bool(self._spelling)

    @cached_property
    def _spelling(self) -> dict[str, str]:
        """The keys of rows and of the lake's own tombstones as bronze has them; NULL where any is."""
        keys = [field for field in self.bronze if field.name in self.table.keys]
        if OP not in self.bronze.names or not any(self._written_otherwise):
            return {}
        texts = [f"cast({quote(field.name)} as varchar)" for field in keys]
        return {SPELLING: " || ' ' || ".join(f"length({text}) || ':' || {text}" for text in texts)}

    @cached_property
    def _uncast(self) -> dict[str, str]:
        """The mark that names the columns whose values cannot be of their type; none where that cannot be."""
        levels = [(name, level) for name, level in ((UNCAST, self._cleaned), (_UNMADE, self._derived)) if _failing(level, name)]
        return {UNCAST: f"nullif(concat_ws(',', {', '.join(name for name, _ in levels)}), '')"} if levels else {}

    @cached_property
    def words(self) -> str:
        """The words of the table's file that the plan comes from, for messages."""
        words = {
            "apply_as_deletes": self.table.apply_as_deletes,
            "apply_as_truncates": self.table.apply_as_truncates,
            "expect": verdicts(self.table.expect),
            **self.table.cleaned,
        }
        return ", ".join(word for word, given in words.items() if given) or "schema_contract"

    @cached_property
    def _cleaned(self) -> Mapping[str, Made]:
        """Silver's name of each column of bronze that the table declares, and what it is made of bronze's."""
        declared = self.table.columns
        own = [field for field in self.bronze if field.name not in (*TECHNICAL, RESCUED) and (not declared or field.name in declared)]
        rescued, keys = RESCUED in self.bronze.names, self.table.keys
        values = [unpacked(field.name, field.type) if rescued else quote(field.name) for field in own]
        made = [cleaned(self.table, field, sql, is_key=field.name in keys) for field, sql in zip(own, values, strict=True)]
        return {self.named(field.name): value for field, value in zip(own, made, strict=True)}

    @cached_property
    def _derived(self) -> Mapping[str, Made]:
        """The columns that are made of the cleaned ones."""
        return {name: derived(made) for name, made in self.table.derive.items()}

    @cached_property
    def _marks(self) -> Mapping[str, tuple[str, pa.DataType]]:
        """What the table's conditions say of a row: `_op`, and a boolean column for each rule that judges rows."""
        judged = {name: (text, pa.bool_()) for name, text in verdicts(self.table.expect).items()}
        own = OP if OP in self.bronze.names else "null"
        said = [(self.table.apply_as_truncates, TRUNCATE), (self.table.apply_as_deletes, DELETE)]
        whens = " ".join(f"when ({condition}) then '{mark}'" for condition, mark in said if condition)
        if not whens:
            return judged
        told = f"when {own} is not null then {own} " if OP in self.bronze.names else ""  # what bronze marked is no row to be asked
        return {OP: (f"case {told}{whens} end", pa.string()), **judged}


def _is_text(field: pa.Field) -> bool:
    return bool(pa.types.is_string(field.type) or pa.types.is_large_string(field.type))


def _texts(level: Mapping[str, Made]) -> dict[str, str]:
    return {name: made.sql for name, made in level.items()}


def _failing(level: Mapping[str, Made], mark: str) -> dict[str, str]:
    """A text of the names of the columns that cannot be made; none where all always can."""
    cases = [f"case when {made.fails} then '{name}' end" for name, made in level.items() if made.fails]
    return {mark: f"nullif(concat_ws(',', {', '.join(cases)}), '')"} if cases else {}


def _listed(texts: Mapping[str, str]) -> str:
    return ", ".join(f"{text} as {quote(name)}" for name, text in texts.items())
