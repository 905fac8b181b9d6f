"""The source port on every kind of database: which table is meant, which rows are in a window, and how they stream."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from lakehouse.errors import ContractError, SourceError
from lakehouse.model.run import Cursor, Window
from tests.contract.backend import Backend, define


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_exact_name_wins_over_other_cases(postgresql: Backend) -> None:
    postgresql.execute('create table "Users" (a int)', "create table users (b int)", 'create table "USERS" (c int)')
    assert [list(postgresql.describe(name).types) for name in ("Users", "users", "USERS")] == [["a"], ["b"], ["c"]]


def test_a_name_that_differs_in_case_only_is_found(backend: Backend) -> None:
    backend.execute('create table "DimUser" ("UserId" integer)')
    described = backend.describe("dimuser", columns={"userid": "integer"})
    assert described.source.parts[-1] == "DimUser"
    assert described.columns["userid"][0].name == "UserId"


def test_the_exact_column_wins_over_other_cases(postgresql: Backend) -> None:
    postgresql.execute('create table t ("Id" int, id bigint)', "insert into t values (1, 2)")
    assert postgresql.read(define("t", columns={"id": "bigint"})) == [{"id": 2}]
    assert postgresql.read(define("t", columns={"Id": "integer"})) == [{"Id": 1}]


def test_several_names_that_differ_in_case_are_ambiguous(postgresql: Backend) -> None:
    postgresql.execute('create table "Users" (a int)', 'create table "USERS" (c int)')
    with pytest.raises(SourceError, match=r"public\.USERS") as caught:
        postgresql.describe("users")
    assert "public.Users" in str(caught.value)
    assert caught.value.next_step


def test_a_schema_chooses(postgresql: Backend) -> None:
    postgresql.execute("create schema sales", "create table sales.users (a int)", "create table users (b int)")
    assert [list(postgresql.describe(name).types) for name in ("sales.users", "users", "public.users")] == [["a"], ["b"], ["b"]]


def test_a_table_outside_the_search_path_is_found_where_it_is_the_only_one(postgresql: Backend) -> None:
    postgresql.execute("create schema sales", "create table sales.orders (a int)", "insert into sales.orders values (7)")
    assert postgresql.read(define("orders")) == [{"a": 7}]


def test_two_tables_outside_the_search_path_are_ambiguous(postgresql: Backend) -> None:
    postgresql.execute("create schema a", "create schema b", "create table a.orders (x int)", "create table b.orders (x int)")
    with pytest.raises(SourceError, match=r"a\.orders, b\.orders|b\.orders, a\.orders"):
        postgresql.describe("orders")


def test_a_view_is_read_as_a_table(backend: Backend) -> None:
    backend.execute("create table t (id integer)", "insert into t values (7)", "create view v as select id from t")
    assert backend.read(define("v", columns={"id": "integer"})) == [{"id": 7}]


def test_odd_names_are_quoted(backend: Backend) -> None:
    columns = {"select": "integer", "GROUP": "string", "Order": "date", "FROM": "integer"}
    backend.execute('create table "Order Items$" ("select" integer, "GROUP" text, "Order" date, "FROM" integer)')
    backend.insert('"Order Items$"', (1, "x", "2024-01-01", 5), (2, "y", "2024-01-02", 6))
    table = define("Order Items$", columns=columns, cursor="Order")
    assert backend.read(table, Window(date(2024, 1, 2))) == [{"select": 2, "GROUP": "y", "Order": date(2024, 1, 2), "FROM": 6}]


def test_discovered_names_that_other_readers_refuse_are_refused(backend: Backend) -> None:
    backend.execute('create table t ("a ""b"" c" integer, "d.e; --" integer, "é %s" integer)', "insert into t values (1, 2, 3)")
    with pytest.raises(ContractError, match="cannot stand in the lake"):
        backend.describe("t")


def test_only_the_declared_columns_are_read_in_their_order(backend: Backend) -> None:
    backend.execute("create table t (a integer, b integer, c integer)", "insert into t values (1, 2, 3)")
    (row,) = backend.read(define("t", columns={"c": "integer", "a": "integer"}))
    assert list(row.items()) == [("c", 3), ("a", 1)]


def test_a_dropped_column_is_not_there(backend: Backend) -> None:
    backend.execute("create table t (a integer, b integer)", "insert into t values (1, 2)", "alter table t drop column a")
    assert backend.read(define("t")) == [{"b": 2}]


DAYS = [date(2024, 1, day) for day in (1, 2, 2, 3, 4)]
INSTANTS = [
    instant(text)
    for text in (
        "2024-01-01 23:59:59.999999",
        "2024-01-02 00:00:00",
        "2024-01-02 00:00:00",
        "2024-01-02 00:00:00.000001",
        "2024-01-03 12:00:00.5",
    )
]
NUMBERS = [-(2**62), 7, 7, 8, 2**62]
CURSORS: list[tuple[str, str, Sequence[Cursor]]] = [
    ("integer", "bigint", NUMBERS),
    ("date", "date", DAYS),
    ("timestamp", "timestamp", INSTANTS),
    ("timestamptz", "timestamp", INSTANTS),
]


@pytest.mark.parametrize(("native", "lake", "values"), CURSORS, ids=[case[0] for case in CURSORS])
def test_a_window_has_its_lower_bound_and_not_its_upper_one(backend: Backend, native: str, lake: str, values: Sequence[Cursor]) -> None:
    native = "bigint" if native == "integer" else "timestamp" if native == "timestamptz" and backend.takes_texts else native
    backend.execute(f"create table t (id integer, at {native})")
    aware = native == "timestamptz"
    plain = [
        value.replace(tzinfo=UTC if aware else None) if isinstance(value, datetime) and not backend.takes_texts else value
        for value in values
    ]
    written = [str(value).removesuffix("+00:00") if backend.takes_texts and not isinstance(value, int) else value for value in plain]
    backend.insert("t", *enumerate(written))
    table = define("t", columns={"id": "integer", "at": lake}, cursor="at")

    def ids(low: Cursor | None, high: Cursor | None) -> list[int]:
        return sorted(row["id"] for row in backend.read(table, Window(low, high)))

    first, tie, above, last = values[0], values[1], values[3], values[4]
    assert ids(tie, above) == [1, 2]
    assert ids(tie, last) == [1, 2, 3]
    assert ids(tie, None) == [1, 2, 3, 4]
    assert ids(None, tie) == [0]
    assert ids(first, first) == []
    assert ids(None, None) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/New_York"])
def test_the_database_s_time_zone_moves_no_bound(postgresql: Backend, zone: str) -> None:
    postgresql.execute("create table t (id int, at timestamptz, local timestamp)")
    postgresql.insert(
        "t", (1, "2024-03-30 22:00:00+00", "2024-03-30 22:00:00"), (2, "2024-03-30 22:00:00.000001+00", "2024-03-31 02:30:00")
    )
    name = postgresql.url.rpartition("/")[2].replace("%20", " ")
    postgresql.execute(f"alter database \"{name}\" set timezone = '{zone}'")
    for cursor, low, high in (
        ("at", "2024-03-30 22:00:00.000001", "2024-03-30 22:00:00.000002"),
        ("local", "2024-03-31 02:30:00", "2024-03-31 02:30:01"),
    ):
        table = define("t", columns={"id": "integer", cursor: "timestamp"}, cursor=cursor)
        assert postgresql.read(table, Window(instant(low), instant(high))) == [{"id": 2, cursor: instant(low)}]


SPELLINGS = ["2024-01-02 10:00:00", "2024-01-02T10:00:00", "2024-01-02T10:00:00Z", "2024-01-02 10:00:00.000", "2024-01-02T10:00:00.000000Z"]
SPELLINGS += ["2024-01-02 10:00:00+00:00", "2024-01-02 10:00"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_sqlite_windows_understand_every_spelling_of_an_instant(sqlite: Backend, spelling: str) -> None:
    ten, tick = instant("2024-01-02 10:00:00"), timedelta(microseconds=1)
    sqlite.execute("create table t (at DATETIME)")
    sqlite.insert("t", (spelling,))
    table = define("t", columns={"at": "timestamp"}, cursor="at")
    windows = [Window(ten, ten + tick), Window(ten - tick, ten), Window(ten + tick, None), Window(None, ten), Window(ten, None)]
    assert [len(sqlite.read(table, window)) for window in windows] == [1, 0, 0, 0, 1]


def test_sqlite_instants_at_both_ends_of_a_day(sqlite: Backend) -> None:
    sqlite.execute("create table t (at TEXT)")
    sqlite.insert(
        "t", ("2024-01-01T23:59:59.999999Z",), ("2024-01-02",), ("2024-01-02 00:00:00",), ("2024-01-02T23:59:59Z",), ("2024-01-03",)
    )
    table = define("t", columns={"at": "timestamp"}, cursor="at")
    assert len(sqlite.read(table, Window(instant("2024-01-02"), instant("2024-01-03")))) == 3


def test_the_greatest_number_of_an_integer_cursor(backend: Backend) -> None:
    backend.execute("create table t (id bigint)")
    table = define("t", columns={"id": "bigint"}, cursor="id")
    with backend.open() as database:
        assert database.greatest(database.describe(table)) is None
    backend.insert("t", (5,), (2**62,), (-1,))
    with backend.open() as database:
        assert database.greatest(database.describe(table)) == 2**62


def test_the_source_has_a_clock_in_utc(backend: Backend) -> None:
    with backend.open() as database:
        bound = database.bound()
    assert bound.tzinfo is UTC
    assert abs(datetime.now(UTC) - bound) < timedelta(minutes=1)


@pytest.mark.parametrize(("native", "lake", "values"), CURSORS[:3], ids=[case[0] for case in CURSORS[:3]])
@pytest.mark.parametrize("missing", [False, True])
def test_a_row_without_a_cursor_is_seen(backend: Backend, native: str, lake: str, values: Sequence[Cursor], missing: bool) -> None:
    backend.execute(f"create table t (at {'bigint' if native == 'integer' else native})")
    backend.insert("t", *[(value if isinstance(value, int) else str(value).removesuffix("+00:00"),) for value in values])
    if missing:
        backend.insert("t", (None,))
    assert lost(backend, lake) is missing


def lost(backend: Backend, lake: str) -> bool:
    with backend.open() as database:
        return database.rows_without_cursor(database.describe(define("t", columns={"at": lake}, cursor="at")))


@pytest.mark.parametrize("native", ["timestamp", "timestamptz", "date"])
@pytest.mark.parametrize("value", ["infinity", "-infinity"])
def test_an_infinite_cursor_is_seen(postgresql: Backend, native: str, value: str) -> None:
    postgresql.execute(f"create table t (at {native})", f"insert into t values ('2024-01-01'), ('{value}')")
    assert lost(postgresql, "date" if native == "date" else "timestamp")


@pytest.mark.parametrize(
    ("lake", "value"),
    [
        ("timestamp", ""),
        ("timestamp", "tomorrow"),
        ("timestamp", 1704067200),
        ("timestamp", b"2024-01-01"),
        ("timestamp", "1 Jan 2024"),
        ("timestamp", "31.12.2024"),
        ("date", " 2024-01-01"),
        ("bigint", "seven"),
        ("bigint", ""),
        ("bigint", 1.5),
        ("bigint", b"7"),
    ],
)
def test_sqlite_values_that_are_no_cursor_are_seen(sqlite: Backend, lake: str, value: object) -> None:
    sqlite.execute("create table t (at)")
    sqlite.insert("t", (7 if lake == "bigint" else "2024-01-01",), (value,))
    assert lost(sqlite, lake)


def test_rows_stream_in_batches_of_bounded_size(backend: Backend) -> None:
    backend.execute("create table t (id integer, what text)")
    backend.insert("t", *[(number, f"row {number}") for number in range(95)])
    table = define("t", columns={"id": "integer", "what": "string"})
    batches = backend.batches(table, batch_rows=10)
    assert len(batches) > 1
    assert max(batch.num_rows for batch in batches) <= 10
    assert sorted(row["id"] for batch in batches for row in batch.to_pylist()) == list(range(95))
    assert len({batch.schema for batch in batches} | {batch.schema for batch in backend.batches(table)}) == 1


def test_a_stream_that_is_left_early_ends_cleanly(backend: Backend) -> None:
    backend.execute("create table t (id integer)")
    backend.insert("t", *[(number,) for number in range(50)])
    with backend.open(batch_rows=10) as database:
        stream = database.read(database.describe(define("t", columns={"id": "integer"})), Window())
        next(stream)
    del stream
    assert len(backend.read(define("t"))) == 50


def test_a_read_leaves_the_source_free_to_change(backend: Backend) -> None:
    backend.execute("create table t (id integer)", "insert into t values (1)")
    assert len(backend.read(define("t"))) == 1
    backend.execute("insert into t values (2)", "alter table t add column b integer")
    assert sorted(row["id"] for row in backend.read(define("t"))) == [1, 2]
