"""The commands of docs/corrections.md, run as they stand there; and what is refused."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.cli.project import Project

PAGE = Path(__file__).parents[2] / "docs/corrections.md"
ORDERS = "metadata/tables/shop/orders.yml"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BAD = "insert into Orders values ({}, 3, -2, '2024-01-06 12:00:00')"


def test_the_page_s_commands_do_what_it_says(project: Project) -> None:
    project.replace(ORDERS, "else: warn", "else: quarantine")
    assert project.call("run").code == 0
    number, run = 20, ""
    for line in (line for block in BLOCK.findall(PAGE.read_text(encoding="utf-8")) for line in block.splitlines()):
        words = shlex.split(line)[1:]
        if words[0] == "rejects":
            if not project.call("rejects", "list", "-o", "json").json:
                number += 1
                project.change(BAD.format(number))
                run = project.call("run", "-o", "json").json["run_id"]
            (row,) = project.call("rejects", "list", "-o", "json").json
            words = [row["_row_hash"][:8] if word == "ROW_HASH" else word for word in words]
        if "--file" in words:
            text = (project.folder / "orders.csv").read_text()
            (project.folder / "orders.csv").write_text(text.replace("-2.00", "2.00"))
        words = [run if word == "RUN" else word for word in words]
        done = project.call(*words)
        assert done.code == 0, (line, done.err)
    states = [row["state"] for row in project.call("rejects", "list", "--state", "all", "-o", "json").json]
    assert sorted(states) == ["open", "repaired", "repaired"]  # the dropped one went with its run, and came again
    (account,) = [row for row in project.call("quality", "-o", "json").json["tables"] if row["table"] == "orders"]
    assert (account["repaired"], account["rejected"], account["undone"], account["unaccounted"]) == (2, 1, 1, 0)


def test_what_cannot_be_is_refused_and_nothing_is_written(project: Project) -> None:
    project.replace(ORDERS, "else: warn", "else: quarantine")
    run = project.call("run", "-o", "json").json["run_id"]
    before = project.tree()
    for words, code, said in (
        (("undo", "nosuchrun"), 2, "there is no run 'nosuchrun'"),
        (("rejects", "fix", "orders", "ffff", "--set", "amount=1"), 2, "orders has no open reject ffff"),
        (("rejects", "fix", "orders", "--rule", "amount_is_positive"), 2, "nothing is to be changed"),
        (("rejects", "fix", "orders", "--rule", "amount_is_positive", "--set", "amonut=1"), 2, "has no column 'amonut'"),
        (("rejects", "fix", "orders", "--rule", "amount_is_positive", "--set", "amount=1.005"), 2, "exactly one of its column's type"),
        (("rejects", "fix", "orders", "--rule", "amount_is_positive", "--set", "amount=(select 1)"), 2, "--set amount"),
        (("rejects", "fix", "orders", "--rule", "amount_is_positive", "--set", "amount=amount - 1"), 3, "rule (amount_is_positive)"),
        (("rejects", "drop", "orders"), 2, "no reject is named"),
        (("rejects", "drop", "nosuch", "--rule", "x"), 2, "there is no table 'nosuch'"),
        (("rejects", "assign", "orders", "--rule", "amount_is_positive", "--to", " "), 2, "nobody is named"),
        (("rejects", "list", "--state", "lost"), 2, "there is no state 'lost'"),
        (("undo", run, "--dry-run"), 0, ""),
    ):
        done = project.call(*words)
        assert (done.code, said in done.err, "Traceback" in done.err) == (code, True, False), (words, done.err)
    assert project.tree() == before
    undone = project.call("undo", run, "-o", "json", USER="ann").json
    assert (undone["kind"], undone["run"]["status"], project.ask("select count(*) as n from silver.orders")) == (
        "undo",
        "success",
        [{"n": 0}],
    )
    again = project.call("undo", run)
    assert (again.code, "is taken back already, by ann" in again.err) == (2, True)
    assert (project.call("run", "-o", "json").json["status"], project.call("run", "--full-refresh").code) == ("unchanged", 0)
    assert project.ask("select count(*) as n from silver.orders") == [{"n": 0}]
    assert project.call("undo", undone["run"]["run_id"]).code == 0
    assert project.ask("select count(*) as n from silver.orders") == [{"n": 2}]
