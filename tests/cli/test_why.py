"""`lakehouse why` tells one row's life, and refuses what names no row."""

import pytest

from tests.cli.project import Project

KEYS = ["table", "key", "found", "bronze", "rejects", "silver", "gold", "runs", "sql"]
SEEN = ["sequence", "batch", "run_id", "extracted_at", "what", "window", "became", "why", "silver_version", "silver_run_id", "row"]

CODES = """\
from: codes
mode: snapshot
keys: [code, n]
normalize_keys: true
columns: {code: string, n: integer, what: string}
"""


@pytest.fixture
def lived(loaded: Project) -> Project:
    """The user 1 moved on, got a late version, and was read again without a change that counts."""
    for script in (
        "update Users set name = 'Anna', updated_at = '2024-01-20 10:00:00' where user_id = 1",
        "update Users set name = 'Annie', updated_at = '2024-01-10 10:00:00' where user_id = 1",
    ):
        loaded.change(script)
        assert loaded.call("run").code == 0
    return loaded


def test_a_row_with_a_history(lived: Project) -> None:
    done = lived.call("why", "silver.users", "1", "-o", "json")
    assert done.code == 0, done.err
    life = done.json
    assert list(life) == KEYS
    assert (life["table"], life["key"], life["found"]) == ("silver.users", {"user_id": 1}, True)
    assert all(list(seen) == SEEN for seen in life["bronze"])
    told = [(seen["row"]["name"], seen["batch"], seen["what"], seen["became"], seen["silver_version"]) for seen in life["bronze"]]
    assert told == [("Ann", 1, "row", "version", 1), ("Annie", 3, "row", "version", 3), ("Anna", 2, "row", "version", 2)]
    assert life["bronze"][0]["window"] == {
        "step": "bronze",
        "reads": "window",
        "mode": "incremental",
        "from": None,
        "to": life["bronze"][0]["window"]["to"],
    }
    assert [row["name"] for row in life["silver"]["rows"]] == ["Ann", "Annie", "Anna"]
    assert {run["run_id"] for run in life["runs"]} == {seen["run_id"] for seen in life["bronze"]}
    assert {run["status"] for run in life["runs"]} == {"success"}


def test_gold_and_the_rows_that_point_to_it(lived: Project) -> None:
    model = lived.call("why", "users", "1", "-o", "json").json["gold"][0]
    assert (model["model"], len(model["rows"])) == ("dim_user", 3)
    used = model["used_by"][0]
    assert (used["fact"], used["column"], used["rows"], sum(used["by_key"].values())) == ("fact_order", "user_key", 1, 1)


def test_its_sql_shows_the_same_rows(lived: Project) -> None:
    life = lived.call("why", "bronze.users", "1", "-o", "json").json
    counts = {check["layer"]: len(lived.ask(check["sql"])) for check in life["sql"]}
    assert counts == {"bronze.users": 3, "silver.users": 3, "gold.dim_user": 3}


def test_people_read_a_timeline(lived: Project) -> None:
    out = lived.call("why", "silver.users", "1").out
    order = [
        out.index(text)
        for text in ("name=Ann", "now name=Annie", "now name=Anna,", "silver.users, version", "gold.dim_user", "lakehouse query")
    ]
    assert order == sorted(order)
    assert "\x1b" not in out


def test_a_superseded_row_and_a_row_that_waits(loaded: Project) -> None:
    loaded.change("update Orders set amount = 5, ordered_at = '2024-01-06 12:00:00' where order_id = 10")
    assert loaded.call("run").code == 0
    assert [seen["became"] for seen in loaded.call("why", "orders", "10", "-o", "json").json["bronze"]] == ["superseded", "version"]


def test_a_key_that_is_nowhere(loaded: Project) -> None:
    done = loaded.call("why", "silver.users", "99")
    assert (done.code, done.out) == (1, "")
    assert "no row of users has user_id=99" in done.err
    assert "lakehouse reconcile users" in done.err
    told = loaded.call("why", "silver.users", "99", "-o", "json")
    assert (told.code, told.json["found"], told.json["bronze"]) == (1, False, [])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("silver.user", "1"), "Did you mean silver.users?"),
        (("gold.users", "1"), "Did you mean silver.users?"),
        (("gold.dim_user", "1"), "ask for a row there"),
        (("silver.users",), "expected <user_id>, given nothing"),
        (("silver.users", "1", "2"), "a row has 1 key"),
        (("silver.users", "ann"), "expected integer, given 'ann'"),
        (("silver.users", "99999999999"), "expected integer"),
        (("silver.users; drop", "1"), "there is no silver table"),
    ],
)
def test_misuse(loaded: Project, words: tuple[str, ...], said: str) -> None:
    before = loaded.tree(ledger=True)
    done = loaded.call("why", *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err
    assert loaded.tree(ledger=True) == before


def test_before_the_first_run(project: Project) -> None:
    done = project.call("why", "users", "1")
    assert (done.code, "lakehouse run --select users" in done.err) == (2, True)


def test_a_table_without_keys(loaded: Project) -> None:
    loaded.replace("metadata/tables/shop/orders.yml", "keys: order_id\n", "")
    done = loaded.call("why", "orders", "10")
    assert done.code == 2
    assert "no `keys`" in done.err


def test_keys_of_two_columns_and_of_texts(project: Project) -> None:
    project.change("create table Lines (shop text, line integer, at datetime)")
    project.change("insert into Lines values ('it''s', 1, '2024-01-01'), ('b', 1, '2024-01-01')")
    table = "from: Lines\nmode: snapshot\nkeys: [shop, line]\nhistory: scd2\ncolumns: {shop: string, line: integer, at: timestamp}\n"
    project.write("metadata/tables/shop/lines.yml", table)
    assert project.call("run").code == 0
    project.change("delete from Lines where shop = 'it''s'")
    assert project.call("run", CLOCK="2024-02-02T00:00:00Z").code == 0
    life = project.call("why", "lines", "it's", "1", "-o", "json").json
    assert [(seen["what"], seen["became"]) for seen in life["bronze"]] == [("row", "version"), ("delete", "end")]
    assert [len(project.ask(check["sql"])) for check in life["sql"]] == [2, 1]


def test_deletes_that_a_column_tells(project: Project) -> None:
    project.replace(
        "metadata/tables/shop/users.yml", "history: scd2\n", "history: scd2\ndeletes: column\napply_as_deletes: name = 'gone'\n"
    )
    assert project.call("run").code == 0
    project.change("update Users set name = 'gone', updated_at = '2024-01-20 10:00:00' where user_id = 1")
    assert project.call("run").code == 0
    life = project.call("why", "users", "1", "-o", "json").json
    assert [(seen["what"], seen["became"]) for seen in life["bronze"]] == [("row", "version"), ("delete", "end")]


def test_a_key_is_named_as_the_source_writes_it_and_may_begin_with_a_dash(project: Project) -> None:
    project.write("metadata/tables/shop/codes.yml", CODES)
    project.change("create table codes (code text, n integer, what text); insert into codes values ('-Ab ', -7, 'x'), ('c', -7, 'y')")
    assert project.call("run", "--select", "codes").code == 0
    project.change("update codes set code = '-aB' where what = 'x'")
    assert project.call("run", "--select", "codes").code == 0
    for word in ("-Ab ", "-ab"):
        life = project.call("why", "codes", word, "-7", "-o", "json")
        assert (life.code, life.json["key"]) == (0, {"code": "-ab", "n": -7}), life.err
        assert [(seen["what"], seen["became"]) for seen in life.json["bronze"]][-1] in [("row", "version"), ("delete", "no change")]
        assert [check["layer"] for check in life.json["sql"]] == ["silver.codes"]
