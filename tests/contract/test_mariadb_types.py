"""What MySQL's own types become: exact, as their text, or refused by name before the read (docs/types.md)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from lakehouse.errors import ContractError, SourceDataError
from lakehouse.model.run import Window
from lakehouse.sources.mysql import Mysql
from tests.contract.backend import Backend, define, maria


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("native", "lake", "given", "wanted"),
    [
        ("tinyint(1)", "boolean", [0, 1], [False, True]),
        ("tinyint", "smallint", [-128, 127], [-128, 127]),
        ("tinyint unsigned", "smallint", [255], [255]),
        ("smallint unsigned", "integer", [65535], [65535]),
        ("mediumint", "integer", [-(2**23)], [-(2**23)]),
        ("mediumint unsigned", "integer", [2**24 - 1], [2**24 - 1]),
        ("int unsigned", "bigint", [2**32 - 1], [2**32 - 1]),
        ("bigint", "bigint", [-(2**63), 2**63 - 1], [-(2**63), 2**63 - 1]),
        ("bigint unsigned", "decimal(20,0)", [0, 2**64 - 1], [Decimal(0), Decimal(2**64 - 1)]),
        ("int(5) zerofill", "bigint", [7], [7]),
        ("decimal(12,2)", "decimal(12,2)", ["-0.01", "9999999999.99"], [Decimal("-0.01"), Decimal("9999999999.99")]),
        ("decimal(38,10)", "decimal(38,10)", ["1" * 28 + "." + "9" * 10], [Decimal("1" * 28 + "." + "9" * 10)]),
        ("decimal(65,30)", "string", ["9" * 35 + "." + "1" * 30], ["9" * 35 + "." + "1" * 30]),
        ("float", "float", [0.5, 16777216.0], [0.5, 16777216.0]),
        ("double", "double", [0.1, 5e-324, 1.7976931348623157e308], [0.1, 5e-324, 1.7976931348623157e308]),
        ("bit(1)", "boolean", [0, 1], [False, True]),
        ("bit(8)", "bigint", [5, 255], [5, 255]),
        ("bit(63)", "bigint", [2**63 - 1], [2**63 - 1]),
        ("bit(64)", "decimal(20,0)", [2**64 - 1], [Decimal(2**64 - 1)]),
        ("year", "smallint", [1901, 2155, 0], [1901, 2155, 0]),
        ("date", "date", ["0001-01-01", "9999-12-31"], [date(1, 1, 1), date(9999, 12, 31)]),
        ("datetime", "timestamp", ["2024-02-29 10:20:30"], [instant("2024-02-29 10:20:30")]),
        ("datetime(6)", "timestamp", ["9999-12-31 23:59:59.999999"], [instant("9999-12-31 23:59:59.999999")]),
        (
            "timestamp(6) null",
            "timestamp",
            ["1970-01-01 00:00:01", "2038-01-19 03:14:07.999999"],
            [instant("1970-01-01 00:00:01"), instant("2038-01-19 03:14:07.999999")],
        ),
        ("time(6)", "string", ["-838:59:59", "10:20:30.000001"], ["-838:59:59.000000", "10:20:30.000001"]),
        ("char(5)", "string", ["abc  "], ["abc"]),
        ("varchar(9) character set latin1", "string", ["é"], ["é"]),
        ("varchar(9) collate utf8mb4_bin", "string", ["😀"], ["😀"]),
        ("varchar(9) character set ucs2", "string", ["漢"], ["漢"]),
        ("longtext collate utf8mb4_bin", "string", ["😀" * 5000], ["😀" * 5000]),
        ("enum('a','b)','ü')", "string", ["b)", "ü"], ["b)", "ü"]),
        ("set('a','b','c')", "string", ["a,c", ""], ["a,c", ""]),
        ("json", "string", ['{"b": 1, "a": 12345678901234567890.5}'], ['{"b": 1, "a": 12345678901234567890.5}']),
        ("binary(4)", "binary", [b"\x00\xff"], [b"\x00\xff\x00\x00"]),
        ("varbinary(9)", "binary", [b"", b"'\x00"], [b"", b"'\x00"]),
        ("tinyblob", "binary", [b"\xff"], [b"\xff"]),
        ("longblob", "binary", [b"\x00" * 70000], [b"\x00" * 70000]),
        ("uuid", "string", ["8c1e1f5e-3b0e-4a54-9b1c-0d9d2f7f5a11"], ["8c1e1f5e-3b0e-4a54-9b1c-0d9d2f7f5a11"]),
        ("inet6", "string", ["::1"], ["::1"]),
    ],
)
def test_types_are_discovered_and_their_edges_arrive(
    mariadb: Backend, native: str, lake: str, given: Sequence[object], wanted: Sequence[object], capfd: pytest.CaptureFixture[str]
) -> None:
    assert mariadb.through(native, [None, *given]) == [None, *wanted]
    assert str(mariadb.describe("passage").types["v"]) == lake
    assert "panic" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("native", "given", "lake", "wanted"),
    [
        ("bigint unsigned", 2**63 - 1, "bigint", 2**63 - 1),
        ("float", 16777215, "string", "16777215"),
        ("double", 0.1, "string", "0.1"),
        ("bit(64)", 2**64 - 1, "string", str(2**64 - 1)),
        ("datetime(3)", "2024-02-29 10:20:30.5", "string", "2024-02-29 10:20:30.500"),
        ("datetime(3)", "2024-02-29 00:00:00", "date", date(2024, 2, 29)),
        ("date", "2024-02-29", "timestamp", instant("2024-02-29 00:00:00")),
        ("date", "0000-00-00", "string", "0000-00-00"),
        ("decimal(10,2)", "7.00", "bigint", 7),
        ("decimal(10,2)", "7.25", "double", 7.25),
        ("tinyint(1)", 2, "smallint", 2),
        ("varbinary(9)", "ü".encode(), "string", "ü"),
        ("year", 2024, "string", "2024"),
    ],
)
def test_types_may_be_declared_otherwise(mariadb: Backend, native: str, given: object, lake: str, wanted: object) -> None:
    assert mariadb.through(native, [None, given], lake) == [None, wanted]


@pytest.mark.parametrize(
    ("native", "given", "lake"),
    [
        ("date", "0000-00-00", None),
        ("date", "2024-02-00", None),
        ("datetime", "0000-00-00 00:00:00", None),
        ("timestamp null", "0000-00-00 00:00:00", None),
        ("tinyint(1)", 2, None),
        ("bigint unsigned", 2**63, "bigint"),
        ("datetime(6)", "2024-02-29 10:20:30", "date"),
        ("decimal(10,2)", "7.25", "bigint"),
        ("varbinary(9)", b"\xff", "string"),
    ],
)
def test_values_that_no_lake_type_holds_are_refused(
    mariadb: Backend, native: str, given: object, lake: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SourceDataError, match=r"shop\.tested.* v "):
        mariadb.through(native, [None, given], lake)
    assert "panic" not in capfd.readouterr().err


@pytest.mark.parametrize("native", ["geometry", "point", "multipolygon"])
def test_shapes_are_refused_before_the_read(mariadb: Backend, native: str) -> None:
    mariadb.execute(f"create table t (id int, v {native})")
    with pytest.raises(ContractError, match=rf"v \({native}\)") as caught:
        mariadb.describe("t")
    assert "ST_AsText" in str(caught.value)
    assert "view" in caught.value.next_step
    assert list(mariadb.describe("t", columns={"id": "integer"}).types) == ["id"]


@pytest.mark.parametrize("native", ["timestamp(6) null", "datetime(6)"])
def test_instants_are_utc_whatever_the_server_s_zone(mariadb: Backend, native: str) -> None:
    mariadb.execute(f"create table t (id int, at {native})")
    mariadb.insert("t", (1, "2024-03-30 22:00:00"), (2, "2024-03-30 22:00:00.000001"))
    table, low = define("t", columns={"id": "integer", "at": "timestamp"}, cursor="at"), instant("2024-03-30 22:00:00.000001")
    assert mariadb.read(table, Window(low, low + timedelta(microseconds=1))) == [{"id": 2, "at": low}]


@pytest.mark.parametrize("value", ["0000-00-00", "2024-02-00", "2024-00-01"])
def test_a_zero_date_is_no_cursor(mariadb: Backend, value: str) -> None:
    mariadb.execute("create table t (at date)", f"insert into t values ('2024-01-01'), ('{value}')")
    with mariadb.open() as database:
        assert database.rows_without_cursor(database.describe(define("t", columns={"at": "date"}, cursor="at")))


@pytest.mark.parametrize(("native", "lake"), [("varchar(30)", "timestamp"), ("text", "bigint"), ("double", "bigint")])
def test_a_cursor_that_the_database_orders_otherwise_is_refused(mariadb: Backend, native: str, lake: str) -> None:
    mariadb.execute(f"create table t (at {native})")
    with mariadb.open() as database, pytest.raises(ContractError, match="cursor at is a"):
        database.rows_without_cursor(database.describe(define("t", columns={"at": lake}, cursor="at")))


def test_an_unsigned_number_is_a_cursor_where_it_is_declared_one(mariadb: Backend) -> None:
    mariadb.execute("create table t (id bigint unsigned primary key)", "insert into t values (7), (9223372036854775807)")
    table = define("t", columns={"id": "bigint"}, cursor="id")
    with mariadb.open() as database:
        assert database.greatest(database.describe(table)) == 2**63 - 1
    assert mariadb.read(table, Window(-5, 8)) == [{"id": 7}]


def test_a_window_uses_the_cursor_s_index(mariadb: Backend) -> None:
    mariadb.execute("create table t (id int primary key, at datetime(6), key (at))")
    mariadb.insert("t", *[(number, f"2024-01-01 00:00:00.{number:06}") for number in range(300)])
    with mariadb.open() as database, maria(mariadb.url) as other, other.cursor() as cursor:
        low = instant("2024-01-01 00:00:00.000290")
        what = database.describe(define("t", columns={"id": "integer", "at": "timestamp"}, cursor="at"))
        cursor.execute("explain " + database.query(what, Window(low, low + timedelta(seconds=1))))
        (plan,) = cursor.fetchall()
    assert plan[3:6] == ("range", "at", "at")


def test_tables_of_another_database_are_meant_by_their_whole_name_only(mariadb: Backend) -> None:
    other = mariadb.url.rpartition("/")[2].replace("%20", " ") + " b"
    mariadb.execute(f'create database "{other}"', f'create table "{other}".far (a int)', f'insert into "{other}".far values (7)')
    assert mariadb.read(define(f"{other}.far")) == [{"a": 7}]
    with pytest.raises(Exception, match="table far does not exist"):
        mariadb.describe("far")


def test_tables_are_listed_with_their_keys_and_indexes(mariadb: Backend) -> None:
    mariadb.execute(
        "create table orders (shop int, id int, at datetime, what text, primary key (id, shop), key (at), key (shop, at))",
        "insert into orders values (1, 1, '2024-01-01', 'x')",
        "create table loose (a int)",
        "create view recent as select id from orders",
        "analyze table orders",
    )
    with closing(Mysql(mariadb.url)) as dialect:
        listed = {table.parts[-1]: table for table in dialect.listed()}
    assert list(listed) == ["loose", "orders", "recent"]
    assert (listed["orders"].keys, listed["orders"].indexed, listed["orders"].rows) == (("id", "shop"), ("at", "id", "shop"), 1)
    assert (listed["loose"].keys, listed["loose"].indexed, listed["loose"].is_view) == ((), (), False)
    assert (listed["recent"].is_view, listed["recent"].rows) == (True, None)
