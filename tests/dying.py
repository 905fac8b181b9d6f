"""A process that dies at one of its effects, told inside a test: from that moment on nothing it does changes anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from lakehouse.storage.effects import Effects

T = TypeVar("T")


class DiedError(BaseException):
    """The process would be gone by now."""


class Mortal(Effects):
    """Effects of which `before:3` and `after:3` end with an error that nobody handles, and none comes after it.

    A real crash leaves no `finally` and no handler: what those would change passes here, and is refused too.
    """

    def __init__(self, fault: str = "") -> None:
        kind, _, number = fault.partition(":")
        super().__init__(fault if kind == "error" else "")
        self._kind, self._last, self._dead = kind, int(number or 0), False

    def do(self, name: str, act: Callable[[], T], *, whole: bool = True) -> T:
        """As the effects do, until the one that is the last."""
        is_last = self._kind in ("before", "after") and self.count + 1 == self._last
        if self._dead or (is_last and self._kind == "before"):
            self._dead = True
            raise DiedError(name)
        result = super().do(name, act, whole=whole)
        if is_last:
            self._dead = True
            raise DiedError(name)
        return result


@contextmanager
def mortal() -> Iterator[None]:
    """Runs of this test die inside it by `before:k` and `after:k`, in the place of its process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lakehouse.lake.Effects", Mortal)
        yield
