"""The same shop ends in the same tables, whatever kind of database it comes from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from lakehouse import Lakehouse
from tests.contract.backend import Backend
from tests.lakes import CLOCK, SHOP, SHOP_TABLES, content, require_success, write_project

TABLES = ("bronze.customers", "bronze.orders", "silver.customers", "silver.orders", "gold.dim_customer", "gold.fact_order")
CHANGES = (
    """
    insert into customers values (1, 'Oslo', '2024-01-01 10:00:00'), (2, 'Köln ü', '2024-01-02 10:00:00.000001');
    insert into orders values (10, 1, '9.99', '2024-01-03 12:00:00'), (11, 2, '0.10', '2024-01-04 12:00:00');
    insert into orders values (12, 3, '-1', '2024-01-05 12:00:00')
    """,
    """
    update customers set city = 'Rome', changed_at = '2024-01-04 00:00:00' where id = 1;
    insert into customers values (3, null, '2023-12-31 23:59:59.999999');
    insert into orders values (13, 1, '12345678.90', '2024-01-04 00:00:00')
    """,
)


def stars(backend: Backend, project: Path) -> list[dict[str, Counter[tuple[object, ...]]]]:
    """What the lake's tables hold after each change of the source, and after one run more."""
    write_project(project, SHOP)
    found = []
    for number, change in enumerate((SHOP_TABLES + CHANGES[0], *CHANGES[1:], "")):
        backend.execute(*(statement.strip() for statement in change.split(";") if statement.strip()))
        house = Lakehouse.open(project, clock=CLOCK, connection={"shop": backend.url})
        require_success(house)
        found.append({table: content(house, table) for table in TABLES})
        assert sum(found[number]["gold.fact_order"].values()) == (3, 4, 4)[number]
    return found


def test_mariadb_gives_the_star_that_sqlite_gives(sqlite: Backend, mariadb: Backend, tmp_path: Path) -> None:
    assert stars(mariadb, tmp_path / "mariadb") == stars(sqlite, tmp_path / "sqlite")


def test_sql_server_s_wire_gives_the_star_that_sqlite_gives(sqlite: Backend, sqlserver: Backend, tmp_path: Path) -> None:
    assert stars(sqlserver, tmp_path / "sqlserver") == stars(sqlite, tmp_path / "sqlite")


def test_postgresql_gives_the_star_that_sqlite_gives(sqlite: Backend, postgresql: Backend, tmp_path: Path) -> None:
    assert stars(postgresql, tmp_path / "postgresql") == stars(sqlite, tmp_path / "sqlite")
