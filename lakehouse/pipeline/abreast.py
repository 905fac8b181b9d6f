"""Does the work of nodes side by side, each as soon as all that it needs has ended."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def abreast(needs: Mapping[str, Iterable[str]], do: Callable[[str], None], at_once: int, sit: Callable[[int], None]) -> None:
    """Do each node after those it needs, at most so many at once, the earlier ones first; returns when all have ended.

    What one raises stops those that have not begun; it is raised again when those under way have ended. So is what a signal's handler
    raises here, in the thread that waits: whoever does the work must hear of it otherwise.

    Args:
        needs: Every node with the nodes it needs, in an order in which each comes after those.
        do: Does one node.
        at_once: How many at once.
        sit: Called once in each thread with a number of its own, from 1.
    """
    left = {node: set(above) & needs.keys() for node, above in needs.items()}
    running: dict[Future[None], str] = {}
    seats = count(1)
    with ThreadPoolExecutor(at_once, thread_name_prefix="table", initializer=lambda: sit(next(seats))) as pool:
        while left or running:
            for node in [node for node, above in left.items() if not above][: at_once - len(running)]:
                del left[node]
                running[pool.submit(do, node)] = node
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                node = running.pop(future)
                future.result()
                for above in left.values():
                    above.discard(node)
