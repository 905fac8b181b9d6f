"""A source that cannot be read says so in seconds: one sentence with the next step, of the right class, without a secret."""

import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import pytest

from lakehouse.errors import ContractError, LakehouseError, SourceError, SourceUnreachableError, UsageError
from lakehouse.model.run import Window
from lakehouse.sources.connect import connect
from tests import mariadb
from tests.bridge import Bridge
from tests.bridge import address as address_of_bridge
from tests.contract.backend import Backend, define, maria
from tests.mariadb import Mariadb
from tests.servers import PASSWORD, Postgres, address, free_port

E = TypeVar("E", bound=LakehouseError)


def told(error: BaseException | None) -> list[BaseException]:
    """The error and all that a traceback would show before it."""
    if error is None:
        return []
    return [error, *told(error.__cause__ or (None if error.__suppress_context__ else error.__context__))]


def refusal(kind: type[E], act: Callable[[], object]) -> E:
    """The error that the act raises: exactly of that class, with a next step, nowhere with a password."""
    with pytest.raises(kind) as caught:
        act()
    shown = "".join(str(error) + repr(error) for error in told(caught.value))
    assert type(caught.value) is kind
    assert caught.value.next_step
    assert caught.value.where or kind is UsageError
    for secret in (PASSWORD, "w%2Frd", "hunter2"):
        assert secret not in shown
    return caught.value


@dataclass(frozen=True)
class Server:
    """A server of one kind: its port, and the URL of one of its databases."""

    port: int
    address: Callable[..., str]


@pytest.fixture(params=["postgresql", "mariadb", "sqlserver"])
def server(request: pytest.FixtureRequest) -> Server:
    if request.param == "postgresql":
        return Server(request.getfixturevalue("postgres").port, address)
    if request.param == "mariadb":
        return Server(request.getfixturevalue("maria_server").port, mariadb.address)
    return Server(request.getfixturevalue("bridge").port, lambda port, _database, *password: address_of_bridge(port, *password))


def test_wrong_password(server: Server, tmp_path: Path) -> None:
    error = refusal(SourceError, lambda: connect(server.address(server.port, "postgres", "hunter2"), tmp_path))
    assert "refuses the login" in str(error)
    assert (error.exit_code, error.transient) == (1, False)


def test_unknown_user(server: Server, tmp_path: Path) -> None:
    url = server.address(server.port, "postgres").replace("//lake:", "//nobody:")
    assert "refuses the login" in str(refusal(SourceError, lambda: connect(url, tmp_path)))


def test_no_password(server: Server, tmp_path: Path) -> None:
    url = server.address(server.port, "postgres", "").replace("//lake:@", "//lake@")
    assert "refuses the login" in str(refusal(SourceError, lambda: connect(url, tmp_path)))


def test_a_password_with_signs_reaches_both_drivers(backend: Backend) -> None:
    assert backend.is_sqlite or any(sign in PASSWORD for sign in "@:/ %#?")
    backend.execute("create table t (id integer)", "insert into t values (7)")
    assert backend.read(define("t", columns={"id": "integer"})) == [{"id": 7}]


@pytest.mark.parametrize("name", ["nowhere", "role", "pg_hba"])
def test_unknown_database(postgres: Postgres, tmp_path: Path, name: str) -> None:
    error = refusal(SourceError, lambda: connect(address(postgres.port, name), tmp_path))
    assert "no such database" in str(error)
    assert name in str(error)


def test_unknown_database_of_mariadb(maria_server: Mariadb, tmp_path: Path) -> None:
    error = refusal(SourceError, lambda: connect(mariadb.address(maria_server.port, "nowhere"), tmp_path))
    assert "no such database" in str(error)
    assert "nowhere" in str(error)


SCHEMES = ["postgresql", "mysql", "mssql"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_dead_port(tmp_path: Path, scheme: str) -> None:
    begun = time.monotonic()
    error = refusal(SourceUnreachableError, lambda: connect(f"{scheme}://lake:hunter2@127.0.0.1:{free_port()}/shop", tmp_path))
    assert (error.exit_code, error.transient) == (1, True)
    assert time.monotonic() - begun < 8


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_port_that_is_silent(tmp_path: Path, scheme: str) -> None:
    begun = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        refusal(SourceUnreachableError, lambda: connect(f"{scheme}://lake:hunter2@127.0.0.1:{port}/shop", tmp_path))
    assert time.monotonic() - begun < 8


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_host_without_an_address(tmp_path: Path, scheme: str) -> None:
    begun = time.monotonic()
    refusal(SourceUnreachableError, lambda: connect(f"{scheme}://lake:hunter2@nowhere.invalid/shop", tmp_path))
    assert time.monotonic() - begun < 8


@pytest.mark.parametrize("options", ["?encrypt=true", "", "?trust_server_certificate=false", "?encrypt=false"])
def test_a_certificate_that_nobody_vouches_for(bridge: Bridge, tmp_path: Path, options: str) -> None:
    url = address_of_bridge(bridge.port, options=options)
    assert "certificate is not trusted" in str(refusal(SourceError, lambda: connect(url, tmp_path)))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_with_its_authority(bridge: Bridge, sqlserver: Backend, host: str) -> None:
    sqlserver.execute("create table t (id integer)", "insert into t values (7)")
    sqlserver.url = address_of_bridge(bridge.port, options=f"?trust_server_certificate_ca={bridge.certificate}").replace("127.0.0.1", host)
    assert sqlserver.read(define("t", columns={"id": "integer"})) == [{"id": 7}]


def test_a_certificate_of_another_host(bridge: Bridge, tmp_path: Path) -> None:
    url = address_of_bridge(bridge.port, options=f"?trust_server_certificate_ca={bridge.certificate}").replace("127.0.0.1", "127.1")
    assert "certificate is not trusted" in str(refusal(SourceError, lambda: connect(url, tmp_path)))


@pytest.mark.parametrize(
    ("options", "host"),
    [
        ("?ssl-mode=REQUIRED", "127.0.0.1"),
        ("?ssl-mode=VERIFY_CA&ssl-ca={certificate}", "127.0.0.1"),
        ("?ssl-mode=VERIFY_IDENTITY&ssl-ca={certificate}", "localhost"),
    ],
)
def test_mariadb_is_read_over_an_encrypted_line(maria_server: Mariadb, mariadb: Backend, options: str, host: str) -> None:
    mariadb.execute(
        "create table t (id integer)",
        "insert into t values (7)",
        "create or replace user careful@'127.0.0.1' identified by 'hunter2' require ssl",
        "grant select on *.* to careful@'127.0.0.1'",
    )
    plain = mariadb.url.replace("//lake:", "//careful:").replace(quote(PASSWORD, safe=""), "hunter2").replace("127.0.0.1", host)
    reader = Backend(plain + options.format(certificate=maria_server.certificate), mariadb.project)
    assert reader.read(define("t", columns={"id": "integer"})) == [{"id": 7}]
    refusal(SourceError, lambda: connect(f"{plain}?ssl-mode=DISABLED", mariadb.project))


@pytest.mark.parametrize(
    ("options", "host"),
    [("?ssl-mode=VERIFY_CA", "127.0.0.1"), ("?ssl-mode=VERIFY_IDENTITY&ssl-ca={certificate}", "127.1")],
)
def test_mariadb_whose_certificate_is_not_the_one_asked_for(maria_server: Mariadb, tmp_path: Path, options: str, host: str) -> None:
    url = mariadb.address(maria_server.port, "mysql").replace("127.0.0.1", host) + options.format(certificate=maria_server.certificate)
    assert "encrypted" in str(refusal(SourceError, lambda: connect(url, tmp_path)))


@pytest.mark.parametrize("scheme", ["mysql", "mssql"])
def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scheme: str) -> None:
    driver, extra = {"mysql": ("pymysql", "mysql"), "mssql": ("pytds", "sqlserver")}[scheme]
    for module in ("mysql", "sqlserver", "tds"):
        monkeypatch.delitem(sys.modules, f"lakehouse.sources.{module}", raising=False)
    monkeypatch.setitem(sys.modules, driver, None)
    error = refusal(UsageError, lambda: connect(f"{scheme}://lake:hunter2@127.0.0.1/shop", tmp_path))
    assert f"pip install 'lakehouse[{extra}]'" in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "oracle://lake:hunter2@host/shop",
        "postgresql://lake:hunter2@host:port/shop",
        "postgresql://lake:hunter2@host:99999/shop",
        "postgresql://lake:hunter2@host",
        "postgresql:///shop?password=hunter2",
        "postgresql://lake:hunter2@127.0.0.1/shop?sslmode=nonsense",
        "postgresql://lake:hunter2@[::1/shop",
        "mysql://lake:hunter2@host:port/shop",
        "mysql://lake:hunter2@host",
        "mysql://lake:hunter2@host/shop?ssl-mode=nonsense",
        "mysql://lake:hunter2@host/shop?ssl-mode=VERIFY_CA&ssl-ca=/nowhere.pem",
        "mysql://lake:hunter2@host/shop?compression=1",
        "mssql://lake:hunter2@host:port/shop",
        "mssql://lake:hunter2@host/",
        "mssql://lake:hunter2@host/shop?encrypt=perhaps",
        "mssql://lake:hunter2@host/shop?trust_server_certificate_ca=/nowhere.pem",
        "mssql://lake:hunter2@host/shop?trusted_connection=true",
        "lake:hunter2@host/shop",
        "sqlite://",
        "",
    ],
)
def test_a_url_that_cannot_be_one(tmp_path: Path, url: str) -> None:
    assert refusal(UsageError, lambda: connect(url, tmp_path)).exit_code == 2


def test_missing_file(tmp_path: Path) -> None:
    error = refusal(SourceError, lambda: connect("sqlite://data/gone.db", tmp_path))
    assert "gone.db" in str(error)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be read as one", b"SQLite format 3\x00" + b"\xff" * 200])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "source.db").write_bytes(content)
    refusal(SourceError, lambda: connect("sqlite://source.db", tmp_path))


def test_an_odd_path_of_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "a b#c%20d é"
    folder.mkdir()
    backend = Backend(f"sqlite://{folder}/so urce.db", tmp_path)
    backend.execute("create table t (id integer)", "insert into t values (7)")
    backend.url = backend.url.replace("%", "%25").replace("#", "%23")
    assert backend.read(define("t")) == [{"id": 7}]


def test_missing_table(backend: Backend) -> None:
    backend.execute("create table there (id integer)")
    error = refusal(SourceError, lambda: backend.describe("gone"))
    assert "gone" in str(error)
    assert error.exit_code == 1


def test_missing_schema(postgresql: Backend) -> None:
    postgresql.execute("create table there (id integer)")
    refusal(SourceError, lambda: postgresql.describe("gone.there"))


@pytest.mark.parametrize(
    "more",
    [{"columns": {"id": "integer", "gone": "string"}}, {"keys": "gone"}, {"cursor": "gone"}, {"sequence_by": "gone"}],
    ids=["column", "key", "cursor", "sequence"],
)
def test_missing_column(backend: Backend, more: dict[str, object]) -> None:
    backend.execute("create table t (id integer, there text)")
    error = refusal(ContractError, lambda: backend.describe("t", **more))
    assert {"gone", "there"} <= set(str(error).replace(",", " ").replace(")", " ").split())
    assert "metadata/tables/shop/tested.yml" in error.where


def test_a_table_that_may_not_be_read(postgres: Postgres, postgresql: Backend) -> None:
    user = "reader " + postgresql.url.rpartition("%20")[2]
    postgresql.execute("create table t (id int)", f"create role \"{user}\" login password 'hunter2'")
    name = postgresql.url.rpartition("/")[2].replace("%20", " ")
    reader = Backend(address(postgres.port, name, "hunter2").replace("//lake:", f"//{user.replace(' ', '%20')}:"), postgresql.project)
    error = refusal(SourceError, lambda: reader.read(define("t", columns={"id": "integer"})))
    assert "permission" in str(error)


def test_a_table_that_goes_away_before_the_read(backend: Backend) -> None:
    backend.execute("create table t (id integer)")
    with backend.open() as database:
        described = database.describe(define("t"))
        backend.execute("drop table t")
        refusal(SourceError, lambda: list(database.read(described, Window())))


def test_a_table_that_may_not_be_read_in_mariadb(mariadb: Backend) -> None:
    mariadb.execute("create table t (id int, secret int)")
    name = mariadb.url.rpartition("/")[2].replace("%20", " ")
    mariadb.execute("create user reader@'127.0.0.1' identified by 'hunter2'", f"grant select (id) on \"{name}\".t to reader@'127.0.0.1'")
    reader = Backend(mariadb.url.replace("//lake:", "//reader:").replace(quote(PASSWORD, safe=""), "hunter2"), mariadb.project)
    assert reader.read(define("t", columns={"id": "integer"})) == []
    refusal(ContractError, lambda: reader.read(define("t", columns={"secret": "integer"})))


def test_a_connection_that_breaks_in_mariadb(mariadb: Backend) -> None:
    mariadb.execute("create table t (id int)")
    with mariadb.open() as database, maria(mariadb.url) as other, other.cursor() as cursor:
        cursor.execute("select id from information_schema.processlist where db = database() and id <> connection_id()")
        for (number,) in cursor.fetchall():
            cursor.execute(f"kill {number}")
        assert refusal(SourceUnreachableError, lambda: database.describe(define("t"))).transient


def test_a_connection_that_breaks(postgresql: Backend) -> None:
    postgresql.execute("create table t (id int)")
    with postgresql.open() as database:
        postgresql.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'lakehouse' and datname = current_database()"
        )
        assert refusal(SourceUnreachableError, lambda: database.describe(define("t"))).transient
