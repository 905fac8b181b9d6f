"""Which SELECTs can be computed for some keys alone, and the queries of the keys that changed rows touch."""

from __future__ import annotations

import pytest

from lakehouse.catalog.restriction import Changed, named, restricting, rowwise, touched, why_whole
from lakehouse.catalog.select import Select, parse_select

T, U = ("silver", "t"), ("silver", "u")
CHANGED = {T: Changed("_t", "_tt"), U: Changed("_u", "_uu")}


def parsed(sql: str) -> Select:
    select, faults = parse_select(sql)
    assert select is not None, faults
    return select


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("with a as (select k from silver.t) select k from a", "a WITH clause"),
        ("select k from silver.t where k in (select k from silver.u)", "a subquery"),
        ("select k from silver.t except select k from silver.u", "EXCEPT"),
        ("select k, sum(x) over (order by k) as s from silver.t", "a window that is not partitioned"),
        ("select max(k) as k from silver.t", "aggregates all rows"),
        ("select max(k) as k from silver.t group by x", "computed of several rows"),
        ("select u.k from silver.t left join silver.u on t.k = u.k", "a table that may have no row"),
        ("select t.k from silver.t full join silver.u on t.k = u.k", "FULL JOIN"),
        ("select t.k from silver.t asof join silver.u on t.k >= u.k", "ASOF JOIN"),
        ("select distinct on (x) k from silver.t", "DISTINCT ON"),
        ("select k, sum(x) as s from silver.t group by rollup (k)", "grouping sets"),
        ("select k + 1 as k from silver.t where k > 3", "names its own column k"),
        ("select unnest(l) as k from silver.t", "unnests"),
        ("select * from silver.t join silver.u on t.k = u.k", "it has *"),
        ("select x from silver.t", "does not select k"),
        ("select k from range(3) t(k)", "what is no table"),
    ],
)
def test_a_select_that_looks_beyond_its_keys_is_built_in_full(sql: str, why: str) -> None:
    assert why in str(why_whole(parsed(sql), ("k",)))


@pytest.mark.parametrize(
    "sql",
    [
        "select k, x from silver.t",
        "select * from silver.t",
        "select t.k, u.x from silver.t join silver.u using (k)",
        "select k, count(*) as n from silver.t group by all having count(*) > 1",
        "select k, lag(x) over (partition by k order by y) as b from silver.t qualify row_number() over (partition by t.k) = 1".replace(
            "t.k", "k"
        ),
        "select distinct k from silver.t",
        "select k from silver.t union all select n from silver.u",
        "select k, count(*) filter (where x) as n from silver.t group by k",
    ],
)
def test_other_selects_follow_the_changes(sql: str) -> None:
    assert why_whole(parsed(sql), ("k",)) is None


def test_a_changed_row_of_a_left_joined_table_touches_the_keys_it_meets() -> None:
    select = parsed("select t.k, u.x from silver.t left join silver.u on t.id = u.id where t.a and u.x is null")
    found = str(touched(select, ("k",), {U: CHANGED[U]}))
    assert found == 'SELECT t.k AS "k" FROM silver.t JOIN _u AS u ON t.id = u.id WHERE t.a'


def test_rows_that_went_are_looked_up_on_the_other_side() -> None:
    select = parsed("select t.k, count(*) as n from silver.t join silver.u on t.id = u.id group by 1")
    found = str(touched(select, ("k",), CHANGED)).split(" union ")
    assert found == [
        'SELECT t.k AS "k" FROM _t AS t JOIN _uu AS u ON t.id = u.id',
        'SELECT t.k AS "k" FROM _tt AS t JOIN _u AS u ON t.id = u.id',
    ]


def test_a_table_that_stands_once_is_narrowed_by_the_keys_it_gives() -> None:
    select = parsed("select f.k, lower(u.c) as c from silver.t f join silver.u on f.id = u.id")
    assert restricting(select, ("k", "c")) == {T: ('"f"', {"k": ("f.k", "k")}), U: ('"u"', {"c": ("LOWER(u.c)", None)})}


def test_one_table_without_groups_is_rowwise() -> None:
    assert rowwise(parsed("select k, x from silver.t where x > 1"), ("k",)) == T
    assert rowwise(parsed("select distinct k from silver.t"), ("k",)) is None


def test_the_columns_that_a_select_may_read() -> None:
    assert named(parsed("select k, count(*) as n from silver.t join silver.u using (id) where x > 1 group by 1")) == {"k", "id", "x"}
    assert named(parsed("select * from silver.t")) is None
