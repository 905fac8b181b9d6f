"""A shop whose every gold table carries one mark, and a reader of it: `python -m tests.faults.marked FOLDER`.

The mark of the source's last change stands in every row of every table, so a reader that sees two marks sees a mix of two stars.
The reader reads until there is `FOLDER/stop`, and prints the marks it saw and how often it looked.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from lakehouse import Lakehouse
from tests.lakes import SHOP, SHOP_TABLES, change_source, open_shop, write_project

FILES = {
    **{name: text.replace("history: scd2\n", "") for name, text in SHOP.items()},
    "sql/gold/dim_customer.sql": "select id, city from silver.customers\n",
    "metadata/models/total.yml": "kind: aggregate\nkeys: customer_key\n",
    "sql/gold/total.sql": "select customer_key, max(amount) as amount from gold.fact_order group by customer_key\n",
}
PAUSE = 0.02
START = """
insert into customers values (1, '1', '2026-01-01 00:00:00'), (2, '1', '2026-01-01 00:00:00');
insert into orders values (1, 1, 1, '2026-01-02 00:00:00'), (2, 2, 1, '2026-01-02 00:00:00');
"""
SEEN = """
select city::int as mark from gold.dim_customer where customer_key <> -1
union select amount::int from gold.fact_order union select amount::int from gold.total
"""


def make(folder: Path) -> Path:
    """A shop marked 1 that has never run."""
    project = write_project(folder, FILES)
    change_source(project / "source.db", SHOP_TABLES + START)
    return project


def mark(project: Path, number: int) -> None:
    """Mark every row of the source."""
    moved = f"changed_at = datetime('2026-02-01', '+{number} seconds')"
    change_source(
        project / "source.db", f"begin; update customers set city = '{number}', {moved}; update orders set amount = {number}; commit;"
    )


def seen(house: Lakehouse, *, staged: bool = False) -> set[int]:
    """The marks of one look at gold."""
    return {row[0] for row in house.sql(SEEN, staged=staged).rows()}


def main(project: Path) -> None:
    """Look until told to stop."""
    house, looks, marks = open_shop(project), 0, list[list[int]]()
    while not (project / "stop").exists():
        found = sorted(seen(house))
        looks += 1
        time.sleep(PAUSE)
        if not marks or marks[-1] != found:
            marks.append(found)
    sys.stdout.write(json.dumps({"looks": looks, "marks": marks}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
