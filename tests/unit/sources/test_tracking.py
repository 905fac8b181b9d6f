"""The T-SQL of Change Tracking, checked as T-SQL; and when its numbers are too old."""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot import exp

from lakehouse.model.table import Table
from lakehouse.model.types import DataType
from lakehouse.sources.described import Described
from lakehouse.sources.dialect import SourceColumn, SourceTable
from lakehouse.sources.tracking import Tracked, changes


def described(*keys: str, where: str | None = None) -> Described:
    given = {"name": "t", "source": "shop", "from": "dbo.T", "mode": "change_tracking", "keys": keys, "where": where}
    columns = {name: (SourceColumn(name, "int", DataType("integer")), DataType("integer")) for name in (*keys, "v")}
    own = SourceTable(("dbo", "T"), tuple(column for column, _ in columns.values()))
    return Described(Table.model_validate(given), own, columns)


def text(what: Described, since: int = 7) -> str:
    return exp.select("*").from_(changes(what, since)).sql(dialect="tsql")


def test_changes_are_the_rows_as_they_are_now_and_the_keys_that_are_gone() -> None:
    assert text(described("id")) == (
        "SELECT * FROM (SELECT [c].[id] AS [id], [t].[v] AS [v], CASE WHEN [t].[id] IS NULL THEN N'delete' END AS [_op] "
        "FROM CHANGETABLE(CHANGES [dbo].[T], 7) AS [c] LEFT JOIN [dbo].[T] AS [t] ON [t].[id] = [c].[id] "
        "WHERE NOT [t].[id] IS NULL OR [c].[SYS_CHANGE_OPERATION] = 'D') AS changed"
    )


@pytest.mark.parametrize("what", [described("id"), described("a", "b"), described("id", where="[v] > 3 -- few")], ids=range(3))
def test_they_are_one_select_of_t_sql(what: Described) -> None:
    """sqlglot knows all but CHANGETABLE's first argument, which Microsoft's manual gives as `CHANGES <table>`."""
    written = text(what)
    assert written.count("CHANGETABLE(CHANGES [dbo].[T], 7) AS [c]") == 1
    (statement,) = sqlglot.parse(written.replace("CHANGES [dbo].[T], ", ""), read="tsql")
    assert isinstance(statement, exp.Select)


def test_a_row_that_a_condition_keeps_out_is_gone() -> None:
    written = text(described("id", where="v > 3"))
    assert "LEFT JOIN (SELECT * FROM [dbo].[T] WHERE (v > 3)) AS [t]" in written
    assert "SYS_CHANGE_OPERATION" not in written


def test_keys_of_two_columns() -> None:
    assert "ON [t].[a] = [c].[a] AND [t].[b] = [c].[b]" in text(described("a", "b"))


@pytest.mark.parametrize(
    ("since", "covers", "worn"),
    [(9, False, True), (10, True, True), (14, True, True), (15, True, False), (20, True, False), (21, False, False)],
)
def test_how_far_the_server_reaches_back(since: int, covers: bool, worn: bool) -> None:
    told = Tracked(current=20, least=10)
    assert (told.covers(since), told.is_worn(since)) == (covers, worn)
