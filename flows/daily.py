"""Bring every table and model up to date: `python flows/daily.py [--select users+]`, or as a deployment."""

from __future__ import annotations

import sys

from prefect import flow
from prefect.client.schemas.objects import State

from lake_flow import Retries, Seconds, arguments, carry_out, run_name, start, table_tasks


@flow(name="daily", flow_run_name=run_name)
def daily(
    *, tables: list[str] = [], full_refresh: bool = False, retries: Retries = 3, retry_delay_seconds: Seconds = 30, project: str = ""
) -> State[None]:
    """Bring every table and model up to date.

    Args:
        tables: What to load: `users`, `users+` (and what follows from it), `+fact_stream` (and what it needs), `tag:x`. Empty: everything.
        full_refresh: Read the sources anew from the beginning, as new batches.
        retries: How often a table is tried again after an error that may go by itself, such as a source that does not answer.
        retry_delay_seconds: The wait before the first retry; each later one waits twice as long.
        project: The project's folder on the worker. Empty: the variable LAKEHOUSE_PROJECT, else the deployment's folder.
    """
    return carry_out(
        project,
        lambda house: [house.run(tables, full_refresh=full_refresh, around=table_tasks(house, retries, retry_delay_seconds))],
    )


if __name__ == "__main__":
    options = arguments(daily)
    options.add_argument("--full-refresh", action="store_true", help="read the sources anew from the beginning, as new batches")
    sys.exit(start(daily, vars(options.parse_args())))
