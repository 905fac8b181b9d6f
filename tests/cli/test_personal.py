"""A person and a secret that are looked for in every byte: of the lake, of what commands print, and of what they print when they fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.project import Done, Project
from tests.people import CANARIES, KEY, KEYS, VAULT, leaks, with_people


@pytest.fixture
def people(tmp_path: Path) -> Project:
    return with_people(Project.make(tmp_path))


def said(*done: Done) -> str:
    return " ".join(each.out + each.err for each in done).lower()


def test_no_command_says_it_and_no_file_has_it(people: Project) -> None:
    words = [("run",), ("run", "-o", "json"), ("plan",), ("status",), ("history",), ("quality",), ("rejects", "list"), ("reconcile",)]
    done = [people.call(*each, **KEYS) for each in words]
    assert [each.code for each in done] == [0] * len(words), said(*done)
    (reject,) = people.call("rejects", "list", "-o", "json").json
    done.append(people.call("rejects", "show", "users", reject["_row_hash"], "--clear"))
    done.append(people.call("why", "users", "Other.CANARY@example.org", "-o", "json", **KEYS))
    assert done[-1].json["silver"], "a person is asked for by what the source has"
    done += [people.call("query", "select * from silver.users"), people.call("query", "select * from bronze.users", "-o", "json")]
    people.change("update Users set phone = 'canary 4915550123', updated_at = '2024-01-04' where user_id = 2")
    done += [people.call(*each, **KEYS) for each in (("run",), ("--debug", "run"), ("run", "-o", "json"))]
    assert [each.code for each in done[-3:]] == [1, 1, 1]
    done += [people.call("run", **{**KEYS, "KEY__PEOPLE": f"{KEY}zz"}), people.call("run", KEY__VAULT=VAULT), people.call("history")]
    assert not [canary for canary in CANARIES if canary in said(*done)]
    assert list(leaks(people.folder / "lake")) == []


def test_statistics_tell_nothing_of_protected_columns(people: Project) -> None:
    assert people.call("run", **KEYS).code == 0
    hidden = {"email", "name", "phone", "nick"}
    for layer, table in (("bronze", "users"), ("silver", "users"), ("gold", "dim_user")):
        (folder,) = people.folder.glob(f"lake/{layer}/{table}")
        log = [json.loads(line) for file in folder.glob("_delta_log/*.json") for line in file.read_text().splitlines()]
        (shown,) = {line["metaData"]["configuration"]["delta.dataSkippingStatsColumns"] for line in log if "metaData" in line}
        assert shown
        assert not hidden & set(shown.split(","))
        assert not [line for line in log if "add" in line and hidden & json.loads(line["add"]["stats"])["minValues"].keys()]


def test_tokens_are_undone_by_who_holds_the_key(people: Project) -> None:
    people.call("run", **KEYS)
    (token,) = {row["phone"] for row in people.ask("select phone from silver.users")}
    assert people.call("reveal", "users.phone", token, **KEYS).out == "4915550123\n"
    sealed = people.ask("select nick from bronze.users limit 1")[0]["nick"]
    assert people.call("reveal", "users.nick", sealed, "-o", "json", **KEYS).json == [{"token": sealed, "value": "canary"}]
    for words, told in (
        (("users.phone", token), "key 'people' is not set"),
        (("users.email", token), "cannot be undone"),
        (("users.user_id", token), "no column with personal data"),
    ):
        done = people.call("reveal", *words)
        assert (done.code, told in done.err) == (2, True), done.err
    assert "not all of these are tokens" in people.call("reveal", "users.phone", token, KEY__PEOPLE=VAULT).err
