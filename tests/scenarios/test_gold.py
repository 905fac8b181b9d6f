"""The page about gold; a dimension with late versions, and which facts they key anew; how models say how they were built."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lakehouse import Lakehouse
from lakehouse.errors import MetadataError
from tests.lakes import SHOP, SHOP_TABLES, change_source, open_shop, write_project

PAGE = Path(__file__).parents[2] / "docs" / "gold.md"
_FILE = re.compile(r"^```(?:yaml|sql)\n(?:#|--) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CUSTOMERS = "insert or replace into customers values {};"
BY_CITY = {
    "metadata/models/by_city.yml": "kind: aggregate\nkeys: city\n",
    "sql/gold/by_city.sql": """
select c.city, count(*) as n from gold.fact_order f join gold.dim_customer c using (customer_key) group by all
""",
    "metadata/models/ranked.yml": "kind: aggregate\nkeys: id\n",
    "sql/gold/ranked.sql": "select id, rank() over (order by amount) as place from silver.orders",
}
BY_HAND = """
with seen as (select distinct on (id, changed_at) id, city, changed_at from bronze.customers order by id, changed_at, _batch desc),
history as (
    select *, lead(changed_at) over versions as until, row_number() over versions = 1 as is_first
    from seen window versions as (partition by id order by changed_at)
),
orders as (select distinct on (id) * from bronze.orders order by id, ordered_at desc, _batch desc)
select o.id, h.city from orders o left join history h on h.id = o.customer_id
    and (h.is_first or o.ordered_at >= h.changed_at) and (h.until is null or o.ordered_at < h.until)
order by o.id
"""
BY_STAR = "select f.id, c.city from gold.fact_order f join gold.dim_customer c using (customer_key) order by f.id"


def test_the_project_of_the_page_does_what_the_page_says(tmp_path: Path) -> None:
    files = dict(_FILE.findall(PAGE.read_text()))
    report = Lakehouse.open(write_project(tmp_path, files), lake="lake").test()
    assert [case for case in report.cases if case.status != "passed"] == []
    assert len(report.cases) == 2


def facts(house: Lakehouse) -> dict[int, int]:
    return {row["id"]: row["customer_key"] for row in house.sql("select id, customer_key from gold.fact_order").to_dicts()}


def run(house: Lakehouse) -> dict[str, Any]:
    done = house.run()
    assert done.status == "success", [step.error for step in done.steps if step.error]
    return {step.table: step for step in done.steps if step.step == "gold"}


def test_late_versions_key_exactly_the_facts_of_their_intervals_anew(tmp_path: Path) -> None:
    project, house = write_project(tmp_path, {**SHOP, **BY_CITY}), open_shop(tmp_path)
    change_source(project / "source.db", SHOP_TABLES + CUSTOMERS.format("(1, 'Rome', '2024-01-01'), (2, 'Bonn', '2024-01-01')"))
    orders = ", ".join(f"({n}, {1 + n % 3}, {n}, '2024-01-{n:02}')" for n in range(1, 31))
    change_source(project / "source.db", f"insert into orders values {orders}")
    first = run(house)
    assert {step.why_in_full for step in first.values()} == {"there is no gold table yet"}
    keys = facts(house)
    change_source(project / "source.db", CUSTOMERS.format("(1, 'Oslo', '2024-01-10')"))
    second = run(house)
    assert {name: step.built for name, step in second.items()} == {
        **dict.fromkeys(("dim_customer", "fact_order", "by_city"), "changes"),
        "ranked": None,
    }
    moved = [n for n in range(10, 31) if n % 3 == 0]
    assert sorted(n for n, key in facts(house).items() if key != keys[n]) == moved
    assert second["fact_order"].rows_out == len(moved)
    keys = facts(house)
    change_source(project / "source.db", CUSTOMERS.format("(1, 'Wien', '2024-01-05'), (3, 'Graz', '2024-01-20')"))
    third = run(house)
    assert sorted(n for n, key in facts(house).items() if key != keys[n]) == [6, 9]
    assert third["fact_order"].rows_out == 2
    assert house.sql(BY_STAR).rows() == house.sql(BY_HAND).rows()
    change_source(project / "source.db", "insert into orders values (31, 2, 5, '2024-02-01')")
    done = run(house)
    assert (done["fact_order"].built, done["fact_order"].rows_in) == ("changes", 1)
    assert "a window that is not partitioned" in str(done["ranked"].why_in_full)


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("select id from silver.orders order by id", "ORDER BY at the end"),
        ("select id\nfrom silver.orders\nlimit 3", "LIMIT at the end"),
        ("select customer_id as id, sum(f.amount) as n from gold.fact_order as f group by 1", "which is not additive"),
    ],
)
def test_what_a_select_may_not_do_is_refused_with_its_reason(tmp_path: Path, sql: str, what: str) -> None:
    fact = SHOP["metadata/models/fact_order.yml"].replace("{amount: }", "{amount: {additivity: non-additive}}")
    files = {**SHOP, "metadata/models/fact_order.yml": fact, "metadata/models/a.yml": "kind: aggregate\nkeys: id\n", "sql/gold/a.sql": sql}
    with pytest.raises(MetadataError, match=what) as raised:
        open_shop(write_project(tmp_path, files)).run()
    assert raised.value.faults[0].file == "sql/gold/a.sql"
