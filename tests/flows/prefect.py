"""A real Prefect server with a project's deployments and one worker, all of their own; each ends by its pid."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx

from tests.servers import free_port

ROOT = Path(__file__).parents[2]
PREFECT = Path(sys.executable).parent / "prefect"
START_SECONDS = 120
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def bare_environment() -> dict[str, str]:
    """The environment without what concerns Prefect or the lakehouse."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("LAKEHOUSE_", "PREFECT_"))}


def copy_flows(project: Path) -> None:
    """Give a project this repository's flows and deployments."""
    shutil.copytree(ROOT / "flows", project / "flows", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "prefect.yaml", project)


class Prefect:
    """A server with a database of its own, and what a person does with it on the command line and over its API."""

    def __init__(self, home: Path) -> None:
        """Start the server and wait until it answers."""
        port = free_port()
        self.home, self.url = home, f"http://127.0.0.1:{port}"
        self.environment = bare_environment() | {
            "DO_NOT_TRACK": "1",
            "PREFECT_API_URL": f"{self.url}/api",
            "PREFECT_CLI_PROMPT": "false",
            "PREFECT_HOME": str(home),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }
        self._api = httpx.Client(base_url=f"{self.url}/api", timeout=20)
        self._started = [self._start("server", "start", "--host", "127.0.0.1", "--port", str(port))]
        try:
            self.wait(self._is_up, START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def _is_up(self) -> bool:
        try:
            return self._api.get("/health").is_success
        except httpx.TransportError:
            return False

    def _start(self, *words: str, **settings: str) -> subprocess.Popen[bytes]:
        with (self.home / f"{words[0]}.log").open("ab") as log:
            return subprocess.Popen((PREFECT, *words), cwd=self.home, env=self.environment | settings, stdout=log, stderr=log)

    def wait(self, done: Callable[[], Any], seconds: float = 180) -> Any:  # noqa: ANN401  what `done` gives
        """What `done` gives, as soon as it is anything; fails with the logs."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := done():
                return found
            time.sleep(0.2)
        raise AssertionError("\n".join(log.read_text(encoding="utf-8")[-5000:] for log in sorted(self.home.glob("*.log"))))

    def call(self, *words: str, cwd: Path, **settings: str) -> str:
        """What `prefect <words>` prints."""
        done = subprocess.run((PREFECT, *words), cwd=cwd, env=self.environment | settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def start_worker(self, **settings: str) -> None:
        """A worker of the pool, with these variables beside its own."""
        self._started.append(self._start("worker", "start", "--pool", "lakehouse", "--type", "process", **settings))

    def stop(self) -> None:
        """End the worker, then the server."""
        self._api.close()
        for process in reversed(self._started):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        """The API's answer; a server on SQLite is busy now and then."""
        return self.wait(lambda: self._ask_once(method, path, body), 90)  # type: ignore[no-any-return]

    def _ask_once(self, method: str, path: str, body: object) -> httpx.Response | None:
        try:
            answer = self._api.request(method, path, json=body)
        except httpx.ReadTimeout:
            if method != "GET":  # whoever only reads may ask again
                raise
            return None
        return None if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else answer

    def read(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  any JSON
        """The API's answer to what it must not refuse."""
        answer = self.ask(method, path, body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def deployment(self, name: str) -> dict[str, Any]:
        """A deployment, named as its flow."""
        return dict(self.read("GET", f"/deployments/name/{name}/{name}"))

    def begin(self, name: str, **parameters: object) -> httpx.Response:
        """The answer to the request that the UI's form sends."""
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return self.ask("POST", f"/deployments/{self.deployment(name)['id']}/create_flow_run", body)

    def started(self, name: str, **parameters: object) -> str:
        """The id of a new flow run."""
        answer = self.begin(name, **parameters)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return str(answer.json()["id"])

    def flow_run(self, run: str) -> dict[str, Any]:
        """A flow run as it is now."""
        return dict(self.read("GET", f"/flow_runs/{run}"))

    def ended(self, run: str) -> tuple[str, str]:
        """A flow run's last state and its message."""
        found = self.wait(lambda: (now := self.flow_run(run))["state_type"] in ENDED and now)
        return found["state_type"], found["state"]["message"] or ""

    def tasks(self, run: str) -> dict[str, dict[str, Any]]:
        """The task runs of a flow run, by their names."""
        found = self.read("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        return {task["name"]: task for task in found}

    def artifact(self, run: str) -> str:
        """The text of a flow run's one artifact."""
        (found,) = self.read("POST", "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
        assert (found["key"], found["type"]) == ("run-summary", "markdown")
        return str(found["data"])

    def logged(self, run: str) -> str:
        """What a flow run has logged so far."""
        query = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC"}
        return "\n".join(line["message"] for line in self.read("POST", "/logs/filter", query))

    def cancel(self, run: str) -> None:
        """What the UI's button does."""
        self.read("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})

    def limits(self) -> dict[str, int]:
        """The writers' limits, by table, with the slots in use."""
        found = self.read("POST", "/v2/concurrency_limits/filter", {})
        return {limit["name"].split("-", 2)[2]: limit["active_slots"] for limit in found if limit["name"].startswith("lakehouse-")}

    @contextmanager
    def held(self, lake: Path, table: str) -> Iterator[None]:
        """Another run writes a table of the lake."""
        name = f"lakehouse-{sha256(lake.as_uri().encode()).hexdigest()[:8]}-{table}"
        self.ask("POST", "/v2/concurrency_limits/", {"name": name, "limit": 1})  # refused where it is there already
        lease = self.read("POST", "/v2/concurrency_limits/increment-with-lease", {"slots": 1, "names": [name]})["lease_id"]
        try:
            yield
        finally:
            self.ask("POST", "/v2/concurrency_limits/decrement-with-lease", {"lease_id": lease})
