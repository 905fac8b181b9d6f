"""Projects for the command line: one that never ran, and one that did."""

import shutil
from pathlib import Path

import pytest

from tests.cli.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project that has never run."""
    return Project.make(tmp_path)


@pytest.fixture(scope="session")
def _loaded(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project.make(tmp_path_factory.mktemp("loaded"))
    done = made.call("run")
    assert done.code == 0, done.err
    return made


@pytest.fixture
def loaded(_loaded: Project, tmp_path: Path) -> Project:
    """A project whose lake holds one run."""
    shutil.copytree(_loaded.folder, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)
