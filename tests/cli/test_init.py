"""`lakehouse init` makes a project that is valid as it stands, and never touches what is there."""

import json
import os
import re
import subprocess
from pathlib import Path

from lakehouse.catalog import load
from lakehouse.pipeline.skeleton import ENVIRONMENT
from lakehouse.settings import Settings
from tests.cli.project import PROGRAM


def call(folder: Path, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder, without connections or a lake of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LAKEHOUSE_")}
    return subprocess.run((PROGRAM, *words), cwd=folder, env=clean | environment, capture_output=True, text=True, check=False, timeout=60)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_project_is_valid_and_says_what_is_next(tmp_path: Path) -> None:
    done = call(tmp_path, "init", "my shop")
    assert (done.returncode, done.stderr) == (0, "")
    project = tmp_path / "my shop"
    assert sorted(content(project)) == [
        ".env.example",
        ".gitignore",
        *(f"metadata/schema/{kind}.json" for kind in ("model", "source", "table", "test")),
    ]
    assert all(f"{word} shop" in done.stdout or word in done.stdout for word in ("cd '", "LAKEHOUSE_CONNECTION__", "discover", "doctor"))
    assert load(project, deep=True).tables == {}
    assert call(project, "schema", "--check").returncode == 0
    assert call(project, "run").returncode == 0


def test_here(tmp_path: Path) -> None:
    done = call(tmp_path, "init", "-o", "json")
    assert json.loads(done.stdout)["project"] == str(tmp_path)
    assert json.loads(done.stdout)["left"] == []
    assert "cd " not in done.stdout
    assert (tmp_path / "sql/gold").is_dir()


def test_a_project_is_never_overwritten(tmp_path: Path) -> None:
    call(tmp_path, "init")
    before = content(tmp_path)
    done = call(tmp_path, "init")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ")
    assert "discover" in done.stderr
    assert content(tmp_path) == before


def test_files_of_a_repository_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.tmp\n", encoding="utf-8")
    done = call(tmp_path, "init")
    assert (tmp_path / ".gitignore").read_text(encoding="utf-8") == "*.tmp\n"
    assert "Left as it is: .gitignore" in done.stdout
    assert ".env" in done.stderr


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert call(tmp_path, "init", "file").returncode == 2
    assert call(tmp_path, "init", "file/below").returncode == 1
    assert sorted(content(tmp_path)) == ["file"]


def test_git_sees_neither_secrets_nor_data(tmp_path: Path) -> None:
    call(tmp_path, "init")
    assert (tmp_path / ".gitignore").read_text(encoding="utf-8").splitlines() == [".env", "/lake/"]


def test_the_example_names_settings_that_there_are_and_sets_none(tmp_path: Path) -> None:
    names = re.findall(r"^# LAKEHOUSE_(\w+)=$", ENVIRONMENT, re.MULTILINE)
    assert {name.partition("__")[0].lower() for name in names} <= set(Settings.model_fields)
    assert len(names) == ENVIRONMENT.count("=")
    (tmp_path / ".env").write_text(ENVIRONMENT, encoding="utf-8")
    assert Settings.load(tmp_path) == Settings.load(tmp_path / "elsewhere")
