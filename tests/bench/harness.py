"""Measures whole processes, interleaved, and prints and keeps what they took."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import isnan, nan
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".bench"
PROGRAMS = Path(__file__).parent / "programs"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))


@dataclass(frozen=True)
class Taken:
    """What one process took; `cpu` is user and system seconds of it and its children, `peak_mb` its greatest resident memory.

    `written_mb` is what the files it made or lengthened grew by, where that was looked at.
    """

    wall: float
    cpu: float
    peak_mb: float
    written_mb: float = nan


Variants = Mapping[str, Callable[[], Sequence[str]]]


def measure(command: Sequence[str], environment: Mapping[str, str]) -> Taken:
    """What one run of a program takes; one that fails fails the bench."""
    settle_disk()
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "taken.json"
        starter = (sys.executable, "-I", "-S", str(Path(__file__).with_name("child.py")), str(result), *command)
        done = subprocess.run(starter, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        facts = json.loads(result.read_text())
    assert facts.pop("code") == 0, done.stdout + done.stderr
    return Taken(**facts)


def settle_disk() -> None:
    """Write out what others left in memory: it would be charged to the next program that asks for its own bytes to last."""
    os.sync()


def interleave(variants: Mapping[str, Callable[[], Taken]], rounds: int = ROUNDS) -> dict[str, list[Taken]]:
    """Each variant once a round, in their order (A B C A B C), so that a slow minute of the machine meets all alike."""
    taken: dict[str, list[Taken]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, run in variants.items():
            taken[name].append(run())
    return taken


def middle(taken: Sequence[Taken]) -> Taken:
    """The medians of several runs; of the memory the greatest."""
    return Taken(
        median(t.wall for t in taken), median(t.cpu for t in taken), max(t.peak_mb for t in taken), median(t.written_mb for t in taken)
    )


def commit() -> str:
    """The commit that is measured, with a sign where files differ from it."""
    git = shutil.which("git")
    if git is None:
        return "an unknown commit"
    return subprocess.run((git, "describe", "--always", "--dirty"), cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def report(workload: str, taken: Mapping[str, Sequence[Taken]], **facts: object) -> None:
    """Print a table of medians with their ratios to the first variant, and keep all figures as JSON."""
    first = middle(next(iter(taken.values())))
    print(f"\n{workload} ({commit()}, {', '.join(f'{name} {value}' for name, value in facts.items())})")
    print(f"{'':32}{'wall s':>9}{'x':>7}{'cpu s':>9}{'x':>7}{'peak MB':>9}{'MB out':>9}")
    for name, runs in taken.items():
        t = middle(runs)
        written = "" if isnan(t.written_mb) else f"{t.written_mb:9.1f}"
        ratios = f"{t.wall:9.3f}{t.wall / first.wall:7.2f}{t.cpu:9.3f}{t.cpu / first.cpu:7.2f}"
        print(f"{name:32}{ratios}{t.peak_mb:9.0f}{written}")
    keep(workload, **facts, runs={name: [asdict(t) for t in runs] for name, runs in taken.items()})


def keep(workload: str, **facts: object) -> None:
    """Write figures as JSON, with the commit and the hour."""
    KEPT.mkdir(exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    words = json.dumps({"workload": workload, "commit": commit(), **facts}, indent=1)
    (KEPT / f"{stamp}-{workload.partition(',')[0].replace(' ', '-')}.json").write_text(words + "\n")
