"""This process: how others on its machine tell whether it still is, and whether the engines can run in it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROC = Path("/proc")
_ENDED = ("Z", "X")
_used_by: list[int] = []
LEAST_ADDRESSES = 2 * 1024**3
"""The engines reserve far more addresses than they use; with too few of them their allocators abort, or try for ever."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process of one machine.

    Attributes:
        machine: The boot of the machine and its space of process numbers; empty where the system does not tell.
        pid: Its number.
        started: When it started, in the machine's own ticks: numbers come again.
    """

    machine: str
    pid: int
    started: str

    @classmethod
    def own(cls) -> Process:
        """This process."""
        try:
            boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
            machine = f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
        except OSError:
            machine = ""
        pid = os.getpid()
        return cls(machine, pid, _state(pid)[1])

    def facts(self) -> dict[str, Any]:
        """As a lease carries it."""
        return {"machine": self.machine, "pid": self.pid, "started": self.started}

    def is_gone(self, facts: Mapping[str, Any]) -> bool:
        """Whether the process of these facts was one of this machine and has ended; False where nobody can tell."""
        if not self.machine or facts.get("machine") != self.machine or not isinstance(facts.get("pid"), int):
            return False
        state, started = _state(facts["pid"])
        return state in ("", *_ENDED) or started != facts.get("started")


def _state(pid: int) -> tuple[str, str]:
    """(state, start) of a process of this machine; empty where there is none."""
    try:
        words = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", ""
    return words[0], words[19]


def require_not_forked() -> None:
    """Refuse to use the engines in a fork of a process that used them: their threads did not come along, and calls would wait for ever.

    Raises:
        UsageError: This is such a fork.
    """
    if not _used_by:
        _used_by.append(os.getpid())
    elif _used_by[0] != os.getpid():
        raise UsageError(
            "this process is the fork of one that used the lake already, whose threads did not come along",
            where=f"process {os.getpid()}",
            next_step='Start workers anew: multiprocessing.get_context("spawn"), or a process of their own.',
        )


def require_address_space() -> None:
    """Refuse to start the engines where a limit leaves them too few addresses.

    Raises:
        UsageError: It does.
    """
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  Windows has none

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESSES:
        raise UsageError(
            f"this process may have {limit // 1024**2:,} MiB of addresses, which is too little for the engines",
            expected=f"{LEAST_ADDRESSES // 1024**2:,} MiB or more, better no limit at all",
            next_step="Raise `ulimit -v`; limit the memory by a control group (systemd, a container) and LAKEHOUSE_MEMORY_LIMIT instead.",
        )
