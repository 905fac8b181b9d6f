"""The three deployments on a real server, run by a worker; people start them over the API, as the UI's forms do."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from tests.cli.project import Project
from tests.flows.conftest import Deployed
from tests.flows.scripts import call
from tests.lakes import change_source, write_project
from tests.servers import PASSWORD, Postgres, address, free_port

COUNTS = """
select (select count(*) from bronze.orders) as bronze, (select count(*) from silver.orders) as silver,
    (select count(*) from gold.fact_order) as fact, (select count(*) from gold.dim_user where user_key <> -1) as users
"""


def counts(shop: Project) -> tuple[int, ...]:
    """Orders in bronze, silver and gold, and members of the dimension."""
    (row,) = shop.call("query", COUNTS, "-o", "json").json
    return tuple(row.values())


def test_the_deployments_are_what_the_file_says(deployed: Deployed) -> None:
    prefect = deployed.prefect
    found = {name: prefect.deployment(name) for name in ("daily", "backfill", "stream")}
    assert {each["work_pool_name"] for each in found.values()} == {"lakehouse"}
    assert all(each["enforce_parameter_schema"] and each["tags"] == ["lakehouse"] and each["description"] for each in found.values())
    assert [each["concurrency_options"]["collision_strategy"] for each in found.values()] == ["CANCEL_NEW", "ENQUEUE", "CANCEL_NEW"]
    (schedule,) = found["daily"]["schedules"]
    assert (schedule["slug"], schedule["schedule"]) == ("nightly", {"cron": "30 2 * * *", "timezone": "UTC", "day_or": True})
    for each in found.values():
        assert all(form["description"] for form in each["parameter_openapi_schema"]["properties"].values())
    assert found["backfill"]["parameter_openapi_schema"]["required"] == ["from_", "to"]


def test_a_worker_runs_all_three_and_the_lake_has_their_rows(deployed: Deployed) -> None:
    shop, prefect = deployed.shop, deployed.prefect
    daily = prefect.started("daily")
    assert prefect.ended(daily) == ("COMPLETED", "4 tables and models, 5 new rows.")
    assert prefect.flow_run(daily)["name"] == "daily all"
    assert {name: task["state_type"] for name, task in prefect.tasks(daily).items()} == dict.fromkeys(
        ("users", "orders", "dim_user", "fact_order"), "COMPLETED"
    )
    assert counts(shop) == (3, 3, 3, 3)
    assert re.search(r"\| bronze \| `orders` \| success \| 3 \| 3 \| 0 \| \d+\.\d\d \| 1 \|", prefect.artifact(daily))

    shop.change("insert into Orders values (13, 1, 7, '2024-01-02 12:00:00'), (14, 1, 8, '2024-01-20 12:00:00')")  # the first one came late
    backfill = prefect.started("backfill", from_="2024-01-02T00:00:00Z", to="2024-01-03T00:00:00Z", tables=["orders"])
    stream = prefect.started("stream", once=True)
    assert prefect.ended(backfill) == ("COMPLETED", "3 tables and models, 1 new row.")
    assert prefect.ended(stream)[0] == "COMPLETED"
    assert prefect.flow_run(backfill)["name"] == "backfill orders from 2024-01-02 to 2024-01-03"
    assert prefect.flow_run(stream)["name"] == "stream all once"
    assert set(prefect.tasks(backfill)) == {"orders", "dim_user", "fact_order"}
    assert "orders" in prefect.tasks(stream)
    assert counts(shop) == (5, 5, 5, 3)
    assert set(prefect.limits().values()) == {0}
    assert "unchanged" in shop.call("run").out


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("backfill", {"from_": "2024-01-01T00:00:00Z"}, "'to' is a required property"),
        ("backfill", {"from_": True, "to": 2}, "from_"),
        ("daily", {"tables": "users"}, "tables"),
        ("daily", {"retries": -1}, "retries"),
        ("stream", {"every_seconds": 0}, "every_seconds"),
    ],
)
def test_wrong_parameters_are_refused(deployed: Deployed, name: str, given: dict[str, object], words: str) -> None:
    answer = deployed.prefect.begin(name, **given)
    assert answer.status_code == 409
    assert words in answer.text


def test_a_cancelled_stream_ends_after_its_poll_and_wrong_values_fail_clearly(deployed: Deployed) -> None:
    shop, prefect = deployed.shop, deployed.prefect
    assert shop.call("run").code == 0  # a fresh lake has no members yet for the dimension that follows from orders
    nonsense = prefect.started("backfill", from_="someday", to="2024-01-03T00:00:00Z")
    stream = prefect.started("stream", tables=["orders+"], every_seconds=0.2)
    prefect.wait(lambda: prefect.flow_run(stream)["state_type"] == "RUNNING")
    shop.change("insert into Orders values (15, 2, 9, '2024-01-21 12:00:00')")
    prefect.wait(lambda: "orders" in prefect.tasks(stream))
    prefect.cancel(stream)
    state, message = prefect.ended(stream)
    assert state == "CANCELLED"
    assert message.startswith("Stopped after the poll under way.")
    assert set(prefect.limits().values()) == {0}
    shop.call("run")
    silver, source = shop.call("query", "select order_id from silver.orders order by 1", "-o", "json").json, shop.rows("Orders")
    assert [row["order_id"] for row in silver] == source
    assert not [row["error"] for row in shop.call("history", "-o", "json").json if row["status"] in ("interrupted", "failed")]
    state, message = prefect.ended(nonsense)
    assert state == "FAILED"
    assert "from_" in message
    assert "valid datetime" in message


def test_a_run_waits_for_the_writer_of_its_table_and_can_be_cancelled(deployed: Deployed) -> None:
    prefect = deployed.prefect
    with prefect.held(deployed.shop.folder / "lake", "users"):
        daily = prefect.started("daily", tables=["users"])
        prefect.wait(lambda: "another run is writing it" in prefect.logged(daily))
        prefect.cancel(daily)
        state, message = prefect.ended(daily)
    assert state == "CANCELLED"
    assert message.startswith("Interrupted")
    assert set(prefect.limits().values()) == {0}


TABLE = "from: things\nmode: incremental\nkeys: id\ncursor: at\ncolumns: {id: bigint, at: timestamp}\n"
THINGS = {f"metadata/sources/{name}.yml": f"connection: {name}\n" for name in ("away", "dead", "files")} | {
    "metadata/tables/away/late.yml": TABLE,
    "metadata/tables/dead/gone.yml": TABLE,
    "metadata/tables/files/good.yml": TABLE,
    "metadata/tables/files/wrong.yml": TABLE.replace("things", "no_such_table"),
    "metadata/models/dim_gone.yml": "kind: dimension\nkeys: id\nsurrogate_key: gone_key\n",
    "sql/gold/dim_gone.sql": "select id from silver.gone\n",
}


@contextmanager
def forwarded(port: int, to: int) -> Iterator[None]:
    """A local port behind which another one answers."""

    def pump(source: socket.socket, target: socket.socket) -> None:
        with source, target:
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def accept(door: socket.socket) -> None:
        while True:
            try:
                caller, _ = door.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", to))
            for pair in ((caller, server), (server.dup(), caller.dup())):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", port)) as door:
        thread = threading.Thread(target=accept, args=(door,))
        thread.start()
        yield
        door.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_only_transient_failures_are_tried_again_and_the_rest_goes_on(deployed: Deployed, postgres: Postgres, tmp_path: Path) -> None:
    prefect, port = deployed.prefect, free_port()
    postgres.create_database("away")
    with psycopg.connect(address(postgres.port, "away"), autocommit=True) as connection:
        connection.execute("create table things (id bigint primary key, at timestamptz not null)")
        connection.execute("insert into things values (1, '2024-01-01')")
    change_source(tmp_path / "files.db", "create table things (id integer, at timestamp); insert into things values (1, '2024-01-01')")
    urls = {"away": address(port, "away"), "dead": address(free_port(), "dead"), "files": f"sqlite:///{tmp_path / 'files.db'}"}
    settings = "".join(f"LAKEHOUSE_CONNECTION__{name.upper()}='{url}'\n" for name, url in urls.items())
    write_project(tmp_path, {**THINGS, ".env": settings})

    run = prefect.started("daily", project=str(tmp_path), retries=2, retry_delay_seconds=2)
    prefect.wait(lambda: prefect.tasks(run).get("late", {}).get("state_name") == "AwaitingRetry")
    with forwarded(port, postgres.port):
        state, message = prefect.ended(run)
    assert (state, message) == ("FAILED", "2 of 5 failed: gone, wrong; not done because of them: dim_gone. The others went on.")
    tasks = prefect.tasks(run)
    assert {name: task["state_type"] for name, task in tasks.items()} == {
        "good": "COMPLETED",
        "gone": "FAILED",
        "late": "COMPLETED",
        "wrong": "FAILED",
    }
    assert [tasks[name]["run_count"] for name in ("good", "gone", "late", "wrong")] == [1, 3, 2, 1]
    assert "does not answer" in tasks["gone"]["state"]["message"]
    told = prefect.artifact(run)
    assert "**wrong** (bronze)" in told
    assert "no_such_table" in told
    assert "| silver | `late` | success | 1 | 1 |" in told
    written = told + prefect.logged(run) + str(prefect.flow_run(run)) + str(tasks)
    assert not [secret for secret in (PASSWORD, quote(PASSWORD, safe="")) if secret in written]
    assert not [file.name for file in prefect.home.iterdir() if file.is_file() and PASSWORD.encode() in file.read_bytes()]


def test_with_a_server_a_script_is_a_flow_run(deployed: Deployed, project: Project) -> None:
    words = ("flows/backfill.py", "--from", "2024-01-01", "--to", "2024-02-01T10:00")
    done = call(project, *words, **deployed.prefect.environment)
    assert done.returncode == 0, done.stderr
    named = {"flow_runs": {"name": {"any_": ["backfill all from 2024-01-01 to 2024-02-01 10:00:00"]}}}
    (run,) = deployed.prefect.read("POST", "/flow_runs/filter", named)
    assert run["state_type"] == "COMPLETED"
    assert set(deployed.prefect.tasks(run["id"])) == {"users", "orders", "dim_user", "fact_order"}
