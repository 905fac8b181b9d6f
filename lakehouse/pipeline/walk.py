"""Walks tables and models in their order; a failure is a recorded step and stops only what depends on it."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING

from lakehouse.errors import StorageError, UsageError
from lakehouse.model.run import Run, Step
from lakehouse.pipeline import publish
from lakehouse.pipeline.abreast import abreast
from lakehouse.pipeline.attempt import attempt, facts
from lakehouse.pipeline.signals import heard
from lakehouse.storage.effects import signals_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lakehouse.lake import Lake
    from lakehouse.model.run import Status

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
    above: Callable[[str], set[str]] | None = None,
    progress: Progress | None = None,
    around: Around | None = None,
    record: Callable[[Run], bool] = lambda _: True,
) -> Run:
    """Do the parts of each node after all that it needs, and record the run.

    Args:
        lake: The opened lake.
        nodes: Tables and models, each after what it needs.
        parts: What there is to do for a node, in order.
        above: The nodes that each one waits for; by default those that it needs.
        progress: Called with each step as it ends.
        around: Does the work of each node that is not skipped; by default it is just done.
        record: Whether the ledger keeps this run; asked at its end.
    """
    nodes, above = list(nodes), above or lake.catalog.graph.above
    report = Run(lake.run_id, "success", lake.now(), metadata=lake.catalog.digest())
    begun = time.monotonic()
    stopped, published = False, None
    tell = _teller(lake)
    lake.open_ahead(nodes)
    with heard() as told:
        lake.told = told
        works = _Works(lake, parts, _one_by_one(progress), around, told, above=above)
        try:
            if lake.settings.tables_at_once == 1 or around:
                for node in nodes:
                    works.do(node)
            else:
                abreast({node: above(node) for node in nodes}, works.do, lake.settings.tables_at_once, lake.connections.sit)
            report.status = works.status()
            published = publish.step(lake, nodes)
        except BaseException as exc:  # also who does the work, or is told of it, may break: what was committed stands in the report
            stopped = bool(told) or isinstance(exc, (KeyboardInterrupt, SystemExit))
            report.status = "interrupted" if stopped else "failed"
            raise
        finally:
            with signals_wait():  # else a run that committed would leave no trace
                report.steps += [step for node in nodes for step in works.steps(node)]
                if published is not None:
                    _add(report, published, progress)
                report.seconds = round(time.monotonic() - begun, 3)
                report.status = "interrupted" if told else report.status
                if stopped or told or record(report):
                    _record(lake, report, progress)
                    tell(lake, report)
    return report


def _add(report: Run, step: Step, progress: Progress | None) -> None:
    """Add what a run did at its end, which may be all that it did, or all that failed."""
    report.steps.append(step)
    if step.status == "failed" or (step.status == "success" and report.status == "unchanged"):
        report.status = step.status
    if progress:
        progress(step)


def _teller(lake: Lake) -> Callable[[Lake, Run], None]:
    """What tells others of a run, where somebody wants to know.

    Raises:
        UsageError: The library for it is not installed.
    """
    if not lake.settings.openlineage:
        return lambda *_: None
    try:
        from lakehouse.pipeline.openlineage import tell  # noqa: PLC0415  few want it, and it takes half a second to load
    except ImportError as exc:
        raise UsageError(
            "LAKEHOUSE_OPENLINEAGE is set, and openlineage-python is not installed",
            next_step="pip install 'lakehouse[openlineage]', or unset it.",
        ) from exc
    return tell


def _one_by_one(progress: Progress | None) -> Progress | None:
    """The progress, told of one step at a time."""
    lock = Lock()

    def tell(step: Step) -> None:
        if progress:
            with lock:
                progress(step)

    return tell if progress else None


class _Works:
    """The work of all nodes of a run, done in any order that keeps each after what it needs."""

    def __init__(
        self,
        lake: Lake,
        parts: Callable[[str], list[Part]],
        progress: Progress | None,
        around: Around | None,
        told: Sequence[BaseException],
        *,
        above: Callable[[str], set[str]],
    ) -> None:
        self._lake, self._parts, self._progress, self._around, self._told = lake, parts, progress, around, told
        self._above = above
        self._failed: set[str] = set()
        self._steps: dict[str, list[Step]] = {}

    def do(self, node: str) -> None:
        """Do a node, or skip it where something that it needs has failed.

        Raises:
            BaseException: What ended the run from outside, also where who does the work took it for a failure of the table.
        """
        blocked = sorted(self._above(node) & self._failed)
        work = _Work(self._lake, node, self._parts(node), self._progress, self._told)
        around = self._around
        try:
            steps = work.skipped(f"{', '.join(blocked)} failed before it") if blocked else around(node, work) if around else work()
        except BaseException:
            self._steps[node] = work.steps
            raise
        self._steps[node] = steps
        if any(step.status == "failed" for step in steps):
            self._failed.add(node)
        if self._told:
            raise self._told[0]

    def steps(self, node: str) -> list[Step]:
        """The node's steps, as far as they went."""
        return self._steps.get(node, [])

    def status(self) -> Status:
        """What all of it came to."""
        changed = any(step.status == "success" for steps in self._steps.values() for step in steps)
        return "failed" if self._failed else "success" if changed else "unchanged"


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
        lake.ledger.judge(report.run_id, lake.now(), [finding for found in lake.findings.values() for finding in found])
        lake.ledger.record(report)
    except StorageError as exc:
        _add(report, Step("ledger", "steps", "failed", error=facts(exc)), progress)


def exit_code(report: Run) -> int:
    """What the command line returns for a run: 0 done, 1 failed, 2 misuse, 3 stopped by data quality alone."""
    codes = {int(step.error.get("exit_code", "1")) for step in report.steps if step.status == "failed" and step.error}
    return codes.pop() if len(codes) == 1 else 1 if codes else 0
