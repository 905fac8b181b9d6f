"""`lakehouse test` runs the cases of `metadata/tests/` in memory, and says what differs or what is wrong with them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from tests.cli.project import Project

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
FILE = "metadata/tests/shop.yml"
GOOD = """\
cases:
  - name: a late version
    table: silver.users
    given:
      bronze:
        - - {user_id: 1, name: Ann, updated_at: 2024-01-01}
          - {user_id: 1, name: Anna, updated_at: 2024-03-01}
        - - {user_id: 1, name: Annie, updated_at: 2024-02-01T00:00:00}
    expect:
      - {name: Anna, valid_to: null, is_current: true, _batch: 1}
      - {name: Ann, valid_to: 2024-02-01}
      - {name: Annie, valid_from: 2024-02-01, valid_to: 2024-03-01, _batch: 2}
  - name: orders find their user
    model: gold.fact_order
    given:
      gold.dim_user:
        - {user_id: 1, name: Ann, valid_from: 2024-01-01, valid_to: 2024-02-01}
        - {user_id: 1, name: Anna, valid_from: 2024-02-01}
      silver.orders:
        - {order_id: 1, user_id: 1, amount: 0.10, ordered_at: 2024-02-01}
        - {order_id: 2, user_id: 1, amount: "12.00", ordered_at: 2020-01-01}
        - {order_id: 3, user_id: null, ordered_at: 2020-01-01}
    expect:
      - {order_id: 1, user_key: {name: Anna}, amount: 0.1}
      - {order_id: 2, user_key: {name: Ann}, amount: 12}
      - {order_id: 3, user_key: -1, amount: null}
  - name: a tombstone ends its key
    table: silver.users
    given:
      bronze:
        - {user_id: 1, name: Ann, updated_at: 2024-01-01}
        - {user_id: 1, name: Ann, updated_at: 2024-01-01, _op: delete, _batch: 2, _extracted_at: 2024-05-01}
    expect:
      - {user_id: 1, valid_to: 2024-05-01}
"""


def cases(project: Project, text: str) -> Project:
    project.write(FILE, text)
    return project


def one(of: str, given: str, expect: str) -> str:
    return f"cases:\n  - name: it\n    {of}\n    given: {given}\n    expect: {expect}\n"


def test_cases_that_hold(project: Project) -> None:
    done = cases(project, GOOD).call("test", CONNECTION__SHOP=None)
    assert (done.code, done.err) == (0, ""), done.out
    assert done.out.endswith(" s.\n")
    assert "3 passed" in done.out
    assert not (project.folder / "lake").exists()
    assert project.call("validate").code == 0


def test_the_cases_of_the_page(project: Project) -> None:
    table, text = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    project.write("metadata/tables/shop/people.yml", table)
    done = cases(project, text).call("test", "-o", "json").json
    assert [case["status"] for case in done["cases"]] == ["passed", "passed"], done


def test_its_json(project: Project) -> None:
    told = cases(project, GOOD).call("test", "-o", "json").json
    assert list(told) == ["passed", "failed", "malformed", "seconds", "cases"]
    assert list(told["cases"][0]) == ["name", "of", "file", "line", "status", "seconds", "problems", "error", "faults"]
    assert [(case["status"], case["line"]) for case in told["cases"]] == [("passed", 2), ("passed", 13), ("passed", 27)]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--select", "users"], ["a late version", "a tombstone ends its key"]),
        (["--select", "+fact_order"], ["a late version", "orders find their user", "a tombstone ends its key"]),
        (["--select", "orders find*"], ["orders find their user"]),
        (["--select", "gold.fact_order"], ["orders find their user"]),
    ],
)
def test_a_selection(project: Project, words: list[str], names: list[str]) -> None:
    told = cases(project, GOOD).call("test", *words, "-o", "json").json
    assert [case["name"] for case in told["cases"]] == names


def test_a_selection_of_nothing(project: Project) -> None:
    done = cases(project, GOOD).call("test", "--select", "user")
    assert done.code == 2
    assert "Did you mean 'users'?" in done.err


def test_a_rule_about_another_table_is_judged_where_the_case_gives_it(project: Project) -> None:
    users = "metadata/tables/shop/orders.yml"
    text = (project.folder / users).read_text() + "  placed: {foreign_key: {columns: user_id, table: users}, else: quarantine}\n"
    project.write(users, text)
    rows = (f"{{order_id: {n}, user_id: {user}, amount: 1, ordered_at: 2024-01-01}}" for n, user in ((1, 1), (2, 9)))
    orders = f"bronze: [{', '.join(rows)}]"
    both = "[{order_id: 1}, {order_id: 2}]"
    one_of_them = "[{order_id: 1}]\n    expect_rejects: [{reason: foreign_key, rules: placed}]"
    for given, expect in (
        (f"{{{orders}, silver.users: [{{user_id: 1, updated_at: 2024-01-01}}]}}", one_of_them),
        (f"{{{orders}, bronze.users: [{{user_id: 1, updated_at: 2024-01-01}}]}}", one_of_them),
        (f"{{{orders}}}", both),
    ):
        done = cases(project, one("table: silver.orders", given, expect)).call("test")
        assert done.code == 0, done.out + done.err


def test_what_differs_is_told(project: Project) -> None:
    text = one(
        "table: silver.orders",
        "{bronze: [{order_id: 1, amount: 5, ordered_at: 2024-01-01}, {order_id: 2, amount: 6, ordered_at: 2024-01-01}]}",
        "[{order_id: 1, amount: 5.01}, {order_id: 3, amount: 6}]",
    )
    done = cases(project, text).call("test", "-o", "json")
    assert done.code == 1
    told = [(problem["what"], problem["column"], problem["expected"], problem["given"]) for problem in done.json["cases"][0]["problems"]]
    assert told == [("differs", "amount", "5.01", "5.00"), ("missing", None, None, None), ("unexpected", None, None, None)]
    shown = project.call("test")
    assert shown.code == 1
    assert all(word in shown.out for word in ("FAIL", "order_id=1", "5.01", "5.00", "missing", f"{FILE}:2", "0 passed, 1 failed"))


def test_a_key_is_shown_by_the_row_it_points_to(project: Project) -> None:
    text = GOOD.replace("{order_id: 2, user_key: {name: Ann}", "{order_id: 2, user_key: {name: Anna}")
    problem = cases(project, text).call("test", "-o", "json").json["cases"][1]["problems"][0]
    assert (problem["column"], problem["expected"], problem["given"]) == (
        "user_key",
        "user_id=1, valid_from=2024-02-01 00:00:00",
        "user_id=1, valid_from=2024-01-01 00:00:00",
    )


def test_a_table_that_refuses_what_is_given_fails_the_case(project: Project) -> None:
    project.replace("metadata/tables/shop/orders.yml", "else: warn", "else: fail")
    text = one("table: silver.orders", "{bronze: [{order_id: 1, amount: -1, ordered_at: 2024-01-01}]}", "[]")
    done = cases(project, text).call("test")
    assert done.code == 1
    assert "amount_is_positive" in done.out


MALFORMED = [
    (one("table: silver.user", "{}", "[]"), 3, "did you mean silver.users?"),
    (one("model: gold.nothing", "{}", "[]"), 3, "there is no model gold.nothing"),
    (one("table: users", "{}", "[]"), 3, "pattern"),
    (one("tabel: silver.users", "{}", "[]"), 3, "did you mean 'table'?"),
    (one("description: neither", "{}", "[]"), 2, "expected either `table` or `model`"),
    (one("table: silver.users", "{silver.orders: []}", "[]"), 4, "is not made of silver.orders"),
    (one("table: silver.users", "{bronze: [{nam: Ann}]}", "[]"), 4, "did you mean 'name'?"),
    (
        one("table: silver.users", "{bronze: [{user_id: [1]}]}", "[]"),
        4,
        ": cases.0.given.bronze.0.user_id: Input should be a valid boolean, or",
    ),
    (one("table: silver.users", "{bronze: [{user_id: one}]}", "[]"), 4, "expected integer, given 'one'"),
    (one("table: silver.users", "{bronze: [{user_id: 1, _op: gone}]}", "[]"), 4, "expected delete or reject"),
    (one("table: silver.users", "{}", "[{user_id: 1, valid_from: yesterday}]"), 5, "expected timestamp"),
    (one("table: silver.users", "{}", "[{user_id: 1, nam: Ann}]"), 5, "did you mean 'name'?"),
    (one("table: silver.users", "{}", "[{user_id: {a: 1}}]"), 5, "a mapping stands for the key of a reference"),
    (one("model: gold.fact_order", "{gold.dim_user: [{user_id: x}]}", "[]"), 4, "expected integer, given 'x'"),
    (one("model: gold.fact_order", "{}", "[{user_key: {user_id: 5}}]"), 5, "0 rows of gold.dim_user have user_id=5"),
    ("cases:\n  - {name: it, table: silver.users, expect: []}\n  - {name: it, table: silver.users, expect: []}\n", 3, "the name is taken"),
    ("cases: it\n", 1, "list"),
]


@pytest.mark.parametrize(("text", "line", "said"), MALFORMED)
def test_a_malformed_case(project: Project, text: str, line: int, said: str) -> None:
    done = cases(project, text).call("test")
    assert done.code == 2
    assert f"{FILE}:{line}: " in done.out + done.err
    assert said in done.out + done.err
    assert "Traceback" not in done.err


def test_validate_checks_cases_and_a_run_does_not(project: Project) -> None:
    cases(
        project,
        one("table: silver.user", "{}", "[]")
        + one("table: silver.users", "{bronze: [{user_id: x}]}", "[]").removeprefix("cases:\n").replace("name: it", "name: that"),
    )
    done = project.call("validate")
    assert done.code == 2
    assert "2 faults" in done.err
    assert project.call("run").code == 0


def test_no_cases(project: Project) -> None:
    done = project.call("test")
    assert done.code == 0
    assert "No case" in done.out


def test_a_table_that_declares_no_columns(project: Project) -> None:
    project.write("metadata/tables/shop/users.yml", "from: Users\nmode: incremental\nkeys: user_id\ncursor: updated_at\n")
    text = one(
        "table: silver.users",
        "{bronze: [{user_id: 1, born: 2000-01-01, updated_at: 2024-01-01T00:00:00}]}",
        "[{user_id: 1, born: 2000-01-01}]",
    )
    assert cases(project, text).call("test").code == 0
    assert cases(project, text.replace("    given", "    types: {born: string}\n    given")).call("test").code == 0


def test_the_project_s_own_cases_hold() -> None:
    report = Lakehouse.open(Path(__file__).parents[2]).test()
    assert report.cases
    assert [case.name for case in report.cases if case.status != "passed"] == []
