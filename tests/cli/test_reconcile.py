"""`lakehouse reconcile` as people and scripts meet it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.project import Project

KEYS = ["table", "compared", "missing", "stale", "surplus", "superseded", "healed", "keys", "buckets", "buckets_read", "rows_read"]
LATE = "insert into Users values (3, 'Cid', '2023-01-01 10:00:00'); update Orders set amount = 5 where order_id = 10;"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project.make(tmp_path)
    made.replace("metadata/tables/shop/users.yml", "lookback: 30d\n", "")
    assert made.call("run").code == 0
    return made


def test_differences_are_told_in_text_and_json(project: Project) -> None:
    assert project.call("reconcile").code == 0
    project.change(LATE)
    text = project.call("reconcile")
    assert text.code == 3
    assert "users: missing 3\n" in text.out
    assert "orders: stale 10\n" in text.out
    assert "`lakehouse reconcile users --heal`" in text.out
    rows = project.call("reconcile", "users", "-o", "json")
    assert rows.code == 3
    assert list(rows.json[0])[: len(KEYS)] == KEYS
    assert (rows.json[0]["missing"], rows.json[0]["keys"]["missing"]) == (1, [3])


def test_healing_ends_with_0(project: Project) -> None:
    project.change(LATE)
    healed = project.call("reconcile", "--heal", "-o", "json")
    assert healed.code == 0
    assert [row["healed"] for row in healed.json] == [1, 1]
    assert project.call("reconcile").code == 0
    assert project.call("query", "select name from gold.dim_user where user_id = 3", "-o", "json").json == [{"name": "Cid"}]
    listed = project.call("history", "-o", "json").json
    assert {"reconcile", "heal"} <= {row["step"] for row in listed}


def test_what_cannot_be_compared_is_misuse(project: Project) -> None:
    assert project.call("reconcile", "nobody").code == 2
    bad = project.call("reconcile", "--since", "yesterday")
    assert bad.code == 2
    assert "--since" in bad.err
    assert project.call("reconcile", "gold.fact_order").code == 2
    assert project.call("reconcile", "users", "--since", "7").code == 2


def test_a_source_that_does_not_answer_fails(project: Project) -> None:
    gone = project.call("reconcile", CONNECTION__SHOP=f"sqlite://{project.folder}/gone.db")
    assert gone.code == 1
    assert "Traceback" not in gone.err
    rows = project.call("reconcile", "-o", "json", CONNECTION__SHOP=f"sqlite://{project.folder}/gone.db").json
    assert [(row["table"], row["compared"], row["missing"], bool(row["note"])) for row in rows] == [
        ("orders", None, None, True),
        ("users", None, None, True),
    ]
    assert "users: not compared: " in gone.out
