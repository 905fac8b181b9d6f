"""What travels with a commit, and whether one landed whose answer was an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import DeltaError

from lakehouse.errors import StorageError
from lakehouse.layout import FENCE
from lakehouse.storage.refusal import reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lakehouse.model.run import Commit
    from lakehouse.storage.place import Place

LOOKED_AT = 20


def properties(commit: Commit, batch: int, facts: Mapping[str, Any]) -> CommitProperties:
    """Numbers and facts as delta-rs takes them; it tries once, since a conflict means to plan anew."""
    numbers = {FENCE: batch, **commit.numbers}
    words = {"run_id": commit.run_id, "step": commit.step, "batch": batch, "numbers": numbers, **facts}
    return CommitProperties(
        custom_metadata={"lakehouse": json.dumps(words, default=str)},
        app_transactions=[Transaction(app_id, number) for app_id, number in numbers.items()],
        max_commit_retries=0,
    )


def landed(place: Place, name: str, commit: Commit, batch: int, failed: Exception) -> bool:
    """Whether the log has this very commit though it `failed`: a store may lose its answer, or call a commit's own file a conflict.

    Raises:
        StorageError: The log cannot be read: nobody knows yet, and the next run finds out.
    """
    try:
        table = DeltaTable(place.uri, storage_options=place.options() or None)
        if (table.transaction_version(FENCE) or 0) < batch:
            return False
        stamps = [json.loads(entry.get("lakehouse", "{}")) for entry in table.history(LOOKED_AT)]
    except (DeltaError, OSError) as exc:
        raise StorageError(
            f"the commit got no answer ({reason(failed)}), and the log cannot be read: {reason(exc)}",
            where=name,
            next_step="Run again: the next run finds out whether it landed.",
        ) from exc
    return any((stamp.get("run_id"), stamp.get("batch")) == (commit.run_id, batch) for stamp in stamps)
