"""W3: a run over the demo's five tables that finds nothing new, as a whole process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from lakehouse.demo.simulator import Simulator
from lakehouse.demo.sqlite import SqliteStore
from tests.bench.harness import PROGRAMS, ROOT, Taken, interleave, measure, report

pytestmark = pytest.mark.bench

STREAMS = 200_000


def test_a_run_without_changes(tmp_path: Path) -> None:
    simulator = Simulator(SqliteStore(tmp_path / "source.db"), streams=STREAMS)
    simulator.live_day()
    day = simulator.live_day()
    environment = {
        "LAKEHOUSE_LAKE": str(tmp_path / "lake"),
        "LAKEHOUSE_CONNECTION__SPOTIFY": f"sqlite://{tmp_path / 'source.db'}",
        "LAKEHOUSE_CLOCK": day.now.isoformat(),
    }
    program = str(Path(sys.executable).with_name("lakehouse"))

    def run(*words: str) -> Taken:
        return measure([program, *words, "--project", str(ROOT)], environment)

    first = run("run")
    house = Lakehouse.open(ROOT, lake=environment["LAKEHOUSE_LAKE"])
    before = {(row["layer"], row["table"]): row["version"] for row in house.status()}
    taken = interleave(
        {
            "the engines imported, no more": lambda: measure([sys.executable, str(PROGRAMS / "imports.py")], {}),
            "lakehouse plan": lambda: run("plan"),
            "lakehouse run, nothing new": lambda: run("run"),
        },
        rounds=5,
    )
    assert {(row["layer"], row["table"]): row["version"] for row in house.status()} == before
    report("W3 a run without changes", {**taken, "lakehouse run, the first": [first]}, streams=STREAMS)
