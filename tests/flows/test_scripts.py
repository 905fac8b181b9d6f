"""The flows as plain scripts: straight to the lake, or as flow runs of the server that PREFECT_API_URL names."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.project import Project
from tests.flows.conftest import Deployed
from tests.flows.prefect import bare_environment, copy_flows


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with the flows."""
    copy_flows(tmp_path)
    return Project.make(tmp_path)


def environment(project: Project, **given: str) -> dict[str, str]:
    """What a script is told; nothing of a server, unless it is given."""
    settings = {"LAKEHOUSE_CONNECTION__SHOP": project.url, "LAKEHOUSE_CLOCK": "2024-02-01T00:00:00Z"}
    return bare_environment() | {"PREFECT_HOME": str(project.folder / "prefect"), **settings, **given}


def call(project: Project, *words: str, **given: str) -> subprocess.CompletedProcess[str]:
    command, env = (sys.executable, *words), environment(project, **given)
    return subprocess.run(command, cwd=project.folder, env=env, capture_output=True, text=True, timeout=180, check=False)


def test_without_a_server_a_flow_loads_all_the_same(project: Project) -> None:
    done = call(project, "flows/daily.py", "--select", "users")
    assert done.returncode == 0, done.stderr
    assert "PREFECT_API_URL is not set" in done.stderr
    assert "Completed: 1 table, 2 new rows." in done.stderr
    assert "| silver | `users` | success | 2 | 2 |" in done.stdout
    assert project.call("query", "select count(*) as n from silver.users", "-o", "json").json == [{"n": 2}]
    done = call(project, "flows/backfill.py", "--from", "2024-02-01", "--to", "2024-01-01")
    assert done.returncode == 1
    assert "the window is empty" in done.stderr
    assert "Traceback" not in done.stderr


def test_sigterm_ends_a_stream_after_its_poll(project: Project) -> None:
    command, pipes = (sys.executable, "flows/stream.py", "--every", "0.2"), {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=project.folder, env=environment(project), text=True, **pipes) as stream:  # type: ignore[call-overload]
        while not (project.folder / "lake/gold/fact_order/_delta_log").is_dir():
            assert stream.poll() is None
            time.sleep(0.1)
        stream.send_signal(signal.SIGTERM)
        out, err = stream.communicate(timeout=60)
    assert stream.returncode == 0, err
    assert "Traceback" not in err
    assert "| gold | `fact_order` | success |" in out


@pytest.mark.xdist_group("prefect")
def test_with_a_server_a_script_is_a_flow_run(deployed: Deployed, project: Project) -> None:
    words = ("flows/backfill.py", "--from", "2024-01-01", "--to", "2024-02-01T10:00")
    done = call(project, *words, **deployed.prefect.environment)
    assert done.returncode == 0, done.stderr
    named = {"flow_runs": {"name": {"any_": ["backfill all from 2024-01-01 to 2024-02-01 10:00:00"]}}}
    (run,) = deployed.prefect.read("POST", "/flow_runs/filter", named)
    assert run["state_type"] == "COMPLETED"
    assert set(deployed.prefect.tasks(run["id"])) == {"users", "orders", "dim_user", "fact_order"}
