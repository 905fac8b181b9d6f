"""What an author changes between runs, and what a source corrects: nothing is doubled, lost or held back for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from tests.lakes import SHOP, SHOP_TABLES, change_source, open_shop, require_success, write_project

SELECT = "sql/gold/dim_customer.sql"
TABLE = "metadata/tables/shop/customers.yml"
START = SHOP_TABLES + "insert into customers values (1, 'Rome', '2024-01-01 00:00:00'), (2, 'Oslo', '2024-01-02 00:00:00');"
LATER = "update customers set city = 'Bern', changed_at = '2024-02-01 00:00:00' where id = 1"


def project_of(folder: Path, table: str = SHOP[TABLE]) -> Path:
    project = write_project(folder, {**SHOP, TABLE: table})
    change_source(project / "source.db", START)
    return project


def ask(project: Path, query: str) -> dict[str, Any]:
    return open_shop(project).sql(query).row(0, named=True)


@pytest.mark.parametrize("kind", ["bigint", "decimal(18,0)", "decimal(20,0)", "decimal(38,2)", "string"])
def test_a_key_of_any_type_stays_unique_after_a_column_came(tmp_path: Path, kind: str) -> None:
    scd1 = SHOP[TABLE].replace("history: scd2", "history: scd1").replace("id: bigint", f"id: '{kind}'")
    project = project_of(tmp_path, scd1.replace("city: string, ", ""))
    write_project(project, {"sql/gold/dim_customer.sql": "select id from silver.customers", "metadata/models/dim_customer.yml": DIM})
    write_project(project, {"metadata/models/fact_order.yml": "kind: fact\nkeys: id\n"})
    require_success(open_shop(project))
    write_project(project, {TABLE: scd1})
    require_success(open_shop(project))
    change_source(project / "source.db", LATER)
    require_success(open_shop(project))
    assert ask(project, "select count(*) as n, count(distinct id) as keys, max(city) as city from silver.customers") == {
        "n": 2,
        "keys": 2,
        "city": "Oslo",
    }


DIM = "kind: dimension\nkeys: id\nsurrogate_key: customer_key\n"


def test_a_full_refresh_of_a_table_without_keys_doubles_nothing(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    write_project(project, {"metadata/tables/shop/loose.yml": "from: loose\nmode: full\ncolumns: {v: integer}\n"})
    change_source(project / "source.db", "create table loose (v int); insert into loose values (1), (1)")
    require_success(open_shop(project))
    require_success(open_shop(project), full_refresh=True)
    assert ask(project, "select count(*) as n from silver.loose") == {"n": 2}
    change_source(project / "source.db", "insert into loose values (1)")
    require_success(open_shop(project))
    assert ask(project, "select count(*) as n from silver.loose") == {"n": 3}


@pytest.mark.parametrize("history", ["scd1", "scd2"])
def test_a_rule_lets_go_when_the_source_is_corrected(tmp_path: Path, history: str) -> None:
    rule = "expect: {no_rome: {that: \"city <> 'Rome'\", else: fail}}\n"
    project = project_of(tmp_path, SHOP[TABLE].replace("scd2", history) + rule)
    if history == "scd1":
        write_project(
            project, {"metadata/models/dim_customer.yml": DIM, "sql/gold/dim_customer.sql": "select id, city from silver.customers"}
        )
    failed = [step for step in open_shop(project).run().steps if step.status == "failed"]
    assert [(step.step, step.table) for step in failed] == [("silver", "customers")]
    change_source(project / "source.db", LATER)
    require_success(open_shop(project))
    current = " where is_current" if history == "scd2" else ""
    assert ask(project, f"select count(*) as n from silver.customers{current}") == {"n": 2}


def test_a_rule_that_comes_later_judges_what_is_there(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    require_success(open_shop(project))
    write_project(project, {TABLE: SHOP[TABLE] + "expect: {no_rome: {that: \"city <> 'Rome'\"}}\n"})
    (step,) = [step for step in open_shop(project).run().steps if (step.step, step.table) == ("silver", "customers")]
    assert (step.status, step.failed_checks) == ("success", {"no_rome": 1})


def test_a_row_without_its_key_is_rejected_and_lets_the_others_go(tmp_path: Path) -> None:
    project = write_project(tmp_path, SHOP)
    change_source(project / "source.db", START.replace("id integer primary key, city", "id integer, city"))
    change_source(project / "source.db", "update customers set id = null where id = 2")
    (step,) = [step for step in open_shop(project).run().steps if step.rejected]
    assert (step.step, step.table, step.status, step.rejected) == ("silver", "customers", "success", 1)
    assert ask(project, "select reason from rejects.customers") == {"reason": "null_key"}
    change_source(project / "source.db", "update customers set id = 3 where id is null")
    require_success(open_shop(project))
    assert ask(project, "select sum(id) as n from silver.customers") == {"n": 4}


def test_another_sequence_folds_anew(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    require_success(open_shop(project))
    write_project(
        project, {"metadata/models/dim_customer.yml": DIM, "sql/gold/dim_customer.sql": "select distinct id from silver.customers"}
    )
    write_project(project, {"metadata/models/fact_order.yml": "kind: fact\nkeys: id\n"})
    write_project(project, {TABLE: SHOP[TABLE] + "sequence_by: city\n"})
    require_success(open_shop(project))
    change_source(project / "source.db", LATER)
    require_success(open_shop(project))
    assert ask(project, "select city from silver.customers where id = 1 and is_current") == {"city": "Rome"}


def test_a_description_reaches_the_table_and_rewrites_nothing(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    change_source(project / "source.db", "insert into orders values (1, 1, 5, '2024-01-05 00:00:00'), (2, 1, 6, '2024-01-06 00:00:00')")
    require_success(open_shop(project))
    fact = "metadata/models/fact_order.yml"
    write_project(project, {fact: SHOP[fact] + "columns: {amount: In euros.}\n"})
    require_success(open_shop(project))
    (amount,) = [field for field in DeltaTable(project / "lake/gold/fact_order").schema().fields if field.name == "amount"]
    assert amount.metadata == {"comment": "In euros.", "additivity": "additive"}
    change_source(project / "source.db", "insert into orders values (3, 1, 7, '2024-01-07 00:00:00')")
    (step,) = [step for step in open_shop(project).run().steps if step.table == "fact_order"]
    assert step.rows_out == 1


@pytest.mark.parametrize(
    ("value", "kind"),
    [("'a'::enum('a')", "string"), ("200::utinyint", "short"), ("18446744073709551615::ubigint", "decimal(20,0)")],
)
def test_types_that_delta_lacks_are_widened(tmp_path: Path, value: str, kind: str) -> None:
    project = project_of(tmp_path)
    write_project(
        project,
        {"metadata/models/odd.yml": "kind: aggregate\nkeys: id\n", "sql/gold/odd.sql": f"select id, {value} as v from silver.customers"},
    )
    require_success(open_shop(project))
    assert str(DeltaTable(project / "lake/gold/odd").schema().fields[1].type) == f'PrimitiveType("{kind}")'
    assert ask(project, "select count(distinct v) as n from gold.odd") == {"n": 1}
    assert open_shop(project).run().status == "unchanged"


@pytest.mark.parametrize("value", ["time '10:00'", "interval 1 day", "null", "timestamp '2024-01-01'"])
def test_types_that_delta_cannot_hold_are_refused(tmp_path: Path, value: str) -> None:
    project = project_of(tmp_path)
    write_project(
        project,
        {"metadata/models/odd.yml": "kind: aggregate\nkeys: id\n", "sql/gold/odd.sql": f"select id, {value} as v from silver.customers"},
    )
    (step,) = [step for step in open_shop(project).run().steps if step.status == "failed"]
    assert (step.table, (step.error or {})["kind"]) == ("odd", "ModelError")
