"""The ways of loading a shop that faults strike: what the lake has before, how the source changes, and the command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lakehouse.lake import Lake
from lakehouse.model.run import Run
from lakehouse.pipeline.backfill import backfill
from lakehouse.pipeline.reconcile import reconcile
from lakehouse.pipeline.run import run
from tests.lakes import SHOP

CUSTOMERS, ORDERS, MEMBERS = "metadata/tables/shop/customers.yml", "metadata/tables/shop/orders.yml", "sql/gold/dim_customer.sql"

START = """
insert into customers values (1, 'Rome', '2026-01-01 00:00:00'), (2, 'Oslo', '2026-01-05 00:00:00');
insert into orders values (1, 1, '10.00', '2026-01-02 00:00:00'), (2, 2, '20.50', '2026-01-06 00:00:00'),
    (3, 9, '0.01', '2026-01-06 00:00:00'), (4, null, '7.00', '2026-01-07 00:00:00');
"""
CHANGES = """
update customers set city = 'Pisa', changed_at = '2026-01-10 00:00:00' where id = 1;
update customers set city = 'Lima', changed_at = '2026-01-03 00:00:00' where id = 2;
insert into customers values (9, 'Bonn', '2026-01-08 00:00:00');
update orders set amount = '11.00' where id = 1;
insert into orders values (5, 1, '5.00', '2026-01-11 00:00:00'), (6, 2, '6.00', '2026-01-07 00:00:00'),
    (7, 1, '1.00', '2025-12-31 00:00:00');
"""
"""An update in its order, a late one, a member that a fact named before, a change that moves no cursor, a tie, a late row."""


def _everywhere(old: str, new: str) -> dict[str, str]:
    return {name: text.replace(old, new) for name, text in SHOP.items()}


GONE = "delete from customers where id = 2; delete from orders where id in (1, 2); "
SWEPT = {name: text.replace("9999d", "1d") + "deletes: sweep\n" * name.startswith("metadata/tables") for name, text in SHOP.items()}


@dataclass(frozen=True)
class Mode:
    """One way of loading.

    Attributes:
        act: The run that the faults strike.
        words: The same as a command.
        before: What the source gets before earlier runs, one each.
        change: What it gets before the run itself.
        files: The project's files.
        then: Files that change with it.
        anew: The run takes rows that bronze has as new observations, so that a second one doubles what bronze holds, and nothing else.
    """

    act: Callable[[Lake], Run] = run
    words: tuple[str, ...] = ("run",)
    before: tuple[str, ...] = (START,)
    change: str = CHANGES
    files: Mapping[str, str] = field(default_factory=lambda: SHOP)
    then: Mapping[str, str] = field(default_factory=dict)
    anew: bool = False


MODES = {
    "first": Mode(before=(), change=START),
    "incremental": Mode(),
    "backfill": Mode(
        act=lambda lake: backfill(lake, from_=datetime(2025, 12, 1, tzinfo=UTC), to=datetime(2026, 1, 6, tzinfo=UTC)),
        words=("backfill", "--from", "2025-12-01", "--to", "2026-01-06"),
        before=(START, CHANGES),
        change="",
        files=_everywhere("lookback: 9999d", "start_at: 2026-01-04"),
    ),
    "columns": Mode(
        change=f"{CHANGES} alter table customers add column street text; update customers set street = 'Via Roma' where id = 1;",
        then={
            CUSTOMERS: SHOP[CUSTOMERS].replace("city: string,", "city: string, street: string,"),
            MEMBERS: SHOP[MEMBERS].replace("city,", "city, street,"),
        },
    ),
    "refresh": Mode(
        act=lambda lake: run(lake, full_refresh=True),
        words=("run", "--full-refresh"),
        files=_everywhere("lookback: 9999d", "lookback: 1d"),
        anew=True,
    ),
    "sweep": Mode(change=CHANGES + GONE, files=SWEPT),
    "heal": Mode(
        act=lambda lake: reconcile(lake, heal=True).run,
        words=("reconcile", "--heal"),
        before=(START, CHANGES),
        change=f"{GONE} update customers set city = 'Bari' where id = 1; update orders set amount = '77.00' where id = 3;",
        files=SWEPT,
    ),
}
