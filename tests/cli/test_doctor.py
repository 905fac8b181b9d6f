"""`lakehouse doctor` finds what is wrong, says how to mend it, and neither hangs nor tells a secret."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import obstore
import psycopg
import pytest

from lakehouse import Lakehouse
from lakehouse.model.health import Check
from lakehouse.pipeline import doctor as room
from lakehouse.pipeline.skeleton import make_project
from lakehouse.settings import Azure
from lakehouse.sources.connect import connect
from lakehouse.sources.server import ask
from lakehouse.storage.place import Places
from tests.bridge import Bridge
from tests.bridge import address as bridge_address
from tests.cli.project import Project
from tests.mariadb import Mariadb
from tests.servers import PASSWORD, Azurite, Postgres, address
from tests.stores import make_container

SOME_SECONDS = 20
ORDER = ("ok", "warn", "fail")


def worst(listed: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    """Checks by their names; of several with one name the worst."""
    assert all(list(check) == ["check", "status", "what", "fix"] for check in listed)
    assert all(check["status"] in ORDER and (check["fix"] or check["status"] == "ok") for check in listed)
    return {check["check"]: check for check in sorted(listed, key=lambda check: ORDER.index(check["status"]))}


def look(project: Project, **settings: str) -> dict[str, dict[str, str]]:
    """The checks under these settings and no others."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("LAKEHOUSE_")]:
            patch.delenv(name)
        for name, value in {"CONNECTION__SHOP": project.url, **settings}.items():
            patch.setenv(f"LAKEHOUSE_{name}", value)
        return worst([check.facts() for check in room.doctor(project.folder)])


def call(project: Project, *words: str, **settings: str | None) -> dict[str, dict[str, str]]:
    """The checks as the command prints them."""
    done = project.call("doctor", "-o", "json", *words, **{"CLOCK": None, **settings})
    assert (done.err, list(done.json)) == ("", ["status", "checks"])
    found = worst(done.json["checks"])
    assert done.json["status"] == max((check["status"] for check in found.values()), key=ORDER.index)
    assert done.code == int(done.json["status"] == "fail")
    return found


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes a connection and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_all_is_well_and_stays_as_it_was(project: Project) -> None:
    before = sorted(project.folder.rglob("*"))
    found = call(project)
    names = ["python", "libraries", "prefect", "time zones", "clock", "settings", "metadata", "connection shop", "lake", "disk of lake"]
    assert sorted(found) == sorted(names)
    assert {check["status"] for name, check in found.items() if not name.startswith("disk")} == {"ok"}
    assert found["metadata"]["what"] == "1 source, 2 tables, 2 models"
    assert "SQLite 3." in found["connection shop"]["what"]
    assert sorted(project.folder.rglob("*")) == before


def test_each_check_is_one_line(project: Project) -> None:
    done = project.call("doctor", LAEK="x")
    lines = done.out.splitlines()
    assert all(line.startswith(("ok ", "warn ", "fail ")) for line in lines[:-1])
    assert any(line.startswith("warn  settings") and line.endswith("-> Did you mean LAKEHOUSE_LAKE?") for line in lines)
    assert done.code == 0


def test_a_postgresql_with_its_version_and_clock(project: Project, postgres: Postgres) -> None:
    found = look(project, CONNECTION__SHOP=postgres.url)
    assert found["connection shop"]["what"].startswith("PostgreSQL 1")
    assert (found["connection shop"]["status"], found["clock of shop"]["status"]) == ("ok", "ok")


@pytest.mark.parametrize(("hours", "words"), [(5, "ahead of"), (-1, "behind")])
def test_a_source_whose_clock_is_wrong(project: Project, postgres: Postgres, hours: int, words: str) -> None:
    url = postgres.create_database(f"clock {hours}")
    with psycopg.connect(url, autocommit=True) as connection:
        wrong = f"select pg_catalog.clock_timestamp() + interval '{hours} hours'"
        connection.execute(f"create function public.clock_timestamp() returns timestamptz language sql as $$ {wrong} $$".encode())
        connection.execute(f'alter database "clock {hours}" set search_path = public, pg_catalog'.encode())
    check = look(project, CONNECTION__SHOP=url)["clock of shop"]
    assert check["status"] == "warn"
    assert words in check["what"]
    assert float(check["what"].partition(" ")[0].replace(",", "")) == pytest.approx(abs(hours) * 3600, abs=5)


def test_a_login_that_does_not_see_other_sessions(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.create_database("blind")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create role blind login password 'blindpassword'")
        dialects = [connect(given, tmp_path) for given in (url, f"postgresql://blind:blindpassword@127.0.0.1:{postgres.port}/blind")]
    assert ["cannot see" in ask(dialect).blind for dialect in dialects] == [False, True]
    for dialect in dialects:
        dialect.close()


def test_a_dead_host_a_wrong_password_and_a_missing_variable_stop_no_other_check(
    project: Project, postgres: Postgres, silent_port: int
) -> None:
    for name in ("dead", "silent", "wrong", "shpo"):
        project.write(f"metadata/sources/{name}.yml", f"connection: {name}\n")
    begun = time.monotonic()
    found = call(
        project,
        CONNECTION__DEAD=address(1, "x", "hunter2"),
        CONNECTION__SILENT=address(silent_port, "x", "hunter2"),
        CONNECTION__WRONG=address(postgres.port, "postgres", "hunter2"),
    )
    assert time.monotonic() - begun < SOME_SECONDS
    assert "does not answer" in found["connection dead"]["what"]
    assert "does not answer" in found["connection silent"]["what"]
    assert "refuses the login" in found["connection wrong"]["what"]
    assert found["connection shpo"]["what"] == "LAKEHOUSE_CONNECTION__SHPO is not set (there is one for 'shop')"
    assert [found[name]["status"] for name in ("connection shop", "lake", "metadata")] == ["ok"] * 3
    assert not any(secret in str(found) for secret in ("hunter2", PASSWORD))


def test_a_check_that_hangs_or_breaks_is_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PATIENCE_SECONDS", 0.2)
    release = Event()

    def hang() -> list[Check]:
        release.wait(SOME_SECONDS)
        return []

    def break_() -> list[Check]:
        raise KeyError("secret")

    waiting = room._started({"slow": hang, "broken": break_, "good": lambda: [Check("good", "ok", "well")]})  # noqa: SLF001
    found = room._gathered(waiting)  # noqa: SLF001
    release.set()
    assert [(check.check, check.status) for check in found] == [("slow", "fail"), ("broken", "fail"), ("good", "ok")]
    assert "no answer within" in found[0].what
    assert found[1].what == "the check broke with KeyError"


def test_faults_of_the_metadata_leave_the_connections_checked(project: Project) -> None:
    project.write("metadata/tables/shop/users.yml", "from: Users\nmode: sometimes\n")
    found = look(project)
    assert found["metadata"]["status"] == "fail"
    assert "metadata/tables/shop/users.yml:2: mode" in found["metadata"]["what"]
    assert found["connection shop"]["status"] == "ok"


@pytest.mark.parametrize(
    ("name", "value", "check", "words"),
    [
        ("BATCH_ROWS", "many", "settings", "LAKEHOUSE_BATCH_ROWS cannot be read"),
        ("CLOCK", "2024-01-01", "clock", "LAKEHOUSE_CLOCK is set"),
        ("LAKE", "shop.db/lake", "lake", "cannot be made"),
        ("LAKE", "carrier-pigeon://lake", "lake", "cannot be on carrier-pigeon"),
        ("LAYER__GOLD", "lake/bronze", "lake", "share one place"),
        ("CONNECTION__SHOP", "sqlite:///nowhere.db", "connection shop", "no such SQLite file"),
        ("CONNECTION__SHOP", "carrier-pigeon://hunter2@x", "connection shop", "no database is known"),
    ],
)
def test_a_setting_that_is_wrong(project: Project, name: str, value: str, check: str, words: str) -> None:
    found = look(project, **{name: value})
    bad = {each: found[each]["status"] for each in found if found[each]["status"] != "ok" and not each.startswith("disk")}
    assert bad == {check: "warn" if name == "CLOCK" else "fail"}
    assert words in found[check]["what"]
    assert "hunter2" not in str(found)


def test_a_lake_on_azure_with_a_layer_of_its_own(project: Project, azurite: Azurite) -> None:
    container = make_container(azurite.url)
    settings = {"AZURE__EMULATOR": azurite.url, "LAKE": f"az://{container}/some/lake"}
    found = look(project, **settings, LAYER__GOLD="gold")
    assert {name: check["status"] for name, check in found.items() if name in ("lake", "layer gold")} == {"lake": "ok", "layer gold": "ok"}
    assert [name for name in found if name.startswith("disk")] == ["disk of layer gold"]
    assert not (project.folder / "gold").exists()
    assert list(obstore.list(Places(Azure(emulator=azurite.url)).at(f"abfss://{container}").store())) == []
    found = look(project, **{**settings, "LAKE": "az://missing/lake"})
    assert "there is no container 'missing'" in found["lake"]["what"]
    begun = time.monotonic()
    found = look(project, LAKE="az://missing/lake", AZURE__EMULATOR="http://127.0.0.1:1")
    assert found["lake"]["status"] == "fail"
    assert time.monotonic() - begun < SOME_SECONDS


def test_mariadb_answers_with_its_version_and_clock(project: Project, maria_server: Mariadb) -> None:
    found = look(project, CONNECTION__SHOP=maria_server.url)
    assert "MariaDB" in found["connection shop"]["what"]
    assert found["clock of shop"]["status"] == "ok"


def test_sql_servers_wire_answers(project: Project, bridge: Bridge) -> None:
    found = look(project, CONNECTION__SHOP=bridge_address(bridge.port))
    assert found["connection shop"]["status"] == "ok"
    assert "SQL Server" in found["connection shop"]["what"]


def test_a_folder_without_a_project_and_one_that_is_not_there(tmp_path: Path) -> None:
    found = look(Project(tmp_path))
    assert (found["project"]["status"], "lakehouse init" in found["project"]["fix"]) == ("fail", True)
    assert call(Project(tmp_path), "--project", str(tmp_path / "gone"))["project"]["status"] == "fail"
    assert list(tmp_path.iterdir()) == []


def test_a_new_project_is_told_to_discover(tmp_path: Path) -> None:
    make_project(tmp_path)
    assert "discover" in look(Project(tmp_path))["metadata"]["fix"]


def test_in_python(project: Project) -> None:
    rows = Lakehouse.open(project.folder, connection={"shop": project.url}).doctor()
    assert {row["check"] for row in rows} >= {"python", "connection shop", "lake"}
    assert [row for row in rows if row["status"] == "fail"] == []
