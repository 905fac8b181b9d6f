"""A signal that comes during an effect waits for its end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from lakehouse.storage.effects import Effects


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_waits_for_the_effect_and_then_strikes() -> None:
    done: list[str] = []

    def act() -> None:
        signal.raise_signal(signal.SIGTERM)
        done.append("all")

    with pytest.raises(SystemExit, match=str(int(signal.SIGTERM))):
        Effects().do("commit", act)
    assert done == ["all"]
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGTERM)


def test_the_second_signal_does_not_wait() -> None:
    done: list[str] = []

    def act() -> None:
        signal.raise_signal(signal.SIGINT)
        done.append("first")
        signal.raise_signal(signal.SIGINT)
        done.append("second")

    with pytest.raises(SystemExit):
        Effects().do("commit", act)
    assert done == ["first"]


def test_what_may_be_left_half_done_does_not_hold_a_signal_back() -> None:
    done: list[str] = []

    def act() -> None:
        signal.raise_signal(signal.SIGTERM)
        done.append("all")

    with pytest.raises(SystemExit):
        Effects().do("write", act, whole=False)
    assert done == []
