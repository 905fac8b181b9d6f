"""The T-SQL that no test database speaks whole is at least T-SQL, and says what it should."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
import sqlglot
from sqlglot import exp

from lakehouse.errors import ContractError
from lakehouse.model.types import parse_type
from lakehouse.sources import sqlserver, tsql
from lakehouse.sources.dialect import SourceColumn

AT = datetime(2024, 2, 29, 10, 20, 30, 123_457, UTC)


def column(native: str, precision: int | None = None, scale: int | None = None) -> SourceColumn:
    return SourceColumn("a]b", native, tsql.lake_type(native, precision, scale))


def written(tree: exp.Expr) -> str:
    """The tree as T-SQL, which must parse again to the same text."""
    text = tree.sql(dialect="tsql")
    assert sqlglot.parse_one(text, dialect="tsql").sql(dialect="tsql") == text
    return text.replace("[a]]b]", "v")


@pytest.mark.parametrize(
    ("native", "precision", "scale", "lake"),
    [
        ("bit", None, None, "boolean"),
        ("tinyint", 3, 0, "smallint"),
        ("bigint", 19, 0, "bigint"),
        ("numeric", 38, 10, "decimal(38,10)"),
        ("money", 19, 4, "decimal(19,4)"),
        ("smallmoney", 10, 4, "decimal(10,4)"),
        ("real", 24, None, "float"),
        ("float", 53, None, "double"),
        ("datetimeoffset", None, None, "timestamp"),
        ("time", None, None, "string"),
        ("timestamp", None, None, "bigint"),
        ("varbinary", None, None, "binary"),
        ("uniqueidentifier", None, None, "string"),
        ("xml", None, None, "string"),
        ("hierarchyid", None, None, "string"),
    ],
)
def test_types(native: str, precision: int | None, scale: int | None, lake: str) -> None:
    assert str(tsql.lake_type(native, precision, scale)) == lake


@pytest.mark.parametrize(
    ("native", "lake", "text"),
    [
        ("nvarchar", "string", "v"),
        ("varchar", "string", "CAST(v AS NVARCHAR(MAX))"),
        ("xml", "string", "CAST(v AS NVARCHAR(MAX))"),
        ("uniqueidentifier", "string", "CAST(v AS NVARCHAR(MAX))"),
        ("int", "integer", "v"),
        ("int", "string", "CAST(v AS NVARCHAR(20))"),
        ("decimal", "decimal(38,10)", "CAST(v AS NVARCHAR(MAX))"),
        ("money", "decimal(19,4)", "CAST(CAST(v AS NUMERIC(19, 4)) AS NVARCHAR(41))"),
        ("float", "double", "v"),
        ("real", "string", "CONVERT(NVARCHAR(40), v, 3)"),
        ("date", "date", "CONVERT(NVARCHAR(10), v, 23)"),
        ("datetime2", "timestamp", "LEFT(CONVERT(NVARCHAR(34), v, 121), 26)"),
        ("datetime2", "string", "CONVERT(NVARCHAR(34), v, 121)"),
        (
            "datetimeoffset",
            "timestamp",
            "LEFT(CONVERT(NVARCHAR(34), CAST(SWITCHOFFSET(v, '+00:00') AS DATETIME2(7)), 121), 26)",
        ),
        ("timestamp", "bigint", "CAST(v AS BIGINT)"),
        ("timestamp", "binary", "v"),
        ("varbinary", "binary", "v"),
    ],
)
def test_columns(native: str, lake: str, text: str) -> None:
    assert written(tsql.output(column(native), parse_type(lake))) == text


@pytest.mark.parametrize(
    ("native", "bound", "low", "high"),
    [
        ("int", 7, "v >= 7", "v < 7"),
        ("timestamp", 7, "v >= CAST(CAST(7 AS BIGINT) AS BINARY(8))", "v < CAST(CAST(7 AS BIGINT) AS BINARY(8))"),
        ("timestamp", -7, "v >= CAST(CAST(0 AS BIGINT) AS BINARY(8))", "v < CAST(CAST(0 AS BIGINT) AS BINARY(8))"),
        ("date", date(2024, 2, 29), "v >= CAST('2024-02-29' AS DATE)", "v < CAST('2024-02-29' AS DATE)"),
        (
            "datetime2",
            AT,
            "v >= CAST('2024-02-29T10:20:30.123457' AS DATETIME2(7))",
            "v < CAST('2024-02-29T10:20:30.123457' AS DATETIME2(7))",
        ),
        ("datetime", AT, "v >= CAST('2024-02-29T10:20:30.119' AS DATETIME)", "v < CAST('2024-02-29T10:20:30.127' AS DATETIME)"),
        (
            "datetimeoffset",
            AT,
            "v >= CAST('2024-02-29T10:20:30.123457+00:00' AS DATETIMEOFFSET(7))",
            "v < CAST('2024-02-29T10:20:30.123457+00:00' AS DATETIMEOFFSET(7))",
        ),
        (
            "varchar",
            AT,
            "TRY_CAST(LEFT(v, 10) AS DATE) >= CAST('2024-02-29' AS DATE)",
            "TRY_CAST(LEFT(v, 10) AS DATE) < CAST('2024-03-01' AS DATE)",
        ),
    ],
)
def test_windows(native: str, bound: datetime | date | int, low: str, high: str) -> None:
    assert written(tsql.at_least(column(native), bound)) == low
    assert written(tsql.below(column(native), bound)) == high


@pytest.mark.parametrize("bound", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_a_datetime_s_bound_is_one_that_a_datetime_can_be(bound: datetime) -> None:
    for text in (written(tsql.at_least(column("datetime"), bound)), written(tsql.below(column("datetime"), bound))):
        assert "1753-01-0" in text or "9999-12-31" in text


def test_a_text_is_no_integer_cursor() -> None:
    with pytest.raises(ContractError, match="cursor a]b is a varchar"):
        tsql.require_cursor(column("varchar"), parse_type("bigint"), "shop")


def test_a_text_that_says_no_day_is_no_cursor() -> None:
    tsql.require_cursor(column("varchar"), parse_type("timestamp"), "shop")
    unfit = tsql.unfit(column("varchar"), parse_type("timestamp"))
    assert unfit is not None
    assert written(unfit) == "NOT v IS NULL AND TRY_CAST(LEFT(v, 10) AS DATE) IS NULL"


def test_a_text_cursor_is_compared_by_code_points() -> None:
    kind = parse_type("string")
    tsql.require_cursor(column("varchar"), kind, "shop")
    assert written(tsql.at_least(column("nvarchar"), "o'b")) == "v COLLATE Latin1_General_BIN2 >= N'o''b'"
    assert written(tsql.at_least(column("varchar"), "a")) == "CAST(v AS NVARCHAR(MAX)) COLLATE Latin1_General_BIN2 >= N'a'"
    unfit = tsql.unfit(column("nvarchar"), kind)
    assert unfit is not None
    assert written(unfit) == "v COLLATE Latin1_General_BIN2 LIKE N'%[^ -\ud7ff]%'"


def test_a_rowversion_is_read_below_those_that_are_under_way() -> None:
    query = tsql.least_open(column("timestamp"))
    assert query is not None
    assert written(query) == "SELECT CAST(MIN_ACTIVE_ROWVERSION() AS BIGINT)"
    assert tsql.least_open(column("bigint")) is None


def test_the_catalogue_s_queries_are_t_sql() -> None:
    statements = [text for name, text in vars(sqlserver).items() if name in ("_TABLES", "_COLUMNS", "_LISTED", "_INDEXES", "_ROWS")]
    assert len(statements) == 5
    for statement in statements:
        parsed = sqlglot.parse_one(statement.replace("%s", "'x'"), dialect="tsql")
        assert isinstance(parsed, exp.Select)
