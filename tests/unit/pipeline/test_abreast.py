"""Nodes side by side: each after what it needs, so many at once, and what one raises stops the rest."""

from threading import Barrier, Event, Lock

import pytest

from lakehouse.pipeline.abreast import abreast

NEEDS: dict[str, set[str]] = {"a": set(), "b": set(), "c": {"a"}, "d": {"b", "c"}, "e": {"elsewhere"}}


def test_each_node_comes_after_those_it_needs() -> None:
    ended: list[str] = []

    def do(node: str) -> None:
        assert NEEDS[node] & NEEDS.keys() <= set(ended)
        ended.append(node)

    abreast(NEEDS, do, 3, lambda _: None)
    assert sorted(ended) == sorted(NEEDS)


def test_two_nodes_are_done_at_the_same_time() -> None:
    both = Barrier(2, timeout=10)

    def do(_: str) -> None:
        both.wait()

    abreast({"a": (), "b": ()}, do, 2, lambda _: None)


def test_no_more_are_done_than_allowed_and_every_thread_has_its_seat() -> None:
    lock, under_way, most, seats = Lock(), 0, 0, set[int]()

    def do(_: str) -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        Event().wait(0.01)
        with lock:
            under_way -= 1

    abreast({str(number): () for number in range(12)}, do, 3, seats.add)
    assert most <= 3
    assert seats <= {1, 2, 3}


def test_what_a_node_raises_is_raised_when_those_under_way_have_ended() -> None:
    began, ended = Event(), list[str]()

    def do(node: str) -> None:
        if node == "bad":
            assert began.wait(10)
            raise ValueError(node)
        began.set()
        Event().wait(0.05)
        ended.append(node)

    with pytest.raises(ValueError, match="bad"):
        abreast({"slow": (), "bad": (), "later": {"bad"}, "third": ()}, do, 2, lambda _: None)
    assert ended == ["slow"]
