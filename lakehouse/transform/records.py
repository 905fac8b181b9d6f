"""What commits tell of the steps that made them, for a ledger that was lost."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

READS = ("bronze",)


def steps_of(commits: Iterable[dict[str, Any]], checksum: Callable[[list[str]], str | None]) -> list[dict[str, Any]]:
    """One step for each (run, step, table) that committed, with the ledger's columns as far as commits know them.

    That a step committed is all that is known of its end, so its status is `success`; how its run ended
    nobody knows, so `run_status` is NULL.

    Args:
        commits: `table` (layer.table), `version`, `committed_at`, and the `record` that the commit carried, as JSON; one may come twice.
        checksum: Makes one checksum of those of several files.
    """
    read = {(commit["table"], commit["version"], commit["record"]): {**commit, **json.loads(commit["record"])} for commit in commits}

    def place(commit: dict[str, Any]) -> tuple[str, str, str]:
        return commit["run_id"], commit["step"], commit["table"]

    ordered = sorted((commit for commit in read.values() if "run_id" in commit), key=lambda commit: (place(commit), commit["version"]))
    steps = [_step(list(group), checksum) for _, group in groupby(ordered, place)]
    begun: dict[str, Any] = {}
    for step in steps:
        begun[step["run_id"]] = min(step["run_started_at"], begun.get(step["run_id"], step["run_started_at"]))
    return [{**step, "run_started_at": begun[step["run_id"]]} for step in steps]


def _step(commits: list[dict[str, Any]], checksum: Callable[[list[str]], str | None]) -> dict[str, Any]:
    """The step of commits that one step made of one table, in their order."""
    last = commits[-1]
    files = [file for commit in commits for file in commit.get("files", ())]
    known = {name: value for commit in commits for name, value in commit.items()}
    step: dict[str, Any] = {
        "run_id": last["run_id"],
        "run_started_at": commits[0]["committed_at"],
        "step": last["step"],
        "table": last["table"].partition(".")[2],
        "status": "success",
        "rows_in": known.get("rows_read", known.get("rows_in", known.get("rows"))),
        "version": last["version"],
        "version_before": commits[0]["version"] - 1,
        "window": json.dumps(known["window"]) if "window" in known else None,
        "failed_checks": json.dumps(known["failed_checks"]) if known.get("failed_checks") else None,
        "bytes": sum(file["size"] for file in files),
        "checksum": checksum([file["xxh3_128"] for file in files]),
        "definition": known.get("definition", known["numbers"].get("lakehouse.definition")),
        "rebuilt": True,
    }
    if last["step"] in READS:
        step |= {"rows_out": sum(file["rows"] for file in files), "rejected": 0}
    if "window" in known:
        step |= {"reads": known.get("reads", "backfill" if known.get("backfill") else "window"), "mode": known.get("mode")}
    if "extracted_at" in known:  # by the run's own clock, which may be set
        step["extracted_at"] = step["run_started_at"] = datetime.fromisoformat(known["extracted_at"])
    return step
