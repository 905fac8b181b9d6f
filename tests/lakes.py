"""Small projects over SQLite files, and what their lakes hold: for tests that walk the whole road."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse import Lakehouse
from lakehouse.engines.duck import Duck

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lakehouse.engines.duck import Session

CLOCK = "2030-01-01T00:00:00+00:00"

SHOP = {
    "metadata/sources/shop.yml": "connection: shop\n",
    "metadata/tables/shop/customers.yml": """
from: customers
mode: incremental
keys: id
cursor: changed_at
lookback: 9999d
history: scd2
columns: {id: bigint, city: string, changed_at: timestamp}
""",
    "metadata/tables/shop/orders.yml": """
from: orders
mode: incremental
keys: id
cursor: ordered_at
lookback: 9999d
columns: {id: bigint, customer_id: bigint, amount: "decimal(12,2)", ordered_at: timestamp}
""",
    "metadata/models/dim_customer.yml": """
kind: dimension
keys: id
surrogate_key: customer_key
history: scd2
""",
    "metadata/models/fact_order.yml": """
kind: fact
keys: id
as_of: ordered_at
references:
  customer_key: {dimension: dim_customer, match: {id: customer_id}}
measures: {amount: }
""",
    "sql/gold/dim_customer.sql": "select id, city, valid_from, valid_to, is_current from silver.customers\n",
    "sql/gold/fact_order.sql": "select id, customer_id, ordered_at, amount from silver.orders\n",
}
"""A shop's metadata and SQL: one dimension with history, one fact, look-backs that cover all."""

SHOP_TABLES = """
create table customers (id integer primary key, city text, changed_at timestamp);
create table orders (id integer primary key, customer_id integer, amount decimal(12,2), ordered_at timestamp);
"""


def write_project(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """The folder, with these files below it."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def change_source(database: Path, script: str) -> None:
    """Run SQL statements on a SQLite file, which is made where there is none."""
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(script)


def open_shop(project: Path, *, lake: str | Path = "lake", source: str = "source.db", **settings: Any) -> Lakehouse:  # noqa: ANN401  as Lakehouse.open
    """The project over its SQLite file, at the fixed clock."""
    return Lakehouse.open(project, **{"clock": CLOCK, **settings}, lake=str(lake), connection={"shop": f"sqlite:///{project / source}"})


def content(house: Lakehouse, table: str, without: tuple[str, ...] = ("_run_id",)) -> Counter[tuple[object, ...]]:
    """A table's rows, each as often as it is there."""
    frame = house.scan(table).collect()
    return Counter(frame.drop(without, strict=False).rows())


def versions(lake: Path) -> dict[str, list[str]]:
    """The commits of every bronze, silver and gold table of a lake, by their file names."""
    return {
        str(log.parent.relative_to(lake)): sorted(entry.name for entry in log.glob("*.json"))
        for log in sorted(lake.glob("*/*/_delta_log"))
        if not log.parent.parent.name.startswith("_")
    }


def copy_layer(layer: str, lake: Path, to: Path) -> Path:
    """A new lake with one layer of another."""
    shutil.copytree(lake / layer, to / layer)
    return to


def require_success(house: Lakehouse, **given: Any) -> None:  # noqa: ANN401  as Lakehouse.run
    """Run, and show the errors of a run that did not succeed."""
    done = house.run(**given)
    assert done.status in ("success", "unchanged"), [step.error for step in done.steps if step.error]


@contextmanager
def sql_session() -> Iterator[Session]:
    """A session of the product's SQL engine."""
    duck = Duck(256 * 1024**2)
    try:
        with duck.session() as session:
            yield session
    finally:
        duck.close()
