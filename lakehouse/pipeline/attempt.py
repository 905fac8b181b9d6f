"""One step of a node: done, tried anew where another run was faster, and described as it ended, whatever ended it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from lakehouse.errors import BusyError, ConflictError, LakehouseError, QualityError, SourceError, StorageError
from lakehouse.model.run import Step
from lakehouse.pipeline.damage import damaged
from lakehouse.storage.parquet import checksum_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakehouse.lake import Lake

RETRIES = 5
LONGEST_REASON = 400


def attempt(
    lake: Lake, step: str, node: str, work: Callable[[], Step], told: Sequence[BaseException] = ()
) -> tuple[Step, BaseException | None]:
    """The step as it ended, and what must be raised once it is recorded: the signal that ended it, else None.

    Whatever breaks it is a recorded failure, so that the other tables go on.

    Args:
        lake: The opened lake.
        step: The step's name.
        node: Its table or model.
        work: Does it.
        told: Fills with what a signal's handler raised; an engine may have swallowed it, or made an error of its own of it.
    """
    begun = time.monotonic()
    lake.extractions.pop(node, None)
    ended: BaseException | None = None
    try:
        done = Step(step, node, "interrupted") if told else _planned_anew(lake, node, work)
    except (KeyboardInterrupt, SystemExit, GeneratorExit) as exc:
        ended, done = exc, Step(step, node, "interrupted")
    except BaseException as exc:  # noqa: BLE001  the engines' panics are no Exceptions
        done = _failed(lake, step, node, exc)
    if told:
        ended = told[0]
        done = done if done.status == "success" else Step(step, node, "interrupted")
    _describe(lake, done)
    done.seconds = round(time.monotonic() - begun, 3)
    return done, ended


def _planned_anew(lake: Lake, node: str, work: Callable[[], Step]) -> Step:
    """The step's work; where another run wrote its table meanwhile, it looks again and starts over."""
    for _ in range(RETRIES):
        try:
            return work()
        except BusyError:
            raise
        except ConflictError:
            lake.forget(node)
    return work()


def _failed(lake: Lake, step: str, node: str, exc: BaseException) -> Step:
    told = exc if isinstance(exc, LakehouseError) else damaged(lake, step, node)
    if told is not None:
        if isinstance(told, SourceError):
            lake.connections.disconnect()  # a connection that broke stays broken: the next read connects again
        if isinstance(told, StorageError):
            lake.forget(node)  # so may a handle on a table
        found = lake.findings.get(node, []) if isinstance(told, QualityError) and step in ("silver", "gold") else []
        checks = {finding.rule: finding.failed or 1 for finding in found if finding.broken}
        return Step(step, node, "failed", error=facts(told), failed_checks=checks)
    if logging.getLogger("lakehouse").isEnabledFor(logging.DEBUG):
        logging.getLogger("lakehouse").debug("the step's traceback", exc_info=exc)
    reason = f"{type(exc).__name__}: {str(exc).partition(chr(10))[0][:LONGEST_REASON]}"
    if isinstance(exc, MemoryError):  # pyarrow's is one too
        advice = "Lower LAKEHOUSE_BATCH_ROWS or LAKEHOUSE_MEMORY_LIMIT, or give the process more memory."
        message = f"{node}: {step} ran out of memory ({reason.removesuffix(': ')}). {advice}"
    else:
        message = f"{node}: {step} broke with {reason}. Run again with --debug and report it."
    return Step(step, node, "failed", error={"kind": type(exc).__name__, "message": message, "exit_code": "1", "transient": "false"})


def facts(exc: LakehouseError) -> dict[str, str]:
    """An error as a step carries it."""
    return {"kind": exc.kind, "message": str(exc), "exit_code": str(exc.exit_code), "transient": str(exc.transient).lower()}


def _describe(lake: Lake, done: Step) -> None:
    """Add what was read and written, as far as the step went."""
    written = lake.end_step(done.step, done.table)
    done.version_before = written.version_before
    done.bytes, done.checksum = sum(file.size for file in written.files), checksum_of(file.checksum for file in written.files)
    if done.status == "interrupted":
        what = "interrupted" if written.version_before is None else "interrupted after its commit"
        done.error = {"kind": "Interrupted", "message": f"{done.table}: {done.step} was {what}.", "exit_code": "1", "transient": "true"}
    done.definition = lake.catalog.definition(done.table)
    read = lake.extractions.pop(done.table, None)
    if read is None:
        return
    done.reads = "adoption" if read.adopted else "backfill" if read.past else "refresh" if read.whole else "window"
    done.mode, done.extracted_at = read.table.mode, read.extracted_at
    done.rows_in, done.suppressed = read.rows, read.suppressed
    if not (done.window and done.window.get("from")):  # a heal from some cursor value on says so itself
        done.window = read.window.facts()
