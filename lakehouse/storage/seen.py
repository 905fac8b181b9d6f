"""What was read of a table at one version, so that a step that asks for it again and again reads it once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from lakehouse.storage.rewriting import Found

MOST_FILES = 10_000
"""Of how many files the description is held; that of more would be much memory, and making it anew is little beside reading them."""


class Seen:
    """A table's schema, numbers and files at the version that its handle reads.

    Attributes:
        delta: The handle.
        found: What was looked up, for the change that follows.
    """

    def __init__(self, delta: DeltaTable) -> None:
        """Take the handle as it stands; nothing is read."""
        self.delta = delta
        self._numbers: dict[str, int | None] = {}
        self._actions: pa.Table | None = None
        self.found: list[Found] = []

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema."""
        return pa.schema(self.delta.schema().to_arrow())

    def number(self, app_id: str) -> int | None:
        """The number of an app transaction."""
        if app_id not in self._numbers:
            found = self.delta.transaction_version(app_id)
            self._numbers[app_id] = None if found is None else int(found)
        return self._numbers[app_id]

    def actions(self) -> pa.Table:
        """The add actions, flattened."""
        if self._actions is not None:
            return self._actions
        actions = pa.table(self.delta.get_add_actions(flatten=True))
        if actions.num_rows <= MOST_FILES:
            self._actions = actions
        return actions
