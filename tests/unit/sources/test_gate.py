"""How many connections read one source at once."""

from threading import Event, Thread

import pytest

from lakehouse.sources.gate import Gate


def test_without_a_limit_a_read_has_what_it_wants() -> None:
    with Gate().enter(7) as one, Gate().enter(9) as other:
        assert (one, other) == (7, 9)


def test_a_read_has_what_is_left_and_one_at_least() -> None:
    gate = Gate(3)
    with gate.enter(2) as first, gate.enter(2) as second, gate.enter(4) as third:
        assert (first, second, third) == (2, 1, 1)  # the thread that reads already never waits for itself
    with gate.enter(9) as all_of_them:
        assert all_of_them == 3


def test_another_thread_waits_until_there_is_room() -> None:
    gate, inside = Gate(1), Event()

    def read() -> None:
        with gate.enter(1):
            inside.set()

    thread = Thread(target=read)
    with gate.enter(1):
        thread.start()
        assert not inside.wait(0.05)
    assert inside.wait(10)
    thread.join()


def test_a_read_that_breaks_frees_its_place() -> None:
    gate = Gate(1)
    with pytest.raises(ZeroDivisionError), gate.enter(1):
        _ = 1 / 0
    thread = Thread(target=lambda: gate.enter(1).__enter__())
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
