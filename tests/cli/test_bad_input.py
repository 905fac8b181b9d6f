"""Bad input: one clear error with its next step on stderr, the right exit code, and the lake as it was."""

import json
import re
import time
from collections.abc import Callable

import pytest

from tests.cli.project import Done, Project
from tests.servers import Postgres, address, free_port

USAGE, FAILED, QUALITY = 2, 1, 3


def require_one_error(done: Done, code: int, *words: str) -> None:
    """The command ended with `code` and said on stderr, once and in one paragraph, what to do next."""
    assert done.code == code, done.err
    assert re.findall("^Error: ", done.err, re.MULTILINE) == ["Error: "]
    assert done.err.startswith("Error: ")
    assert not re.search(r"Traceback|panicked|File \"|lakehouse/\w+/\w+\.py|unexpected \w+(Error|Exception)", done.err + done.out)
    assert re.search(r"(^|[.?] )[A-Z`][^\n]*[.?]\Z", done.err.rstrip(), re.MULTILINE), f"no next step: {done.err}"
    for word in words:
        assert word in done.err, done.err


def require_failed_run(project: Project, code: int, *words: str, **settings: str | None) -> None:
    """`run -o json` fails with one error, says so in its JSON too, and leaves the lake as it was."""
    before = project.tree()
    done = project.call("run", "-o", "json", **settings)
    require_one_error(done, code, *words)
    assert project.tree() == before
    assert done.json["status"] == "failed"
    failed = [step for step in done.json["steps"] if step["status"] == "failed"]
    assert len(failed) == 1
    assert failed[0]["error"]["message"] in done.err
    assert all(step["error"]["message"] for step in done.json["steps"] if step["status"] == "skipped")


def require_refusal(project: Project, *words: str, command: tuple[str, ...] = ("run", "-o", "json"), **settings: str | None) -> None:
    """The command is misuse: exit code 2, one error, nothing on stdout, nothing written, the ledger neither."""
    before = project.tree(ledger=True)
    done = project.call(*command, **settings)
    require_one_error(done, USAGE, *words)
    assert done.out == ""
    assert project.tree(ledger=True) == before


def only_users(project: Project) -> Project:
    """The project with one table, so that one thing can fail."""
    for name in ("metadata/tables/shop/orders.yml", "metadata/models/fact_order.yml", "sql/gold/fact_order.sql"):
        (project.folder / name).unlink()
    return project


def test_wrong_password(loaded: Project, postgres: Postgres) -> None:
    url = address(postgres.port, "postgres", "hunter2")
    only_users(loaded)
    require_failed_run(loaded, FAILED, "refuses the login", "user and password", CONNECTION__SHOP=url)
    assert "hunter2" not in json.dumps(loaded.call("history", "-o", "json").json)


def test_dead_host(loaded: Project) -> None:
    only_users(loaded)
    begun = time.monotonic()
    require_failed_run(loaded, FAILED, "does not answer", "host and port", CONNECTION__SHOP=address(free_port(), "shop"))
    assert time.monotonic() - begun < 15


def test_several_tables_of_one_dead_source_fail_with_one_error_each(loaded: Project) -> None:
    done = loaded.call("run", "-o", "json", CONNECTION__SHOP=address(free_port(), "shop"))
    assert done.code == FAILED
    assert [step["status"] for step in done.json["steps"]].count("failed") == done.err.count("does not answer") == 2


def test_missing_file(loaded: Project) -> None:
    require_failed_run(only_users(loaded), FAILED, "no such SQLite file", CONNECTION__SHOP="sqlite://gone.db")


def test_missing_table(loaded: Project) -> None:
    loaded.change("drop table Users")
    require_failed_run(only_users(loaded), FAILED, "table Users does not exist", "Correct `from`")


def test_missing_column(loaded: Project) -> None:
    loaded.change("alter table Users rename column name to full_name")
    require_failed_run(only_users(loaded), FAILED, "no column name", "full_name", "metadata/tables/shop/users.yml")


def test_null_cursor(loaded: Project) -> None:
    loaded.change("insert into Users values (3, 'Cyd', null)")
    require_failed_run(only_users(loaded), QUALITY, "cursor updated_at is NULL", "Correct these rows in the source")


def test_value_that_does_not_fit(loaded: Project) -> None:
    loaded.change("insert into Users values (2147483648, 'Cyd', '2024-01-05 10:00:00')")
    require_failed_run(only_users(loaded), FAILED, "column user_id", "Declare the column")


def test_value_of_another_kind(loaded: Project) -> None:
    loaded.change("insert into Users values (3, 'Cyd', '2024-01-05 25:61:00')")
    require_failed_run(only_users(loaded), FAILED, "column updated_at")


def test_text_in_a_number_column(loaded: Project) -> None:
    loaded.change("drop table Users; create table Users (user_id integer, name text, updated_at datetime)")
    loaded.change("insert into Users values ('seven', 'Cyd', '2024-01-05 10:00:00')")
    require_failed_run(only_users(loaded), FAILED, "user_id")


def test_file_that_is_no_database(loaded: Project) -> None:
    (loaded.folder / "shop.db").write_bytes(b"no database " * 100)
    require_failed_run(only_users(loaded), FAILED, "SQLite")


def test_model_that_cannot_be_run(loaded: Project) -> None:
    loaded.replace("sql/gold/dim_user.sql", "name,", "name::integer as name,")
    require_failed_run(only_users(loaded), FAILED, "gold", "dim_user")


def test_one_failing_table_stops_only_what_depends_on_it(loaded: Project) -> None:
    loaded.change("drop table Users; insert into Orders values (13, 1, 5, '2024-01-06 12:00:00')")
    done = loaded.call("run", "-o", "json")
    steps = {(step["step"], step["table"]): step["status"] for step in done.json["steps"]}
    assert done.code == FAILED
    assert (steps["bronze", "users"], steps["silver", "users"], steps["gold", "dim_user"]) == ("failed", "skipped", "skipped")
    assert (steps["bronze", "orders"], steps["silver", "orders"]) == ("success", "success")


def test_missing_connection_variable(loaded: Project) -> None:
    before = loaded.tree()
    done = only_users(loaded).call("run", "-o", "json", CONNECTION__SHOP=None)
    require_one_error(done, USAGE, "LAKEHOUSE_CONNECTION__SHOP", "Set the variable")
    assert done.json["status"] == "failed"
    assert loaded.tree() == before


@pytest.mark.parametrize(
    "url", ["oracle://lake:hunter2@host/shop", "postgresql://lake:hunter2@host:port/shop", "postgresql://lake:hunter2@[::1/shop", "hunter2"]
)
def test_connection_that_names_no_database(loaded: Project, url: str) -> None:
    before = loaded.tree()
    done = only_users(loaded).call("run", "-o", "json", CONNECTION__SHOP=url)
    require_one_error(done, USAGE)
    assert "hunter2" not in done.err + done.out
    assert loaded.tree() == before


USERS, FACT = "metadata/tables/shop/users.yml", "sql/gold/fact_order.sql"


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda p: p.replace(USERS, "cursor:", "curser:"), (f"{USERS}:4: curser", "unknown key", "did you mean 'cursor'?")),
        (lambda p: p.write(USERS, "from: [\n"), (USERS, "no YAML")),
        (lambda p: p.write(FACT, "delete from silver.orders\n"), (FACT, "expected one SELECT, given DELETE")),
        (lambda p: p.write(FACT, "drop table silver.orders; select 1 as order_id\n"), (FACT, "2 statements")),
        (lambda p: p.write(FACT, "copy silver.orders to 'stolen.csv'\n"), (FACT,)),
        (lambda p: p.write(FACT, "select order_id from silver.order\n"), (FACT, "silver.orders")),
        (lambda p: (p.folder / "metadata/sources/shop.yml").unlink(), ("shop",)),
    ],
    ids=["key", "yaml", "delete", "two", "copy", "table", "source"],
)
def test_fault_in_the_metadata(loaded: Project, break_it: Callable[[Project], object], words: tuple[str, ...]) -> None:
    break_it(loaded)
    require_refusal(loaded, *words, "lakehouse validate")
    assert not (loaded.folder / "stolen.csv").exists()


def test_all_faults_are_reported_at_once(loaded: Project) -> None:
    loaded.replace(USERS, "cursor:", "curser:")
    loaded.write(FACT, "delete from silver.orders\n")
    require_refusal(loaded, "2 faults", USERS, FACT)
    done = loaded.call("validate", "-o", "json")
    assert done.code == USAGE
    assert done.json["valid"] is False
    assert [set(fault) for fault in done.json["faults"]] == [{"file", "line", "key", "what", "hint"}] * 2
    assert {fault["file"] for fault in done.json["faults"]} == {USERS, FACT}


def test_unknown_selection(loaded: Project) -> None:
    require_refusal(loaded, "'user+'", "Did you mean 'users'?", command=("run", "--select", "user+", "-o", "json"))
    require_refusal(loaded, "tag:nightly", command=("plan", "-s", "tag:nightly"))


def test_unknown_table_to_rebuild(loaded: Project) -> None:
    require_refusal(loaded, "silver.user", command=("run", "--rebuild", "silver.user"))


@pytest.mark.parametrize(
    "sql",
    [
        "select nothing from silver.users",
        "select * from silver.nobody",
        "delete from silver.users",
        "copy (select 1) to 'stolen.csv'",
        "select * from read_text('shop.db')",
        "with a as (insert into silver.users select 1) select 1",
    ],
)
def test_bad_query(loaded: Project, sql: str) -> None:
    require_refusal(loaded, command=("query", sql, "-o", "json"))
    assert not (loaded.folder / "stolen.csv").exists()


@pytest.mark.parametrize(("name", "value"), [("CLOCK", "yesterday"), ("MEMORY_LIMIT", "much"), ("BATCH_ROWS", "0")])
def test_setting_that_cannot_be_read(loaded: Project, name: str, value: str) -> None:
    before = loaded.tree(ledger=True)
    done = loaded.call("run", "-o", "json", **{name: value})
    require_one_error(done, USAGE, f"LAKEHOUSE_{name}")
    assert (done.out, loaded.tree(ledger=True)) == ("", before)


def test_lake_on_an_unknown_store(loaded: Project) -> None:
    require_refusal(loaded, "ftp", LAKE="ftp://host/lake")


@pytest.mark.parametrize("command", ["run", "validate"])
def test_missing_project_folder(loaded: Project, command: str) -> None:
    require_refusal(loaded, "gone", command=(command, "--project", "gone"))
    assert not (loaded.folder / "gone").exists()


@pytest.mark.parametrize("words", [("run", "--selekt", "users"), ("rum",), ("query",), ("run", "-o", "xml"), ("history", "--limit", "0")])
def test_misuse_of_the_command_line(loaded: Project, words: tuple[str, ...]) -> None:
    before = loaded.tree(ledger=True)
    done = loaded.call(*words)
    assert (done.code, done.out) == (USAGE, "")
    assert "Error" in done.err
    assert "Traceback" not in done.err
    assert loaded.tree(ledger=True) == before


def test_debug_shows_the_traceback(loaded: Project, postgres: Postgres) -> None:
    done = loaded.call("--debug", "query", "selec 1", CONNECTION__SHOP=address(postgres.port, "postgres", "hunter2"))
    assert done.code == USAGE
    assert "Traceback" in done.err
    assert "hunter2" not in done.err


@pytest.mark.parametrize(("name", "value"), [("CONNECTION", "postgresql://u:s3cret@h/d"), ("LAYER", "gold"), ("AZURE", "x")])
def test_a_variable_without_its_name_is_one_clear_error(project: Project, name: str, value: str) -> None:
    done = project.call("plan", **{name: value})
    assert done.code == 2
    assert f"LAKEHOUSE_{name} cannot be read" in done.err
    assert "s3cret" not in done.err + done.out


def test_an_env_file_that_is_no_text_is_one_clear_error(project: Project) -> None:
    (project.folder / ".env").write_bytes("LAKEHOUSE_LAKE=läke".encode("latin-1"))
    for command in ("plan", "doctor"):
        done = project.call(command)
        assert done.code in (1, 2)
        assert "UTF-8" in done.err + done.out
        assert "Traceback" not in done.err
        assert "unexpected" not in done.err


def test_an_empty_variable_is_as_if_it_were_not_set(project: Project) -> None:
    assert project.call("run", LAKE="").code == 0
    assert (project.folder / "lake/bronze").is_dir()
    assert not (project.folder / "bronze").exists()
