"""From an unknown database to loaded tables: what `discover --write` writes is valid and runs on the same database."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from lakehouse import Lakehouse
from lakehouse.catalog import load
from lakehouse.errors import SourceError, UsageError
from lakehouse.model.discovery import FoundTable
from lakehouse.pipeline.discover import Discovery
from lakehouse.pipeline.skeleton import make_project
from tests.bridge import Bridge
from tests.bridge import address as bridge_address
from tests.cli.project import PROGRAM
from tests.contract.backend import maria
from tests.lakes import change_source
from tests.mariadb import Mariadb
from tests.servers import PASSWORD, Postgres, address

SQLITE = """
create table Users (
  id integer primary key, name text, Email varchar(50), updated_at datetime not null, amount decimal(10,2), "Unit Price" int);
insert into Users values
  (1, 'Ann Secret', 'ann@example.org', '2024-01-01 10:00:00', 1.5, 1), (2, 'Bob', null, '2024-01-02', 2.5, 1);
create index by_update on Users (updated_at);
create table mixed (k text primary key, n integer, t timestamp, b blob, s text, dec decimal(5,2), changed timestamp);
insert into mixed values
  ('a', 'x', 'never', x'00ff', 'ok', 1.5, 1700000000), (null, 2, '2024-01-01', 'text', x'01', 2.5, 1700000001);
create table composite (a integer, b integer, primary key (a, b)) without rowid;
create table "rowid" (filename text, file_row_number int, "group" int, "null" int, "No" int, _hidden int);
insert into "rowid" values ('f', 1, 2, 3, 4, 5);
create table real_key (k real primary key not null, v int); insert into real_key values (1.5, 2);
create table blob_key (k blob primary key not null, v int); insert into blob_key values (x'01', 2);
create table late (id integer primary key, modified_at datetime); insert into late values (1, '2024-01-01'), (2, null);
create table clicks (id integer primary key, at datetime); insert into clicks values (7, '2024-01-01');
create table empty (id integer primary key, changed_on date); create table bare (x);
create table "select" (id integer primary key); create table SELECT_TABLE (id integer primary key);
create table "do.t" (id int); create table "Kündigung" (id int);
create view v as select id, name from Users; create view broken as select * from gone;
"""
POSTGRESQL = """
create table customer (
  id bigint generated always as identity primary key, email text not null, meta jsonb, updated_at timestamptz not null);
insert into customer (email, meta, updated_at)
  select 'c' || i || '@example.org', '{"a": 1}', timestamptz '2024-01-01' + i * interval '1 min' from generate_series(1, 1500) i;
create index on customer (updated_at);
create table odd (
  id int primary key, t timestamptz, n numeric(10,2), wide numeric(38,2), iv interval, tm time, p point, r int4range, ip inet,
  m money, bits bit(3), by bytea, e numeric, d double precision, tags text[], day date);
insert into odd values (
  1, 'infinity', 'NaN', 123456789012345678901234567890.12, '1 day', '24:00', '(1,2)', '[1,2)', '10.0.0.1',
  12.5, B'101', '\\x00ff', 1.5, 'Infinity', '{a,b}', 'infinity');
insert into odd (id, t, n, wide, d) values (2, '2024-01-01', 1.5, 0, 'NaN');
create table forever (id int primary key, updated_at timestamptz not null);
insert into forever values (1, 'infinity'), (2, now());
create table part (id int, d date not null, updated timestamp not null, primary key (id, d)) partition by range (d);
create table part_1 partition of part for values from ('2024-01-01') to ('2025-01-01');
insert into part values (1, '2024-03-03', '2024-03-03');
create schema sales;
create table sales.customer (id uuid primary key, "A" int, a int, valid_from date);
insert into sales.customer values (gen_random_uuid(), 1, 2, '2024-01-01');
create table sales."Order Line" (id int primary key, "Qty" int);
create table nothing (); create view shown as select id, email from customer; create table secret (id int primary key, pin text);
"""


MARIADB = """
create table Customer (
  id int auto_increment primary key, email varchar(90), flag tinyint(1), updated_at timestamp(6) not null, key (updated_at));
insert into Customer (email, flag, updated_at) values ('a@example.org', 1, '2024-01-01 10:00:00'), (null, 0, '2024-01-02');
create table `Order Line` (order_no int, line_no smallint unsigned, qty int, amount decimal(10,2), primary key (order_no, line_no));
insert into `Order Line` values (1, 1, 5, 9.99), (1, 2, null, 0.01);
create table odd (id bigint unsigned primary key, `Unit Price` int, t time, y year, e enum('a','b'), j json, b blob, bits bit(3),
  modified datetime, where_at point);
insert into odd (id, t, y, e, j, b, bits, modified) values (18446744073709551615, '25:00:00', 2024, 'a', '{}', x'00ff', b'101', null);
create view shown as select id from Customer;
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project."""
    make_project(tmp_path)
    return tmp_path


@pytest.fixture
def shop(project: Path) -> Lakehouse:
    """An empty project beside an odd SQLite database."""
    change_source(project / "source.db", SQLITE)
    return Lakehouse.open(project, connection={"shop": f"sqlite://{project / 'source.db'}"})


@pytest.fixture(scope="module")
def odd_database(postgres: Postgres) -> str:
    """The URL of an odd PostgreSQL database."""
    url = postgres.create_database("odd shop")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(POSTGRESQL.encode())
        connection.execute("create role weak login password 'weakling'; grant select on public.customer to weak")
    return url


def by_name(found: Discovery) -> dict[str, FoundTable]:
    return {table.object: table for table in found.tables}


def require_loaded(house: Lakehouse, tables: Sequence[str]) -> None:
    """Every written file is valid, a run loads every table, and the next one finds no change."""
    assert sorted(load(house.project, deep=True).tables) == sorted(tables)
    report = house.run()
    assert [step.error for step in report.steps if step.error] == []
    assert report.status == "success"
    assert {step.table for step in report.steps} == set(tables)
    assert house.run().status == "unchanged"


def test_an_odd_sqlite_database_runs_as_it_was_written(shop: Lakehouse) -> None:
    found = shop.discover("shop", write=True)
    names = ["users", "mixed", "composite", "rowid", "real_key", "blob_key", "late", "clicks", "empty", "bare", "select_table"]
    require_loaded(shop, [*names, "shop_select"])
    assert found.left == ()
    assert "metadata/sources/shop.yml" in found.written
    tables = by_name(found)
    assert {name: (table.proposal.mode, table.proposal.cursor, table.proposal.keys) for name, table in tables.items() if table.rows} == {
        "Users": ("incremental", "updated_at", ("id",)),
        "mixed": ("full", None, ()),
        "rowid": ("full", None, ()),
        "real_key": ("full", None, ("k",)),
        "blob_key": ("full", None, ("k",)),
        "late": ("full", None, ("id",)),
        "clicks": ("incremental", "id", ("id",)),
    }
    assert tables["Users"].proposal.cursor_why == (
        "its name tells of changes",
        "timestamp",
        "not null by its definition",
        "indexed",
        "no NULL",
        "its greatest value is 2024-01-02 00:00:00+00:00",
    )
    assert tables["mixed"].proposal.keys_why == "column k of the primary key is NULL in at least one row"
    assert tables["late"].proposal.cursor_why == ("modified_at is NULL or no timestamp in at least one row",)
    assert {column.name: str(column.type) for column in tables["mixed"].taken} == {
        "k": "string",
        "n": "string",
        "t": "string",
        "dec": "decimal(5,2)",
        "changed": "string",
    }
    left_out = {name for name, table in tables.items() if table.left_out}
    assert left_out == {"do.t", "Kündigung", "v", "broken"}
    assert shop.sql("select name from silver.users order by id")["name"].to_list() == ["Ann Secret", "Bob"]


def test_an_odd_postgresql_database_runs_as_it_was_written(project: Path, odd_database: str, capfd: pytest.CaptureFixture[str]) -> None:
    house = Lakehouse.open(project, connection={"shop": odd_database})
    tables = by_name(house.discover("shop", write=True))
    assert capfd.readouterr() == ("", "")  # no panic of the driver, which would show a value
    require_loaded(house, ["customer", "odd", "forever", "part", "sales_customer", "order_line", "secret"])
    assert (tables["public.customer"].rows, tables["public.customer"].rows_are) == (1500, "estimated")
    assert {column.name: str(column.type) for column in tables["public.odd"].taken if column.note} == {
        "t": "string",
        "n": "string",
        "day": "string",
    }
    assert tables["public.forever"].proposal.mode == "full"
    assert tables["public.part"].proposal.keys == ("id", "d")
    assert [column.name for column in tables["sales.customer"].taken] == ["id", "a"]
    assert {name for name, table in tables.items() if table.left_out} == {"public.nothing", "public.shown"}
    assert house.sql("select n, t from silver.odd order by id").rows() == [("NaN", "infinity"), ("1.50", "2024-01-01 00:00:00+05:30")]


def test_an_odd_mariadb_database_runs_as_it_was_written(project: Path, maria_server: Mariadb) -> None:
    url = maria_server.create_database("odd shop")
    with maria(url) as connection, connection.cursor() as cursor:
        for statement in MARIADB.strip().split(";\n"):
            cursor.execute(statement.rstrip(";"))
        connection.commit()
    house = Lakehouse.open(project, connection={"shop": url})
    tables = {name.rpartition(".")[2]: table for name, table in by_name(house.discover("shop", write=True)).items()}
    require_loaded(house, ["customer", "order_line", "odd"])
    assert (tables["Customer"].proposal.cursor, tables["Customer"].proposal.keys) == ("updated_at", ("id",))
    assert tables["Order Line"].proposal.keys == ("order_no", "line_no")
    assert tables["shown"].left_out
    assert {column.name for column in tables["odd"].columns if column.left_out} == {"where_at", "Unit Price"}


def test_sql_servers_wire_runs_as_it_was_written(project: Path, bridge: Bridge) -> None:
    bridge.show("Odd Name", [("id", "int"), ("Unit Price", "float"), ("changed_at", "datetime")], [(1, 1.5, "2024-01-01 00:00:00")])
    bridge.show("plain", [("id", "bigint"), ("email", "nvarchar")], [(1, "a@example.org"), (2, None)])
    try:
        house = Lakehouse.open(project, connection={"shop": bridge_address(bridge.port)})
        tables = {name.rpartition(".")[2]: table for name, table in by_name(house.discover("shop", write=True)).items()}
        require_loaded(house, ["odd_name", "plain"])
    finally:
        bridge.show("Odd Name")
        bridge.show("plain")
    assert tables["Odd Name"].proposal.cursor == "changed_at"
    assert tables["plain"].columns[1].personal is not None


def test_a_view_is_taken_when_it_is_named(project: Path, odd_database: str) -> None:
    house = Lakehouse.open(project, connection={"shop": odd_database})
    found = house.discover("shop", tables=["SHOWN", "sales.*"], write=True)
    assert [table.object for table in found.tables] == ["public.shown", "sales.Order Line", "sales.customer"]
    require_loaded(house, ["shown", "order_line", "sales_customer"])


def test_what_a_login_may_not_read_is_left_out_with_the_reason(project: Path, odd_database: str) -> None:
    url = odd_database.replace("lake:", "weak:").replace(address(1, "").split("@")[0].split(":")[2], "weakling")
    house = Lakehouse.open(project, connection={"shop": url})
    tables = by_name(house.discover("shop", write=True))
    assert "permission denied" in tables["public.secret"].left_out
    require_loaded(house, ["customer"])


def test_files_that_are_there_stay_and_their_tables_keep_their_names(shop: Lakehouse) -> None:
    mine = shop.project / "metadata/tables/shop/people.yml"
    mine.parent.mkdir(parents=True)
    mine.write_text("from: users\nmode: full\n", encoding="utf-8")
    first = shop.discover("shop", write=True)
    before = {path: path.read_bytes() for path in (shop.project / "metadata").rglob("*") if path.is_file()}
    assert by_name(first)["Users"].file == "metadata/tables/shop/people.yml"
    assert first.left == ("metadata/tables/shop/people.yml",)
    second = shop.discover("shop", write=True)
    assert second.written == ()
    assert set(first.written) - {"metadata/sources/shop.yml"} < set(second.left)
    assert {path: path.read_bytes() for path in (shop.project / "metadata").rglob("*") if path.is_file()} == before
    assert load(shop.project).tables["people"].object == "users"


def test_a_second_source_gets_names_of_its_own(shop: Lakehouse) -> None:
    shop.discover("shop", tables=["users"], write=True)
    found = shop.discover("shop", source="crm", tables=["users"], write=True)
    assert found.written == ("metadata/sources/crm.yml", "metadata/tables/crm/crm_users.yml")
    assert shop.run().status == "success"


def test_names_do_not_depend_on_what_is_looked_at(shop: Lakehouse) -> None:
    every = {table.object: table.table for table in shop.discover("shop").tables}
    alone = {pattern: shop.discover("shop", tables=[pattern]).tables[0].table for pattern in ("select", "SELECT_TABLE")}
    assert alone.items() <= every.items()


def test_without_write_nothing_is_written(shop: Lakehouse) -> None:
    before = sorted(shop.project.rglob("*"))
    shop.discover("shop")
    assert sorted(shop.project.rglob("*")) == before


def test_no_value_of_a_row_is_shown(shop: Lakehouse) -> None:
    found = shop.discover("shop", write=True)
    shown = json.dumps(found.facts()) + "".join(path.read_text() for path in (shop.project / "metadata").rglob("*.yml"))
    assert by_name(found)["Users"].columns[2].personal is not None
    assert not any(value in shown for value in ("Ann Secret", "Bob", "example.org", "never"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"connection": "shp"}, "has no URL"),
        ({"connection": "my-db"}, "cannot be the name of a connection"),
        ({"connection": "shop", "source": "Bad Name"}, "cannot be the name of a source"),
        ({"connection": "shop", "tables": ["nope*"]}, "no table is called nope*"),
    ],
)
def test_words_that_mean_nothing(shop: Lakehouse, given: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        shop.discover(**given)  # type: ignore[arg-type]  # the cases' words
    assert words in str(caught.value)
    assert caught.value.next_step


def test_a_source_of_another_connection_and_a_folder_without_a_project_are_refused(shop: Lakehouse, tmp_path: Path) -> None:
    (shop.project / "metadata/sources/shop.yml").write_text("connection: other\n", encoding="utf-8")
    with pytest.raises(UsageError, match="has another connection"):
        shop.discover("shop", write=True)
    (tmp_path / "bare").mkdir()
    with pytest.raises(UsageError, match="lakehouse init"):
        Lakehouse.open(tmp_path / "bare", connection={"shop": "sqlite://x"}).discover("shop", write=True)


def call(project: Path, *words: str, **connections: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **{f"LAKEHOUSE_CONNECTION__{name.upper()}": url for name, url in connections.items()}}
    return subprocess.run(
        (PROGRAM, "discover", *words), cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_command_shows_tables_and_keeps_its_json_keys(shop: Lakehouse) -> None:
    url = "sqlite://source.db"
    done = call(shop.project, "shop", "--tables", "users", shop=url)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(words in done.stdout for words in ("Users becomes users", "updated_at", "incremental", "its name says so", "--write"))
    done = call(shop.project, "shop", "--write", "-o", "json", shop=url)
    facts = json.loads(done.stdout)
    assert list(facts) == ["connection", "source", "tables", "written", "left"]
    keys = "from table view rows rows_are mode keys keys_why cursor cursor_why lookback history columns left_out file"
    assert all(list(table) == keys.split() for table in facts["tables"])
    columns = [column for table in facts["tables"] for column in table["columns"]]
    assert all(list(column) == ["name", "native", "type", "nulls", "pii", "note", "left_out"] for column in columns)


def test_an_empty_database_is_no_error(project: Path, postgres: Postgres) -> None:
    done = call(project, "shop", "--write", shop=postgres.create_database("nothing in it"))
    assert done.returncode == 0
    assert "no tables" in done.stdout
    assert "wrote metadata/sources/shop.yml" in done.stdout


@pytest.mark.parametrize(("port", "words"), [(None, "refuses the login"), (1, "does not answer")])
def test_a_database_that_refuses_or_is_gone(project: Path, postgres: Postgres, port: int | None, words: str) -> None:
    done = call(project, "shop", shop=address(port or postgres.port, "postgres", "hunter2"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert words in done.stderr
    assert not any(secret in done.stderr for secret in ("hunter2", PASSWORD, "Traceback"))


def test_a_sqlite_file_that_is_none(project: Path) -> None:
    (project / "text.db").write_text("no database at all\n" * 100, encoding="utf-8")
    with pytest.raises(SourceError, match="cannot be read as SQLite"):
        Lakehouse.open(project, connection={"shop": f"sqlite://{project / 'text.db'}"}).discover("shop")
