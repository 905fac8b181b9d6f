"""One flow run at a time writes a table of a lake: a global concurrency limit of Prefect, held by a lease.

The lake's own fence is what keeps its tables right; this keeps runs from doing work that the other one then makes void.
Prefect's `concurrency` does the same at 20 times the CPU time (90 ms, three new HTTP clients): too much for each table of each poll.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Event, Thread
from typing import TYPE_CHECKING
from uuid import UUID

from httpx import HTTPError, HTTPStatusError
from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import ConcurrencyLeaseHolder
from prefect.exceptions import ObjectAlreadyExists
from prefect.runtime import flow_run

from lakehouse.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterator

LEASE_SECONDS = 60
"""How long the server waits for a sign of life before it gives the turn to another run; the least that it allows."""
ASK_SECONDS = 2
"""How often a run that waits asks again."""


def _client() -> SyncPrefectClient:
    return get_client(sync_client=True)


@dataclass(slots=True)
class OneWriter:
    """Hands out the turn to write a table of one lake.

    Attributes:
        lake: The lake's URI.
    """

    lake: str
    _client: SyncPrefectClient = field(default_factory=_client)
    _limits: set[str] = field(default_factory=set)

    @contextmanager
    def turn(self, table: str, wait_seconds: float) -> Iterator[None]:
        """No other flow run writes the table until the block ends.

        Args:
            table: The table or model.
            wait_seconds: How long to wait for the run that writes it now.

        Raises:
            ConflictError: Another run was still writing, or the server gave no answer.
        """
        name = f"lakehouse-{hashlib.sha256(self.lake.encode()).hexdigest()[:8]}-{table}"
        lease = self._acquire(name, table, wait_seconds)
        done = Event()
        renewal = Thread(target=self._renew, args=(lease, done), daemon=True)
        renewal.start()
        try:
            yield
        finally:
            done.set()
            renewal.join()
            try:
                self._client.release_concurrency_slots_with_lease(lease)
            except HTTPError as exc:
                get_run_logger().warning("Limit %s was not freed (%s); its lease ends in %d s.", name, type(exc).__name__, LEASE_SECONDS)

    def _acquire(self, name: str, table: str, wait_seconds: float) -> UUID:
        end = time.monotonic() + wait_seconds
        told = False
        while True:
            try:
                return self._ask(name)
            except HTTPError as exc:
                locked = isinstance(exc, HTTPStatusError) and exc.response.status_code == HTTPStatus.LOCKED
                if time.monotonic() >= end:
                    raise self._conflict(name, table, locked=locked) from exc
                if not told:
                    why = "another run is writing it" if locked else f"the server does not answer ({type(exc).__name__})"
                    get_run_logger().info("Waiting up to %.0f s for the turn to write %s: %s.", wait_seconds, table, why)
                    told = True
            time.sleep(ASK_SECONDS)

    def _ask(self, name: str) -> UUID:
        if name not in self._limits:
            with suppress(ObjectAlreadyExists):  # another run made it between the client's look and its call
                self._client.upsert_global_concurrency_limit_by_name(name, 1)
            self._limits.add(name)
        holder = ConcurrencyLeaseHolder(type="flow_run", id=UUID(flow_run.id))
        answer = self._client.increment_concurrency_slots_with_lease([name], 1, "concurrency", LEASE_SECONDS, holder)
        return UUID(answer.json()["lease_id"])

    def _renew(self, lease: UUID, done: Event) -> None:
        """Keep the lease alive; without it the work goes on, under the lake's own fence."""
        while not done.wait(LEASE_SECONDS / 4):
            try:
                self._client.renew_concurrency_lease(lease, LEASE_SECONDS)
            except HTTPError:
                continue

    @staticmethod
    def _conflict(name: str, table: str, *, locked: bool) -> ConflictError:
        what = f"another run is writing {table}" if locked else f"Prefect's server did not give the turn to write {table}"
        hint = f"If no run is writing it, `prefect gcl update {name} --active-slots 0` frees it." if locked else "See whether it is up."
        return ConflictError(what, where=f"concurrency limit {name}", next_step=hint)
