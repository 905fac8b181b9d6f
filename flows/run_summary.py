"""What a flow run shows of its runs: one artifact, and a last state that names the tables that failed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from httpx import HTTPError
from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from lakehouse.model.run import Run, Step

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

KEY = "run-summary"
REFRESH_SECONDS = 30
"""How often the artifact of a stream is brought up to date."""
PUBLISH = "publish"
"""The step at the end of a run that is no table's."""
COLUMNS = ("step", "table", "status", "rows in", "rows out", "rejected", "seconds", "version")


@dataclass(slots=True)
class RunSummary:
    """The runs of one flow run: one, or a stream's polls. Rows and seconds add up; a step that wrote in any poll is a success."""

    polls: int = 0
    last: Run | None = None
    _steps: dict[tuple[str, str], Step] = field(default_factory=dict)
    _artifact: UUID | None = None
    _written: float = 0.0

    def add(self, run: Run) -> None:
        """Take in a run that has ended."""
        self.polls += 1
        self.last = run
        for step in run.steps:
            total = self._steps.setdefault((step.step, step.table), Step(step.step, step.table, "unchanged"))
            if step.status != "unchanged" or total.status != "success":
                total.status = step.status
            total.version = total.version if step.version is None else step.version
            total.rows_in += step.rows_in
            total.rows_out += step.rows_out
            total.rejected += step.rejected
            total.seconds = round(total.seconds + step.seconds, 3)

    def markdown(self) -> str:
        """The artifact's text: what each step did, then every failure in full."""
        if self.last is None:
            return "Nothing was run."
        head = f"{self.polls} polls, the last one" if self.polls > 1 else "Run"
        lines = [f"## {head} {self.last.status}", f"Run `{self.last.run_id}`, {self.last.started_at:%Y-%m-%d %H:%M:%S} UTC", ""]
        lines += ["| " + " | ".join(COLUMNS) + " |", "|---" * 3 + "|---:" * 5 + "|"]
        for step in self._steps.values():
            numbers = (f"{step.rows_in:,}", f"{step.rows_out:,}", f"{step.rejected:,}", f"{step.seconds:.2f}", _text(step.version))
            lines.append("| " + " | ".join((step.step, f"`{step.table}`", step.status, *numbers)) + " |")
        failed = [step for step in self.last.steps if step.status == "failed"]
        lines += ["", "### What failed"] * bool(failed)
        lines += [f"- **{step.table}** ({step.step}): {_line((step.error or {}).get('message', ''))}" for step in failed]
        warned = [(step, rule, count) for step in self.last.steps for rule, count in step.failed_checks.items()]
        lines += ["", "### Broken rules"] * bool(warned)
        lines += [f"- **{step.table}** ({step.step}): {count:,} rows break `{rule}`" for step, rule, count in warned]
        return "\n".join(lines) + "\n"

    def show(self, *, at_once: bool = True) -> None:
        """Write the artifact of the flow run, or bring it up to date; not `at_once`: only every half minute.

        A server that does not answer costs the artifact, never the run.
        """
        if not at_once and time.monotonic() - self._written < REFRESH_SECONDS:
            return
        self._written = time.monotonic()
        try:
            self._write()
        except HTTPError as exc:
            get_run_logger().warning("The artifact %s was not written (%s).", KEY, type(exc).__name__)

    def _write(self) -> None:
        with get_client(sync_client=True) as client:
            if self._artifact is not None:
                client.update_artifact(self._artifact, ArtifactUpdate(data=self.markdown()))
                return
            words = "What the run did, step by step."
            request = ArtifactCreate(key=KEY, type="markdown", description=words, data=self.markdown(), flow_run_id=UUID(flow_run.id))
            self._artifact = client.create_artifact(request).id

    def state(self) -> State[None]:
        """The flow run's last state, by its last run."""
        if self.last is None:
            return Completed(message="Nothing was run.")
        tables = {step.table for step in self.last.steps if step.step != PUBLISH}
        failed = sorted({step.table for step in self.last.steps if step.status == "failed"})
        skipped = sorted({step.table for step in self.last.steps if step.status == "skipped" and step.step != PUBLISH} - set(failed))
        if failed:
            others = " The others went on." if len(tables) > len(failed) + len(skipped) else ""
            waiting = f"; not done because of them: {', '.join(skipped)}" if skipped else ""
            return Failed(message=f"{len(failed)} of {len(tables)} failed: {', '.join(failed)}{waiting}.{others}")
        came = sum(step.rows_out for (name, _), step in self._steps.items() if name == "bronze")
        polls = f"{self.polls} polls, " if self.polls > 1 else ""
        done = f"{len(tables)} tables and models" if len(tables) > 1 else "1 table"
        return Completed(message=f"{polls}{done}, {came:,} new row{'s' * (came != 1)}.")


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _line(text: str) -> str:
    """A message as one line of Markdown that means nothing else."""
    return " ".join(text.replace("<", "&lt;").replace("|", "\\|").split())
