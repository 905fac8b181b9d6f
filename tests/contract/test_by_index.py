"""What a window asks of PostgreSQL before and while it reads: by the cursor's index, however little the planner knows of the table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlglot import exp

from lakehouse.model.run import Window
from lakehouse.sources.connect import connect
from lakehouse.sources.database import Database
from tests.contract.backend import Backend, define

if TYPE_CHECKING:
    from lakehouse.sources.dialect import Dialect

ROWS = 20_000


class Explaining:
    """A dialect that keeps the plan of every question before it asks it."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect, self.plans = dialect, list[str]()

    def __getattr__(self, name: str) -> object:
        return getattr(self.dialect, name)

    def value(self, query: exp.Expr) -> object:
        self.plans.append(query.sql(dialect=self.dialect.sql))
        return self.dialect.value(query)


@pytest.mark.parametrize(
    ("kind", "value"), [("timestamptz", "timestamptz '2024-01-01 00:00+00' + g * interval '1 second'"), ("bigint", "g")]
)
def test_no_question_scans_the_table(postgresql: Backend, kind: str, value: str) -> None:
    postgresql.execute(
        f"create table changes (id bigint, at {kind}) with (autovacuum_enabled = false)",
        f"insert into changes select g, {value} from generate_series(1, {ROWS}) g",
        "create index on changes (at)",
    )
    asked = Explaining(connect(postgresql.url, postgresql.project))
    database = Database(asked, 1000)  # type: ignore[arg-type]  # it answers as a dialect does
    what = database.describe(define("changes", cursor="at"))
    assert not database.rows_without_cursor(what, datetime(2100, 1, 1, tzinfo=UTC) if kind != "bigint" else None)
    if kind == "bigint":
        assert database.greatest(what) == ROWS
    window = (
        Window(datetime(2024, 1, 1, 5, 30, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)) if kind != "bigint" else Window(ROWS - 9, ROWS)
    )
    with psycopg.connect(postgresql.url) as connection:
        for query in (*asked.plans, database.query(what, window)):
            plan = "\n".join(row[0] for row in connection.execute(f"explain {query}".encode()))
            assert "Index" in plan
            assert "Seq Scan" not in plan, plan
    database.close()
