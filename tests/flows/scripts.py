"""The flows as plain scripts, started as a person starts them."""

from __future__ import annotations

import subprocess
import sys

from tests.cli.project import Project
from tests.flows.prefect import bare_environment


def environment(project: Project, **given: str) -> dict[str, str]:
    """What a script is told; nothing of a server, unless it is given."""
    settings = {"LAKEHOUSE_CONNECTION__SHOP": project.url, "LAKEHOUSE_CLOCK": "2024-02-01T00:00:00Z"}
    return bare_environment() | {"PREFECT_HOME": str(project.folder / "prefect"), **settings, **given}


def call(project: Project, *words: str, **given: str) -> subprocess.CompletedProcess[str]:
    """Run a script in the project's folder."""
    command, env = (sys.executable, *words), environment(project, **given)
    return subprocess.run(command, cwd=project.folder, env=env, capture_output=True, text=True, timeout=180, check=False)
