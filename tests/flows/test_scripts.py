"""The flows as plain scripts: straight to the lake, or as flow runs of the server that PREFECT_API_URL names."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from tests.cli.project import Project
from tests.flows.scripts import call, environment


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
