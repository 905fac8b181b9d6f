"""Every side effect on the lake passes here and is numbered, so that tests can crash or fail at number k."""

from __future__ import annotations

import os
import signal
from collections import deque
from contextlib import contextmanager
from threading import Lock, current_thread, main_thread
from typing import TYPE_CHECKING, TypeVar

from lakehouse.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

T = TypeVar("T")
CRASH_CODE = 86
TRACED = 10_000
"""How many of the last effects keep their names: a stream may go on for ever."""
ENDING = (signal.SIGINT, signal.SIGTERM)


class Effects:
    """Counts effects in the order in which they happen; a fault (`before:3`, `after:3`, `error:3`) strikes at one of them."""

    def __init__(self, fault: str = "") -> None:
        """Read the fault; an empty one never strikes."""
        self._mode, _, number = fault.partition(":")
        self._strike = int(number or 0)
        self.count = 0
        self.trace: deque[str] = deque(maxlen=TRACED)
        self._lock = Lock()

    def do(self, name: str, act: Callable[[], T], *, whole: bool = True) -> T:
        """What `act` returns, with the effect counted under `name`.

        Args:
            name: What it is, for traces and messages.
            act: Does it.
            whole: Ctrl-C and SIGTERM wait for its end: nobody has to guess afterwards whether it happened.

        Raises:
            StorageError: In the place of the effect, where the fault says so.
        """
        with self._lock:  # tables that are brought up to date at once are counted together
            self.count += 1
            self.trace.append(name)
            struck = self.count == self._strike
        if struck and self._mode == "before":
            os._exit(CRASH_CODE)
        if struck and self._mode == "error":
            raise StorageError("the effect failed because LAKEHOUSE_FAULT says so", where=name, next_step="Unset it and run again.")
        if whole:
            with signals_wait():
                result = act()
        else:
            result = act()
        if struck and self._mode == "after":
            os._exit(CRASH_CODE)
        return result


@contextmanager
def signals_wait() -> Iterator[None]:
    """Hold back the first signal that ends the process until the block has ended; a second one is not held back."""
    if current_thread() is not main_thread():  # Python hands signals to the main thread alone
        yield
        return
    waiting: list[signal.Signals] = []

    def note(number: int, frame: FrameType | None) -> None:
        handler = before[signal.Signals(number)]
        if not waiting:
            waiting.append(signal.Signals(number))
        elif callable(handler):
            handler(number, frame)

    before = {number: handler for number in ENDING if (handler := signal.getsignal(number)) not in (None, signal.SIG_IGN)}
    for number in before:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if waiting:
            signal.raise_signal(waiting[0])
