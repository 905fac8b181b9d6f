"""Every value comes through the door exactly, or is refused with its column's name."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from lakehouse.errors import SourceDataError
from tests.contract.backend import Backend, define

MARIADB = {
    "text": "longtext",
    "bytea": "longblob",
    "real": "float",
    "timestamp": "datetime(6)",
    "timestamp(3)": "datetime(3)",
    "timestamptz": "datetime(6)",
    "boolean": "boolean",
}


class Case:
    """Values and the lake type that they are read as; `wanted` is what must arrive: by default the values themselves, parsed."""

    def __init__(self, lake: str, sqlite_type: str, postgresql_type: str, given: Sequence[object], wanted: Sequence[object] = ()) -> None:
        self.lake, self.given = lake, given
        self.native = {
            "sqlite": sqlite_type,
            "postgresql": postgresql_type,
            "mariadb": MARIADB.get(postgresql_type, postgresql_type),
            "sqlserver": postgresql_type,
        }
        self.wanted = [*wanted] or [self._parsed(value) for value in given]

    def _parsed(self, value: object) -> object:
        if not isinstance(value, str) or self.lake == "string":
            return value
        if self.lake.startswith("decimal"):
            return Decimal(value)
        if self.lake == "date":
            return date.fromisoformat(value)
        return datetime.fromisoformat(value).replace(tzinfo=UTC)


EXACT = [
    Case("smallint", "SMALLINT", "smallint", [-32768, 0, 32767]),
    Case("integer", "INTEGER", "integer", [-(2**31), -1, 2**31 - 1]),
    Case("bigint", "BIGINT", "bigint", [-(2**63), 2**53 + 1, 2**63 - 1]),
    Case("integer", "TEXT", "text", ["-7", "0", "2147483647"], [-7, 0, 2147483647]),
    Case("bigint", "NUMERIC(19,0)", "numeric(19,0)", [9007199254740993]),
    Case("boolean", "BOOLEAN", "boolean", [True, False]),
    Case("boolean", "INTEGER", "integer", [1, 0], [True, False]),
    Case("float", "FLOAT", "real", [0.5, -1.25, 0.0]),
    Case("double", "DOUBLE", "double precision", [0.1, -1e308, 5e-324, 1 / 3]),
    Case("decimal(12,2)", "DECIMAL(12,2)", "numeric(12,2)", ["0.1", "-0.01", "9999999999.99", "7"]),
    Case("decimal(38,10)", "TEXT", "numeric(38,10)", ["0.1", "-1234567890123456789012345678.0123456789", "1" * 28]),
    Case("decimal(30,15)", "TEXT", "numeric(30,15)", ["0.1", "-0.000000000000001", "999999999999999.999999999999999"]),
    Case("decimal(38,38)", "TEXT", "numeric(38,38)", ["0." + "1" * 38, "-0." + "9" * 38]),
    Case("decimal(38,0)", "TEXT", "numeric(38,0)", ["9" * 38, "-" + "9" * 38]),
    Case("date", "DATE", "date", ["0001-01-01", "1969-12-31", "2024-02-29", "9999-12-31"]),
    Case("timestamp", "TIMESTAMP", "timestamp", ["0001-01-01 00:00:00", "1969-12-31 23:59:59.999999", "9999-12-31 23:59:59.999999"]),
    Case("timestamp", "DATETIME", "timestamp(3)", ["2024-02-29 10:20:30.123", "2024-02-29 10:20:30"]),
    Case("timestamp", "TEXT", "text", ["2024-02-29 10:20:30.000001", "2024-02-29T10:20:30Z", "2024-02-29T10:20:30.5+00:00"]),
    Case("timestamp", "TIMESTAMP", "timestamptz", ["2024-02-29 10:20:30.123456+00:00", "0001-01-01 00:00:00+00:00"]),
    Case("string", "TEXT", "text", ["", 'o\'clock "quoted"', "two\nlines\r\n\ttab", "back\\slash %s %%", "😀 é 漢", " spaces "]),
    Case("string", "VARCHAR(9)", "varchar(9)", ["a", "", "123456789"]),
    Case("string", "INTEGER", "integer", [7, -1], ["7", "-1"]),
]


@pytest.mark.parametrize("case", EXACT, ids=lambda case: f"{case.lake} from {case.native['sqlite']} or {case.native['postgresql']}")
def test_values_arrive_exactly(backend: Backend, case: Case) -> None:
    given = [str(value).removesuffix("+00:00") if backend.kind == "mariadb" and case.lake == "timestamp" else value for value in case.given]
    arrived = backend.through(case.native, [None, None, *given, None], case.lake)
    assert arrived == [None, None, *case.wanted, None]
    assert [type(value) for value in arrived[2:-1]] == [type(value) for value in case.wanted]


@pytest.mark.parametrize(("kind", "native"), [("sqlite", "BLOB"), ("postgresql", "bytea"), ("mariadb", "longblob")])
def test_bytes_arrive_exactly(request: pytest.FixtureRequest, kind: str, native: str) -> None:
    backend: Backend = request.getfixturevalue(kind)
    values = [None, b"", b"\x00\xff\x00", b"'quoted'", None]
    assert backend.through(native, values, "binary") == values


@pytest.mark.parametrize("case", EXACT, ids=lambda case: f"{case.lake} from {case.native['sqlite']} or {case.native['postgresql']}")
def test_columns_without_any_value_stay_empty(sqlite: Backend, case: Case) -> None:
    assert sqlite.through(case.native, [None, None], case.lake) == [None, None]


def test_types_are_discovered_where_none_are_declared(backend: Backend) -> None:
    if backend.kind == "sqlserver":
        backend.execute("create table t (a integer, b bigint, c float, d datetime, e text)")
        types = "integer bigint double timestamp string"
    elif backend.kind == "mariadb":
        backend.execute("create table t (a int, b decimal(12,2), c date, d datetime, e blob, f double, g boolean, h varchar(5), i float)")
        types = "integer decimal(12,2) date timestamp binary double boolean string float"
    elif backend.is_sqlite:
        backend.execute("create table t (a INTEGER, b DECIMAL(12,2), c DATE, d DATETIME, e BLOB, f REAL, g BOOLEAN, h VARCHAR(5), i)")
        types = "bigint decimal(12,2) date timestamp binary double boolean string string"
    else:
        backend.execute("create table t (a int, b numeric(12,2), c date, d timestamptz, e bytea, f float8, g bool, h varchar(5), i real)")
        types = "integer decimal(12,2) date timestamp binary double boolean string float"
    assert [str(kind) for kind in backend.describe("t").types.values()] == types.split()


def test_empty_table_gives_no_batch(backend: Backend) -> None:
    backend.execute("create table t (id integer, at timestamp, what text)")
    assert backend.batches(define("t")) == []


def test_first_row_without_any_value(backend: Backend) -> None:
    backend.execute("create table t (a integer, b double precision, c decimal(12,2), d timestamp, e text, f date, g boolean)")
    backend.insert("t", (None,) * 7, (1, 0.5, "0.10", "2024-01-01 00:00:00.5", "x", "2024-01-01", True))
    lake = {"a": "bigint", "b": "double", "c": "decimal(12,2)", "d": "timestamp", "e": "string", "f": "date", "g": "boolean"}
    none, row = sorted(backend.read(define("t", columns=lake)), key=lambda row: row["a"] is not None)
    assert set(none.values()) == {None}
    assert list(row.values()) == [
        1,
        0.5,
        Decimal("0.10"),
        datetime(2024, 1, 1, 0, 0, 0, 500_000, UTC),
        "x",
        date(2024, 1, 1),
        True,
    ]


@pytest.mark.parametrize(
    ("lake", "sqlite_type", "postgresql_type", "value"),
    [
        ("integer", "BIGINT", "bigint", 2**31),
        ("smallint", "INTEGER", "integer", -32769),
        ("bigint", "TEXT", "text", "9223372036854775808"),
        ("integer", "TEXT", "text", "seven"),
        ("integer", "TEXT", "text", ""),
        ("integer", "DOUBLE", "double precision", 1.5),
        ("bigint", "DOUBLE", "double precision", 1e19),
        ("double", "BIGINT", "bigint", 2**53 + 1),
        ("boolean", "INTEGER", "integer", 2),
        ("float", "DOUBLE", "double precision", 1e300),
        ("double", "TEXT", "text", "much"),
        ("decimal(5,2)", "TEXT", "numeric(12,2)", "1000.00"),
        ("decimal(5,2)", "TEXT", "numeric(12,3)", "0.125"),
        ("decimal(5,2)", "TEXT", "text", "1e2"),
        ("bigint", "TEXT", "numeric(12,2)", "1.50"),
        ("date", "TEXT", "text", "2023-02-29"),
        ("date", "TEXT", "timestamp", "2024-02-29 10:20:30"),
        ("timestamp", "TEXT", "text", "yesterday"),
        ("timestamp", "TEXT", "text", "2024-02-29 10:20:30.1234567"),
        ("timestamp", "TEXT", "text", "2024-02-29 25:00:00"),
        ("timestamp", "TEXT", "text", "2024-02-29 10:20:30+02:00"),
    ],
)
def test_values_that_do_not_fit_are_refused(backend: Backend, lake: str, sqlite_type: str, postgresql_type: str, value: object) -> None:
    native = {"sqlite": sqlite_type, "postgresql": postgresql_type, "sqlserver": postgresql_type}
    native["mariadb"] = MARIADB.get(postgresql_type, postgresql_type)
    with pytest.raises(SourceDataError, match=r"shop\.tested.* v ") as caught:
        backend.through(native, [None, value], lake)
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("native", "value"),
    [
        ("INTEGER", "seven"),
        ("INTEGER", 1.5),
        ("BOOLEAN", "maybe"),
        ("REAL", "much"),
        ("DECIMAL(12,2)", "much"),
        ("DECIMAL(16,2)", 12345678901234.56),
        ("DATE", 20240229),
        ("TIMESTAMP", 1709202030),
        ("TIMESTAMP", b"\xff\xfe"),
        ("TEXT", b"\xff\xfe"),
    ],
)
def test_sqlite_values_that_their_column_does_not_promise_are_refused(sqlite: Backend, native: str, value: object) -> None:
    with pytest.raises(SourceDataError, match=r"shop\.tested.* v "):
        sqlite.through(native, [None, value])


@pytest.mark.parametrize(
    ("native", "value"),
    [
        ("uuid", "8c1e1f5e-3b0e-4a54-9b1c-0d9d2f7f5a11"),
        ("jsonb", '{"a": [1, "ü"]}'),
        ("json", '{ "a":1}'),
        ("integer[]", "{1,NULL,3}"),
        ("text[][]", '{{a,"b c"},{d,e}}'),
        ("mood", "so so"),
        ("interval", "1 year 2 mons 03:04:05.000006"),
        ("numeric", "12345678901234567890.123456789012345678901234567890123456789"),
        ("numeric", "NaN"),
        ("numeric(50,2)", "123456789012345678901234567890123456789012345678.90"),
        ("numeric(5,-2)", "12300"),
        ("money", "$1,234.50"),
        ("time", "24:00:00"),
        ("time", "10:20:30.123456"),
        ("timetz", "10:20:30+05:30"),
        ("inet", "10.0.0.0/8"),
        ("bit(3)", "101"),
        ("point", "(1,2.5)"),
        ("int4range", "[1,5)"),
        ("tsvector", "'cat' 'sat'"),
        ("positive", "7"),
        ("char(3)", "abc"),
        ("pair", "(1,x)"),
    ],
)
def test_postgresql_types_without_a_like_arrive_as_their_text(postgresql: Backend, native: str, value: str) -> None:
    postgresql.execute(
        "create type mood as enum ('fine', 'so so')",
        "create domain positive as integer check (value > 0)",
        "create type pair as (a int, b text)",
    )
    assert postgresql.through(native, [None, value]) == [None, value]


def test_a_domain_is_read_as_its_declared_type(postgresql: Backend) -> None:
    postgresql.execute("create domain price as numeric(12,2)")
    assert postgresql.through("price", ["0.10", None], "decimal(12,2)") == [Decimal("0.10"), None]


@pytest.mark.parametrize(
    ("native", "value"),
    [
        ("numeric(12,2)", "NaN"),
        ("timestamp", "infinity"),
        ("timestamptz", "-infinity"),
        ("date", "infinity"),
        ("date", "-infinity"),
        ("date", "0044-03-15 BC"),
        ("timestamp", "0044-03-15 BC"),
    ],
)
def test_postgresql_values_that_no_lake_type_holds_are_refused(
    postgresql: Backend, native: str, value: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SourceDataError, match=r"shop\.tested.* v "):
        postgresql.through(native, [None, value])
    assert "panic" not in capfd.readouterr().err


def test_postgresql_instants_beyond_the_driver_s_years_are_refused(postgresql: Backend) -> None:
    with pytest.raises(SourceDataError, match=r"shop\.tested.* v "):
        postgresql.through("timestamptz", [None, "294276-12-31"])


@pytest.mark.parametrize(
    ("native", "value", "lake", "wanted"),
    [
        ("numeric(12,2)", "7.00", "bigint", 7),
        ("numeric(12,2)", "7.25", "double", 7.25),
        ("numeric(12,2)", "7.25", "string", "7.25"),
        ("numeric(38,0)", "9" * 38, "decimal(38,0)", Decimal("9" * 38)),
        ("timestamp", "2024-02-29 00:00:00", "date", date(2024, 2, 29)),
    ],
)
def test_postgresql_types_may_be_declared_otherwise(postgresql: Backend, native: str, value: str, lake: str, wanted: object) -> None:
    assert postgresql.through(native, [None, value], lake) == [None, wanted]


def test_timestamptz_is_utc_whatever_the_writer_s_zone(postgresql: Backend) -> None:
    arrived = postgresql.through("timestamptz", ["2024-03-31 01:30:00+01:00", "2024-03-31 03:30:00.000001+05:30"])
    assert arrived == [datetime(2024, 3, 31, 0, 30, tzinfo=UTC), datetime(2024, 3, 30, 22, 0, 0, 1, UTC)]


def test_postgresql_reals_are_floats(postgresql: Backend) -> None:
    assert postgresql.through("real", [0.1, None], "double") == [pytest.approx(0.1, rel=1e-7), None]
    postgresql.execute("drop table passage")
    assert postgresql.through("real", [0.1, None], "float") == [pytest.approx(0.1, rel=1e-7), None]


def test_sqlite_doubles_may_hold_whole_numbers(sqlite: Backend) -> None:
    assert sqlite.through("DOUBLE", [7, -(2**53), None], "double") == [7.0, -(2.0**53), None]
    sqlite.execute("drop table passage", "create table passage (id integer, v)", f"insert into passage values (0, {-(2**63)})")
    with pytest.raises(SourceDataError, match=" v "):
        sqlite.read(define("passage", columns={"v": "double"}))


@pytest.mark.parametrize("native", ["double precision", "real"])
@pytest.mark.parametrize("value", ["inf", "-inf", "nan"])
def test_doubles_keep_what_is_no_number(postgresql: Backend, native: str, value: str) -> None:
    assert [str(found) for found in postgresql.through(native, [float(value)])] == [value]


def test_numbers_that_are_none_become_doubles_where_they_are_declared_so(postgresql: Backend, capfd: pytest.CaptureFixture[str]) -> None:
    (found,) = postgresql.through("numeric(12,2)", ["NaN"], "double")
    assert str(found) == "nan"
    assert "panic" not in capfd.readouterr().err
