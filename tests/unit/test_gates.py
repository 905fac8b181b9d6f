"""Each gate of `make check` fails on the fault it is there for, with the settings of this repository."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sysconfig.get_path("scripts"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project with our settings."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.fixture
def house(project: Path) -> Path:
    """Our package's modules and our flows, to plant a fault in."""
    for module in (*(ROOT / "lakehouse").rglob("*.py"), *(ROOT / "flows").glob("*.py")):
        copy = project / module.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(module, copy)
    return project / "lakehouse"


def plant(module: Path, *lines: str) -> None:
    """Append the lines to the module, which may be new, in a new folder."""
    module.parent.mkdir(parents=True, exist_ok=True)
    with module.open("a", encoding="utf-8") as file:
        file.write("\n".join(("", *lines, "")))


def refusal(project: Path, *command: str | Path) -> str:
    """What the command printed while it refused the project; one that accepts it fails the test."""
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def broken_law(house: Path, contract: str) -> str:
    """What import-linter says against the planted house, under one contract, in one line."""
    law = (SCRIPTS / "lint-imports", "--no-cache", "--no-logo", "--contract", contract)
    said = " ".join(refusal(house.parent, *law).split())
    assert "0 kept, 1 broken" in said
    return said


def test_format(project: Path) -> None:
    (project / "planted.py").write_text("answer = { 'a':1 }\n", encoding="utf-8")
    assert "planted.py" in refusal(project, sys.executable, "-m", "ruff", "format", "--no-cache", "--check", ".")


def test_lint(project: Path) -> None:
    (project / "planted.py").write_text('import os\n\nprint("left behind")\n', encoding="utf-8")
    said = refusal(project, sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise", ".")
    assert {"F401", "T201"} <= set(said.split())


def test_types(project: Path) -> None:
    (project / "planted.py").write_text("def double(x):\n    return 2 * x\n", encoding="utf-8")
    assert "[no-untyped-def]" in refusal(project, sys.executable, "-m", "mypy", "--cache-dir", project / "cache", "planted.py")


def test_no_import_points_up(house: Path) -> None:
    plant(house / "errors.py", "import lakehouse.cli")
    assert "lakehouse.errors is not allowed to import lakehouse.cli" in broken_law(house, "layers")


def test_no_import_points_up_by_way_of_the_package(house: Path) -> None:
    plant(house / "__init__.py", "import lakehouse.api")
    plant(house / "errors.py", "from lakehouse import Lakehouse")
    assert "lakehouse.errors is not allowed to import lakehouse.api" in broken_law(house, "layers")


def test_no_edge_knows_another(house: Path) -> None:
    plant(house / "storage" / "planted.py", "import lakehouse.sources")
    assert "lakehouse.storage is not allowed to import lakehouse.sources" in broken_law(house, "layers")


def test_no_folder_without_a_place(house: Path) -> None:
    plant(house / "utils" / "__init__.py")
    assert "lakehouse.utils" in broken_law(house, "layers")


def test_no_stage_knows_another(house: Path) -> None:
    plant(house / "stages" / "planted.py", "import lakehouse.stages.bronze")
    assert "lakehouse.stages.planted is not allowed to import lakehouse.stages.bronze" in broken_law(house, "stages")


def test_no_circle_in_a_room(house: Path) -> None:
    plant(house / "model" / "planted_hen.py", "import lakehouse.model.planted_egg")
    plant(house / "model" / "planted_egg.py", "import lakehouse.model.planted_hen")
    assert "planted_egg" in broken_law(house, "circles")


def test_only_the_cli_knows_the_simulator(house: Path) -> None:
    plant(house / "api.py", "import lakehouse.demo")
    assert "lakehouse.api -> lakehouse.demo" in broken_law(house, "simulator")


@pytest.mark.parametrize("inside", ["lakehouse.pipeline.run", "lakehouse.settings", "polars"])
def test_a_flow_knows_only_the_door(house: Path, inside: str) -> None:
    plant(house.parent / "flows" / "daily.py", f"import {inside}")
    assert f"flows.daily -> {inside}" in broken_law(house, "flows")


def test_no_module_knows_the_flows(house: Path) -> None:
    plant(house / "api.py", "import flows.daily")
    assert "lakehouse.api -> flows.daily" in broken_law(house, "prefect")


@pytest.mark.parametrize(
    ("contract", "library"),
    [
        ("azure", "adlfs"),
        ("azure", "azure"),
        ("connectorx", "connectorx"),
        ("deltalake", "deltalake"),
        ("duckdb", "duckdb"),
        ("openssl", "OpenSSL"),
        ("prefect", "prefect"),
        ("psycopg2", "psycopg2"),
        ("pymysql", "pymysql"),
        ("pytds", "pytds"),
        ("terminal", "rich"),
        ("terminal", "typer"),
    ],
)
def test_a_library_has_one_owner(house: Path, contract: str, library: str) -> None:
    plant(house / "pipeline" / "planted.py", f"import {library}")
    assert f"lakehouse.pipeline.planted -> {library}" in broken_law(house, contract)


def test_a_warning_is_an_error(project: Path) -> None:
    test = project / "tests" / "test_planted.py"
    plant(test, "import warnings", "def test_planted():", "    warnings.warn('left behind')")
    assert "UserWarning: left behind" in refusal(project, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", test)
