from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.cli.project import Project


def test_the_lineage_of_a_column_in_text_and_json(project: Project) -> None:
    done = project.call("lineage", "gold.dim_user.name")
    assert done.code == 0, done.err
    assert "silver.users.name" in done.out
    assert "source.shop.Users.name" in done.out
    assert "orders" not in done.out
    facts = project.call("lineage", "gold.dim_user.name", "-o", "json").json
    assert {"from": "silver.users", "from_column": "name", "to": "gold.dim_user", "to_column": "name", "how": "as it is"} in facts[
        "columns"
    ]


def test_a_misspelt_name_is_answered(project: Project) -> None:
    done = project.call("lineage", "gold.fact_orders")
    assert (done.code, done.out) == (2, "")
    assert "Did you mean 'gold.fact_order'?" in done.err


def test_a_picture_in_a_file(project: Project) -> None:
    done = project.call("lineage", "fact_order", "-o", "svg", "--to", "star.svg")
    assert done.code == 0, done.err
    assert "gold.fact_order" in (project.folder / "star.svg").read_text(encoding="utf-8")
    assert project.call("lineage", "-o", "svg", "--to", "no/such/folder.svg").code == 2


def test_runs_are_told_as_openlineage_events(project: Project) -> None:
    assert project.call("run", OPENLINEAGE="events.jsonl").code == 0
    events = [json.loads(line) for line in (project.folder / "events.jsonl").read_text().splitlines()]
    own = [event for event in events if event["job"]["name"] == "run"]
    assert [event["eventType"] for event in own] == ["START", "COMPLETE"]
    (fact,) = [event for event in events if event["job"]["name"] == "gold.fact_order" and event["eventType"] == "COMPLETE"]
    assert fact["run"]["facets"]["parent"]["run"]["runId"] == own[0]["run"]["runId"]
    (written,) = fact["outputs"]
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == 3
    assert "amount" in written["facets"]["columnLineage"]["fields"]
    assert {each["name"].rpartition("/lake/")[2] for each in fact["inputs"]} == {"silver/orders", "gold/dim_user"}


def test_a_failure_is_an_event_and_a_server_takes_them_with_its_key(project: Project) -> None:
    taken: list[tuple[str | None, Any]] = []

    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append((self.headers["Authorization"], json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Server)
    Thread(target=server.serve_forever, daemon=True).start()
    project.change("drop table Orders")
    done = project.call("run", OPENLINEAGE=f"http://127.0.0.1:{server.server_port}", OPENLINEAGE_KEY="k3y")
    server.shutdown()
    server.server_close()
    assert done.code == 1
    failed = [event for key, event in taken if event["eventType"] == "FAIL" and key == "Bearer k3y"]
    assert {event["job"]["name"] for event in failed} == {"bronze.orders", "run"}
    assert "Orders" in failed[0]["run"]["facets"]["errorMessage"]["message"]


def test_a_server_that_does_not_answer_fails_no_run(project: Project) -> None:
    done = project.call("run", OPENLINEAGE="http://127.0.0.1:9")
    assert done.code == 0, done.err
    assert "were not delivered" in done.err


def test_the_page_s_commands_work(project: Project) -> None:
    page = (Path(__file__).parents[2] / "docs/lineage.md").read_text(encoding="utf-8")
    commands = [line.partition("#")[0].split()[1:] for line in page.splitlines() if line.startswith("lakehouse ")]
    assert len(commands) == 5
    named = {"gold.fact_stream": "gold.fact_order", "gold.dim_user.country": "gold.dim_user.name", "fact_stream": "fact_order"}
    for words in commands:
        done = project.call(*(named.get(word, word) for word in words))
        assert done.code == 0, done.err
