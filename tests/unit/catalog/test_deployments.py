"""`prefect.yaml`, which Prefect reads without a word about what it does not know: each fault is told with its line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.catalog import load
from lakehouse.catalog.deployments import check_deployments
from lakehouse.errors import Fault, MetadataError
from tests.lakes import SHOP, write_project

ROOT = Path(__file__).parents[3]
FLOW = """
from prefect import flow

@flow(name="load")
def load(*, since: int, tables: list[str] = []) -> None: ...

def helper() -> None: ...
"""
FILE = """\
name: shop
pull:
  - prefect.deployments.steps.set_working_directory:
      directory: "{{ $LAKEHOUSE_PROJECT }}"
deployments:
  - name: nightly
    description: Loads the shop.
    tags: [shop]
    entrypoint: flows/load.py:load
    parameters: {since: 3}
    schedules:
      - slug: night
        cron: 30 2 * * *
        timezone: Europe/Oslo
    concurrency_limit: {limit: 1, collision_strategy: CANCEL_NEW}
    work_pool:
      name: lakehouse
      job_variables:
        env: {LAKEHOUSE_LAKE: "{{ prefect.variables.lake }}"}
  - name: by-hand
    description: Loads the shop when asked.
    entrypoint: flows/load.py:load
    work_pool: {name: lakehouse}
"""


def faults(folder: Path, old: str = "", new: str = "", **files: str) -> list[Fault]:
    """The faults of the file after one change."""
    assert old in FILE
    write_project(folder, {"prefect.yaml": FILE.replace(old, new, 1), "flows/load.py": FLOW, **files})
    return check_deployments(folder)


def test_our_own_deployments_are_sound() -> None:
    assert (ROOT / "prefect.yaml").is_file()
    assert check_deployments(ROOT) == []


def test_a_sound_file_has_no_faults(tmp_path: Path) -> None:
    assert faults(tmp_path) == []
    assert faults(tmp_path, "{limit: 1, collision_strategy: CANCEL_NEW}", "2") == []


def test_a_project_needs_no_deployments(tmp_path: Path) -> None:
    assert check_deployments(tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "words"),
    [
        ("tags:", "tag:", 8, "deployments.0.tag", "did you mean 'tags'?"),
        ("slug:", "slugg:", 12, "deployments.0.schedules.0.slugg", "did you mean 'slug'?"),
        ("limit: 1", "limt: 1", 15, "deployments.0.concurrency_limit.limt", "did you mean 'limit'?"),
        ("CANCEL_NEW", "CANCEL", 15, "deployments.0.concurrency_limit.collision_strategy", "'ENQUEUE' or 'CANCEL_NEW'"),
        ("job_variables:", "job_variable:", 18, "deployments.0.work_pool.job_variable", "did you mean 'job_variables'?"),
        (
            "      directory:",
            "      directry:",
            4,
            "pull.0.prefect.deployments.steps.set_working_directory.directry",
            "did you mean 'directory'?",
        ),
        ("set_working_directory:", "set_directory:", 3, "pull.0.prefect.deployments.steps.set_directory", "set_working_directory"),
        ("deployments:", "deployment:", 5, "deployment", "did you mean 'deployments'?"),
        ("description: Loads the shop.\n", "\n", 6, "deployments.0.description", "the key is missing"),
        ("by-hand", "nightly", 20, "deployments.1.name", "taken by deployments.0"),
        ("parameters: {since: 3}", "enforce_parameter_schema: false", 10, "deployments.0.enforce_parameter_schema", "True"),
        ("load.py:load", "lod.py:load", 9, "deployments.0.entrypoint", "did you mean 'flows/load.py'?"),
        ("load.py:load", "load.py:lod", 9, "deployments.0.entrypoint", "did you mean flows/load.py:load?"),
        ("load.py:load", "load.py:helper", 9, "deployments.0.entrypoint", "is no flow (its flows: load)"),
        ("flows/load.py:load", "load", 9, "deployments.0.entrypoint", "match pattern"),
        ("flows/load.py:load", "../load.py:load", 9, "deployments.0.entrypoint", "no file"),
        ("since: 3", "sinc: 3", 10, "deployments.0.parameters.sinc", "did you mean 'since'?"),
        ("parameters: {since: 3}", "parameters: {}", 12, "deployments.0.schedules.0.parameters", "no value for since"),
        ("30 2 * * *", "30 25 * * *", 13, "deployments.0.schedules.0.cron", "hour"),
        ("30 2 * * *", "0 30 2 * * *", 13, "deployments.0.schedules.0.cron", "five fields"),
        ("cron: 30 2 * * *", "crn: 30 2 * * *", 13, "deployments.0.schedules.0.crn", "did you mean 'cron'?"),
        ("Europe/Oslo", "Europe/Olso", 14, "deployments.0.schedules.0.timezone", "did you mean 'Europe/Oslo'?"),
        ("        timezone: Europe/Oslo\n", "", 13, "deployments.0.schedules.0.cron", "timezone"),
        ("    tags: [shop]\n", "    pull: []\n", 8, "deployments.0.pull", "empty folder"),
        ("{{ $LAKEHOUSE_PROJECT }}", "/home/ann/shop", 4, "directory", "a path of one machine"),
        ("{{ prefect.variables.lake }}", "C:/lake", 19, "LAKEHOUSE_LAKE", "a path of one machine"),
        ("{{ prefect.variables.lake }}", "postgresql://ann:pw@host/shop", 19, "LAKEHOUSE_LAKE", "a URL with a password"),
        ("{LAKEHOUSE_LAKE: ", "{LAKEHOUSE_CONNECTION__SHOP: ", 19, "LAKEHOUSE_CONNECTION__SHOP", "the worker's environment"),
        ("{LAKEHOUSE_LAKE: ", "{LAKEHOUSE_AZURE__KEY: ", 19, "LAKEHOUSE_AZURE__KEY", "the worker's environment"),
        ("{LAKEHOUSE_LAKE: ", "{AZURE_CLIENT_SECRET: ", 19, "AZURE_CLIENT_SECRET", "the worker's environment"),
        ("{{ $LAKEHOUSE_PROJECT }}", "{{ LAKEHOUSE_PROJECT }}", 4, "directory", "does not know"),
        ("tags: [shop]", "tags: &tags [shop]", 8, "", "anchors"),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path: Path, old: str, new: str, line: int, key: str, words: str) -> None:
    found = faults(tmp_path, old, new)
    assert [(fault.file, fault.line) for fault in found if words in str(fault) and fault.key.endswith(key)] == [("prefect.yaml", line)]


def test_the_value_of_a_secret_is_not_shown(tmp_path: Path) -> None:
    found = faults(tmp_path, "{{ prefect.variables.lake }}", "postgresql://ann:hunter2@host/shop")
    assert found
    assert "hunter2" not in "".join(map(str, found))


def test_all_faults_come_at_once_and_with_those_of_the_metadata(tmp_path: Path) -> None:
    broken = FILE.replace("tags:", "tag:").replace("load.py:load", "lod.py:load").replace("Europe/Oslo", "Oslo")
    tables = {"metadata/sources/shop.yml": "conection: shop\n"}
    project = write_project(tmp_path, {**SHOP, **tables, "prefect.yaml": broken, "flows/load.py": FLOW})
    with pytest.raises(MetadataError) as caught:
        load(project, deep=True)
    lines = [(fault.file, fault.line) for fault in caught.value.faults if fault.file == "prefect.yaml"]
    assert lines == [("prefect.yaml", line) for line in (8, 9, 14, 22)]
    assert "metadata/sources/shop.yml" in {fault.file for fault in caught.value.faults}


def test_a_run_does_not_look_at_the_deployments(tmp_path: Path) -> None:
    assert load(write_project(tmp_path, {**SHOP, "prefect.yaml": "deployments: nonsense\n"})).tables


@pytest.mark.parametrize(
    "text", ["deployments: [", "deployments:\n", "[1]\n", "", "deployments: [1, {name: [x]}]\n", "pull: 3\ndeployments: 4\n"]
)
def test_a_broken_file_is_a_fault_and_no_crash(tmp_path: Path, text: str) -> None:
    write_project(tmp_path, {"prefect.yaml": text})
    assert check_deployments(tmp_path)


@pytest.mark.parametrize("text", ["def load(:", "\0", "x = 1"])
def test_a_flow_that_cannot_be_read_is_a_fault_and_is_not_run(tmp_path: Path, text: str) -> None:
    found = faults(tmp_path, **{"flows/load.py": text + "\n"})
    assert [fault.key for fault in found] == ["deployments.0.entrypoint", "deployments.1.entrypoint"]
