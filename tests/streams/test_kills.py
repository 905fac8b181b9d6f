"""Runs that are killed at any moment, one after another, over a source that changes all the time: afterwards the lake is the source."""

from __future__ import annotations

import random
import subprocess
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from tests.servers import Postgres
from tests.streams.changing import SWEPT, Changes, Streaming

_numbers = count()


def kill_runs(project: Streaming, seconds: float) -> int:
    """Start a run, and another one when it has ended, and kill whichever goes on after so long; how many ended by themselves."""
    end, ended = time.monotonic() + seconds, 0
    while True:
        process = project.begin("run")
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.01, end - time.monotonic()))
        is_done = process.poll() is not None
        process.kill()
        _, err = process.communicate(timeout=60)
        if not is_done:
            return ended
        assert process.returncode == 0, err
        ended += 1


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.long)])
def test_killed_runs_lose_and_double_nothing(postgres: Postgres, tmp_path: Path, kills: int) -> None:
    url = postgres.create_database(f"kills {next(_numbers)}")
    project, changes = Streaming(tmp_path, url, SWEPT), Changes(url, seed=kills, deletes=True)
    chance = random.Random(kills)
    try:
        ended = sum(kill_runs(project, chance.uniform(0.2, 4)) for _ in range(kills))
    finally:
        changes.stop()
    time.sleep(1.1)  # a window ends a second before the server's clock
    project.call("run")
    project.require_equal()
    project.require_windows_once()
    assert kills < 50 or ended
    assert project.call("run")["status"] == "unchanged"
