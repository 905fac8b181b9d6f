"""The page about personal data, walked as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.cli.project import PROGRAM, Project

PAGE = Path(__file__).parents[2] / "docs" / "personal-data.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PEOPLE = """
create table people (email text primary key, phone text, name text, nick text, notes text, changed_at datetime);
insert into people values (' ADA@example.org', '+44 20 1234', 'Ada Byron', 'ada', 'a note', '2024-01-01');
"""


def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    project = Project.make(tmp_path)
    project.change(PEOPLE)
    (file,) = [text for kind, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if kind == "yaml"]
    project.write(file.splitlines()[0].removeprefix("# "), file)
    script = "".join(text for kind, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if kind == "sh")
    settings = project.environment()
    path = {"PATH": f"{PROGRAM.parent}{os.pathsep}{settings['PATH']}"}
    command = ("bash", "-euo", "pipefail", "-c", script)
    done = subprocess.run(command, cwd=project.folder, env=settings | path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Xxx Xxxxx" in done.stdout
    assert "+44 20 1234" in done.stdout.splitlines()
    assert "key people is rotated from version 1 to 2" in done.stdout.replace("\n", " ")
    assert not [word for word in ("ada@example", "byron", "a note") if word in (done.stdout + done.stderr).lower()]
