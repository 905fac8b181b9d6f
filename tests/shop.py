"""A shop of three thousand customers in a database of its own, for stories about what a cursor cannot see."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg

from lakehouse import Lakehouse
from tests.lakes import CLOCK, SHOP, content, write_project

CUSTOMERS, ORDERS = "metadata/tables/shop/customers.yml", "metadata/tables/shop/orders.yml"
NO_LOOKBACK = {name: SHOP[name].replace("lookback: 9999d\n", "") for name in (CUSTOMERS, ORDERS)}
CREATE = """
create table customers (id integer primary key, city text, changed_at timestamp);
create table orders (id integer primary key, customer_id integer, amount numeric(12,2), ordered_at timestamp);
"""
ROWS = 3_000
STAR = ("silver.customers", "silver.orders", "gold.dim_customer", "gold.fact_order")
TECHNICAL = ("_batch", "_run_id", "_extracted_at")


class Shop:
    """A shop's project over a database of its own, with three thousand customers and as many orders."""

    def __init__(self, folder: Path, url: str, files: dict[str, str]) -> None:
        self.folder, self.url = write_project(folder, {**SHOP, **files}), url
        days = [f"2024-01-{1 + place % 28:02} 00:{place % 60:02}:{place // 60 % 60:02}" for place in range(ROWS)]
        self.change(
            CREATE,
            *(f"insert into customers values ({place}, 'Rome', '{at}')" for place, at in enumerate(days, 1)),
            *(f"insert into orders values ({place}, {place}, {place}.50, '{at}')" for place, at in enumerate(days, 1)),
        )

    def change(self, *statements: str) -> None:
        """Run SQL on the source, in one transaction."""
        script = ";\n".join(statements)
        if self.url.startswith("sqlite"):
            with closing(sqlite3.connect(self.url.removeprefix("sqlite://"))) as connection:
                connection.executescript(f"begin; {script}; commit;")
        else:
            with psycopg.connect(self.url) as connection:
                connection.execute(script.encode())

    def house(self, clock: str = CLOCK) -> Lakehouse:
        """The lakehouse over it."""
        return Lakehouse.open(self.folder, clock=clock, lake="lake", connection={"shop": self.url})

    def star(self) -> dict[str, Counter[tuple[object, ...]]]:
        """What silver and gold say, without when it came."""
        return {table: content(self.house(), table, TECHNICAL) for table in STAR}


Make = Callable[..., Shop]
