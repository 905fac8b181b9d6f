"""One run: every selected table and model after all that it needs; a failure stops only what depends on it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from lakehouse.errors import ConflictError, LakehouseError, StorageError, UsageError
from lakehouse.model.run import Run, Step
from lakehouse.stages.bronze import append
from lakehouse.stages.extract import extract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lakehouse.lake import Lake

    Progress = Callable[[Step], None]


RETRIES = 5


def run(
    lake: Lake, select: Iterable[str] = (), *, full_refresh: bool = False, rebuild: Iterable[str] = (), progress: Progress | None = None
) -> Run:
    """Run the selected tables and models; the report has a step for each thing done, failed or skipped.

    Args:
        lake: The opened lake.
        select: Words such as `users+`, `+fact_stream`, `tag:x`; none selects all.
        full_refresh: Read the sources anew from the beginning, as new batches.
        rebuild: Silver tables (`silver.users`) to fold again from all of bronze.
        progress: Called with each step as it ends.

    Raises:
        UsageError: A word names nothing.
    """
    nodes = lake.catalog.graph.select(select)
    folded = {_silver_name(lake, word) for word in rebuild}
    if missed := sorted(folded - set(nodes)):
        raise UsageError(
            f"--rebuild silver.{missed[0]} is not among what --select names", next_step="Select it too, or leave --select out."
        )
    report = Run(lake.run_id, "success", lake.now())
    begun = time.monotonic()
    failed: set[str] = set()
    try:
        for node in nodes:
            blocked = sorted(lake.catalog.graph.above(node) & failed)
            for step, work in _work(lake, node, full_refresh=full_refresh, rebuild=node in folded):
                if node in failed or blocked:
                    cause = f"{', '.join(blocked)} failed before it" if blocked else "the step before it failed"
                    done = Step(step, node, "skipped", error={"kind": "Skipped", "message": cause})
                else:
                    done = _attempt(lake, step, node, work)
                failed |= {node} if done.status == "failed" else set()
                report.steps.append(done)
                if progress:
                    progress(done)
    except (KeyboardInterrupt, SystemExit):
        report.status = "interrupted"
        raise
    finally:
        if report.status != "interrupted":
            report.status = "failed" if failed else "success" if any(step.status == "success" for step in report.steps) else "unchanged"
        report.seconds = round(time.monotonic() - begun, 3)
        _record(lake, report, progress)
    return report


def _record(lake: Lake, report: Run, progress: Progress | None) -> None:
    """Record the run; a ledger that cannot be written is a failed step of the report, which stays whole."""
    try:
        lake.ledger.record(report)
    except StorageError as exc:
        step = Step("ledger", "steps", "failed", error={"kind": exc.kind, "message": str(exc), "exit_code": str(exc.exit_code)})
        report.steps.append(step)
        report.status = "failed"
        if progress:
            progress(step)


def _silver_name(lake: Lake, word: str) -> str:
    name = word.removeprefix("silver.")
    if name not in lake.catalog.tables:
        raise UsageError(
            f"--rebuild {word!r} names no silver table",
            given=", ".join(sorted(lake.catalog.tables)),
            next_step="Name one as silver.<table>.",
        )
    return name


def _work(lake: Lake, node: str, *, full_refresh: bool, rebuild: bool) -> list[tuple[str, Callable[[], Step]]]:
    if node in lake.catalog.models:
        return [("gold", lambda: _gold(lake, node))]
    table = lake.catalog.tables[node]
    return [
        ("bronze", lambda: append(lake, extract(lake, table, full_refresh=full_refresh))),
        ("silver", lambda: _silver(lake, node, rebuild=rebuild)),
    ]


def _silver(lake: Lake, name: str, *, rebuild: bool) -> Step:
    if not rebuild and lake.behind("silver", name) is None:
        return _unchanged(lake, "silver", name)
    from lakehouse.stages.silver import fold  # noqa: PLC0415  a run without changes does not load Polars

    return fold(lake, lake.catalog.tables[name], rebuild=rebuild)


def _gold(lake: Lake, name: str) -> Step:
    if lake.behind("gold", name) is None:
        return _unchanged(lake, "gold", name)
    from lakehouse.stages.gold import build  # noqa: PLC0415  as above

    return build(lake, lake.catalog.models[name])


def _unchanged(lake: Lake, layer: str, name: str) -> Step:
    table = lake.table(layer, name)
    return Step(layer, name, "unchanged", version=None if table is None else table.version)


def _planned_anew(lake: Lake, work: Callable[[], Step]) -> Step:
    """The step's work; where another run wrote its table meanwhile, it looks again and starts over."""
    for _ in range(RETRIES):
        try:
            return work()
        except ConflictError:
            lake.forget()
    return work()


def _attempt(lake: Lake, step: str, node: str, work: Callable[[], Step]) -> Step:
    """The step as it ended; whatever breaks it is a recorded failure, so that the other tables go on."""
    begun = time.monotonic()
    try:
        done = _planned_anew(lake, work)
    except LakehouseError as exc:
        done = Step(step, node, "failed", error={"kind": exc.kind, "message": str(exc), "exit_code": str(exc.exit_code)})
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as exc:  # the engines' panics are no Exceptions
        message = (
            f"{node}: {step} broke with {type(exc).__name__}: {str(exc).partition(chr(10))[0][:400]}. Run again with --debug and report it."
        )
        done = Step(step, node, "failed", error={"kind": type(exc).__name__, "message": message, "exit_code": "1"})
        if logging.getLogger("lakehouse").isEnabledFor(logging.DEBUG):
            logging.getLogger("lakehouse").debug("the step's traceback", exc_info=exc)
    done.seconds = round(time.monotonic() - begun, 3)
    return done


def exit_code(report: Run) -> int:
    """What the command line returns for a run: 0 done, 1 failed, 2 misuse, 3 stopped by data quality alone."""
    codes = {int(step.error.get("exit_code", "1")) for step in report.steps if step.status == "failed" and step.error}
    return codes.pop() if len(codes) == 1 else 1 if codes else 0
