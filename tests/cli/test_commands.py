"""The commands' JSON has stable keys, what only looks writes nothing, and the start stays light."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from typer.main import get_command

from lakehouse import __version__
from lakehouse.cli.main import COMMANDS, commands
from tests.cli.project import PROGRAM, ROWS, SOURCE, Project
from tests.servers import Postgres

RUN = ["run_id", "status", "started_at", "seconds", "steps"]
STEP = ["step", "table", "status", "rows_in", "rows_out", "rejected", "seconds", "version"]
STATUS = ["layer", "table", "rows", "version", "watermark", "lag_seconds", "freshness", "last_run", "failed_checks"]
IDLE = {"pyarrow.compute", "pyarrow.dataset", "polars", "duckdb", "rich", "asyncio", "dotenv", "pydantic_settings", "azure", "psycopg2"}
HEAVY = {"polars", "duckdb", "deltalake", "pyarrow", "connectorx", "psycopg", "sqlglot", "obstore"}


def test_run(project: Project) -> None:
    done = project.call("run", "-o", "json")
    assert done.code == 0, done.err
    assert list(done.json) == RUN
    assert done.json["status"] == "success"
    assert datetime.fromisoformat(done.json["started_at"]) == datetime(2024, 2, 1, tzinfo=UTC)
    assert all(list(step)[: len(STEP)] == STEP for step in done.json["steps"])
    order = [(step["step"], step["table"]) for step in done.json["steps"]]
    assert order.index(("silver", "users")) < order.index(("gold", "dim_user"))
    rows = {f"{step['step']}.{step['table']}": step["rows_out"] for step in done.json["steps"]}
    assert rows.items() >= ROWS.items()
    assert {step["rejected"] for step in done.json["steps"]} == {0}


def test_postgresql_gives_the_same_star(loaded: Project, postgres: Postgres) -> None:
    star = ("query", "select * from gold.fact_order order by all", "-o", "json")
    before = loaded.call(*star).json
    url = postgres.create_database(f"star {uuid4()}")
    with psycopg.connect(url) as connection:
        connection.execute(SOURCE.replace("datetime", "timestamp").encode())
    (loaded.folder / "lake").rename(loaded.folder / "old")
    assert loaded.call("run", CONNECTION__SHOP=url).code == 0
    assert loaded.call(*star).json == before


def test_a_second_run_changes_nothing(loaded: Project) -> None:
    before = loaded.tree()
    done = loaded.call("run", "-o", "json")
    assert (done.code, done.json["status"]) == (0, "unchanged")
    assert {step["status"] for step in done.json["steps"]} == {"unchanged"}
    assert {step["rows_out"] for step in done.json["steps"]} == {0}
    assert loaded.tree() == before


def test_a_run_says_its_id_to_people(project: Project) -> None:
    done = project.call("run")
    run_id = project.call("history", "-o", "json").json[0]["run_id"]
    assert run_id in done.out
    assert "\x1b" not in done.out + done.err


@pytest.mark.parametrize(
    ("word", "tables"),
    [
        ("users+", {"users", "dim_user", "fact_order"}),
        ("+dim_user,tag:daily", {"users", "dim_user", "orders"}),
    ],
)
def test_a_selection(loaded: Project, word: str, tables: set[str]) -> None:
    assert {row["table"] for row in loaded.call("plan", "--select", word, "-o", "json").json} == tables


def test_a_selected_run_touches_nothing_else(project: Project) -> None:
    done = project.call("run", "--select", "users", "-o", "json")
    assert [(step["step"], step["table"]) for step in done.json["steps"]] == [("bronze", "users"), ("silver", "users")]
    assert {tuple(name.split("/")[:2]) for name in project.tree()} == {("bronze", "users"), ("silver", "users")}


def test_a_full_refresh_reads_again_as_a_new_batch(loaded: Project) -> None:
    done = loaded.call("run", "--select", "users", "--full-refresh", "-o", "json")
    assert done.json["steps"][0]["rows_out"] == 2
    sql = "select (select count(distinct _batch) from bronze.users) as batches, (select count(*) from silver.users) as versions"
    assert loaded.call("query", sql, "-o", "json").json == [{"batches": 2, "versions": 2}]


def test_a_rebuild_gives_the_same_rows(loaded: Project) -> None:
    rows = ("query", "select * exclude (_batch) from silver.users order by all", "-o", "json")
    before = loaded.call(*rows).json
    assert loaded.call("run", "--rebuild", "silver.users").code == 0
    assert loaded.call(*rows).json == before


def test_status(loaded: Project) -> None:
    rows = {(row["layer"], row["table"]): row for row in loaded.call("status", "-o", "json").json}
    assert all(list(row) == STATUS for row in rows.values())
    assert {f"{layer}.{table}": row["rows"] for (layer, table), row in rows.items()}.items() >= ROWS.items()
    assert datetime.fromisoformat(rows["bronze", "users"]["watermark"]) == datetime(2024, 1, 2, 10, tzinfo=UTC)
    assert rows["bronze", "users"]["lag_seconds"] == (29 * 24 + 14) * 3600
    assert {row["last_run"] for row in rows.values()} == {"success"}
    assert rows["silver", "orders"]["failed_checks"] == 1
    assert all(isinstance(row["version"], int) and row["freshness"] for row in rows.values())


def test_plan(loaded: Project) -> None:
    rows = loaded.call("plan", "-o", "json").json
    assert all(list(row)[:4] == ["step", "table", "action", "reason"] for row in rows)
    assert {(row["step"], row["table"]) for row in rows} >= {("bronze", "users"), ("silver", "orders"), ("gold", "fact_order")}


def test_query(loaded: Project) -> None:
    sql = "select o.order_id, o.amount, u.name, o.ordered_at, null as nothing from gold.fact_order o join gold.dim_user u using (user_key)"
    done = loaded.call("query", sql + " where o.order_id < 12 order by 1", "-o", "json")
    first = {"order_id": 10, "amount": "9.99", "name": "Ann", "ordered_at": "2024-01-03T12:00:00+00:00", "nothing": None}
    second = {"order_id": 11, "amount": "0.10", "name": "Bob ü", "ordered_at": "2024-01-04T12:00:00+00:00", "nothing": None}
    assert done.json == [first, second]
    assert done.err == ""
    assert loaded.call("query", "select * from gold.dim_user where false", "-o", "json").json == []


def test_query_in_text_shows_what_looks_like_markup(loaded: Project) -> None:
    assert "[red]x[/red]" in loaded.call("query", "select '[red]x[/red]' as \"[bold]\"").out


def test_history(loaded: Project) -> None:
    loaded.call("run", "--select", "users", CLOCK="2024-02-02T00:00:00Z")
    rows = loaded.call("history", "-o", "json").json
    wanted = {"run_id", "run_status", "run_started_at", "run_seconds", "window", "failed_checks", "error", *STEP}
    assert all(set(row) >= wanted for row in rows)
    assert [row["run_status"] for row in rows[:2]] == ["unchanged"] * 2
    assert len({row["run_id"] for row in loaded.call("history", "--limit", "1", "-o", "json").json}) == 1
    assert len({row["run_id"] for row in rows}) == 2


def test_validate(loaded: Project) -> None:
    done = loaded.call("validate", "-o", "json")
    assert (done.code, done.json) == (0, {"valid": True, "faults": [], "notes": [], "sources": 1, "tables": 2, "models": 2})


@pytest.mark.parametrize("words", [("plan",), ("validate",), ("status",), ("history",), ("query", "select 1 as a")])
def test_what_only_looks_writes_nothing(loaded: Project, words: tuple[str, ...]) -> None:
    def everything() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in loaded.folder.rglob("*") if path.is_file()}

    before = everything()
    assert loaded.call(*words, CONNECTION__SHOP=None).code == 0
    assert everything() == before


@pytest.mark.parametrize("words", [("plan",), ("status",), ("history",)])
def test_a_lake_that_is_not_there_yet(project: Project, words: tuple[str, ...]) -> None:
    done = project.call(*words, "-o", "json")
    assert done.code == 0, done.err
    assert done.json or words == ("history",)
    assert not (project.folder / "lake").exists()


def test_a_project_elsewhere_and_a_lake_elsewhere(loaded: Project) -> None:
    (loaded.folder / "lake").rename(loaded.folder / "other lake")
    words = ("query", "select count(*) as n from silver.users", "-o", "json", "--project", str(loaded.folder))
    assert Project(loaded.folder.parent).call(*words, LAKE="other lake").json == [{"n": 2}]


def test_connections_come_from_the_env_file_too(project: Project) -> None:
    project.write(".env", f"LAKEHOUSE_CONNECTION__SHOP={project.url}\nUNRELATED=1\n")
    assert project.call("run", "--select", "users", CONNECTION__SHOP=None).code == 0


def loads(code: str) -> set[str]:
    """The heavy modules that are loaded after `code`."""
    return HEAVY & modules(code)


def modules(code: str) -> set[str]:
    """All modules that are loaded after `code`."""
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint(' '.join(sys.modules), file=sys.stderr)"
    done = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True, check=True, timeout=60)
    return set(done.stderr.splitlines()[-1].split())


def test_the_package_and_the_help_load_nothing_heavy() -> None:
    assert loads("import lakehouse") == set()
    assert loads("import lakehouse.cli.main as m; sys.argv = ['lakehouse', '--help']; m.main()") == set()
    assert loads("import lakehouse.cli.main as m; sys.argv = ['lakehouse', 'run', '--help']; m.main()") == set()


def test_a_run_without_changes_loads_no_engine(loaded: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in loaded.environment().items():
        monkeypatch.setenv(name, value)
    found = modules(f"import lakehouse.cli.main as m; sys.argv = ['lakehouse', 'run', '--project', {str(loaded.folder)!r}]; m.main()")
    assert found >= {"deltalake", "connectorx", "lakehouse.stages.bronze"}
    assert found & IDLE == set()


def test_the_program_ends_with_its_code_and_all_it_said() -> None:
    start = (sys.executable, "-m", "lakehouse")
    assert (
        subprocess.run((*start, "--version"), capture_output=True, text=True, check=True, timeout=60).stdout == f"lakehouse {__version__}\n"
    )
    assert subprocess.run((*start, "rum"), capture_output=True, check=False, timeout=60).returncode == 2
    with Path("/dev/full").open("w") as full:
        done = subprocess.run((*start, "--version"), stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "No space left" in done.stderr


def test_each_command_alone_is_as_among_all() -> None:
    among = options(())
    assert sorted(among) == sorted(COMMANDS)
    assert all(options((name,)) == {name: among[name]} for name in COMMANDS)
    assert list(options(("--debug", "run"))) == ["run"]


def options(words: tuple[str, ...]) -> dict[str, list[str | None]]:
    """Each command that these words may need, with the names of what it takes."""
    group: Any = get_command(commands(words))
    return {name: [option.name for option in command.params] for name, command in group.commands.items()}


def test_help_names_every_command() -> None:
    done = subprocess.run((PROGRAM, "--help"), capture_output=True, text=True, check=True, timeout=60)
    assert all(f"  {command} " in done.stdout for command in ("demo", "validate", "plan", "run", "status", "query", "history"))


def test_the_module_is_the_program() -> None:
    done = subprocess.run((sys.executable, "-m", "lakehouse", "--version"), capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert __version__ in done.stdout
