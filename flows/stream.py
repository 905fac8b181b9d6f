"""Poll the sources in small windows: `python flows/stream.py --every 10 [--for 3600 | --once]`, or as a deployment."""

from __future__ import annotations

import sys
from datetime import timedelta
from threading import Event
from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from lake_flow import Seconds, arguments, carry_out, poll_tasks, run_name, start


@flow(name="stream", flow_run_name=run_name)
def stream(
    *,
    tables: list[str] = [],
    every_seconds: Annotated[float, Field(ge=0.1)] = 10,
    for_seconds: Seconds | None = None,
    once: bool = False,
    project: str = "",
) -> State[None]:
    """Poll the sources and load what came, until the time is over or the run is cancelled; the poll under way is always finished.

    Args:
        tables: What to load: `users`, `users+` (and what follows from it), `+fact_stream` (and what it needs), `tag:x`. Empty: everything.
        every_seconds: From the start of one poll to the start of the next.
        for_seconds: How long to go on. Empty: until the run is cancelled.
        once: One poll alone.
        project: The project's folder on the worker. Empty: the variable LAKEHOUSE_PROJECT, else the deployment's folder.
    """
    stop = Event()
    length = None if for_seconds is None else timedelta(seconds=for_seconds)
    return carry_out(
        project,
        lambda house: house.stream(
            tables,
            every=timedelta(seconds=every_seconds),
            for_=length,
            once=once,
            stop=stop,
            around=poll_tasks(house, once=once),
        ),
        stop=stop,
    )


if __name__ == "__main__":
    options = arguments(stream)
    options.add_argument("--every", dest="every_seconds", type=float, default=10, metavar="SECONDS", help="from poll to poll (default: 10)")
    options.add_argument("--for", dest="for_seconds", type=float, metavar="SECONDS", help="how long (default: until SIGTERM)")
    options.add_argument("--once", action="store_true", help="one poll alone")
    sys.exit(start(stream, vars(options.parse_args())))
