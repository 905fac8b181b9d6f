"""A table that is a query of its own, or rows of a table that meet a condition, on every kind of database."""

from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from lakehouse.errors import ContractError, SourceError
from lakehouse.model.run import Window
from lakehouse.model.sample import Sample
from lakehouse.model.table import Table
from lakehouse.sources.connect import connect
from lakehouse.sources.database import Database
from tests.contract.backend import Backend, define

COLUMNS = {"id": "bigint", "name": "string", "at": "timestamp"}
ORDERS = (
    (1, "Ann", "2024-01-01 10:00:00"),
    (2, "Bob", "2024-01-02 10:00:00"),
    (3, "Cid", "2024-01-03 10:00:00"),
    (4, None, "2024-01-04 10:00:00"),
)


def ask(query: str, **more: object) -> Table:
    mode = "incremental" if "cursor" in more else "full"
    return Table.model_validate({"name": "tested", "source": "shop", "query": query, "mode": mode, **more})


@pytest.fixture
def orders(backend: Backend) -> Backend:
    backend.execute("create table orders (id bigint, name text, at timestamp)")
    backend.insert("orders", *ORDERS)
    return backend


def ids(backend: Backend, table: Table, window: Window | None = None) -> list[int]:
    return sorted(row["id"] for row in backend.read(table, window or Window()))


def test_a_query_is_read_as_a_table(orders: Backend) -> None:
    query = "select id, name, at from orders where name <> 'Bob' -- not him\n;"
    assert ids(orders, ask(query, columns=COLUMNS)) == [1, 3]


def test_a_query_has_windows(orders: Backend) -> None:
    table = ask("select id, name, at from orders where id <> 3", columns=COLUMNS, cursor="at")
    low = datetime(2024, 1, 2, 10, tzinfo=UTC)
    assert ids(orders, table, Window(low, None)) == [2, 4]
    with orders.open() as database:
        assert database.rows_without_cursor(database.describe(table)) is False


def test_a_condition_holds_for_every_statement_of_a_table(orders: Backend) -> None:
    table = define("orders", columns=COLUMNS, cursor="id", where="name <> 'Cid' or name = 'nobody'")
    assert ids(orders, table) == [1, 2]
    assert ids(orders, table, Window(2, None)) == [2]
    with orders.open() as database:
        assert database.greatest(database.describe(table)) == 2


def test_rows_without_a_cursor_are_seen_where_the_condition_is_true_only(orders: Backend) -> None:
    orders.insert("orders", (5, "Eve", None))
    for where, odd in (("name = 'Eve'", True), ("name = 'Ann'", False)):
        with orders.open() as database:
            assert database.rows_without_cursor(database.describe(define("orders", columns=COLUMNS, cursor="at", where=where))) is odd


def test_a_condition_may_name_its_table_and_its_columns_in_any_case(orders: Backend) -> None:
    assert ids(orders, define("orders", columns=COLUMNS, where="orders.ID = 2")) == [2]


def test_a_condition_over_a_query(orders: Backend) -> None:
    table = ask("select id, name, at from orders where id > 1", columns=COLUMNS, where="id < 4 and 50 % 7 = 1")
    assert ids(orders, table) == [2, 3]


def test_types_of_a_query_are_the_database_s_own(backend: Backend) -> None:
    if backend.kind == "sqlserver":
        backend.execute("create table t (a integer, b bigint, c float, d datetime, e text)")
        types = "integer bigint double timestamp string"
    elif backend.kind == "mariadb":
        backend.execute(
            "create table t (a int, b decimal(12,2), c date, d datetime, e blob, f double, g boolean, h varchar(5), i float, "
            "j bigint unsigned, k decimal(5,0) unsigned, l enum('x','y'), m tinyint, n bit(1), o year, p time, q varbinary(3), "
            "r smallint unsigned)"
        )
        types = "integer decimal(12,2) date timestamp binary double boolean string float decimal(20,0) decimal(5,0) string smallint boolean"
        types += " smallint string binary integer"
    elif backend.is_sqlite:
        backend.execute("create table t (a INTEGER)")
        with pytest.raises(ContractError, match=r"does not tell the types.*Declare them"):
            backend.describe_table(ask("select * from t"))
        return
    else:
        backend.execute("create type mood as enum ('ok')")
        backend.execute(
            "create table t (a int, b numeric(12,2), c date, d timestamptz, e bytea, f float8, g bool, h varchar(5), i real, j numeric,"
            " k mood, l int[], m numeric(38,38), n smallint)"
        )
        types = "integer decimal(12,2) date timestamp binary double boolean string float string string string decimal(38,38) smallint"
    described = backend.describe_table(ask("select * from t"))
    assert [str(kind) for kind in described.types.values()] == types.split()
    assert described.types == backend.describe("t").types


def test_values_of_a_query_arrive_as_those_of_a_table(postgresql: Backend) -> None:
    postgresql.execute("create table t (id int, paid numeric(12,2))", "insert into t values (1, 0.10), (1, 0.20), (2, 5)")
    table = ask("select id, sum(paid)::numeric(12,2) as paid, count(*) as n from t group by id")
    found = sorted(postgresql.read(table), key=lambda row: row["id"])
    assert found == [{"id": 1, "paid": Decimal("0.30"), "n": 2}, {"id": 2, "paid": Decimal("5.00"), "n": 1}]


@pytest.mark.parametrize("query", ["select id, name from nowhere", "select nothing, name from orders"])
def test_a_query_that_does_not_run_names_its_file(orders: Backend, query: str) -> None:
    with pytest.raises(SourceError) as caught:
        orders.read(ask(query, columns={"id": "bigint", "name": "string"}))
    assert caught.value.where == "metadata/tables/shop/tested.yml"
    assert "query" in str(caught.value)


def test_a_condition_that_does_not_run_names_its_file(orders: Backend) -> None:
    with pytest.raises(SourceError) as caught:
        orders.read(define("orders", columns=COLUMNS, where="nothing = 1"))
    assert caught.value.where == "metadata/tables/shop/tested.yml"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ({"query": "delete from orders"}, "expected one SELECT, given DELETE"),
        ({"query": "select 1 as id; delete from orders"}, "expected one SELECT, given 2 statements"),
        ({"query": "select id from orders for update"}, r"FOR UPDATE|no SQL"),
        ({"query": "select id frm orders whre"}, "no SQL"),
        ({"from": "orders", "where": "id = 1; delete from orders"}, "one condition"),
        ({"from": "orders", "where": "id = 1) or (1 = 1"}, "no SQL"),
        ({"from": "orders", "where": "id = 1 -- only"}, "without comments"),
        ({"from": "orders", "where": "count(*) > 1"}, "aggregates"),
        ({"from": "orders", "where": "id, name"}, "no SQL"),
    ],
)
def test_other_sql_is_refused_before_the_database_sees_it(orders: Backend, words: dict[str, str], what: str) -> None:
    table = Table.model_validate({"name": "tested", "source": "shop", "mode": "full", "columns": COLUMNS, **words})
    with pytest.raises(ContractError, match=what) as caught:
        orders.read(table)
    assert caught.value.where == "metadata/tables/shop/tested.yml"
    assert len(orders.read(define("orders", columns=COLUMNS))) == len(ORDERS)


def test_a_column_twice_or_not_there_is_refused(orders: Backend) -> None:
    if not orders.is_sqlite:  # which calls the second one id:1
        with pytest.raises((ContractError, SourceError), match=r"gives id twice|Duplicate column name 'id'"):
            orders.read(ask("select id, name as id from orders", columns={"id": "bigint"}))
    with pytest.raises(ContractError, match="the query gives no column at"):
        orders.read(ask("select id from orders", columns={"id": "bigint", "at": "timestamp"}))


def test_a_sample_is_the_newest_rows_or_the_first_keys(orders: Backend) -> None:
    by_time = define("orders", columns=COLUMNS, cursor="at", where="id <> 4")
    by_key, any_rows = define("orders", columns=COLUMNS, keys="id"), define("orders", columns=COLUMNS)
    orders.insert("orders", (5, "Eve", None))
    with closing(Database(connect(orders.url, orders.project), 1000, sample=Sample(2))) as database:
        found = [
            [row["id"] for batch in database.read(database.describe(one), Window()) for row in batch.to_pylist()]
            for one in (by_time, by_key, any_rows)
        ]
    assert [sorted(found[0]), sorted(found[1]), len(found[2])] == [[2, 3], [1, 2], 2]
    with closing(Database(connect(orders.url, orders.project), 1000, sample=Sample(share=0.5))) as database:
        rows = [row["id"] for batch in database.read(database.describe(by_key), Window(None, None)) for row in batch.to_pylist()]
    assert sorted(rows) == [1, 2, 3]
