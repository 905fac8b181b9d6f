"""A source without rows is no failure: its tables stand empty, and facts keep their unknown and inferred members."""

from __future__ import annotations

from tests.cli.project import Project


def test_an_empty_dimension_source_keeps_every_fact(project: Project) -> None:
    project.change("delete from Users")
    done = project.call("run", "-o", "json")
    assert (done.code, done.json["status"]) == (0, "success")
    rows = project.call(
        "query", "select count(*) as n, count(distinct user_key) as keys, min(user_key) > 0 as found from gold.fact_order", "-o", "json"
    )
    assert rows.json == [{"n": 3, "keys": 3, "found": True}]
    inferred = project.call("query", "select count(*) as n from gold.dim_user where is_inferred", "-o", "json")
    assert inferred.json == [{"n": 3}]
    assert project.call("run", "-o", "json").json["status"] == "unchanged"


def test_a_wholly_empty_source_gives_an_empty_star(project: Project) -> None:
    project.change("delete from Users; delete from Orders")
    assert project.call("run", "-o", "json").code == 0
    assert project.call("query", "select count(*) as n from gold.fact_order", "-o", "json").json == [{"n": 0}]
    project.change("insert into Users values (1, 'Ann', '2024-01-01 10:00:00')")
    assert project.call("run", "-o", "json").json["status"] == "success"
    assert project.call("query", "select name from gold.dim_user where is_current and user_key <> -1", "-o", "json").json == [
        {"name": "Ann"}
    ]
