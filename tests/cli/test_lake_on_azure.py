"""The whole road with the lake on Azurite, by the command line: the same star as in a folder, lost answers or not."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lakehouse import Lakehouse
from tests.cli.project import Project
from tests.faulty import Fault, proxy_before
from tests.lakes import content
from tests.servers import Azurite
from tests.stores import make_container

TABLES = ("bronze.users", "bronze.orders", "silver.users", "silver.orders", "gold.dim_user", "gold.fact_order")
NAMES = ("bronze/users", "bronze/orders", "silver/users", "silver/orders", "gold/dim_user", "gold/fact_order", "_ledger/steps")
CHANGES = """
update Users set name = 'Anna', updated_at = '2024-01-10 10:00:00' where user_id = 1;
insert into Users values (3, 'Cid', '2024-01-04 10:00:00');
insert into Orders values (13, 1, 5, '2024-01-11 12:00:00');
"""


BUSY_SECONDS = 120  # a second's wait for each refusal, and the runs themselves


Content = dict[str, Counter[tuple[object, ...]]]


def environment(lake: Mapping[str, str]) -> dict[str, str]:
    """Settings as the command line takes them."""
    return {"__".join(words.upper().split(".")): value for words, value in lake.items()}


def tables(project: Project, lake: Mapping[str, str]) -> Content:
    """All rows of all tables, without what names the run."""
    settings: dict[str, Any] = {"azure": {}, "layer": {}}
    for words, value in lake.items():
        group, _, name = words.partition(".")
        settings |= {group: settings[group] | {name: value}} if name else {group: value}
    house = Lakehouse.open(project.folder, **settings)
    by_engine = {table: house.sql(f"select * from {table}").drop("_run_id", strict=False) for table in TABLES}
    found = {table: Counter(rows.rows()) for table, rows in by_engine.items()}
    assert found == {table: content(house, table) for table in TABLES}
    return found


def walk(project: Project, lake: Mapping[str, str]) -> list[Content]:
    """Two days of the project: the tables after each, and a third run that changes nothing."""
    after = []
    for day in (1, 2):
        done = project.call("run", "-o", "json", CLOCK=f"2024-02-0{day}T00:00:00Z", **environment(lake))
        assert (done.code, done.json["status"]) == (0, "success"), done.err
        after.append(tables(project, lake))
        project.change(CHANGES.replace("insert", "insert or replace"))
    assert project.call("run", "-o", "json", CLOCK="2024-02-03T00:00:00Z", **environment(lake)).json["status"] == "unchanged"
    return after


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> list[Content]:
    return walk(Project.make(tmp_path_factory.mktemp("local")), {})


def test_a_lake_in_a_container_has_the_same_star(project: Project, azurite: Azurite, local: list[Content]) -> None:
    lake = {"lake": f"abfss://{make_container(azurite.url)}/prod", "azure.emulator": azurite.url}
    assert walk(project, lake) == local
    assert not (project.folder / "lake").exists()
    status = project.call("status", "-o", "json", **environment(lake)).json
    assert {row["last_run"] for row in status} == {"unchanged"}


def test_a_lake_in_a_container_is_compared_healed_and_swept(project: Project, azurite: Azurite) -> None:
    lake = environment({"lake": f"abfss://{make_container(azurite.url)}/prod", "azure.emulator": azurite.url})
    users = "metadata/tables/shop/users.yml"
    project.replace(users, "lookback: 30d\n", "deletes: sweep\n")
    assert project.call("run", **lake).code == 0
    project.change("insert into Users values (3, 'Cid', '2023-01-04 10:00:00'); update Users set name = 'Anna' where user_id = 1;")
    project.change("delete from Users where user_id = 2; delete from Orders where order_id = 12;")
    done = project.call("run", "-o", "json", **lake)
    assert [(step["step"], step["rows_out"]) for step in done.json["steps"] if step["table"] == "users"][1] == ("sweep", 1), done.err
    found = project.call("reconcile", "-o", "json", **lake)
    assert {row["table"]: (row["missing"], row["stale"], row["surplus"]) for row in found.json} == {"users": (1, 1, 0), "orders": (0, 0, 1)}
    assert project.call("reconcile", "users", "--heal", **lake).code == 0
    query = "select user_id, name from silver.users where is_current order by 1"
    names = project.call("query", query, "-o", "json", **lake).json
    assert names == [{"user_id": 1, "name": "Anna"}, {"user_id": 3, "name": "Cid"}]


@pytest.mark.long
def test_each_layer_in_a_container_of_its_own(project: Project, azurite: Azurite, local: list[Content]) -> None:
    layers = {f"layer.{layer}": f"az://{make_container(azurite.url)}" for layer in ("bronze", "silver")}
    assert walk(project, {"azure.emulator": azurite.url, "layer.gold": "star", **layers}) == local
    assert sorted(path.name for path in project.folder.joinpath("star").iterdir()) == ["dim_user", "fact_order"]
    assert [path.name for path in sorted(project.folder.joinpath("lake").iterdir())] == ["_ledger", "_stars"]


def test_the_same_star_though_every_commit_loses_its_answer(project: Project, azurite: Azurite, local: list[Content]) -> None:
    with proxy_before(azurite.url) as proxy:
        lake = {"lake": f"abfss://{make_container(azurite.url)}/prod", "azure.emulator": proxy.url}
        proxy.set(*(Fault("PUT", f"/{name}/_delta_log/{version:020}.json", "lost") for name in NAMES for version in range(9)))
        assert walk(project, lake) == local
        assert sum(proxy.struck()) > 2 * len(NAMES)


@pytest.mark.long
def test_the_same_star_though_the_service_is_busy(project: Project, azurite: Azurite, local: list[Content]) -> None:
    with proxy_before(azurite.url) as proxy:
        lake = {"lake": f"abfss://{make_container(azurite.url)}/prod", "azure.emulator": proxy.url}
        commits = [Fault("PUT", f"/{name}/_delta_log/{1:020}.json", status) for name, status in zip(NAMES, (503, 429) * 4, strict=False)]
        proxy.set(*commits, Fault("PUT", "/gold/fact_order/part-", 429, times=2), Fault("GET", "/silver/users/", 503, times=2))
        began = time.monotonic()
        assert walk(project, lake) == local
        assert proxy.struck() == [1] * len(NAMES) + [2, 2]
        assert time.monotonic() - began < BUSY_SECONDS
        versions = {row["table"]: row["version"] for row in project.call("status", "-o", "json", **environment(lake)).json}
        assert set(versions.values()) == {2}, versions  # made, and one commit a day


def test_a_wrong_key_fails_soon_and_is_not_shown(project: Project, azurite: Azurite) -> None:
    key = "c2VjcmV0IGtleQ=="
    lake = {"LAKE": f"abfss://{make_container(azurite.url)}", "AZURE__EMULATOR": azurite.url, "AZURE__KEY": key}
    for words in (("run",), ("status",), ("query", "select * from silver.users")):
        done = project.call(*words, **lake)
        assert done.code == 1, done.out
        assert "refuses the key" in done.err
        assert key not in done.err + done.out


def test_a_lake_in_a_folder_loads_nothing_of_azure(loaded: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_CONNECTION__SHOP", loaded.url)
    monkeypatch.setenv("LAKEHOUSE_CLOCK", "2024-02-01T00:00:00Z")
    script = """if True:
        import sys
        from lakehouse import Lakehouse
        house = Lakehouse.open(sys.argv[1])
        assert house.run().status == "unchanged"
        house.sql("select 1 from silver.users")
        print({name.partition(".")[0] for name in sys.modules} & {"adlfs", "aiohttp", "azure", "fsspec"})
    """
    done = subprocess.run((sys.executable, "-c", script, Path(loaded.folder)), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr


def test_what_people_do_to_a_lake_in_a_container(project: Project, azurite: Azurite) -> None:
    lake = environment({"lake": f"abfss://{make_container(azurite.url)}/prod", "azure.emulator": azurite.url})
    lake |= {"KEY__ERASURE": "0f" * 32, "USER": "ann"}
    assert project.call("run", CLOCK="2024-02-01T00:00:00Z", **lake).code == 0
    project.change(CHANGES)
    last = project.call("run", "-o", "json", CLOCK="2024-02-02T00:00:00Z", **lake).json["run_id"]
    assert project.call("undo", last, **lake).code == 0
    names = "select user_id, name from silver.users where is_current order by 1"
    assert [row["name"] for row in project.call("query", names, "-o", "json", **lake).json] == ["Ann", "Bob ü"]
    assert project.call("erase", "--table", "users", "--key", "2", **lake).code == 0
    assert project.call("erase", "--verify", "--value", "Bob ü", **lake).code == 0
    assert project.call("run", **lake).code == 0
    assert [row["name"] for row in project.call("query", names, "-o", "json", **lake).json] == ["Ann"]
    assert project.call("publish", "--rollback", **lake).code == 2  # an erasure leaves one star
    acts = project.call("history", "--audit", "-o", "json", **lake).json
    assert [(act["act"], act["by"], act["state"]) for act in acts] == [("erase", "ann", "done"), ("undo", "ann", "done")]
    assert project.call("history", "--audit", "--verify", **lake).code == 0
