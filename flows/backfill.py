"""Read a past window again: `python flows/backfill.py --from 2024-01-01 --to 2024-02-01`, or as a deployment."""

from __future__ import annotations

import sys
from datetime import datetime

from prefect import flow
from prefect.client.schemas.objects import State

from lake_flow import Retries, Seconds, arguments, carry_out, run_name, start, table_tasks
from lakehouse.model.run import parse_bound


@flow(name="backfill", flow_run_name=run_name)
def backfill(
    *,
    from_: datetime | int,
    to: datetime | int,
    tables: list[str] = [],
    retries: Retries = 3,
    retry_delay_seconds: Seconds = 30,
    project: str = "",
) -> State[None]:
    """Read a past window of incremental tables again, and bring all that follows up to date; the live watermark stays.

    Args:
        from_: The first cursor value that is read: an instant (UTC unless it says otherwise), or a number where cursors are numbers.
        to: The first cursor value that is not read any more.
        tables: Incremental tables, as `users`, or `tag:x`. Empty: all of them.
        retries: How often a table is tried again after an error that may go by itself, such as a source that does not answer.
        retry_delay_seconds: The wait before the first retry; each later one waits twice as long.
        project: The project's folder on the worker. Empty: the variable LAKEHOUSE_PROJECT, else the deployment's folder.
    """
    return carry_out(
        project,
        lambda house: [house.backfill(tables, from_=from_, to=to, around=table_tasks(house, retries, retry_delay_seconds))],
    )


if __name__ == "__main__":
    options = arguments(backfill)
    options.add_argument("--from", dest="from_", type=parse_bound, required=True, help="the first cursor value read: 2024-01-01, 1000")
    options.add_argument("--to", type=parse_bound, required=True, help="the first cursor value not read any more")
    sys.exit(start(backfill, vars(options.parse_args())))
