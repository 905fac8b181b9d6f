"""What travels with a commit, and whether one landed whose answer was an error."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import obstore
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from obstore.exceptions import BaseError

from lakehouse.errors import ConflictError, StorageError
from lakehouse.layout import FENCE
from lakehouse.storage.refusal import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lakehouse.model.run import Commit
    from lakehouse.storage.parquet import WrittenFile
    from lakehouse.storage.place import Place

LOOKED_AT = 20


@dataclass(slots=True)
class Written:
    """What was committed to a table: the version before it (None: nothing was) and the files with new rows."""

    version_before: int | None = None
    files: list[WrittenFile] = field(default_factory=list)

    def add(self, version_before: int, files: Iterable[WrittenFile]) -> None:
        """Note a commit."""
        self.version_before = version_before if self.version_before is None else self.version_before
        self.files += files


def properties(commit: Commit, batch: int, facts: Mapping[str, Any]) -> CommitProperties:
    """Numbers and facts as delta-rs takes them; it tries once, since a conflict means to plan anew."""
    numbers = {FENCE: batch, **commit.numbers}
    words = {"run_id": commit.run_id, "step": commit.step, "batch": batch, "numbers": numbers, **facts}
    return CommitProperties(
        custom_metadata={"lakehouse": json.dumps(words, default=str)},
        app_transactions=[Transaction(app_id, number) for app_id, number in numbers.items()],
        max_commit_retries=0,
    )


def _landed(place: Place, name: str, commit: Commit, batch: int, failed: BaseException) -> bool:
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


def settle(place: Place, name: str, commit: Commit, act: Callable[[], None], *, batch: int, version: int) -> None:
    """Commit by `act` upon a version, for ever; after any error the log is read before anything is decided.

    Raises:
        ConflictError: Another writer committed first.
        StorageError: The commit failed, or nobody knows yet whether it did.
    """
    place.settle_names()
    try:
        act()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as exc:  # the engine's panics are no Exceptions
        if not _landed(place, name, commit, batch, exc):
            if isinstance(exc, CommitFailedError):
                raise conflict(name) from exc
            if isinstance(exc, (DeltaError, OSError)):
                raise StorageError(
                    f"the commit failed: {reason(exc)}", where=name, next_step="See that the lake can be written, then run again."
                ) from exc
            raise
    place.settle_commit(version + 1)


def is_overtaken(place: Place, version: int) -> bool:
    """Whether the log has a commit after this version, as far as one cheap look tells."""
    try:
        obstore.head(place.store(), f"_delta_log/{version + 1:020}.json")
    except (BaseError, OSError):
        return False
    return True


def conflict(name: str) -> ConflictError:
    """The error of a run that another one overtook."""
    return ConflictError("another run wrote this table meanwhile, so this one changed nothing", where=name, next_step="Run again.")
