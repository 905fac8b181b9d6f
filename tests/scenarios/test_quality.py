"""Rules of every kind over a real source: what is taken, what is kept out and why, and what holds a commit back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lakehouse import Lakehouse
from tests.lakes import change_source, open_shop, write_project

SOURCE = "metadata/sources/shop.yml"
ITEMS = """
from: items
mode: incremental
keys: id
cursor: at
lookback: 9999d
columns: {id: bigint, kind: string, price: bigint, maker: bigint, at: timestamp}
"""
MAKERS = "from: makers\nmode: snapshot\nkeys: id\ndeletes: {at_most: 1.0, empty: apply}\ncolumns: {id: bigint, code: string}\n"
TABLES = """
create table items (id integer, kind text, price integer, maker integer, at timestamp);
create table makers (id integer primary key, code text);
insert into makers values (1, 'a'), (2, 'b');
insert into items values (1, 'tool', 10, 1, '2029-12-30 00:00:00'), (2, 'toy', 20, 2, '2029-12-31 00:00:00');
"""


def shop(folder: Path, rules: str, *, head: str = ITEMS) -> Lakehouse:
    write_project(
        folder,
        {
            SOURCE: "connection: shop\n",
            "metadata/tables/shop/items.yml": head + ("expect:\n" + rules if rules else ""),
            "metadata/tables/shop/makers.yml": MAKERS,
        },
    )
    if not (folder / "source.db").exists():
        change_source(folder / "source.db", TABLES)
    return open_shop(folder)


def add(folder: Path, *rows: str) -> None:
    change_source(folder / "source.db", "".join(f"insert into items values ({row});" for row in rows))


def step(house: Lakehouse, **given: Any) -> dict[str, Any]:  # noqa: ANN401  as Lakehouse.run
    """The step of silver.items of a run."""
    return next(step for step in house.run(**given).facts()["steps"] if (step["step"], step["table"]) == ("silver", "items"))


def ids(house: Lakehouse) -> list[int]:
    return sorted(house.scan("silver.items").collect()["id"].to_list())


def why(house: Lakehouse) -> list[tuple[str, str]]:
    return sorted((row["reason"], row["rules"]) for row in house.rejects("items"))


def account(house: Lakehouse) -> tuple[int, ...]:
    """input, accepted, rejected, dropped, of which nothing may be missing."""
    found = next(row for row in house.quality("items")["tables"])
    assert found["unaccounted"] == 0
    return tuple(found[name] for name in ("input", "accepted", "rejected", "dropped"))


ROW_RULES = {
    "that": "that: price > 0",
    "not_null": "not_null: kind",
    "in_set": "in_set: {column: kind, values: [tool, toy]}",
    "range": "range: {column: price, min: 1, max: 99}",
    "pattern": "pattern: {column: kind, regex: 't[a-z]+'}",
}
BAD = {"that": "3, 'toy', -1", "not_null": "3, null, 1", "in_set": "3, 'car', 1", "range": "3, 'toy', 100", "pattern": "3, 'toY', 1"}


@pytest.mark.parametrize("kind", list(ROW_RULES))
def test_a_row_that_breaks_a_rule_is_quarantined_and_comes_back_when_it_is_mended(tmp_path: Path, kind: str) -> None:
    house = shop(tmp_path, f"  sound: {{{ROW_RULES[kind]}, else: quarantine}}\n")
    add(tmp_path, f"{BAD[kind]}, 1, '2029-12-31 01:00:00'")
    done = step(house)
    assert (done["status"], done["rows_in"], done["rejected"], done["dropped"]) == ("success", 3, 1, 0)
    assert (ids(house), why(house), account(house)) == ([1, 2], [("rule", "sound")], (3, 2, 1, 0))
    add(tmp_path, "3, 'toy', 5, 1, '2029-12-31 02:00:00'")
    assert (step(house)["rejected"], ids(house), account(house)) == (0, [1, 2, 3], (4, 3, 1, 0))


@pytest.mark.parametrize("kind", list(ROW_RULES))
def test_null_is_broken_and_a_dropped_row_is_counted_and_not_listed(tmp_path: Path, kind: str) -> None:
    house = shop(tmp_path, f"  sound: {{{ROW_RULES[kind]}, else: drop}}\n")
    add(tmp_path, "3, null, null, 1, '2029-12-31 01:00:00'")
    assert step(house)["dropped"] == 1
    assert (ids(house), why(house), account(house)) == ([1, 2], [], (3, 2, 0, 1))


def test_a_changed_rule_takes_the_row_back(tmp_path: Path) -> None:
    house = shop(tmp_path, "  sound: {that: price > 15, else: quarantine}\n")
    house.run()
    assert (ids(house), why(house)) == ([2], [("rule", "sound")])
    house = shop(tmp_path, "  sound: {that: price > 5, else: quarantine}\n")
    house.run()
    assert (ids(house), why(house), account(house)) == ([1, 2], [], (2, 2, 0, 0))


def test_rows_without_key_or_sequence_are_rejected_whatever_the_rules(tmp_path: Path) -> None:
    head = ITEMS.replace("cursor: at\n", "cursor: at\nsequence_by: price\n")
    house = shop(tmp_path, "", head=head)
    add(tmp_path, "null, 'toy', 1, 1, '2029-12-31 01:00:00'", "4, 'toy', null, 1, '2029-12-31 01:00:00'")
    assert step(house)["rejected"] == 2
    assert why(house) == [("null_key", "id"), ("null_sequence", "price")]
    assert (ids(house), account(house)) == ([1, 2], (4, 2, 2, 0))


def test_a_late_version_refolds_its_key_without_the_rejected_rows(tmp_path: Path) -> None:
    house = shop(tmp_path, "  sound: {that: price > 0, else: quarantine}\n", head=ITEMS + "history: scd2\n")
    add(tmp_path, "1, 'tool', -1, 1, '2029-12-30 12:00:00'", "1, 'tool', 30, 1, '2029-12-31 12:00:00'")
    house.run()
    add(tmp_path, "1, 'tool', 15, 1, '2029-12-30 06:00:00'")
    house.run()
    prices = house.scan("silver.items").collect().sort("id", "valid_from")["price"].to_list()
    assert (prices, account(house)) == ([10, 15, 30, 20], (5, 4, 1, 0))


def test_a_table_without_keys_takes_rules_too(tmp_path: Path) -> None:
    head = ITEMS.replace("keys: id\n", "").replace("mode: incremental", "mode: append")
    house = shop(tmp_path, "  sound: {that: price > 0, else: quarantine}\n  kinds: {not_null: kind, else: drop}\n", head=head)
    add(tmp_path, "3, 'toy', -1, 1, '2029-12-31 01:00:00'")
    house.run()
    add(tmp_path, "4, null, 1, 1, '2029-12-31 02:00:00'")
    assert step(house)["dropped"] == 1
    assert (ids(house), account(house)) == ([1, 2], (4, 2, 1, 1))


def test_above_max_the_commit_is_held_back_and_bronze_keeps_what_came(tmp_path: Path) -> None:
    house = shop(tmp_path, "  sound: {that: price > 0, else: quarantine, max: 40%}\n")
    house.run()
    add(tmp_path, "3, 'toy', -1, 1, '2029-12-31 01:00:00'", "4, 'toy', 4, 1, '2029-12-31 01:00:00'")
    done = step(house)
    assert (done["status"], done["error"]["exit_code"], done["failed_checks"]) == ("failed", "3", {"sound": 1})
    assert "sound: 1 of 2 rows, allowed 40% (price > 0)" in done["error"]["message"]
    assert (ids(house), why(house), house.scan("bronze.items").collect().height) == ([1, 2], [], 4)
    rule = house.quality("items")["rules"][0]
    assert (rule["held"], rule["failed"], rule["share"]) == (True, 1, 0.5)
    add(tmp_path, "5, 'toy', 4, 1, '2029-12-31 02:00:00'")
    assert (step(house)["status"], ids(house), account(house)) == ("success", [1, 2, 4, 5], (5, 4, 1, 0))


def test_of_rows_that_are_not_unique_the_first_stays_and_the_others_are_released_when_it_moves(tmp_path: Path) -> None:
    house = shop(tmp_path, "  one_kind: {unique: kind, else: quarantine}\n")
    add(tmp_path, "3, 'toy', 5, 1, '2029-12-31 01:00:00'")
    assert (step(house)["rejected"], ids(house), why(house)) == (1, [1, 2], [("unique", "one_kind")])
    add(tmp_path, "4, 'toy', 5, 1, '2029-12-29 01:00:00'")
    house.run()
    assert (ids(house), account(house)) == ([1, 4], (4, 2, 2, 0))
    add(tmp_path, "4, 'car', 5, 1, '2029-12-31 03:00:00'")
    house.run()
    assert (ids(house), account(house)) == ([1, 2, 4], (5, 4, 1, 0))
    before = house.scan("silver.items").collect().sort("id").rows(), why(house)
    house.run(rebuild=["items"])
    assert (house.scan("silver.items").collect().sort("id").rows(), why(house)) == before


@pytest.mark.parametrize("history", ["scd1", "scd2"])
def test_a_row_waits_for_its_parent_and_goes_with_it(tmp_path: Path, history: str) -> None:
    house = shop(
        tmp_path, "  made: {foreign_key: {columns: maker, table: makers}, else: quarantine}\n", head=ITEMS + f"history: {history}\n"
    )
    add(tmp_path, "3, 'toy', 5, 3, '2029-12-31 01:00:00'", "4, 'toy', 5, null, '2029-12-31 01:00:00'")
    house.run()
    assert (ids(house), why(house), account(house)) == ([1, 2], [("foreign_key", "made")] * 2, (4, 2, 2, 0))
    change_source(tmp_path / "source.db", "insert into makers values (3, 'c'); delete from makers where id = 1;")
    house.run()
    assert (ids(house), account(house)) == ([2, 3], (4, 2, 2, 0))
    change_source(tmp_path / "source.db", "insert into makers values (1, 'a');")
    house.run()
    assert (ids(house), account(house)) == ([1, 2, 3], (4, 3, 1, 0))


def test_a_key_into_the_own_table_is_judged_before_anything_is_withheld(tmp_path: Path) -> None:
    rules = "  of: {foreign_key: {columns: maker, table: items}, else: quarantine}\n"
    house = shop(tmp_path, rules)
    add(tmp_path, "5, 'toy', 1, 9, '2029-12-31 01:00:00'", "6, 'toy', 1, 5, '2029-12-31 01:00:00'")
    house.run()
    assert (ids(house), why(house)) == ([1, 2, 6], [("foreign_key", "of")])


def test_rules_speak_of_columns_as_silver_names_and_cleans_them(tmp_path: Path) -> None:
    head = ITEMS.replace("id: bigint, kind: string", "id: {type: bigint, rename: nr}, kind: {type: string, trim: true, rename: sort}")
    rules = "  sorts: {in_set: {column: sort, values: [tool, toy]}, else: quarantine}\n  one: {unique: [sort, price], else: quarantine}\n"
    house = shop(tmp_path, rules + "  of: {foreign_key: {columns: maker, table: items}, else: quarantine}\n", head=head)
    add(
        tmp_path,
        "3, ' toy ', 5, 1, '2029-12-31 01:00:00'",
        "4, 'car', 5, 1, '2029-12-31 01:00:00'",
        "5, 'toy', 5, 1, '2029-12-31 02:00:00'",
    )
    add(tmp_path, "null, 'toy', 7, 1, '2029-12-31 02:00:00'", "6, 'toy', 8, 9, '2029-12-31 02:00:00'")
    house.run()
    assert sorted(house.scan("silver.items").collect()["nr"].to_list()) == [1, 2, 3]
    assert why(house) == [("foreign_key", "of"), ("null_key", "nr"), ("rule", "sorts"), ("unique", "one")]
    assert account(house) == (7, 3, 4, 0)


WHOLE = {
    "freshness": ("freshness: {column: at, within: 2d}", "freshness: {column: at, within: 2h}"),
    "row_count": ("row_count: {min: 2, max: 9}", "row_count: {min: 3}"),
    "complete": ("complete: {column: kind, at_least: 60%}", "complete: {column: kind, at_least: 70%}"),
    "metric": ("metric: {sql: avg(price), max: 15}", "metric: {sql: avg(price), max: 14}"),
}


@pytest.mark.parametrize("kind", list(WHOLE))
def test_a_rule_over_the_whole_table_holds_the_commit_back(tmp_path: Path, kind: str) -> None:
    good, bad = WHOLE[kind]
    house = shop(tmp_path, f"  whole: {{{bad}, else: fail}}\n")
    if kind == "complete":
        add(tmp_path, "3, null, 15, 1, '2029-12-31 01:00:00'")
    done = step(house)
    assert (done["status"], done["error"]["kind"], house.scan("silver.items").collect().height) == ("failed", "QualityError", 0)
    assert house.quality("items")["rules"][0]["held"]
    house = shop(tmp_path, f"  whole: {{{good}, else: fail}}\n")
    assert step(house)["status"] == "success"
    rule = house.quality("items")["rules"][0]
    assert (rule["kind"], rule["broken"], rule["held"], len(rule["trend"])) == (kind, False, False, 2)


def test_a_table_that_nothing_comes_to_grows_stale_by_itself(tmp_path: Path) -> None:
    house = shop(tmp_path, "  fresh: {freshness: {column: at, within: 2d}, else: fail}\n")
    assert (step(house)["status"], step(house)["status"]) == ("success", "unchanged")
    later = open_shop(tmp_path, clock="2030-01-09T00:00:00+00:00")
    done = step(later)
    assert (done["status"], done["error"]["exit_code"], ids(house)) == ("failed", "3", [1, 2])


def test_a_jump_in_the_number_of_rows_is_held_back(tmp_path: Path) -> None:
    house = shop(tmp_path, "  calm: {row_count: {change: 60%}, else: fail}\n")
    house.run()
    add(tmp_path, "3, 'toy', 1, 1, '2029-12-31 01:00:00'")
    assert step(house)["status"] == "success"
    add(tmp_path, *(f"{number}, 'toy', 1, 1, '2029-12-31 02:00:00'" for number in range(4, 9)))
    assert (step(house)["status"], len(ids(house))) == ("failed", 3)


def test_a_value_far_from_the_tables_own_past_is_held_back(tmp_path: Path) -> None:
    house = shop(tmp_path, "  steady: {drift: {sql: sum(price), z: 4}, else: fail}\n")
    for number in range(3, 9):
        assert step(house)["status"] == "success"
        add(tmp_path, f"{number}, 'toy', {number}, 1, '2029-12-31 0{number}:00:00'")
    add(tmp_path, "9, 'toy', 9000, 1, '2029-12-31 09:00:00'")
    assert step(house)["status"] == "failed"
    assert "deviations from its past" in house.quality("items")["rules"][0]["told"]


@pytest.mark.parametrize(
    ("rule", "says"),
    [("that: cast(kind as integer) > 0", "***"), ("that: nowhere > 0", "nowhere"), ("metric: {sql: sum(nowhere), min: 1}", "nowhere")],
)
def test_a_rule_that_cannot_be_run_is_told_without_a_value_and_writes_nothing(tmp_path: Path, rule: str, says: str) -> None:
    head = ITEMS.partition("columns:")[0]
    house = shop(tmp_path, f"  odd: {{{rule}, else: {'quarantine' if 'that' in rule else 'fail'}}}\n", head=head)
    done = step(house)
    assert (done["status"], done["error"]["kind"], says in done["error"]["message"]) == ("failed", "ModelError", True)
    assert ("tool" in str(done), house.scan("bronze.items").collect().height) == (False, 2)


def test_no_value_of_a_rejected_row_leaves_bronze(tmp_path: Path) -> None:
    rules = "  sound: {that: price > 0, else: quarantine}\n  cheap: {range: {column: price, min: 1}, else: fail, max: 9}\n"
    house = shop(tmp_path, rules + "  one: {unique: kind, else: quarantine}\n")
    add(tmp_path, "987654321, 'canary-word', -1, 1, '2029-12-31 01:00:00'", "87654321, 'canary-word', 1, 1, '2029-12-31 01:00:00'")
    add(tmp_path, "987654322, 'canary-word', 1, 1, '2029-12-31 02:00:00'", "77, 'canary-word', -5, 1, '2029-12-31 02:00:00'")
    house.run()
    assert len(house.rejects("items")) == 3
    told = str(house.rejects()) + str(house.quality()) + str(house.history())
    for folder in ("_rejects", "_ledger"):
        rows = house.scan("rejects.items" if folder == "_rejects" else "ledger.quality").collect()
        told += str(rows.to_dicts()) + "".join(path.read_text() for path in (tmp_path / "lake" / folder).rglob("*.json"))
    assert [word for word in ("canary", "987654321", "987654322") if word in told] == []
    assert "id=9***1" in told


def test_the_name_of_a_rule_is_no_name_of_a_count(tmp_path: Path) -> None:
    names = {"rows": "price > 0", "left": "price > 1", "dropped": "price > 2", "judged": "price > 3", "greatest": "price > 4"}
    rules = "".join(f"  {name}: {{that: {that}, else: {'quarantine' if name == 'rows' else 'drop'}}}\n" for name, that in names.items())
    house = shop(tmp_path, rules)
    add(tmp_path, "3, 'toy', -1, 1, '2029-12-31 01:00:00'", "4, 'toy', 4, 1, '2029-12-31 01:00:00'")
    house.run()
    assert (ids(house), account(house)) == ([1, 2], (4, 2, 1, 1))
    assert {rule["rule"]: rule["failed"] for rule in house.quality("items")["rules"]} == {**dict.fromkeys(names, 1), "greatest": 2}


def test_a_source_has_an_is_deleted_of_its_own(tmp_path: Path) -> None:
    rules = "  one: {unique: is_deleted, else: quarantine}\n  some: {row_count: {min: 1}}\n"
    rules += "  made: {foreign_key: {columns: maker, table: makers}, else: quarantine}\n"
    house = shop(tmp_path, rules, head=ITEMS.replace("kind: string", "is_deleted: bigint"))
    change_source(tmp_path / "source.db", "alter table items add is_deleted integer; update items set is_deleted = id")
    change_source(tmp_path / "source.db", "alter table makers add is_deleted integer; update makers set is_deleted = 1")
    (tmp_path / "metadata/tables/shop/makers.yml").write_text(MAKERS.replace("code: string", "code: string, is_deleted: bigint"))
    house = open_shop(tmp_path)
    assert (step(house)["status"], ids(house)) == ("success", [1, 2])


def test_a_text_points_to_a_table_that_has_not_been_read(tmp_path: Path) -> None:
    house = shop(tmp_path, "  made: {foreign_key: {columns: kind, table: makers, to: code}, else: quarantine}\n")
    assert (step(house, select=["items"])["status"], ids(house)) == ("success", [])
    assert why(house) == [("foreign_key", "made")] * 2
