"""A source that cannot be read says so in seconds: one sentence with the next step, of the right class, without a secret."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from lakehouse.errors import ContractError, LakehouseError, SourceError, SourceUnreachableError, UsageError
from lakehouse.model.run import Window
from lakehouse.sources.database import connect
from tests.contract.backend import Backend, define
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


def test_wrong_password(postgres: Postgres, tmp_path: Path) -> None:
    error = refusal(SourceError, lambda: connect(address(postgres.port, "postgres", "hunter2"), tmp_path))
    assert "refuses the login" in str(error)
    assert (error.exit_code, error.transient) == (1, False)


def test_unknown_user(postgres: Postgres, tmp_path: Path) -> None:
    url = address(postgres.port, "postgres").replace("//lake:", "//nobody:")
    assert "refuses the login" in str(refusal(SourceError, lambda: connect(url, tmp_path)))


def test_no_password(postgres: Postgres, tmp_path: Path) -> None:
    url = f"postgresql://lake@127.0.0.1:{postgres.port}/postgres"
    assert "refuses the login" in str(refusal(SourceError, lambda: connect(url, tmp_path)))


def test_a_password_with_signs_reaches_both_drivers(postgresql: Backend) -> None:
    assert any(sign in PASSWORD for sign in "@:/ %#?")
    postgresql.execute("create table t (id int)", "insert into t values (7)")
    assert postgresql.read(define("t")) == [{"id": 7}]


@pytest.mark.parametrize("name", ["nowhere", "role", "pg_hba"])
def test_unknown_database(postgres: Postgres, tmp_path: Path, name: str) -> None:
    error = refusal(SourceError, lambda: connect(address(postgres.port, name), tmp_path))
    assert "no such database" in str(error)
    assert name in str(error)


def test_dead_port(tmp_path: Path) -> None:
    begun = time.monotonic()
    error = refusal(SourceUnreachableError, lambda: connect(address(free_port(), "shop"), tmp_path))
    assert (error.exit_code, error.transient) == (1, True)
    assert time.monotonic() - begun < 8


def test_a_port_that_is_silent(tmp_path: Path) -> None:
    begun = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        refusal(SourceUnreachableError, lambda: connect(address(silent.getsockname()[1], "shop"), tmp_path))
    assert time.monotonic() - begun < 8


def test_a_host_without_an_address(tmp_path: Path) -> None:
    begun = time.monotonic()
    refusal(SourceUnreachableError, lambda: connect("postgresql://lake:hunter2@nowhere.invalid:5432/shop", tmp_path))
    assert time.monotonic() - begun < 8


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


def test_a_connection_that_breaks(postgresql: Backend) -> None:
    postgresql.execute("create table t (id int)")
    with postgresql.open() as database:
        postgresql.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'lakehouse' and datname = current_database()"
        )
        assert refusal(SourceUnreachableError, lambda: database.describe(define("t"))).transient
