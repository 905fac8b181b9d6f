"""What the three flows share: their project, how a signal ends them, and how they start as plain scripts."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import contextmanager
from threading import Event, Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run
from prefect.settings import get_current_settings
from prefect.states import Cancelled, Failed
from pydantic import Field

from lakehouse import Lakehouse
from lakehouse.errors import LakehouseError
from one_writer import OneWriter
from run_summary import RunSummary
from table_tasks import WAIT_SECONDS, PollTasks, TableTasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prefect import Flow
    from prefect.client.schemas.objects import State

    from lakehouse.model.run import Run

Retries = Annotated[int, Field(ge=0, le=50)]
Seconds = Annotated[float, Field(ge=0)]
INTERRUPTED = 130
SHOWN = 3
"""How many tables the name of a flow run tells."""


def carry_out(project: str, loads: Callable[[Lakehouse], Iterable[Run]], *, stop: Event | None = None) -> State[None]:
    """The flow run's last state, after its runs ended and its summary was shown.

    Args:
        project: The project's folder; empty: `LAKEHOUSE_PROJECT`, else the working directory.
        loads: Gives the runs of the lakehouse as they end.
        stop: Ends the loads cleanly; SIGTERM sets it. Without it SIGTERM interrupts the step under way.

    Raises:
        TerminationSignal: SIGTERM interrupted a step, and nobody had cancelled the flow run.
    """
    summary = RunSummary()
    with told_to_end(stop) as told:
        try:
            for run in loads(Lakehouse.open(project or os.environ.get("LAKEHOUSE_PROJECT") or ".")):
                summary.add(run)
                if stop is not None and in_flow_run():
                    summary.show(at_once=False)
        except LakehouseError as exc:
            return Failed(message=str(exc))
        except KeyboardInterrupt:
            if not told.is_set() or not in_flow_run():
                raise
            if not _cancelled():
                raise TerminationSignal(signal.SIGTERM) from None
            return Cancelled(message="Interrupted: what was committed stays, the rest comes with the next run.")
    if not in_flow_run():
        sys.stdout.write(summary.markdown())
        return summary.state()
    summary.show()
    if told.is_set() and _cancelled():
        return Cancelled(message=f"Stopped after the poll under way. {summary.state().message}")
    return summary.state()


def in_flow_run() -> bool:
    """Whether a server follows what happens; a flow's function called as it stands only loads."""
    return FlowRunContext.get() is not None


@contextmanager
def told_to_end(stop: Event | None) -> Iterator[Event]:
    """Let SIGTERM, which Prefect sends to cancel, set `stop` or interrupt the block; what is given says whether it came.

    Prefect's own handler raises what a step takes for its failure, so that the others would go on.
    """
    told = Event()
    if current_thread() is not main_thread():
        yield told
        return

    def tell(_number: int, _frame: object) -> None:
        told.set()
        if stop is None:
            raise KeyboardInterrupt
        Thread(target=stop.set).start()  # the main thread may hold the event's lock at this moment

    before = signal.signal(signal.SIGTERM, tell)
    try:
        yield told
    finally:
        signal.signal(signal.SIGTERM, before)


def _cancelled() -> bool:
    """Whether the flow run was cancelled, as far as the server answers."""
    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(UUID(flow_run.id)).state
    except HTTPError:
        return False
    return state is not None and (state.is_cancelling() or state.is_cancelled())


def table_tasks(house: Lakehouse, retries: int, delay_seconds: float) -> TableTasks | None:
    """Tasks for the tables of one run; none where no server follows them."""
    return TableTasks(OneWriter(house.uri), retries, delay_seconds) if in_flow_run() else None


def poll_tasks(house: Lakehouse, *, once: bool) -> PollTasks | None:
    """Tasks for the tables of a stream; none where no server follows them."""
    return PollTasks(OneWriter(house.uri), WAIT_SECONDS if once else 0) if in_flow_run() else None


def run_name() -> str:
    """The name of a flow run, by its parameters: `backfill users from 2024-01-01 to 2024-02-01`."""
    given = flow_run.parameters
    tables = given.get("tables") or ["all"]
    more = [f"and {len(tables) - SHOWN} more"] if len(tables) > SHOWN else []
    words = [str(flow_run.flow_name), ", ".join(tables[:SHOWN]), *more]
    words += [f"{key.strip('_')} {_short(given[key])}" for key in ("from_", "to") if key in given]
    words += [f"every {given['every_seconds']:g} s"] if "every_seconds" in given and not given.get("once") else []
    return " ".join(words + ["once"] * bool(given.get("once")) + ["in full"] * bool(given.get("full_refresh")))


def _short(bound: object) -> str:
    text = str(bound).replace("T", " ").removesuffix("Z").removesuffix("+00:00")
    return text.removesuffix(" 00:00:00")


def arguments(flow: Flow[..., Any]) -> argparse.ArgumentParser:
    """The options that every flow has as a script."""
    parser = argparse.ArgumentParser(description=flow.description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--select", dest="tables", nargs="+", default=[], help="users, users+ (and what follows), +fact_stream, tag:x")
    parser.add_argument("--project", default="", help="the project's folder (default: LAKEHOUSE_PROJECT, else here)")
    return parser


def start(flow: Flow[..., State[None]], given: dict[str, Any]) -> int:
    """Run a flow as a script, on the server of PREFECT_API_URL if one is set; its exit code.

    Without a server Prefect would start one for this run alone, and end it with it: tens of seconds for nothing that stays.
    """
    if get_current_settings().api.url:
        state: State[None] = flow(**given, return_state=True)
    else:
        sys.stderr.write("PREFECT_API_URL is not set: loading without Prefect, so without tasks, retries and artifacts.\n")
        try:
            state = flow.fn(**given)
        except KeyboardInterrupt:
            sys.stderr.write("Interrupted: what was committed stays, the rest comes with the next run.\n")
            return INTERRUPTED
    sys.stderr.write(f"{state.name}: {state.message}\n")
    return 0 if state.is_completed() else 1
