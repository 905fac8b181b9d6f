"""Cases that test silver tables and gold models in memory: `metadata/tests/*.yml`, and what came of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from lakehouse.model.types import TypeName
from lakehouse.model.words import ColumnName, Frozen, Misfit, Sentence

if TYPE_CHECKING:
    from lakehouse.errors import Fault

Scalar = bool | int | float | str | None
RowColumn = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
Row = dict[RowColumn, Scalar]
"""A row: each column with its value; columns that are left out are NULL."""
Input = Annotated[str, StringConstraints(pattern=r"^(bronze|(bronze|silver|gold)\.[a-z][a-z0-9_]{0,62})$")]


class Case(Frozen):
    """What a silver table or a gold model makes of a few rows."""

    name: Sentence
    """What the case shows, in words; no two cases have one name."""
    description: Sentence | None = None
    table: Annotated[str, StringConstraints(pattern=r"^silver\.[a-z][a-z0-9_]{0,62}$")] | None = None
    """The silver table that is tested; a case has this or a `model`."""
    model: Annotated[str, StringConstraints(pattern=r"^gold\.[a-z][a-z0-9_]{0,62}$")] | None = None
    """The gold model that is tested."""
    given: dict[Input, list[Row] | list[list[Row]]] = Field(default_factory=dict)
    """What there is. For a silver table `bronze`: its rows, or a list of batches of rows; `_op: delete` marks a tombstone, `_extracted_at`
    says when a row was read. For a model `silver.<table>`, `bronze.<table>` or `gold.<model>`; what is not given is made of what is,
    or empty. A rule of a table that points to another one is judged where that one is given."""
    types: dict[ColumnName, TypeName] = Field(default_factory=dict)
    """The types of columns that the tables' own files do not declare."""
    expect: list[dict[RowColumn, Scalar | Row]]
    """The rows that come out, in any order; columns that are left out are not compared. For a reference of a fact a mapping of the
    dimension's columns stands for the row's key."""
    expect_rejects: list[Row] | None = None
    """For a silver table: the rows that it does not take, by `reason`, `rules` or any other column of its rejects."""

    @property
    def of(self) -> str:
        """What is tested, as `layer.name`."""
        return self.table or self.model or ""

    @property
    def node(self) -> str:
        """The bare name of what is tested."""
        return self.of.partition(".")[2]

    @model_validator(mode="after")
    def _agree(self) -> Case:
        if (self.table is None) is (self.model is None):
            raise Misfit("expected either `table` or `model`" + (", given both" if self.table else ""), "model" if self.table else "name")
        if self.model and self.expect_rejects is not None:
            raise Misfit("a model has no rejects", "expect_rejects")
        return self


class Cases(Frozen):
    """`metadata/tests/<file>.yml`: given rows and the rows that are expected of them."""

    cases: list[Case]


@dataclass(frozen=True, slots=True)
class Problem:
    """One difference between what was expected and what came.

    Attributes:
        what: `missing`: an expected row did not come; `unexpected`: a row came that nobody expects; `differs`: a row has another value.
        row: The row's keys, or the row.
        column: The column that differs.
        expected: Its expected value.
        given: The value that came.
    """

    what: Literal["missing", "unexpected", "differs"]
    row: str
    column: str | None = None
    expected: str | None = None
    given: str | None = None


@dataclass(slots=True)
class Outcome:
    """What came of one case.

    Attributes:
        status: `malformed`: the case itself has faults, `faults` says which; `failed`: rows differ, or it ended with `error`.
    """

    name: str
    of: str
    file: str
    line: int
    status: Literal["passed", "failed", "malformed"] = "passed"
    seconds: float = 0.0
    problems: list[Problem] = field(default_factory=list)
    error: str | None = None
    faults: list[Fault] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """What came of all cases that ran."""

    cases: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, status: str) -> int:
        """How many cases have a status."""
        return sum(case.status == status for case in self.cases)

    @property
    def exit_code(self) -> int:
        """2 where a case is malformed, 1 where one failed, else 0."""
        return 2 if self.count("malformed") else 1 if self.count("failed") else 0

    def facts(self) -> dict[str, Any]:
        """As `test -o json` prints it (keys are stable)."""
        counts = {status: self.count(status) for status in ("passed", "failed", "malformed")}
        return {**counts, "seconds": round(self.seconds, 6), "cases": [asdict(case) for case in self.cases]}
