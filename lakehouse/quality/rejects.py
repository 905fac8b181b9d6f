"""The table of a silver table's rejects, kept in step with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from lakehouse.layout import REJECTED, REJECTS
from lakehouse.model.expectation import ACROSS
from lakehouse.model.run import Commit
from lakehouse.storage.frames import to_batches
from lakehouse.transform.rejects import POINTER, SCHEMA, frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lakehouse.lake import Lake
    from lakehouse.storage.delta import Table
    from lakehouse.transform.corrected import Moved


class OutOfStepError(Exception):
    """The rejects were changed by a run that did not come to change silver: the table is to be built from all of bronze."""


class Rejects:
    """The rejects of one table of a lake, which are opened where there are or may be some.

    They belong to silver as it stands if both say the same number of changes; a crash between the two commits is seen by that.
    """

    def __init__(self, lake: Lake, name: str, silver: Table | None) -> None:
        """Look at what silver says of them."""
        self._lake, self._name = lake, name
        self._known = None if silver is None else silver.number(REJECTED)

    @property
    def _table(self) -> Table | None:
        return self._lake.table(REJECTS, self._name)

    @property
    def _count(self) -> int:
        table = self._table
        return 0 if table is None else table.number(REJECTED) or 0

    def in_step(self) -> bool:
        """Whether they are those that silver knows; where silver knows of none, that is asked when there are some to write."""
        return self._known is None or self._known == self._count

    def rows(self) -> pl.DataFrame:
        """Those that are listed."""
        table = None if self._known is None else self._table
        return frame(SCHEMA) if table is None else table.scan().collect()

    def waiting(self, allowed: int) -> int:
        """How many are listed, where these are more than allowed; else 0."""
        table = self._table
        count = 0 if table is None else table.rows()
        return count if count > allowed else 0

    def write(
        self, numbers: Mapping[str, int], new: pl.DataFrame, withheld: pl.DataFrame, *, whole: bool, moved: Moved | None = None
    ) -> dict[str, int]:
        """Bring them up to date in one commit, where anything changes; the number for silver's commit.

        Args:
            numbers: What the commit says that it has consumed.
            new: Those among the versions that are new.
            withheld: All that are withheld for the sake of other rows.
            whole: The new ones are all there are.
            moved: The rows whose rejects are among the new ones again, if they have one still.

        Raises:
            OutOfStepError: They are not those that silver knows.
        """
        if not whole and self._known is None and new.is_empty() and withheld.is_empty():
            return {}
        table, count = self._table, self._count
        if not whole and count != (self._known or 0):
            raise OutOfStepError
        old = frame(SCHEMA) if table is None else table.scan().collect()
        wanted = pl.concat([new, withheld])
        gone, came = _difference(old, wanted) if whole else _difference(old.filter(pl.col("reason").is_in(ACROSS)), withheld)
        came = came if whole else pl.concat([came, new])
        if moved is not None:
            gone = pl.concat([gone, moved.among(old.filter(~pl.col("reason").is_in(ACROSS)).lazy()).collect()])
        if gone.is_empty() and came.is_empty():
            return {} if table is None else {REJECTED: count}
        commit = Commit(self._lake.run_id, REJECTS, {**numbers, REJECTED: count + 1}, {"rows": came.height, "released": gone.height})
        table = table or self._lake.make_table(REJECTS, self._name, SCHEMA)
        if gone.is_empty():
            table.append(to_batches(came, SCHEMA), lambda: commit)
        elif whole:
            table.replace(to_batches(wanted, SCHEMA), lambda: commit)
        else:
            table.apply(gone, came, POINTER, commit)
        return {REJECTED: count + 1}


def _difference(old: pl.DataFrame, new: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(rows of `old` that `new` does not have, rows of `new` that `old` does not have), as multisets."""
    columns = SCHEMA.names
    signed = [rows.select(*columns, pl.lit(sign, dtype=pl.Int64).alias("_n")) for rows, sign in ((old, -1), (new, 1))]
    summed = pl.concat(signed).group_by(columns).agg(pl.col("_n").sum())

    def repeated(sign: int) -> pl.DataFrame:
        left = summed.filter(pl.col("_n") * sign > 0).with_columns(pl.col("_n").abs())
        return left.select(pl.col(columns).repeat_by("_n")).explode(columns) if left.height else left.select(columns)

    return repeated(-1), repeated(1)
