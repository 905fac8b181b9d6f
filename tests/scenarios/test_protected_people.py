"""What people do to rows of people whose data is protected: each of the two holds beside the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse import Lakehouse
from lakehouse.errors import UsageError
from lakehouse.model.repair import Chosen, Edit
from tests.lakes import change_source, open_shop, require_success, write_project

KEYS = {"erasure": "0f" * 32, "people": "c0ffee00" * 8, "vault": "facade00" * 8, "people_2": "decade00" * 8}
USERS = """
from: users
mode: incremental
keys: email
cursor: at
lookback: 9999d
columns:
  email: {type: string, pii: hmac, key: people}
  name: {type: string, pii: tokenise, key: people}
  age: bigint
  at: timestamp
expect: {grown: {that: age > 17, else: quarantine}}
"""
SEALED = USERS.replace("email: {type: string, pii: hmac, key: people}", "email: {type: string, pii: hmac, key: people, sealed: vault}")
FIRST = """
create table users (email text, name text, age integer, at timestamp);
insert into users values ('ann@canary.org', 'Ann Canary', 30, '2024-01-01'), ('bob@canary.org', 'Bob', 40, '2024-01-02');
insert into users values ('kid@canary.org', 'Kid', 7, '2024-01-03');
"""
MODEL = {
    "metadata/models/dim_user.yml": "kind: dimension\nkeys: email\nsurrogate_key: user_key\n",
    "sql/gold/dim_user.sql": "select email, age from silver.users\n",
}


def shop(folder: Path, users: str = USERS) -> Lakehouse:
    files = {"metadata/sources/shop.yml": "connection: shop\n", "metadata/tables/shop/users.yml": users, **MODEL}
    write_project(folder, files)
    change_source(folder / "source.db", FIRST)
    house = open_shop(folder, key=KEYS)
    require_success(house)
    return house


@pytest.mark.parametrize("users", [USERS, SEALED], ids=["hmac", "sealed"])
def test_a_person_with_a_protected_key_is_erased_and_stays_away(tmp_path: Path, users: str) -> None:
    house = shop(tmp_path, users)
    before = [star["star"] for star in house.stars()]
    assert house.erase("users", "ann@canary.org").status == "erased"
    change_source(tmp_path / "source.db", "update users set at = '2024-02-01', age = age + 1")
    require_success(house)
    assert house.run(rebuild=["silver.users"]).status in ("success", "unchanged")
    assert house.scan("silver.users").collect()["age"].to_list() == [41]
    assert house.sql("select age from gold.dim_user where user_key <> -1")["age"].to_list() == [41]
    assert {row["status"] for row in house.prove_erased(values=["ann@canary.org", "Ann Canary"])} == {"ok"}
    assert not set(before) & {star["star"] for star in house.stars()}
    assert [(act["act"], act["what"], act["state"]) for act in house.audit()] == [("erase", "users", "done")]
    assert house.verify_audit().faults == []


def test_a_key_is_not_rotated_under_an_erased_person(tmp_path: Path) -> None:
    house = shop(tmp_path)
    house.erase("users", "ann@canary.org")
    write_project(tmp_path, {"metadata/tables/shop/users.yml": USERS.replace("key: people", "key: people@2")})
    for refresh in (False, True):
        failed = [step.error for step in house.run(full_refresh=refresh).steps if step.error and step.status == "failed"]
        assert failed
        assert "erased" in failed[0]["message"] or not refresh
    assert house.scan("silver.users").collect()["age"].to_list() == [40]


def test_a_fix_gives_no_personal_data(tmp_path: Path) -> None:
    house = shop(tmp_path)
    with pytest.raises(UsageError, match="personal data"):
        house.fix("users", Chosen(rule="grown"), Edit(sql={"name": "'Kid Canary'"}))
    (row,) = house.export_rejects("users", Chosen(rule="grown"))
    assert "Kid" not in str(row)
    with pytest.raises(UsageError, match="personal data"):
        house.fix("users", Chosen(rule="grown"), Edit(rows=[{**row, "name": "Kid Canary", "age": "18"}]))
    house.fix("users", Chosen(rule="grown"), Edit(rows=[{**row, "age": "18"}]))
    assert sorted(house.scan("silver.users").collect()["age"].to_list()) == [18, 30, 40]


def test_going_back_is_an_act(tmp_path: Path) -> None:
    house = shop(tmp_path)
    change_source(tmp_path / "source.db", "update users set at = '2024-02-01', age = 50 where age = 40")
    require_success(house)
    house.rollback()
    assert sorted(house.sql("select age from gold.dim_user where user_key <> -1")["age"].to_list()) == [30, 40]
    assert [(act["act"], act["what"], act["state"]) for act in house.audit()] == [("rollback", "star 1", "done")]
