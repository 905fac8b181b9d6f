"""A database lists its tables with keys, indexes and rows, and what it keeps for itself stays out."""

import pytest

from lakehouse.sources.connect import connect
from lakehouse.sources.dialect import ListedTable
from tests.contract.backend import Backend


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def keyed(request: pytest.FixtureRequest) -> Backend:
    """A database that knows keys, indexes and views; SQL Server's wire in the tests knows none."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Backend)
    return found


def listed(backend: Backend) -> dict[str, ListedTable]:
    """The listed tables by their names without schema."""
    dialect = connect(backend.url, backend.project)
    try:
        found = dialect.listed()
    finally:
        dialect.close()
    assert len({table.parts for table in found}) == len(found)
    return {table.parts[-1]: table for table in found}


def test_nothing(backend: Backend) -> None:
    assert listed(backend) == {}


def test_keys_come_in_the_keys_order(keyed: Backend) -> None:
    keyed.execute("create table t (a int not null, b int not null, c int, primary key (b, a))", "create table plain (a int)")
    found = listed(keyed)
    assert (found["t"].keys, found["plain"].keys) == (("b", "a"), ())
    assert found["t"].indexed == ("b",)


def test_the_first_column_of_each_whole_index_counts(keyed: Backend) -> None:
    keyed.execute("create table t (id int primary key, a int, b int, c int, d int)", "create index one on t (a, b)")
    if keyed.kind != "mariadb":  # it has neither
        keyed.execute("create index part on t (c) where c > 0", "create index lowered on t (abs(d))")
    assert set(listed(keyed)["t"].indexed) == {"id", "a"}


def test_views_are_marked_and_not_counted(keyed: Backend) -> None:
    keyed.execute("create table t (a int)", "create view v as select a from t")
    found = listed(keyed)
    assert [found[name].is_view for name in ("t", "v")] == [False, True]
    assert found["v"].rows is None


def test_odd_names_come_as_they_are(backend: Backend) -> None:
    names = ["Upper", "with space", 'quo"te', "do.t", "ünï", "semi;colon", "'apostrophe'", "select"]
    for name in names:
        quoted = '"' + name.replace('"', '""') + '"'
        backend.execute(f'create table {quoted} ("K ey" int primary key)')
    found = listed(backend)
    assert sorted(found) == sorted(names)
    assert {table.keys for table in found.values()} == {() if backend.kind == "sqlserver" else ("K ey",)}


def test_sqlite_counts(sqlite: Backend) -> None:
    sqlite.execute("create table t (a int)", "insert into t values (1), (2), (3)", "create table e (a int)")
    assert {name: table.rows for name, table in listed(sqlite).items()} == {"t": 3, "e": 0}


def test_sqlite_keeps_its_own_tables_and_lists_what_is_broken(sqlite: Backend) -> None:
    sqlite.execute("create table t (a integer primary key autoincrement, b int unique)", "create virtual table f using fts5(body)")
    sqlite.execute("create view broken as select * from gone", "analyze")
    found = listed(sqlite)
    assert sorted(found) == ["broken", "f", "t"]
    assert set(found["t"].indexed) == {"a", "b"}


def test_sqlite_says_what_refuses_null(sqlite: Backend) -> None:
    sqlite.execute("create table t (id integer primary key, a int not null, b int)", "create table k (id text primary key)")
    sqlite.execute("create table two (a integer, b integer, primary key (a, b))")
    dialect = connect(sqlite.url, sqlite.project)
    required = {name: [column.required for column in dialect.describe(name).columns] for name in ("t", "k", "two")}
    dialect.close()
    assert required == {"t": [True, True, False], "k": [False], "two": [False, False]}


@pytest.mark.parametrize(
    ("native", "wanted"), [("decimal(38,2)", "decimal(38,2)"), ("decimal(39,2)", "string"), ("numeric(3,5)", "string")]
)
def test_sqlite_decimals_that_no_lake_can_hold_are_texts(sqlite: Backend, native: str, wanted: str) -> None:
    sqlite.execute(f"create table t (a {native})")
    assert str(sqlite.describe("t").types["a"]) == wanted


def test_postgresql_estimates_once_it_has_looked(postgresql: Backend) -> None:
    postgresql.execute("create table t (a int)", "insert into t select generate_series(1, 500)", "create table never (a int)")
    postgresql.execute("analyze t")
    assert {name: table.rows for name, table in listed(postgresql).items()} == {"t": 500, "never": None}


def test_postgresql_lists_a_partitioned_table_once(postgresql: Backend) -> None:
    postgresql.execute(
        "create table p (id int not null, d date not null, primary key (id, d)) partition by range (d)",
        "create table p1 partition of p for values from ('2024-01-01') to ('2024-02-01')",
        "create table p2 partition of p for values from ('2024-02-01') to ('2024-03-01')",
        "insert into p select i, date '2024-01-20' + i from generate_series(1, 20) i",
    )
    postgresql.execute("analyze p1", "analyze p2")
    found = listed(postgresql)
    assert list(found) == ["p"]
    assert (found["p"].keys, found["p"].rows) == (("id", "d"), 20)


def test_postgresql_tells_schemas_apart_and_keeps_its_own(postgresql: Backend) -> None:
    postgresql.execute(
        "create schema sales", "create table t (a int)", "create table sales.t (a int)", "create extension if not exists plpgsql"
    )
    postgresql.execute("create materialized view m as select 1 as a")
    dialect = connect(postgresql.url, postgresql.project)
    found = dialect.listed()
    dialect.close()
    assert [(table.parts, table.is_view) for table in found] == [(("public", "m"), True), (("public", "t"), False), (("sales", "t"), False)]
