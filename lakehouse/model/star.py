"""Gold models: `metadata/models/<model>.yml` beside `sql/gold/<model>.sql`."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from lakehouse.layout import IS_CURRENT, VALID_FROM, VALID_TO
from lakehouse.model.expectation import GoldExpectation
from lakehouse.model.words import ColumnName, Columns, Frozen, Misfit, Sentence, TableName


class Calendar(Frozen):
    """A generated date dimension: one row a day of the declared span."""

    starts_on: date
    ends_on: date
    fiscal_year_starts_in: int = Field(default=1, ge=1, le=12)
    """The month in which the fiscal year starts; the year is named after the one it ends in."""

    @model_validator(mode="after")
    def _ordered(self) -> Calendar:
        if self.ends_on < self.starts_on:
            raise Misfit(f"{self.ends_on} is before `starts_on` {self.starts_on}", "ends_on")
        return self


class Reference(Frozen):
    """One foreign key of a fact: which dimension, and which of the fact's columns name its member."""

    dimension: TableName
    match: dict[ColumnName, ColumnName]
    """The dimension's natural key columns, each with the column that holds its value."""
    through: ColumnName | None = None
    """Another reference of the same fact: the matching columns are then columns of the dimension row it found."""


class Measure(Frozen):
    """What a number of a fact means."""

    additivity: Literal["additive", "semi-additive", "non-additive"] = "additive"
    unit: Sentence | None = None
    description: Sentence | None = None


def _described(given: object) -> object:
    return given or {}


class Model(Frozen):
    """A gold model. Its SELECT names natural keys; surrogate keys, unknown members and joins in time are added to it."""

    name: TableName
    kind: Literal["dimension", "fact", "aggregate"]
    description: Sentence | None = None
    owner: Sentence | None = None
    tags: tuple[TableName, ...] = ()
    grain: Sentence | None = None
    """What one row is, in words."""
    keys: Columns
    """The natural key of a dimension, the grain of a fact or an aggregate."""
    surrogate_key: ColumnName | None = None
    history: Literal["scd1", "scd2"] = "scd1"
    """For dimensions: scd2 takes `valid_from`, `valid_to`, `is_current` from its SELECT."""
    early: Literal["first", "unknown"] = "first"
    """For scd2: what a fact before a member's earliest version gets, that version or the unknown member."""
    scd1: Columns = ()
    """For scd2: columns in which every version of a member has the value of its latest one (a dimension of type 6)."""
    calendar: Calendar | None = None
    as_of: ColumnName | None = None
    """For facts: the instant at which dimension versions are looked up."""
    period: ColumnName | None = None
    """For facts: the column of its keys that says when a snapshot was taken (a periodic snapshot). A semi-additive measure is summed within
    one period only."""
    references: dict[ColumnName, Reference] = Field(default_factory=dict)
    """For facts: each surrogate key column and what it points to."""
    measures: dict[ColumnName, Annotated[Measure, BeforeValidator(_described)]] = Field(default_factory=dict)
    columns: dict[ColumnName, Sentence] = Field(default_factory=dict)
    """Descriptions of columns; they travel into the Delta schema."""
    expect: dict[TableName, GoldExpectation] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _agree(self) -> Model:
        if not self.keys:
            raise Misfit("`keys` is empty", "keys")
        dimension = {"surrogate_key": self.surrogate_key, "calendar": self.calendar}
        fact = {"as_of": self.as_of, "period": self.period, "references": self.references, "measures": self.measures}
        if self.kind == "dimension" and not self.surrogate_key:
            raise Misfit("a dimension needs a `surrogate_key`", "kind")
        for kinds, fields in ((("dimension",), dimension), (("fact",), fact)):
            for key, value in fields.items():
                if value and self.kind not in (*kinds, *(("aggregate",) if key == "measures" else ())):
                    raise Misfit(f"`{key}` belongs to a {kinds[0]}, this is a {self.kind}", key)
        if self.history == "scd2" and (self.kind != "dimension" or self.calendar):
            raise Misfit("`history: scd2` belongs to a dimension with a SELECT", "history")
        if self.calendar and self.keys != ("date",):
            raise Misfit("a calendar's `keys` is [date]", "keys")
        for name, reference in self.references.items():
            if reference.through is not None and (reference.through == name or reference.through not in self.references):
                raise Misfit(f"names {reference.through!r}, which is no other reference of this fact", "references", name, "through")
        return self

    @model_validator(mode="after")
    def _agree_in_time(self) -> Model:
        if (self.early != "first" or self.scd1) and self.history != "scd2":
            raise Misfit("belongs to a dimension with `history: scd2`", "scd1" if self.scd1 else "early")
        for name in self.scd1:
            if name in (*self.keys, VALID_FROM, VALID_TO, IS_CURRENT):
                raise Misfit(f"names {name!r}, which tells the versions apart", "scd1")
        if self.period is not None and self.period not in self.keys:
            raise Misfit(f"names {self.period!r}, which is none of `keys`", "period")
        return self
