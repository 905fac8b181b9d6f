"""The repository's own project in a folder of its own, and the demo in it as a person starts it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from lakehouse.demo.server import end_former
from tests.cli.project import PROGRAM, Done

ROOT = Path(__file__).parents[2]


class Demo:
    """A copy of the project in an empty folder."""

    def __init__(self, folder: Path) -> None:
        """Copy what the demo reads."""
        self.folder = folder
        self._started: list[subprocess.Popen[str]] = []
        for name in ("metadata", "sql"):
            shutil.copytree(ROOT / name, folder / name)

    def start(self, *words: str, **settings: str) -> subprocess.Popen[str]:
        """Begin `lakehouse demo <words>`; settings are `LAKEHOUSE_*` variables."""
        outer = {name: value for name, value in os.environ.items() if not name.startswith("LAKEHOUSE_")}
        inner = {f"LAKEHOUSE_{name}": value for name, value in settings.items()}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = (PROGRAM, "demo", *words)
        process = subprocess.Popen(command, cwd=self.folder, env=outer | inner, encoding="utf-8", **pipes)  # type: ignore[call-overload]
        self._started.append(process)
        return process  # type: ignore[no-any-return]

    def call(self, *words: str, **settings: str) -> Done:
        """Run it to its end."""
        with self.start(*words, **settings) as process:
            out, err = process.communicate(timeout=120)
        return Done(process.returncode, out, err)

    def end(self) -> None:
        """Kill what a test that failed has left running."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.communicate()
        end_former(self.folder / ".demo/postgres/server")
