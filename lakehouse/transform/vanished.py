"""Whether keys that a source no longer shows are rather deleted, or the source rather broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.errors import QualityError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakehouse.model.table import Table

FEW_DELETES = 100
"""So many keys may vanish at once whatever their share."""


def require_plausible(table: Table, *, shown: int, gone: int, held: Callable[[], int]) -> None:
    """Stop where burying what is gone would rather follow a broken source than deletes.

    Args:
        table: The metadata.
        shown: How many rows the source shows.
        gone: How many keys it no longer shows.
        held: Tells how many living keys bronze has; asked only where it matters.

    Raises:
        QualityError: The source shows nothing, or lacks more than the declared share of what bronze has.
    """
    rule, where = table.deletes, f"{table.source}.{table.name}"
    if gone and not shown and rule.empty == "stop":
        raise QualityError(
            f"the source shows no row where there were {held()}",
            where=where,
            next_step="See that the source is whole; if all were deleted, declare `empty: apply` under `deletes` for this run.",
        )
    if shown and gone > FEW_DELETES and gone > rule.at_most * held():
        raise QualityError(
            f"{gone} of {held()} keys vanished from the source",
            where=where,
            expected=f"at most a share of {rule.at_most:g}",
            next_step="See that the source is whole; if these rows were deleted, raise `at_most` under `deletes` for this run.",
        )
