"""How many connections read rows of one source at once: a limit that all its tables share."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Condition, get_ident
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Gate:
    """Lets reads of one source in while fewer than `limit` connections read; None lets all in."""

    def __init__(self, limit: int | None = None) -> None:
        """Nobody reads yet."""
        self._limit, self._reading = limit, 0
        self._inside: dict[int, int] = {}
        self._free = Condition()

    @contextmanager
    def enter(self, wanted: int) -> Iterator[int]:
        """How many of the wanted connections the read may use until the block ends: one at least, for which it waits.

        A thread that reads already never waits: it would wait for itself.
        """
        if self._limit is None:
            yield wanted
            return
        me = get_ident()
        with self._free:
            while self._reading >= self._limit and not self._inside.get(me):
                self._free.wait()
            granted = max(1, min(wanted, self._limit - self._reading))
            self._reading += granted
            self._inside[me] = self._inside.get(me, 0) + 1
        try:
            yield granted
        finally:
            with self._free:
                self._reading -= granted
                self._inside[me] -= 1
                if not self._inside[me]:
                    del self._inside[me]
                self._free.notify_all()
