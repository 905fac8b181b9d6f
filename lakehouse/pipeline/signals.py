"""What ends a run from outside, remembered: an engine that calls back into Python may swallow what a signal's handler raises."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import TYPE_CHECKING

from lakehouse.storage.effects import ENDING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextmanager
def heard() -> Iterator[list[BaseException]]:
    """What handlers of Ctrl-C and SIGTERM have raised during the block, as they raised it; empty until then.

    The handlers stay whose they are; one that raises nothing, such as a stream's, is not meant to end the run at once.
    """
    told: list[BaseException] = []
    if current_thread() is not main_thread():  # signals are not this thread's to hear
        yield told
        return
    before = {number: handler for number in ENDING if callable(handler := signal.getsignal(number))}

    def listen(number: int, frame: FrameType | None) -> None:
        try:
            before[signal.Signals(number)](number, frame)
        except BaseException as exc:
            told.append(exc)
            raise

    for number in before:
        signal.signal(number, listen)
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
