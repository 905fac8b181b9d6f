"""Every side effect on the lake passes here and is numbered, so that tests can crash or fail at number k."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from lakehouse.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
CRASH_CODE = 86
TRACED = 10_000
"""How many of the last effects keep their names: a stream may go on for ever."""


class Effects:
    """Counts effects in the order in which they happen; a fault (`before:3`, `after:3`, `error:3`) strikes at one of them."""

    def __init__(self, fault: str = "") -> None:
        """Read the fault; an empty one never strikes."""
        self._mode, _, number = fault.partition(":")
        self._strike = int(number or 0)
        self.count = 0
        self.trace: deque[str] = deque(maxlen=TRACED)

    def do(self, name: str, act: Callable[[], T]) -> T:
        """What `act` returns, with the effect counted under `name`.

        Raises:
            StorageError: In the place of the effect, where the fault says so.
        """
        self.count += 1
        self.trace.append(name)
        struck = self.count == self._strike
        if struck and self._mode == "before":
            os._exit(CRASH_CODE)
        if struck and self._mode == "error":
            raise StorageError("the effect failed because LAKEHOUSE_FAULT says so", where=name, next_step="Unset it and run again.")
        result = act()
        if struck and self._mode == "after":
            os._exit(CRASH_CODE)
        return result
