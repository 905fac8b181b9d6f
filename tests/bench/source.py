"""The bench's own PostgreSQL, its tables of some million rows, and the project that loads them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import psycopg

from tests.lakes import write_project
from tests.servers import Postgres

ROWS = int(os.environ.get("BENCH_ROWS", "5000000"))
CHANGED = 10_000
COLUMNS = "id, customer_id, country, note, score, amount, created_at, updated_at"
SETTINGS = (
    "shared_buffers=512MB",
    "maintenance_work_mem=256MB",
    "max_wal_size=16GB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "jit=off",
)
_FILL = """
create unlogged table {name} as select
    g::bigint as id,
    (g * 7919 % 100000)::integer as customer_id,
    (array['AT', 'BR', 'CH', 'DE', 'ES', 'FR', 'GB', 'IT', 'JP', 'US'])[1 + g % 10] as country,
    'note ' || md5(g::text) as note,
    (g * 31 % 1000003)::double precision / 7 as score,
    ((g * 13 % 10000000)::numeric / 100)::numeric(12,2) as amount,
    timestamptz '2019-01-01 00:00+00' + g * interval '1 second' as created_at,
    timestamptz '2020-01-01 00:00+00' + g * interval '1 second' as updated_at
from generate_series(1, {rows}::bigint) g;
alter table {name} add primary key (id);
create index on {name} (updated_at);
"""
_CHANGE = """
update {name} set amount = amount + 1, updated_at = timestamptz '{start}' + i * interval '1 millisecond'
from generate_series(0, {changed} - 1) i where id = (i::bigint * ({rows} / {changed}) + {turn}) % {rows} + 1
"""
_TABLE = """
from: public.{name}
mode: incremental
keys: id
cursor: updated_at
"""
Sums = tuple[int, int, int, int, datetime]


@dataclass
class Source:
    """A server with tables `rows_<n>`, and a project folder that loads each of them.

    Attributes:
        server: The server.
        project: The project's folder.
        turn: How often rows were changed; each change takes rows and cursor values of its own.
    """

    server: Postgres
    project: Path
    turn: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find the server."""
        return {"LAKEHOUSE_CONNECTION__BENCH": self.server.url}

    def fill(self, rows: int) -> str:
        """The name of a table with so many rows, made where it is not there yet: 8 mixed columns, an index on the cursor."""
        name = f"rows_{rows}"
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            if connection.execute("select to_regclass(%s)", (name,)).fetchone() == (None,):
                connection.execute(_FILL.format(name=name, rows=rows).encode())
                connection.execute(f"vacuum analyze {name}".encode())
        write_project(
            self.project,
            {"metadata/sources/bench.yml": "connection: bench\n", f"metadata/tables/bench/{name}.yml": _TABLE.format(name=name)},
        )
        return name

    def change(self, name: str) -> datetime:
        """Change 10 thousand rows, spread over the table; the least of their cursor values, all above every other."""
        self.turn += 1
        start = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=self.turn)
        facts = {"name": name, "rows": name.removeprefix("rows_"), "changed": CHANGED, "turn": self.turn, "start": start.isoformat()}
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            assert connection.execute(_CHANGE.format(**facts).encode()).rowcount == CHANGED
        self.sums(name, f"updated_at >= '{start.isoformat()}'")  # whoever reads changed rows first pays for the marks on them
        return start

    def sums(self, name: str, where: str = "true") -> Sums:
        """Count and sums of a table's rows as the database has them."""
        text = "select count(*), sum(id)::bigint, (sum(amount) * 100)::bigint, sum(length(note))::bigint, max(updated_at)"
        with psycopg.connect(self.server.url) as connection:
            found = connection.execute(f"{text} from {name} where {where}".encode()).fetchone()
        assert found is not None
        return (*found[:4], found[4].astimezone(UTC))


def sums(rows: pl.LazyFrame) -> Sums:
    """The same as `Source.sums`, of what a program wrote."""
    cents = (pl.col("amount").sum() * 100).cast(pl.Int64)
    found = rows.select(
        pl.len(), pl.col("id").sum(), cents, pl.col("note").str.len_chars().sum().cast(pl.Int64), pl.col("updated_at").max()
    ).collect(engine="streaming")
    count, ids, amounts, notes, latest = found.row(0)
    return count, ids, amounts, notes, latest.astimezone(UTC)
