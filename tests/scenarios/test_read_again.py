"""Rows that a look-back reads again, few of them and many: the two ways of comparing tell one story."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.stages import bronze
from tests.lakes import change_source, open_shop, write_project

FILES = {
    "metadata/sources/shop.yml": "connection: shop\n",
    "metadata/tables/shop/orders.yml": "from: orders\nmode: incremental\nkeys: id\ncursor: ordered_at\nlookback: 9999d\n",
}
TABLE = """
create table orders (id integer primary key, amount decimal(12,2), ordered_at timestamp);
with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
insert into orders select i, '5.00', datetime('2024-01-01 00:00:00', '+' || i || ' seconds') from n;
"""
CHANGES = {
    "nothing": ("", 0),
    "a change that moves no cursor": ("update orders set amount = '6.00' where id = 1", 1),
    "the same change back": ("update orders set amount = '5.00' where id = 1", 1),
    "nothing since": ("", 0),
    "a new row and a changed one": (
        "insert into orders values (0, '1.00', '2024-06-01'); update orders set amount = '2.00' where id = 2",
        2,
    ),
    "a new column without values": ("alter table orders add note text", 0),
    "a value in the new column": ("update orders set note = 'x' where id = 3", 1),
    "and gone": ("update orders set note = null where id = 3", 1),
}


@pytest.mark.parametrize("rows", [5, 2 * bronze.FEW_AGAIN])
def test_read_again(tmp_path: Path, rows: int) -> None:
    project = write_project(tmp_path, FILES)
    change_source(project / "source.db", TABLE.format(rows=rows))
    house = open_shop(project)
    assert house.run().steps[0].rows_out == rows
    for what, (statements, expected) in CHANGES.items():
        change_source(project / "source.db", statements)
        step = house.run().steps[0]
        assert (what, step.error, step.rows_out) == (what, None, expected)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    project = write_project(tmp_path, FILES)
    change_source(project / "source.db", TABLE.format(rows=5))
    house = open_shop(project)
    assert house.run().status == "success"
    (file,) = (project / "lake" / "bronze" / "orders").glob("*.parquet")
    file.unlink()
    error = house.run().steps[0].error
    assert error is not None
    assert error["kind"] == "StorageError"
    assert file.name in error["message"]
