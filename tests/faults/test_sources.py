"""A PostgreSQL that changes its shape, breaks off or hides a change: nothing half, nothing cast, nothing said that is not so."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from decimal import Decimal
from itertools import count
from pathlib import Path

import psycopg
import pytest

from lakehouse import Lakehouse
from lakehouse.model.run import Run
from tests.cli.project import PROGRAM
from tests.lakes import require_success, versions, write_project
from tests.servers import PASSWORD, Postgres

_numbers = count()
ITEMS = "metadata/tables/shop/items.yml"
FILES = {
    "metadata/sources/shop.yml": "connection: shop\n",
    ITEMS: "from: items\nmode: incremental\nkeys: id\ncursor: at\nlookback: 9999d\n",
    "metadata/tables/shop/others.yml": "from: others\nmode: incremental\nkeys: id\ncursor: at\n",
}
TABLES = """
create table items (id int primary key, n int, amount numeric(12,2), name text not null, at timestamptz not null);
create table others (id int primary key, at timestamptz not null);
insert into items values (1, 10, 1.25, 'one', '2024-01-01'), (2, 20, 2.50, 'two', '2024-01-02');
insert into others values (1, '2024-01-01');
"""


class Shop:
    """A project over a PostgreSQL database of its own."""

    def __init__(self, folder: Path, postgres: Postgres, script: str = TABLES) -> None:
        self.url = postgres.create_database(f"shop {next(_numbers)}")
        self.folder = write_project(folder, FILES)
        self.house = Lakehouse.open(folder, lake="lake", connection={"shop": self.url})
        self.execute(script)

    def execute(self, script: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(script.encode())

    def rows(self, query: str) -> list[tuple[object, ...]]:
        return self.house.sql(query).rows()

    def run_with_one_failure(self) -> dict[str, str]:
        """A run in which one table fails alone and writes nothing; its error."""
        stands = versions(self.folder / "lake")
        done = self.house.run()
        (failed,) = [step for step in done.steps if step.status == "failed"]
        assert (failed.step, failed.table) == ("bronze", "items")
        require_others(done)
        for layer in ("bronze", "silver"):
            assert versions(self.folder / "lake").get(f"{layer}/items") == stands.get(f"{layer}/items")
        error = failed.error or {}
        assert PASSWORD not in str(error)
        assert PASSWORD not in str(self.house.history())
        return error


def require_others(done: Run) -> None:
    assert {step.status for step in done.steps if step.table == "others"} <= {"success", "unchanged"}


REFUSED = {
    "another kind": ("alter column n type text", "alter column n type int using n::int", ("column n", "from integer to string")),
    "a dropped column": ("drop column n", "add column n int", ("no longer has column n",)),
    "another name": ("rename column n to m", "rename column m to n", ("no longer has column n",)),
}


@pytest.mark.parametrize("drift", REFUSED)
def test_a_column_that_drifts_is_refused_with_both_types_and_comes_back(postgres: Postgres, tmp_path: Path, drift: str) -> None:
    shop = Shop(tmp_path, postgres)
    require_success(shop.house)
    there, back, words = REFUSED[drift]
    shop.execute(f"alter table items {there}")
    shop.execute("insert into items (id, amount, name, at) values (3, 3.75, 'three', '2024-01-03')")
    error = shop.run_with_one_failure()
    assert error["kind"] == "ContractError"
    assert [word for word in words if word not in error["message"]] == [], error["message"]
    shop.execute(f"alter table items {back}")
    require_success(shop.house)
    assert shop.rows("select id, amount, name from silver.items order by id") == [
        (1, Decimal("1.25"), "one"),
        (2, Decimal("2.50"), "two"),
        (3, Decimal("3.75"), "three"),
    ]


def test_a_new_column_is_added_and_null_before(postgres: Postgres, tmp_path: Path) -> None:
    shop = Shop(tmp_path, postgres)
    require_success(shop.house)
    shop.execute("alter table items add column size bigint; insert into items values (3, 30, 3.75, 'three', '2024-01-03', 7)")
    require_success(shop.house)
    assert shop.rows("select id, n, size from silver.items order by id") == [(1, 10, None), (2, 20, None), (3, 30, 7)]
    assert shop.rows("select count(*) from bronze.items") == [(3,)]
    assert shop.house.run().status == "unchanged"


def test_a_column_that_may_be_null_now_brings_its_nulls_and_a_key_is_rejected(postgres: Postgres, tmp_path: Path) -> None:
    shop = Shop(tmp_path, postgres)
    require_success(shop.house)
    shop.execute("alter table items alter column name drop not null; update items set name = null where id = 2")
    require_success(shop.house)
    assert shop.rows("select id, name from silver.items order by id") == [(1, "one"), (2, None)]
    shop.execute("alter table items drop constraint items_pkey; alter table items alter column id drop not null")
    shop.execute("insert into items values (null, 1, 1, 'none', '2024-01-04')")
    require_success(shop.house)
    assert shop.rows("select id, name from silver.items order by id") == [(1, "one"), (2, None)]
    assert [(row["reason"], row["rules"]) for row in shop.house.rejects("items")] == [("null_key", "id")]
    assert shop.house.run().status == "unchanged"


def test_decimals_are_exact_from_the_source_to_the_sums_of_the_star(postgres: Postgres, tmp_path: Path) -> None:
    chance = random.Random(50)
    cents = [Decimal(chance.randint(-(10**12) + 1, 10**12 - 1)).scaleb(-2) for _ in range(500)]
    wide = [Decimal(chance.choice((-1, 1)) * chance.randint(0, 10**38 - 1)).scaleb(-10) for _ in range(500)]
    cents[:4] = [Decimal("9999999999.99"), Decimal("-9999999999.99"), Decimal("0.10"), Decimal("0.20")]
    wide[:2] = [Decimal("9999999999999999999999999999.9999999999"), Decimal("-0.0000000001")]
    wide[2:4] = [Decimal("0.1"), Decimal("0.2")]
    shop = Shop(tmp_path, postgres, "create table items (id int, amount numeric(12,2), exact numeric(38,10), at timestamptz);")
    shop.execute("create table others (id int primary key, at timestamptz not null)")
    with psycopg.connect(shop.url) as connection, connection.cursor() as cursor:
        rows = [(number, *pair, "2024-01-01") for number, pair in enumerate(zip(cents, wide, strict=True))]
        cursor.executemany("insert into items values (%s, %s, %s, %s)", rows)
    write_project(
        shop.folder,
        {
            "metadata/models/sums.yml": "kind: aggregate\nkeys: part\n",
            "sql/gold/sums.sql": "select id % 7 as part, sum(amount) as amount from silver.items group by all\n",
            "metadata/models/items_again.yml": "kind: aggregate\nkeys: id\n",
            "sql/gold/items_again.sql": "select id, amount, exact from silver.items\n",
        },
    )
    require_success(shop.house)
    for table in ("bronze.items", "silver.items", "gold.items_again"):
        found = shop.house.scan(table).sort("id").collect()
        assert (found["amount"].to_list(), found["exact"].to_list()) == (cents, wide), table
    by_part = {part: sum(cents[part::7], Decimal(0)) for part in range(7)}
    assert set(shop.rows("select part, amount from gold.sums")) == set(by_part.items())
    assert shop.rows("select sum(amount), sum(exact) from silver.items where id in (2, 3)") == [(Decimal("0.30"), Decimal("0.3"))]
    assert shop.house.run().status == "unchanged"


SLOW = """
create view items as
    select g as id, timestamptz '2024-01-01' + g * interval '1 second' as at, nap::text as nap
    from generate_series(1, {rows}) g, lateral (select pg_sleep({nap}), g) s(nap, same);
create table others (id int primary key, at timestamptz not null);
"""


READING = """
    select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state = 'active'
    and backend_type = 'client backend' and clock_timestamp() - query_start > interval '0.5 s'
"""


def test_a_server_that_ends_the_read_leaves_nothing_of_it(postgres: Postgres, tmp_path: Path) -> None:
    shop, ended = Shop(tmp_path, postgres, SLOW.format(rows=5000, nap=0.001)), 0
    write_project(tmp_path, {ITEMS: "from: items\nmode: full\nkeys: id\n"})
    outer = {name: value for name, value in os.environ.items() if not name.startswith("LAKEHOUSE_")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(
        (PROGRAM, "run", "-o", "json"),
        cwd=tmp_path,
        env=outer | {"LAKEHOUSE_CONNECTION__SHOP": shop.url},
        text=True,
        **pipes,  # type: ignore[call-overload]
    )
    with psycopg.connect(shop.url, autocommit=True) as connection:  # connectorx holds Python's lock while it waits
        while process.poll() is None:
            for (pid,) in connection.execute(READING.encode()).fetchall():
                connection.execute("select pg_terminate_backend(%s)", (pid,))
                ended += 1
            time.sleep(0.05)
    out, err = process.communicate()
    assert (process.returncode, ended > 0, PASSWORD in out + err) == (1, True, False)
    (error,) = [step["error"] for step in json.loads(out)["steps"] if step["status"] == "failed"]
    assert (error["kind"], error["transient"]) == ("SourceUnreachableError", "true"), error
    assert {row["status"] for row in shop.house.history() if row["table"] == "others"} <= {"success", "unchanged"}
    assert not list((tmp_path / "lake").glob("silver/items"))
    assert not list((tmp_path / "lake").glob("bronze/items/_delta_log/*1.json"))
    shop.execute(f"drop view items; drop table others; {SLOW.format(rows=50, nap=0)}")
    require_success(shop.house)
    assert shop.rows("select count(*), count(distinct id) from silver.items") == [(50, 50)]


def test_what_moves_no_cursor_is_unseen_as_the_docs_say_and_a_reconciliation_finds_and_heals_it(postgres: Postgres, tmp_path: Path) -> None:
    shop = Shop(tmp_path, postgres)
    write_project(tmp_path, {ITEMS: FILES[ITEMS].replace("lookback: 9999d", "deletes: {detect: sweep, every: 365d}")})
    require_success(shop.house)
    shop.execute("update items set name = 'uno' where id = 1; delete from items where id = 2")
    shop.execute("insert into items values (3, 3, 3, 'three', '2024-01-03')")
    require_success(shop.house)
    assert shop.rows("select id, name from silver.items order by id") == [(1, "one"), (2, "two"), (3, "three")]
    said = (Path(__file__).parents[2] / "README.md").read_text()
    assert "What a run alone does not see: rows deleted in the source, and updates that move no cursor" in said
    found = {table.table: table for table in shop.house.reconcile().tables}["items"]
    assert (found.missing, found.stale, found.surplus) == (0, 1, 1)
    assert (found.keys["stale"], found.keys["surplus"]) == ([1], [2])
    shop.house.reconcile(heal=True)
    assert shop.rows("select id, name from silver.items order by id") == [(1, "uno"), (3, "three")]
    assert [table.differing for table in shop.house.reconcile().tables] == [0, 0]
