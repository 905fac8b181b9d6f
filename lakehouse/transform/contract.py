"""What a table's contract makes of the columns that a read brings, beside those that bronze has. Pure: it decides, others do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import pyarrow as pa

from lakehouse.errors import ContractError
from lakehouse.layout import BATCH, EXTRACTED_AT, OP, RESCUED, RUN_ID
from lakehouse.transform.arrow import lake_type
from lakehouse.transform.names import quote
from lakehouse.transform.rescue import exact, packed, rescued, sql_type, text, unpacked
from lakehouse.transform.widening import joined

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lakehouse.model.table import Table

FEW_NAMED = 3
"""So many rows that do not fit are named."""
OWN = (BATCH, RUN_ID, EXTRACTED_AT, OP, RESCUED)
"""Bronze's columns that are the lake's own."""


class Change(NamedTuple):
    """One column that is not as bronze has it; types are None where the column is not there at all."""

    kind: Literal["new", "changed", "missing"]
    column: str
    expected: pa.DataType | None
    given: pa.DataType | None

    def __str__(self) -> str:
        """What is different, for people, in the lake's words for types."""
        if self.kind == "new":
            return f"new column {self.column} {lake_type(self.given)}"
        if self.kind == "missing":
            return f"the source no longer has column {self.column}, which was {lake_type(self.expected)}"
        return f"column {self.column} changed its type from {lake_type(self.expected)} to {lake_type(self.given)}"

    @property
    def is_bad(self) -> str | None:
        """SQL that is true in rows of the source whose value the contract has no place for; None where rows do not tell."""
        if self.given is None:
            return None
        column = quote(self.column)
        unfit = "" if self.expected is None else f" and {exact(text(column, self.given), self.expected)} is null"
        return f"{column} is not null{unfit}"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What becomes of each column of a read.

    Attributes:
        source: The read's columns, as the source gives them.
        there: Bronze's columns.
        needs: The columns that bronze must have for the read's rows: those of `there`, wider or not, then the new ones.
        rescued: The read's columns whose values go to `_rescued`.
        discarded: Those that are not taken.
        refused: What the contract does not let in.
    """

    source: pa.Schema
    there: pa.Schema
    needs: pa.Schema
    rescued: tuple[str, ...] = ()
    discarded: tuple[str, ...] = ()
    refused: tuple[Change, ...] = ()

    @property
    def new(self) -> list[pa.Field]:
        """The columns that bronze must get."""
        return [field for field in self.needs if field.name not in self.there.names]

    @property
    def widened(self) -> list[str]:
        """The columns of bronze that must become wider."""
        return [field.name for field in self.there if self.needs.field(field.name).type != field.type]

    @property
    def by_query(self) -> bool:
        """Whether rows are compared in SQL: some have values beside their columns."""
        return RESCUED in self.needs.names

    @property
    def shown(self) -> pa.Schema:
        """The columns in which rows of the source and of bronze are compared: bronze's types, and texts where values are rescued."""
        return pa.schema(
            [
                pa.field(field.name, pa.string()) if field.name in self.rescued else self.needs.field(field.name)
                for field in self.source
                if field.name not in self.discarded
            ]
        )

    @property
    def seen_schema(self) -> pa.Schema:
        """The columns that `seen` gives."""
        own = [self.needs.field(name) for name in OWN if name in self.there.names and name not in (*self.shown.names, RESCUED)]
        return pa.schema([*self.shown, *own])

    @property
    def facts(self) -> dict[str, list[str]]:
        """What is not as the source's own columns are, for the step and its commit; empty where nothing is."""
        new = [field.name for field in self.new if field.name not in OWN]
        told = {"added": new, "widened": self.widened, "rescued": list(self.rescued), "discarded": list(self.discarded)}
        return {word: names for word, names in told.items() if names}

    def incoming(self, relation: str) -> str:
        """A query in DuckDB's dialect that gives `shown` of rows as the source gives them."""
        outputs = []
        for field in self.shown:
            kind, column = self.source.field(field.name).type, quote(field.name)
            shown = text(column, kind) if field.name in self.rescued else column
            outputs.append(shown if field.type == kind or field.name in self.rescued else f"{column}::{sql_type(field.type)}")
        return _select(outputs, self.shown.names, relation)

    def seen(self, relation: str) -> str:
        """A query that gives `seen_schema` of rows of bronze: values stand where the read's own would."""
        outputs = []
        for field in self.seen_schema:
            column = quote(field.name)
            has = RESCUED in self.there.names and field.name not in OWN
            if field.name in self.rescued:
                own = text(column, self.there.field(field.name).type) if field.name in self.there.names else "null::varchar"
                outputs.append(f"coalesce({rescued(field.name)}, {own})" if has else own)
            elif field.name not in self.there.names:
                outputs.append(f"{exact(rescued(field.name), field.type) if has else 'null'}::{sql_type(field.type)}")
            else:
                own = unpacked(field.name, field.type) if has else column
                outputs.append(own if field.name in OWN else f"({own})::{sql_type(field.type)}")
        return _select(outputs, self.seen_schema.names, relation)

    def packed(self, relation: str) -> str:
        """A query that gives rows of `shown` as bronze keeps them: what is rescued in one column."""
        if not self.rescued:
            return f"select * from {relation}"
        kept = [name for name in self.shown.names if name not in self.rescued]
        return _select([*map(quote, kept), packed(self.rescued)], [*kept, RESCUED], relation)


def _select(outputs: list[str], names: list[str], relation: str) -> str:
    return f"select {', '.join(f'{shown} as {quote(name)}' for shown, name in zip(outputs, names, strict=True))} from {relation}"


def agree(table: Table, source: pa.Schema, there: pa.Schema) -> Agreement:
    """What the table's contract makes of the source's columns, where bronze has these; neither order of two reads matters to `needs`."""
    needs = {field.name: field for field in there}
    saved: list[str] = []
    discarded: list[str] = []
    refused: list[Change] = []
    for field in source:
        before = needs.get(field.name)
        if before is not None and before.type == field.type:
            continue
        change = Change("new" if before is None else "changed", field.name, before.type if before else None, field.type)
        verdict, kind = _new(table, field) if before is None else _changed(table, before, field)
        if verdict == "freeze":
            refused.append(change)
        elif verdict == "discard":
            discarded.append(field.name)
        elif verdict == "rescue":
            saved.append(field.name)
        if verdict == "evolve":
            needs[field.name] = field if before is None else before.with_type(kind)
    refused += _missing(table, source, there)
    if saved and RESCUED not in needs:
        needs[RESCUED] = pa.field(RESCUED, pa.string())
    return Agreement(source, there, pa.schema(list(needs.values())), tuple(saved), tuple(discarded), tuple(refused))


def _new(table: Table, field: pa.Field) -> tuple[str, pa.DataType]:
    """What is declared in `columns` is wanted, whatever the policy about what comes unasked."""
    asked = field.name == OP or field.name in table.columns or field.name in _places(table)
    return ("evolve" if asked else table.schema_contract.new_columns), field.type


def _changed(table: Table, before: pa.Field, field: pa.Field) -> tuple[str, pa.DataType]:
    policy, wide = table.schema_contract.changed_types, joined(before.type, field.type)
    if field.name == table.cursor and not (pa.types.is_integer(before.type) and pa.types.is_integer(field.type)):
        return "freeze", field.type  # the watermark is a number of the type that it was committed with
    if policy == "evolve":
        return ("freeze", field.type) if wide is None else ("evolve", wide)
    if policy == "rescue":
        if wide == before.type:
            return "evolve", wide
        return ("freeze" if field.name in _places(table) else "rescue"), field.type
    return "freeze", field.type


def _missing(table: Table, source: pa.Schema, there: pa.Schema) -> Iterator[Change]:
    """The columns that the source had and has no longer; one that the table's file does not declare any more is not missed."""
    for field in there:
        own = field.name in OWN or (table.columns and field.name not in table.columns)
        if field.name not in source.names and not own and table.schema_contract.missing_columns == "freeze":
            yield Change("missing", field.name, field.type, None)


def _places(table: Table) -> set[str]:
    """The columns that give a row its place: their values cannot stand beside them."""
    named = {name for names in table.named_places.values() for name in names}
    return {*table.keys, *named, *([table.cursor] if table.cursor else [])}


def refusal(table: Table, agreed: Agreement, unfit: Mapping[str, pa.Table]) -> ContractError:
    """The error that says which columns the contract refuses, and which rows first have a value that has no place.

    Args:
        table: The table.
        agreed: What was decided; something is refused.
        unfit: The keys of a few such rows, by column.
    """
    told = []
    for change in agreed.refused:
        keys = unfit[change.column].to_pylist() if change.column in unfit else []
        first = "; ".join(", ".join(f"{name} {_masked(value)}" for name, value in key.items()) for key in keys)
        none = "; all of the first rows that came would still fit" if change.column in unfit and change.kind == "changed" else ""
        told.append(f"{change}{f' (first rows: {first})' if first else none}")
    contract = table.schema_contract
    return ContractError(
        "; ".join(told),
        where=f"bronze.{table.name}",
        expected=", ".join(f"{change.column} {lake_type(change.expected)}" for change in agreed.refused if change.expected is not None)
        or "no further column",
        given=", ".join(f"{change.column} {'missing' if change.given is None else lake_type(change.given)}" for change in agreed.refused),
        next_step=f"Nothing was written. Bring the source back, or say in metadata/tables/{table.source}/{table.name}.yml what becomes of "
        f"such columns (schema_contract: new_columns {contract.new_columns}, changed_types {contract.changed_types}, "
        f"missing_columns {contract.missing_columns}), or load the table under a new name.",
    )


def _masked(value: object) -> str:
    """A key's value in a message: numbers, days and instants plain, of a text no more than its ends."""
    if not isinstance(value, str | bytes):
        return str(value)
    return f"{value[0]}***{value[-1]}" if isinstance(value, str) and len(value) > 3 else "***"  # noqa: PLR2004  shorter ones show too much
