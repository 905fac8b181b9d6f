"""One Prefect task for each table or model of a run: its name, its retries, its one writer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from lakehouse.errors import ConflictError
from lakehouse.model.run import Step
from one_writer import OneWriter

Work = Callable[[], list[Step]]
WAIT_SECONDS = 3600.0
"""How long a run waits for another one that writes the same table."""


class TableFailedError(Exception):
    """Raised in the task of a table whose step failed, so that Prefect shows it and may try it again."""

    def __init__(self, step: Step) -> None:
        """Take over the step's error."""
        error = step.error or {}
        self.transient = error.get("transient") == "true"
        super().__init__(error.get("message", f"{step.step} failed"))


def is_transient(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether what ended a task may go by itself: the one place that decides about retries, by what the error says of itself."""
    return isinstance(state.data, TableFailedError) and state.data.transient


@task(task_run_name="{table}", retry_condition_fn=is_transient, cache_policy=NO_CACHE, persist_result=False)
def load(table: str, work: Work) -> None:
    """Bring one table or model up to date.

    Raises:
        TableFailedError: A step failed.
    """
    steps = work()
    for step in steps:
        words = (step.step, table, step.status, step.rows_in, step.rows_out, step.seconds)
        get_run_logger().info("%s.%s %s: %d rows in, %d out, %.2f s", *words)
    for step in steps:
        if step.status == "failed":
            raise TableFailedError(step)


@dataclass(slots=True)
class TableTasks:
    """Does the work of each table in a task of its name.

    Attributes:
        writer: Hands out the turn to write a table.
        retries: How often a transient failure is tried again.
        delay_seconds: The wait before the first retry; each later one waits twice as long as the one before.
    """

    writer: OneWriter
    retries: int
    delay_seconds: float

    def __call__(self, table: str, work: Work) -> list[Step]:
        """The steps of the last try."""
        latest: list[Step] = []

        def attempt() -> list[Step]:
            latest[:] = _alone(self.writer, table, work, WAIT_SECONDS)
            return latest

        delays: list[float] = [self.delay_seconds * 2**number for number in range(self.retries)]
        state = load.with_options(retries=self.retries, retry_delay_seconds=delays)(table, attempt, return_state=True)
        return latest or [Step("task", table, "failed", error={"kind": state.name or "Failed", "message": f"{table}: {state.message}"})]


@dataclass(slots=True)
class PollTasks:
    """Does the work of each table in a poll, and tells it in a task of its name where there is something to tell.

    Polls every few seconds would drown the server in tasks that did nothing; a table that fails again as it failed in the poll before
    is no news either. The next poll is the retry.

    Attributes:
        writer: Hands out the turn to write a table.
        wait_seconds: How long to wait for another run that writes the same table; 0 leaves the table to the next poll.
    """

    writer: OneWriter
    wait_seconds: float
    _told: dict[str, str] = field(default_factory=dict)

    def __call__(self, table: str, work: Work) -> list[Step]:
        """The poll's steps."""
        steps = _alone(self.writer, table, work, self.wait_seconds)
        error = next(((step.error or {}).get("message", "") for step in steps if step.status == "failed"), "")
        if error != self._told.get(table, "") or any(step.status == "success" for step in steps):
            load(table, lambda: steps, return_state=True)
        self._told[table] = error
        return steps


def _alone(writer: OneWriter, table: str, work: Work, wait_seconds: float) -> list[Step]:
    """The work's steps, done while no other flow run writes the table; a single step `turn` where that could not be had."""
    try:
        with writer.turn(table, wait_seconds):
            return work()
    except ConflictError as exc:
        facts = {"kind": exc.kind, "message": str(exc), "exit_code": str(exc.exit_code), "transient": str(exc.transient).lower()}
        return [Step("turn", table, "failed" if wait_seconds else "skipped", error=facts)]
