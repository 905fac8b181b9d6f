"""One run at a time writes a table: numbered files beside it, put where none is.

The highest number holds the table. Who holds it overwrites the own file from time to time, and says in it at the end that the table
is free; who finds it free, or its holder dead, takes the next number. A holder is dead when its process is gone from this machine,
or when its file stayed the same for a whole term by the clock of whoever waits, which never steps back.

A lease keeps runs from doing work that another one then makes void. What makes tables right stands elsewhere: a commit whose fence
was passed is refused, with the lease or without.
"""

from __future__ import annotations

import json
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import BaseError

from lakehouse.errors import BusyError, StorageError
from lakehouse.storage.objects import put_absent
from lakehouse.storage.process import Process
from lakehouse.storage.refusal import reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakehouse.storage.effects import Effects
    from lakehouse.storage.place import Place

FOLDER = "_lease"
SOON, LATER = 0.05, 1.0
"""Seconds between two looks of who waits: at first, and in the end."""
BEATS = 4
"""Signs of life in a term."""
OLD, KEPT = 16, 4
"""From so many files on, all but so many are removed."""


@dataclass(slots=True)
class _Held:
    place: Place
    number: int
    facts: dict[str, Any]
    lock: Lock = field(default_factory=Lock)

    @property
    def file(self) -> str:
        return _file(self.number)


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to write one table, which one run at a time has."""

    leases: Leases
    place: Place
    name: str

    def take(self) -> bool:
        """Have it; False where it was had already.

        Raises:
            BusyError: Another run went on writing the table.
        """
        return self.leases.take(self.place, self.name)

    def give_back(self) -> None:
        """Let others have it."""
        self.leases.release(self.name)


def _file(number: int) -> str:
    return f"{FOLDER}/{number:012}"


class Leases:
    """The leases that one lake's handle takes, shows alive and gives back."""

    def __init__(
        self, run_id: Callable[[], str], effects: Effects, *, term: float, patience: float, go_on: Callable[[], None] = lambda: None
    ) -> None:
        """Name the terms; nothing is taken yet.

        Args:
            run_id: The run that takes a lease, for whoever waits for it.
            effects: Counts what is taken; signs of life and what is given back change no table and are not counted.
            term: Seconds without a sign of life after which a holder is dead.
            patience: Seconds that a run waits for another one that is alive.
            go_on: Raises where the run was ended from outside while it waited.
        """
        self._run_id, self._effects, self._term, self._patience, self._go_on = run_id, effects, term, patience, go_on
        self._held: dict[str, _Held] = {}
        self._lock, self._end = Lock(), Event()
        self._beating: Thread | None = None

    @cached_property
    def _process(self) -> Process:
        return Process.own()

    def take(self, place: Place, name: str) -> bool:
        """Hold the table `name` at a place; False where this handle holds it already.

        Raises:
            BusyError: Another run went on writing it.
            StorageError: The lease can be neither put nor read.
        """
        with self._lock:
            if name in self._held:
                return False
        place.make()
        end = time.monotonic() + self._patience
        pause, seen, since = SOON, b"", time.monotonic()
        while True:
            numbers, text = self._look(place)
            if text != seen:
                seen, since = text, time.monotonic()
            facts = _read(text)
            if not text or facts.get("free") or self._is_dead(facts, since):
                if self._put(place, name, numbers):
                    return True
                continue
            if time.monotonic() >= end:
                raise BusyError(
                    "another run is writing this table",
                    where=name,
                    given=f"run {facts.get('run', '?')}, process {facts.get('pid', '?')}",
                    next_step="Run again when it has ended; LAKEHOUSE_WAIT_SECONDS says how long a run waits.",
                )
            time.sleep(pause)
            self._go_on()
            pause = min(2 * pause, LATER, max(0.01, end - time.monotonic()))

    def is_alive(self, place: Place, run_id: str) -> bool:
        """Whether the run that wrote a table last is this one, and its process lives on this machine, or it holds the table still."""
        facts = _read(self._look(place)[1])
        if facts.get("run") != run_id or self._process.is_gone(facts):
            return False
        return not facts.get("free") or (bool(self._process.machine) and facts.get("machine") == self._process.machine)

    def _look(self, place: Place) -> tuple[list[int], bytes]:
        """The numbers that are there, and what the highest of them says; empty where there is none."""
        try:
            store = place.store()
            names = [part["path"].rsplit("/", 1)[-1] for part in obstore.list(store, FOLDER).collect()]
            numbers = sorted(int(name) for name in names if name.isdecimal())
            return numbers, bytes(obstore.get(store, _file(numbers[-1])).bytes()) if numbers else b""
        except (BaseError, OSError) as exc:
            raise StorageError(
                f"the lease cannot be read: {reason(exc)}", where=place.uri, next_step="See that the lake can be read, then run again."
            ) from exc

    def _is_dead(self, facts: dict[str, Any], since: float) -> bool:
        return time.monotonic() - since >= self._term or self._process.is_gone(facts)

    def _put(self, place: Place, name: str, numbers: list[int]) -> bool:
        """Take the number after these; False where another run was faster."""
        number = numbers[-1] + 1 if numbers else 1
        facts = {"run": self._run_id(), "token": uuid.uuid4().hex, **self._process.facts(), "beat": 0}

        def put() -> bool:  # and hold it, before a signal can come in between
            if not put_absent(place, _file(number), json.dumps(facts).encode(), lasting=False):
                return False
            with self._lock:
                self._held[name] = _Held(place, number, facts)
            return True

        if not self._effects.do(f"lease {name}", put):
            return False
        with self._lock:
            if self._beating is None:
                self._beating = Thread(target=self._beat, name="leases", daemon=True)
                self._beating.start()
        if len(numbers) >= OLD:
            for old in numbers[:-KEPT]:
                with suppress(BaseError, OSError):
                    obstore.delete(place.store(), _file(old))
        return True

    def _beat(self) -> None:
        """Show all that is held alive, until the end; a sign that cannot be given is given with the next one."""
        while not self._end.wait(self._term / BEATS):
            with self._lock:
                held = list(self._held.items())
            for name, lease in held:
                with lease.lock, suppress(BaseError, OSError):
                    if self._held.get(name) is lease:
                        lease.facts["beat"] += 1
                        obstore.put(lease.place.store(), lease.file, json.dumps(lease.facts).encode(), mode="overwrite")

    def release(self, name: str) -> None:
        """Give a table back, where it is held; if that fails, others find its holder dead in time."""
        with self._lock:
            lease = self._held.pop(name, None)
        if lease is not None:
            with lease.lock, suppress(BaseError, OSError):
                obstore.put(lease.place.store(), lease.file, json.dumps({**lease.facts, "free": True}).encode(), mode="overwrite")

    def close(self) -> None:
        """Give back what is still held, and end the signs of life."""
        for name in list(self._held):
            self.release(name)
        self._end.set()
        if self._beating is not None and self._beating.ident is not None:  # a signal may come before it has begun
            self._beating.join(self._term)


def _read(text: bytes) -> dict[str, Any]:
    """What a lease says; nothing where it cannot be read."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
