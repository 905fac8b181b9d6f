"""Walks tables and models in their order; a failure is a recorded step and stops only what depends on it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lakehouse.errors import StorageError
from lakehouse.model.run import Run, Step
from lakehouse.pipeline.attempt import attempt, facts
from lakehouse.pipeline.signals import heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lakehouse.lake import Lake

    Progress = Callable[[Step], None]
    Work = Callable[[], list[Step]]
    Around = Callable[[str, Work], list[Step]]
    """Does the work of one table or model, such as inside a task of an orchestrator; it may do it again after a failure."""

    Part = tuple[str, Callable[[], Step]]
    """A step's name and what it does."""


def walk(
    lake: Lake,
    nodes: Iterable[str],
    parts: Callable[[str], list[Part]],
    *,
    progress: Progress | None = None,
    around: Around | None = None,
    record: Callable[[Run], bool] = lambda _: True,
) -> Run:
    """Do the parts of each node after all that it needs, and record the run.

    Args:
        lake: The opened lake.
        nodes: Tables and models, each after what it needs.
        parts: What there is to do for a node, in order.
        progress: Called with each step as it ends.
        around: Does the work of each node that is not skipped; by default it is just done.
        record: Whether the ledger keeps this run; asked at its end.
    """
    nodes = list(nodes)
    report = Run(lake.run_id, "success", lake.now(), metadata=lake.catalog.digest())
    begun = time.monotonic()
    failed: set[str] = set()
    stopped = False
    lake.open_ahead(nodes)
    with heard() as told:
        try:
            for node in nodes:
                blocked = sorted(lake.catalog.graph.above(node) & failed)
                work = _Work(lake, node, parts(node), progress, told)
                try:
                    steps = work.skipped(f"{', '.join(blocked)} failed before it") if blocked else around(node, work) if around else work()
                except BaseException:
                    report.steps += work.steps
                    raise
                failed |= {node} if any(step.status == "failed" for step in steps) else set()
                report.steps += steps
                if told:
                    raise told[0]  # noqa: TRY301  who does the work may have taken it for a failure of the table
            report.status = "failed" if failed else "success" if any(step.status == "success" for step in report.steps) else "unchanged"
        except BaseException as exc:  # also who does the work, or is told of it, may break: what was committed stands in the report
            stopped = bool(told) or isinstance(exc, (KeyboardInterrupt, SystemExit))
            report.status = "interrupted" if stopped else "failed"
            raise
        finally:
            report.seconds = round(time.monotonic() - begun, 3)
            if stopped or record(report):
                _record(lake, report, progress)
    return report


class _Work:
    """All that is to be done for one node; calling it again does again what failed and what follows it.

    Attributes:
        steps: The steps of the last call, those that were done in an earlier one among them.
    """

    def __init__(self, lake: Lake, node: str, parts: list[Part], progress: Progress | None, told: Sequence[BaseException]) -> None:
        self._lake, self._node, self._parts, self._progress, self._told = lake, node, parts, progress, told
        self.steps: list[Step] = []

    def __call__(self) -> list[Step]:
        self.steps = [step for step in self.steps if step.status in ("success", "unchanged")]
        for name, act in self._parts[len(self.steps) :]:
            if any(step.status == "failed" for step in self.steps):
                self.steps.append(self._skip(name, "the step before it failed"))
            else:
                done, ended = attempt(self._lake, name, self._node, act, self._told)
                self.steps.append(done)
                if ended is not None:
                    raise ended
            if self._progress:
                self._progress(self.steps[-1])
        return self.steps

    def skipped(self, cause: str) -> list[Step]:
        steps = [self._skip(name, cause) for name, _ in self._parts]
        for step in steps:
            if self._progress:
                self._progress(step)
        return steps

    def _skip(self, name: str, cause: str) -> Step:
        return Step(name, self._node, "skipped", error={"kind": "Skipped", "message": cause})


def _record(lake: Lake, report: Run, progress: Progress | None) -> None:
    """Record the run; a ledger that cannot be written is a failed step of the report, which stays whole."""
    try:
        lake.ledger.record(report)
    except StorageError as exc:
        step = Step("ledger", "steps", "failed", error=facts(exc))
        report.steps.append(step)
        report.status = "failed"
        if progress:
            progress(step)


def exit_code(report: Run) -> int:
    """What the command line returns for a run: 0 done, 1 failed, 2 misuse, 3 stopped by data quality alone."""
    codes = {int(step.error.get("exit_code", "1")) for step in report.steps if step.status == "failed" and step.error}
    return codes.pop() if len(codes) == 1 else 1 if codes else 0
