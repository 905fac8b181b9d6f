"""Rules for a table's rows and for a table as a whole, and what becomes of what breaks them."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from lakehouse.model.words import ColumnName, Columns, Frozen, Misfit, Sentence, Span, TableName

Condition = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
Value = bool | int | float | datetime | date | str
Kind = Literal[
    "that", "not_null", "in_set", "range", "pattern", "unique", "foreign_key", "freshness", "row_count", "complete", "metric", "drift"
]
Otherwise = Literal["warn", "drop", "quarantine", "fail"]
ROW_WISE: tuple[Kind, ...] = ("that", "not_null", "in_set", "range", "pattern")
"""Kinds that look at one row alone."""
ACROSS: tuple[Kind, ...] = ("unique", "foreign_key")
"""Kinds that look at other rows too."""
WHOLE: tuple[Kind, ...] = ("freshness", "row_count", "complete", "metric", "drift")
"""Kinds that look at the table as a whole."""


def parse_share(text: object) -> float:
    """A share: `2%`, or a number from 0 to 1.

    >>> parse_share("2%")
    0.02

    Raises:
        ValueError: The text is none.
    """
    word = str(text).strip()
    try:
        share = float(word.removesuffix("%")) / (100 if word.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if isinstance(text, bool) or not 0 <= share <= 1:
        raise ValueError(f"{text!r} is no share; allowed: a percentage such as 2%, or a number from 0 to 1")
    return share


def parse_limit(text: object) -> float | int:
    """How many rows may break a rule: a whole number of rows (an `int`), or a share of them (a `float`).

    >>> parse_limit(10), parse_limit("2%")
    (10, 0.02)

    Raises:
        ValueError: The text is neither.
    """
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text
    try:
        return parse_share(text)
    except ValueError:
        raise ValueError(f"{text!r} is no limit; allowed: a number of rows such as 10, or a share such as 2%") from None


_PERCENT = {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%$"}
Share = Annotated[
    float, BeforeValidator(parse_share), WithJsonSchema({"anyOf": [_PERCENT, {"type": "number", "minimum": 0, "maximum": 1}]})
]
Limit = Annotated[int | float, BeforeValidator(parse_limit), WithJsonSchema({"anyOf": [_PERCENT, {"type": "number", "minimum": 0}]})]


class InSet(Frozen):
    """The values that a column may have."""

    column: ColumnName
    values: tuple[Value, ...] = Field(min_length=1)


class Range(Frozen):
    """The bounds of a column's values, both inclusive."""

    column: ColumnName
    min: Value | None = None
    max: Value | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Range:
        if self.min is None and self.max is None:
            raise Misfit("needs `min`, `max` or both", "min")
        return self


class Pattern(Frozen):
    """What a column's text looks like, from its first sign to its last."""

    column: ColumnName
    regex: Condition
    """A regular expression as RE2 has them: without look-around and back references."""

    @model_validator(mode="after")
    def _compiles(self) -> Pattern:
        if re.search(r"\(\?(=|!|<=|<!)|\\[1-9]", self.regex):
            raise Misfit("is no RE2 expression: it looks around or back", "regex")
        try:
            re.compile(self.regex)
        except re.error as exc:
            raise Misfit(f"is no regular expression: {exc}", "regex") from exc
        return self


class ForeignKey(Frozen):
    """Each row points to a current row of another silver table, or of the same one."""

    columns: Columns = Field(min_length=1)
    table: TableName
    to: Columns = ()
    """The other table's columns, in the order of `columns`; default: its keys."""


class Freshness(Frozen):
    """The greatest value of a column of time is not older than a span, by the run's clock."""

    column: ColumnName
    within: Span


class RowCount(Frozen):
    """How many current rows the table has, and by how much that may change from one commit to the next."""

    min: Annotated[int, Field(ge=0)] | None = None
    max: Annotated[int, Field(ge=0)] | None = None
    change: Share | None = None

    @model_validator(mode="after")
    def _bounded(self) -> RowCount:
        if self.min is None and self.max is None and self.change is None:
            raise Misfit("needs `min`, `max` or `change`", "min")
        return self


class Complete(Frozen):
    """The share of rows that have a value in a column."""

    column: ColumnName
    at_least: Share


class Metric(Frozen):
    """A number that an aggregate over the table's current rows gives, and its bounds."""

    sql: Condition
    """An aggregate in DuckDB's dialect, such as `avg(amount)`."""
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Metric:
        if self.min is None and self.max is None:
            raise Misfit("needs `min`, `max` or both", "min")
        return self


class Drift(Frozen):
    """A number beside the table's own past: how many robust deviations it lies from the median of what was recorded."""

    sql: Condition
    """An aggregate in DuckDB's dialect, such as `avg(amount)`."""
    z: Annotated[float, Field(gt=0)] = 4.0
    """The robust z-score (0.6745 x distance from the median / median absolute deviation) above which the rule is broken."""
    over: Annotated[int, Field(ge=5, le=1000)] = 20
    """How many of the newest recorded values count; with fewer than 5 the rule is met."""


class GoldExpectation(Frozen):
    """A rule over one row of a gold model: SQL that is true where the row is as it should be; NULL counts as broken."""

    that: Condition
    """A row-wise SQL condition over the model's columns, in DuckDB's dialect."""
    otherwise: Literal["warn", "fail"] = Field(default="warn", alias="else")
    """`warn` counts the rows, `fail` holds the commit back."""
    description: Sentence | None = None


class Expectation(Frozen):
    """One rule of a silver table, of one kind. NULL counts as broken, whatever the kind."""

    that: Condition | None = None
    """A row-wise SQL condition over the table's columns, in DuckDB's dialect."""
    not_null: Columns | None = Field(default=None, min_length=1)
    unique: Columns | None = Field(default=None, min_length=1)
    """Columns whose values, taken together, name one current row."""
    in_set: InSet | None = None
    range: Range | None = None
    pattern: Pattern | None = None
    foreign_key: ForeignKey | None = None
    freshness: Freshness | None = None
    row_count: RowCount | None = None
    complete: Complete | None = None
    metric: Metric | None = None
    drift: Drift | None = None
    otherwise: Otherwise = Field(default="warn", alias="else")
    """`warn` counts the rows; `drop` leaves them out; `quarantine` leaves them out and lists them; `fail` holds the commit back."""
    max: Limit | None = None
    """How many rows may break the rule, as a number or a share of the rows judged; above it the commit is held back."""
    description: Sentence | None = None

    @property
    def kind(self) -> Kind:
        """The one kind that is given."""
        kinds: tuple[Kind, ...] = (*ROW_WISE, *ACROSS, *WHOLE)
        return next(kind for kind in kinds if getattr(self, kind) is not None)

    @property
    def row_wise(self) -> bool:
        """Whether the rule looks at one row alone."""
        return self.kind in ROW_WISE

    @property
    def judges_versions(self) -> bool:
        """Whether the rule judges row versions before the fold, and keeps those that break it out."""
        return self.row_wise and self.otherwise in ("drop", "quarantine")

    @property
    def withholds(self) -> bool:
        """Whether the rule keeps folded rows out for the sake of other rows."""
        return self.kind in ACROSS and self.otherwise == "quarantine"

    def words(self) -> list[Any]:
        """What the rule says, for the number of a definition."""
        if self.that is not None and self.max is None and self.otherwise in ("warn", "fail"):
            return [self.that, self.otherwise]
        return [self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"description"})]

    @model_validator(mode="after")
    def _agree(self) -> Expectation:
        kinds = [kind for kind in (*ROW_WISE, *ACROSS, *WHOLE) if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise Misfit(f"expected one kind of rule, given {', '.join(kinds) or 'none'}; kinds: {', '.join((*ROW_WISE, *ACROSS, *WHOLE))}")
        allowed = {**dict.fromkeys(ROW_WISE, "warn drop quarantine fail"), **dict.fromkeys(ACROSS, "warn quarantine fail")}
        words = allowed.get(self.kind, "warn fail").split()
        if self.otherwise not in words:
            raise Misfit(f"a rule of kind {self.kind} cannot {self.otherwise}; allowed: {', '.join(words)}", "else")
        if self.max is not None and self.kind in WHOLE:
            raise Misfit(f"a rule of kind {self.kind} counts no rows; it has bounds of its own", "max")
        return self
