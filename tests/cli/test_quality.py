"""The commands that show what rules found, and what silver does not take."""

from __future__ import annotations

from tests.cli.project import Project

ORDERS = "metadata/tables/shop/orders.yml"


def test_rules_and_rejects_are_shown_to_people_and_machines(project: Project) -> None:
    project.replace(ORDERS, "else: warn", "else: quarantine")
    done = project.call("run", "-o", "json")
    assert (done.code, [step["rejected"] for step in done.json["steps"] if step["rejected"]]) == (0, [1])
    found = project.call("quality", "-o", "json").json
    none = dict.fromkeys(("repaired", "dropped", "undone", "waiting", "unaccounted"), 0)
    account = {"table": "orders", "input": 3, "accepted": 2, "rejected": 1, **none}
    assert (account in found["tables"], [rule["trend"] for rule in found["rules"]]) == (True, [[1 / 3]])
    told = project.call("quality", "--table", "orders").out
    assert [
        word for word in ("amount_is_positive", "quarantine", "33.33%", "1 of 3 rows (amount > 0)", "order_id=***") if word not in told
    ] == []
    (row,) = project.call("rejects", "list", "-o", "json").json
    assert (row["table"], row["reason"], row["rules"], row["key"]) == ("orders", "rule", "amount_is_positive", "order_id=***")
    assert row["_row_hash"][:12] in project.call("rejects", "list", "orders").out
    shown = project.call("rejects", "show", "orders", row["_row_hash"][:6])
    assert ("rule amount_is_positive: amount > 0" in shown.out, "-1.00" in shown.out) == (True, False)
    assert "amount = -1.00" in project.call("rejects", "show", "orders", row["_row_hash"][:6], "--clear").out


def test_what_is_not_there_is_misuse(loaded: Project) -> None:
    assert loaded.call("quality", "--table", "nothing").code == 2
    assert loaded.call("rejects", "list", "nothing").code == 2
    assert loaded.call("rejects", "show", "orders", "abc").code == 2
    assert loaded.call("rejects", "list").out == "No row is rejected.\n"


def test_a_commit_held_back_ends_with_code_3_and_shows_it(loaded: Project) -> None:
    loaded.replace(ORDERS, "else: warn", "else: quarantine, max: 10%")
    done = loaded.call("run", "--select", "orders")
    assert (done.code, "1 of 3 rows, allowed 10% (amount > 0)" in done.out + done.err) == (3, True)
    assert "held back" in loaded.call("quality").out
    assert loaded.ask("select held from ledger.quality order by ordinal desc limit 1") == [{"held": True}]
