"""A source with no rows, none that are new, one, and a million: each is a success, and the watermark says how far it went."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse import Lakehouse
from tests.lakes import SHOP, SHOP_TABLES, change_source, open_shop, require_success, versions, write_project

ORDER = "insert into orders values ({0}, 1, '1.00', '2026-01-02 00:00:0{0}')"


def shop(folder: Path) -> Path:
    project = write_project(folder, SHOP)
    change_source(project / "source.db", SHOP_TABLES)
    return project


def bronze(house: Lakehouse) -> tuple[object, object]:
    """How many rows of the orders there are, and their watermark."""
    (row,) = [row for row in house.status() if (row["layer"], row["table"]) == ("bronze", "orders")]
    return row["rows"], row["watermark"]


def test_no_rows_none_that_are_new_and_one(tmp_path: Path) -> None:
    project = shop(tmp_path)
    require_success(open_shop(project))
    assert bronze(open_shop(project)) == (0, None)
    for number in (1, 2):
        change_source(project / "source.db", ORDER.format(number))
        require_success(open_shop(project))
        rows, mark = bronze(open_shop(project))
        assert (rows, str(mark)[:19]) == (number, f"2026-01-02 00:00:0{number}")
        before = versions(project / "lake")
        assert open_shop(project).run().status == "unchanged"
        assert versions(project / "lake") == before
        assert bronze(open_shop(project)) == (rows, mark)


@pytest.mark.long
def test_a_million_rows(tmp_path: Path) -> None:
    project = shop(tmp_path)
    many = "with recursive g(n) as (select 1 union all select n + 1 from g where n < 1000000)"
    change_source(project / "source.db", f"{many} insert into orders select n, 1, '1.00', '2026-01-02 00:00:00' from g")
    require_success(open_shop(project), select=["orders"])
    assert open_shop(project).sql("select count(*) as n, count(distinct id) as d from silver.orders").rows() == [(1_000_000, 1_000_000)]
    assert open_shop(project).run(["orders"]).status == "unchanged"
