"""Metadata and SQL that must not get in: each is refused with file, line and key, and nothing of it is executed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.catalog import load
from lakehouse.catalog.document import read
from lakehouse.errors import Fault, MetadataError
from tests.lakes import SHOP, write_project

TABLE = "metadata/tables/shop/customers.yml"
FACT = "metadata/models/fact_order.yml"
SELECT = "sql/gold/dim_customer.sql"
COLUMNS = "id, city, valid_from, valid_to, is_current"


def faults(folder: Path, files: dict[str, str | bytes], *, deep: bool = True) -> list[Fault]:
    """The faults of the shop with these files added or changed."""
    write_project(folder, {**SHOP, **files})
    with pytest.raises(MetadataError) as caught:
        load(folder, deep=deep)
    assert caught.value.exit_code == 2
    return caught.value.faults


def changed(file: str, old: str, new: str) -> dict[str, str | bytes]:
    assert old in SHOP[file]
    return {file: SHOP[file].replace(old, new)}


def test_the_shop_itself_is_sound(tmp_path: Path) -> None:
    assert load(write_project(tmp_path, SHOP), deep=True).graph.order() == ["customers", "orders", "dim_customer", "fact_order"]


@pytest.mark.parametrize(
    "name",
    ['x"; drop table y; --', "../../etc/passwd", "/etc/passwd", "%2e%2e%2fetc", "x' or '1'='1", "a\tb", "ä", "", "a" * 300, "file.csv; x"],
    ids=range(10),
)
def test_no_name_carries_sql_or_a_path(tmp_path: Path, name: str) -> None:
    given = "'" + name.replace("'", "''") + "'"
    for key, line in (("from: customers", 2), ("keys: id", 4), ("cursor: changed_at", 5)):
        (fault, *_) = faults(tmp_path, changed(TABLE, key, f"{key.split(':')[0]}: {given}"))
        assert (fault.file, fault.line, fault.key.split(".")[0]) == (TABLE, line, key.split(":")[0])


@pytest.mark.parametrize("name", ["..", "a b", "X", "a;b", "%2e%2e", "a.b", "-x", "a'b", "a\nb", "customers\n", "ü"], ids=range(11))
@pytest.mark.parametrize("place", ["metadata/tables/shop/{}.yml", "metadata/models/{}.yml", "metadata/sources/{}.yml"])
def test_no_file_name_carries_one(tmp_path: Path, place: str, name: str) -> None:
    template = {"tables": TABLE, "models": "metadata/models/dim_customer.yml", "sources": "metadata/sources/shop.yml"}[place.split("/")[1]]
    found = faults(tmp_path, {place.format(name): SHOP[template]})
    assert place.format(name) in {fault.file for fault in found}


@pytest.mark.parametrize("name", ["a b", "X", "..x", "shop;"])
def test_no_folder_name_carries_one(tmp_path: Path, name: str) -> None:
    file = f"metadata/tables/{name}/things.yml"
    assert {fault.file for fault in faults(tmp_path, {file: SHOP[TABLE]})} == {file}


@pytest.mark.parametrize(
    "link", [TABLE, SELECT, FACT, "metadata/sources/shop.yml", "metadata/tables/shop/more.yml", "sql/gold/more.sql"], ids=str
)
def test_no_link_leaves_the_project(tmp_path: Path, link: str) -> None:
    project = write_project(tmp_path / "project", SHOP)
    write_project(tmp_path, {"outside": SHOP.get(link, SHOP[TABLE])})
    (project / link).unlink(missing_ok=True)
    (project / link).symlink_to(tmp_path / "outside")
    with pytest.raises(MetadataError, match="leaves the project") as caught:
        load(project)
    assert link in {fault.file for fault in caught.value.faults}


@pytest.mark.parametrize("target", ["nowhere", "customers.yml"], ids=["broken", "to itself"])
def test_no_link_leads_nowhere(tmp_path: Path, target: str) -> None:
    write_project(tmp_path, SHOP)
    (tmp_path / TABLE).unlink()
    (tmp_path / TABLE).symlink_to(target)
    with pytest.raises(MetadataError) as caught:
        load(tmp_path)
    assert TABLE in {fault.file for fault in caught.value.faults}


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
LINES = [
    ("tag", "mode: full\nkeys: !!python/object/apply:os.system ['touch executed']\n", 2),
    ("local tag", "mode: !full full\n", 1),
    ("plain tag", "mode: full\ntags: !!binary aGk=\n", 2),
    ("anchors", BOMB, 1),
    ("merge", "<<: {mode: full}\n", 1),
    ("duplicate key", "mode: full\nfrom: x\nmode: incremental\n", 3),
    ("duplicate inner key", "mode: full\nfrom: x\ncolumns:\n  a: bigint\n  b: bigint\n  a: string\n", 6),
    ("list", "- a\n- b\n", 1),
    ("text", "just words\n", 1),
    ("empty", "", 1),
    ("comment only", "# nothing\n", 1),
    ("two documents", "mode: full\nfrom: x\n---\nmode: full\n", 3),
    ("tab", "mode: full\n\tfrom: x\n", 2),
    ("unclosed", "mode: full\nkeys: [a, b\n", 3),
    ("list as key", "mode: full\nfrom: x\n? [a, b]\n: c\n", 1),
    ("deep list", "mode: full\nkeys: " + "[" * 5000 + "]" * 5000 + "\n", 2),
    ("deep mapping", "mode: full\ntags: " + "{a: " * 5000 + "b" + "}" * 5000 + "\n", 2),
    ("control character", "mode: full\nfrom: a\x07b\n", 1),
    ("NUL", "mode: full\nfrom: a\x00b\n", 1),
    ("long number", "mode: full\nfrom: x\nlookback: " + "9" * 5000 + "\n", 3),
    ("huge exponent", "mode: full\nfrom: x\nstart_at: 1e999999\n", 3),
]


@pytest.mark.parametrize(("text", "line"), [(text, line) for _, text, line in LINES], ids=[name for name, _, _ in LINES])
def test_odd_yaml_is_refused_where_it_stands(tmp_path: Path, text: str, line: int) -> None:
    found = faults(tmp_path, {TABLE: text})
    assert {fault.file for fault in found} == {TABLE}
    assert line in {fault.line for fault in found} or line == 1
    assert not (Path.cwd() / "executed").exists()


@pytest.mark.parametrize(
    "content", ["mode: full\nfrom: caf\u00e9\n".encode("latin-1"), "mode: full\n".encode("utf-16"), b"\xff\xfe\x00", b"\x80"], ids=range(4)
)
def test_yaml_that_is_not_utf_8_is_refused(tmp_path: Path, content: bytes) -> None:
    assert {fault.file for fault in faults(tmp_path, {TABLE: content})} == {TABLE}


def test_sql_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    content = f"select {COLUMNS}, 'caf\u00e9' as place from silver.customers".encode("latin-1")
    assert SELECT in {fault.file for fault in faults(tmp_path, {SELECT: content})}


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    write_project(tmp_path, {**SHOP, TABLE: "\ufeff" + SHOP[TABLE], SELECT: "\ufeff" + SHOP[SELECT]})
    assert "customers" in load(tmp_path, deep=True).tables


@pytest.mark.parametrize("file", [TABLE, FACT, "metadata/sources/shop.yml", SELECT])
def test_a_file_of_ten_megabytes_is_refused_unread(tmp_path: Path, file: str) -> None:
    mark = "--" if file.endswith(".sql") else "#"
    (fault,) = faults(tmp_path, {file: SHOP[file] + (f"{mark} " + "x" * 1000 + "\n") * 10_000}, deep=False)
    assert fault.file == file
    assert "bytes" in fault.what


def test_a_folder_with_a_file_s_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metadata/models/thing.yml").mkdir(parents=True)
    assert "metadata/models/thing.yml" in {fault.file for fault in faults(tmp_path, {})}


@pytest.mark.parametrize(
    ("file", "change", "key", "line_and_hint"),
    [
        (TABLE, ("cursor:", "cursr:"), "cursr", (5, "cursor")),
        (TABLE, ("history: scd2", "histroy: scd2"), "histroy", (7, "history")),
        (TABLE, ("changed_at: timestamp}", "changed_at: {typ: timestamp}}"), "columns.changed_at.typ", (8, "type")),
        (FACT, ("as_of:", "asof:"), "asof", (4, "as_of")),
        (FACT, ("dimension: dim_customer", "dimensoin: dim_customer"), "references.customer_key.dimensoin", (6, "dimension")),
        ("metadata/sources/shop.yml", ("connection:", "conection:"), "conection", (1, "connection")),
    ],
)
def test_an_unknown_key_is_refused_with_a_guess(
    tmp_path: Path, file: str, change: tuple[str, str], key: str, line_and_hint: tuple[int, str]
) -> None:
    line, hint = line_and_hint
    found = {fault.key: fault for fault in faults(tmp_path, changed(file, *change))}
    assert (found[key].file, found[key].line) == (file, line)
    assert found[key].hint == f"did you mean {hint!r}?"


@pytest.mark.parametrize("key", ["name", "source"])
def test_what_the_place_says_cannot_be_said_again(tmp_path: Path, key: str) -> None:
    (fault,) = [fault for fault in faults(tmp_path, {TABLE: SHOP[TABLE] + f"{key}: other\n"}) if fault.file == TABLE]
    assert (fault.key, fault.line) == (key, 9)


@pytest.mark.parametrize(
    ("old", "new", "key", "line"),
    [
        ("mode: incremental", "mode: [incremental]", "mode", 3),
        ("mode: incremental", "mode: sometimes", "mode", 3),
        ("keys: id", "keys: 7", "keys", 4),
        ("keys: id", "keys: {id: true}", "keys", 4),
        ("keys: id", "keys: [id, id]", "keys", 4),
        ("keys: id", "keys: [id, missing]", "keys", 4),
        ("cursor: changed_at", "cursor: city", "lookback", 6),
        ("cursor: changed_at", "cursor: [city]", "cursor", 5),
        ("cursor: changed_at", "cursor: null", "cursor", 5),
        ("lookback: 9999d", "lookback: soon", "lookback", 6),
        ("lookback: 9999d", "lookback: -1", "lookback", 6),
        ("lookback: 9999d", "lookback: 5", "lookback", 6),
        ("lookback: 9999d", "lookback: true", "lookback", 6),
        ("history: scd2", "history: 2", "history", 7),
        ("history: scd2", "lag: 5", "lag", 7),
        ("history: scd2", "lag: -1d", "lag", 7),
        ("history: scd2", "cursor_zone: Europe/Atlantis", "cursor_zone", 7),
        ("history: scd2", "cursor_zone: ../../etc/passwd", "cursor_zone", 7),
        ("history: scd2", "cursor_zone: 2", "cursor_zone", 7),
        ("history: scd2", "cursor_set_by: application", "cursor_set_by", 7),
        ("history: scd2", "cursor_set_by: nobody", "cursor_set_by", 7),
        ("history: scd2", "odd_cursors: ignore", "odd_cursors", 7),
        ("id: bigint", "id: varchar(10)", "columns.id", 8),
        ("id: bigint", "id: decimal(39,2)", "columns.id", 8),
        ("id: bigint", "id: 7", "columns.id", 8),
        ("id: bigint", "ID: bigint", "keys", 4),
        ("id: bigint", "id: bigint, Id: bigint", "columns", 8),
        ("city: string", "valid_from: string", "columns", 8),
        ("city: string", "_batch: bigint", "columns._batch", 8),
    ],
)
def test_a_wrong_value_is_refused_at_its_key(tmp_path: Path, old: str, new: str, key: str, line: int) -> None:
    found = [fault for fault in faults(tmp_path, changed(TABLE, old, new)) if fault.file == TABLE]
    assert found
    assert all(fault.what for fault in found)
    assert any(fault.key.startswith(key) and fault.line == line for fault in found), found


@pytest.mark.parametrize(
    "twin", ["metadata/tables/shop/customers.yaml", "metadata/tables/other/customers.yml", "metadata/models/customers.yml"]
)
def test_a_name_is_given_once(tmp_path: Path, twin: str) -> None:
    text = "kind: aggregate\nkeys: id\n" if "models" in twin else SHOP[TABLE]
    files: dict[str, str | bytes] = {twin: text, "metadata/sources/other.yml": "connection: other\n"}
    files |= {"sql/gold/customers.sql": "select id from silver.orders"} if "models" in twin else {}
    found = faults(tmp_path, files)
    assert any("taken by" in fault.what for fault in found)


def test_a_circle_of_models_is_refused(tmp_path: Path) -> None:
    model = "kind: aggregate\nkeys: id\n"
    found = faults(
        tmp_path,
        {
            "metadata/models/hen.yml": model,
            "metadata/models/egg.yml": model,
            "sql/gold/hen.sql": "select id from gold.egg",
            "sql/gold/egg.sql": "select id from gold.hen",
        },
    )
    assert any("circle" in fault.what and "egg" in fault.what and "hen" in fault.what for fault in found)


def test_a_model_that_reads_itself_is_refused(tmp_path: Path) -> None:
    found = faults(tmp_path, {"metadata/models/hen.yml": "kind: aggregate\nkeys: id\n", "sql/gold/hen.sql": "select id from gold.hen"})
    assert any("circle" in fault.what for fault in found)


def test_a_dimension_that_reads_its_fact_is_refused(tmp_path: Path) -> None:
    found = faults(tmp_path, {SELECT: f"select {COLUMNS} from silver.customers where id in (select id from gold.fact_order)"})
    assert any("circle" in fault.what for fault in found)


def test_a_circle_of_references_is_refused(tmp_path: Path) -> None:
    old = "  customer_key: {dimension: dim_customer, match: {id: customer_id}}"
    new = "\n".join(
        f"  {one}: {{dimension: dim_customer, match: {{id: customer_id}}, through: {other}}}" for one, other in (("a", "b"), ("b", "a"))
    )
    found = faults(tmp_path, changed(FACT, old, new))
    assert any("circle" in fault.what and fault.file == FACT and fault.line in (6, 7) for fault in found)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("dimension: dim_customer", "dimension: dim_custmer", "references.customer_key.dimension"),
        ("dimension: dim_customer", "dimension: fact_order", "references.customer_key.dimension"),
        ("{id: customer_id}", "{id: custmer_id}", "references.customer_key.match"),
        ("{id: customer_id}", "{city: customer_id}", "references.customer_key.match"),
        ("match: {id: customer_id}", "match: {id: customer_id}, through: customer_key", "references.customer_key.through"),
        ("as_of: ordered_at", "as_of: orderd_at", "as_of"),
        ("keys: id", "keys: order_id", "keys"),
        ("{amount: }", "{amout: }", "measures.amout"),
    ],
)
def test_a_reference_to_what_is_not_there_is_refused(tmp_path: Path, old: str, new: str, key: str) -> None:
    found = [fault for fault in faults(tmp_path, changed(FACT, old, new)) if fault.file == FACT]
    assert any(fault.key == key for fault in found), found


@pytest.mark.parametrize("column", ["cty", "citi", "nothing"])
def test_a_misspelt_column_in_a_select_is_refused(tmp_path: Path, column: str) -> None:
    (fault,) = faults(tmp_path, {SELECT: f"select {COLUMNS},\n  {column} as place\nfrom silver.customers"})
    assert fault.file == SELECT
    assert column in fault.what


def test_a_misspelt_table_in_a_select_is_refused_with_a_guess(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, {SELECT: f"select {COLUMNS} from silver.custmers"})
    assert (fault.file, fault.hint) == (SELECT, "did you mean silver.customers?")


STATEMENTS = {
    "no query": "drop table silver.customers",
    "insert": "insert into silver.customers values (1)",
    "copy": "copy silver.customers to 'executed'",
    "attach": "attach 'executed' as x",
    "pragma": "pragma database_list",
    "set": "set memory_limit = '1TB'",
    "install": "install httpfs",
    "call": "call pragma_version()",
    "two": f"select {COLUMNS} from silver.customers; select 1",
    "hidden second": f"select {COLUMNS} from silver.customers; attach 'executed'",
    "nothing": "-- nothing",
    "broken": "select from where",
    "unclosed": "select 'x",
    "deep": f"select {COLUMNS} from silver.customers where {'(' * 20_000}true{')' * 20_000}",
}
READS = {
    "parquet function": "read_parquet('x.parquet')",
    "csv function": "read_csv_auto('x.csv')",
    "old function": "parquet_scan('x.parquet')",
    "text function": "read_text('/etc/passwd')",
    "glob": "glob('/etc/*')",
    "file literal": "'/etc/passwd.csv'",
    "file name": '"x.parquet"',
    "url": "'https://example.invalid/x.parquet'",
    "bronze": "bronze.customers",
    "no layer": "customers",
    "other catalogue": "memory.silver.customers",
    "settings": "duckdb_settings()",
    "schema": "information_schema.tables",
    "query": "query('select 1')",
    "query_table": "query_table('silver.customers')",
    "path in a name": 'silver."../../etc/passwd"',
    "sniff": "sniff_csv('/etc/passwd')",
    "name of a hidden CTE": '(with "x.csv" as (select 1 as a) select a from "x.csv") as inner_one, "x.csv"',
}
VALUES = {
    "getenv": "getenv('HOME')",
    "setting": "current_setting('memory_limit')",
    "random": "random()",
    "uuid": "uuid()",
    "uuid4": "gen_random_uuid()",
    "uuid7": "uuidv7()",
    "now": "now()",
    "today": "today()",
    "current_date": "current_date",
    "current_timestamp": "current_timestamp",
    "current_time": "current_time",
    "localtimestamp": "localtimestamp",
    "localtime": "localtime",
    "transaction": "transaction_timestamp()",
    "age": "age(timestamp '2020-01-01')",
    "sequence": "nextval('s')",
    "subquery": "(select count(*) from read_csv('/etc/passwd'))",
}


@pytest.mark.parametrize("text", STATEMENTS.values(), ids=STATEMENTS)
def test_what_is_no_single_select_is_refused(tmp_path: Path, text: str) -> None:
    assert {fault.file for fault in faults(tmp_path, {SELECT: text})} == {SELECT}
    assert not (Path.cwd() / "executed").exists()


@pytest.mark.parametrize("table", READS.values(), ids=READS)
def test_a_select_reads_the_lake_and_nothing_else(tmp_path: Path, table: str) -> None:
    found = faults(tmp_path, {SELECT: f"select {COLUMNS} from silver.customers,\n{table}"})
    assert {fault.file for fault in found} == {SELECT}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_select_is_a_function_of_its_tables(tmp_path: Path, value: str) -> None:
    found = faults(tmp_path, {SELECT: f"select {COLUMNS}, {value} as v from silver.customers"})
    assert {fault.file for fault in found} == {SELECT}


@pytest.mark.parametrize("text", ["tablesample 10%", "using sample 5 rows"])
def test_a_sample_is_no_function_of_its_tables(tmp_path: Path, text: str) -> None:
    assert {fault.file for fault in faults(tmp_path, {SELECT: f"select {COLUMNS} from silver.customers {text}"})} == {SELECT}


RULES = {
    "query": "id in (select id from silver.orders)",
    "aggregate": "sum(id) > 1",
    "window": "row_number() over () > 1",
    "two statements": "id > 1; drop table silver.customers",
    "comment": "id > 1 -- always",
    "closing": "true), false)) from silver.customers; drop table x; --",
    "no condition": "select 1",
    "broken": "id >",
    "unknown column": "idd > 1",
    "env": "getenv('HOME') = 'x'",
    "random": "random() < 0.5",
    "clock": "changed_at < now()",
    "today": "changed_at < current_date",
    "empty": "",
    "deep": "(" * 1900 + "true" + ")" * 1900,
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("file", [TABLE, "metadata/models/dim_customer.yml"], ids=["table", "model"])
def test_a_rule_is_a_condition_over_one_row(tmp_path: Path, file: str, rule: str) -> None:
    given = rule.replace("'", "''")
    found = faults(tmp_path, {file: SHOP[file] + f"expect:\n  a_rule:\n    that: '{given}'\n"})
    assert {(fault.file, fault.key) for fault in found} == {(file, "expect.a_rule.that")}
    assert {fault.line for fault in found} == {len(SHOP[file].splitlines()) + 3}


def test_all_faults_of_all_files_come_at_once(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        {
            "metadata/sources/shop.yml": "connection: Shop\ncolour: red\n",
            TABLE: SHOP[TABLE].replace("mode: incremental", "mode: never").replace("lookback: 9999d", "lookback: soon"),
            "metadata/tables/shop/orders.yml": "a: &a b\n",
            "metadata/tables/nowhere/things.yml": "from: things\nmode: full\n",
            FACT: SHOP[FACT].replace("as_of: ordered_at", "as_off: ordered_at"),
            SELECT: "select id from 'x.csv'",
            "sql/gold/fact_order.sql": "drop table x",
            "sql/gold/orphan.sql": "select 1 as a from silver.customers",
            "metadata/notes.txt": "stray",
        },
    )
    named = {(fault.file, fault.key) for fault in found}
    assert {
        ("metadata/sources/shop.yml", "connection"),
        ("metadata/sources/shop.yml", "colour"),
        (TABLE, "mode"),
        (TABLE, "lookback"),
        ("metadata/tables/shop/orders.yml", ""),
        ("metadata/tables/nowhere/things.yml", ""),
        (FACT, "as_off"),
        (SELECT, ""),
        ("sql/gold/fact_order.sql", ""),
        ("sql/gold/orphan.sql", ""),
        ("metadata/notes.txt", ""),
    } <= named
    assert found == sorted(found)


def test_a_circle_and_a_misspelt_column_come_with_a_fault_elsewhere(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        {
            "metadata/sources/shop.yml": "connection: shop\ncolour: red\n",
            "metadata/models/hen.yml": "kind: aggregate\nkeys: id\n",
            "sql/gold/hen.sql": "select id from gold.hen",
            SELECT: f"select {COLUMNS}, cty from silver.customers",
        },
    )
    assert {fault.file for fault in found} == {"metadata/sources/shop.yml", "metadata/models/hen.yml", SELECT}


def test_the_error_names_every_fault_and_the_next_step(tmp_path: Path) -> None:
    write_project(tmp_path, {**SHOP, **changed(TABLE, "cursor:", "cursr:")})
    with pytest.raises(MetadataError) as caught:
        load(tmp_path)
    text = str(caught.value)
    assert f"{TABLE}:5: cursr: unknown key" in text
    assert "lakehouse validate" in text


def test_a_project_without_metadata_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match="no folder metadata/"):
        load(tmp_path)


def test_plain_numbers_are_numbers_and_quoted_ones_are_texts(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text("a: 3\nb: '3'\nc: 1.5\nd: 2e3\ne: yes\nf: true\ng:\n", encoding="utf-8")
    data = read(tmp_path / "x.yml", tmp_path).data
    assert data == {"a": 3, "b": "3", "c": 1.5, "d": 2000.0, "e": "yes", "f": True, "g": None}
    assert type(data["a"]) is int
