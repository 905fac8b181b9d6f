"""PostgreSQL's safe upper bound: an instant below which no transaction of the database that is still under way can show a row.

A row that the database stamps carries the start of its transaction (PostgreSQL manual, "Current Date/Time"). So the bound is the
oldest start among ALL sessions of the database, asked in a statement of its own before the data are read. Two kinds of transactions do
not tell their start: prepared ones (their `prepared` time is later), and those of sessions that the login may not look at. For these the
clock is remembered together with who is open; that reading of it is safe when all of them are gone.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lakehouse.errors import ContractError, SourceBusyError

if TYPE_CHECKING:
    from collections.abc import Callable

    Fetch = Callable[[str], list[tuple[Any, ...]]]

MARGIN = timedelta(seconds=1)
"""What is taken off the clock: a transaction has its start a moment before the list of sessions shows it."""
PATIENCE, PAUSE, REMEMBERED = 5.0, 0.1, 64
HIDDEN = "<insufficient privilege>"
# vacuum workers write no rows of people; 'disabled' is a session that does not report at all
_OPEN = f"""
with other as materialized (
    select pid, xact_start, query = '{HIDDEN}' or state is not distinct from 'disabled' as hidden
    from pg_catalog.pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type is distinct from 'autovacuum worker')
select now(), pg_is_in_recovery(), pg_last_xact_replay_timestamp(), (select min(xact_start) from other where not hidden),
    case when exists (select from other where hidden) then array(
        select l.virtualxid from pg_catalog.pg_locks l join other o on o.pid = l.pid
        where o.hidden and l.locktype = 'virtualxid' and l.mode = 'ExclusiveLock') else array[]::text[] end
"""
_PREPARED = "select transaction::text || ' ' || gid from pg_catalog.pg_prepared_xacts where database = current_database()"


@dataclass(slots=True)
class _Reading:
    """A bound that is safe when those who were open then, and do not tell since when, are gone."""

    at: datetime
    hidden: set[str]
    prepared: set[str]


class Horizon:
    """The bound of one database, with what earlier questions found: a stream's polls let a held bound move on."""

    def __init__(self, fetch: Fetch, where: str) -> None:
        """Ask through `fetch`, which runs each statement in a transaction of its own."""
        self._fetch, self._where = fetch, where
        self._safe: datetime | None = None
        self._waiting: list[_Reading] = []
        self._prepared: set[str] = set()
        self._one_at_a_time = threading.Lock()  # an older list of who is open, looked at later, would miss whom a newer one shows

    def bound(self, *, lagged: bool) -> datetime:
        """The greatest bound known to be safe; without any, wait up to `PATIENCE` seconds for one.

        Raises:
            ContractError: This is a standby, which does not show the primary's transactions, and no lag is declared.
            SourceBusyError: Transactions are open that do not tell since when.
        """
        end = time.monotonic() + PATIENCE
        while True:
            with self._one_at_a_time:
                self._look(lagged=lagged)
                if self._safe is not None:
                    return self._safe
            if time.monotonic() > end:
                raise self._busy()
            time.sleep(PAUSE)

    def _look(self, *, lagged: bool) -> None:
        ((now, standby, replayed, oldest, hidden),) = self._fetch(_OPEN)
        if standby:
            self._require_lag(lagged=lagged)
            self._safe = min(now - MARGIN, replayed or now).astimezone(UTC)
            return
        # after the sessions: one that they no longer show may have been prepared meanwhile
        prepared = {str(row[0]) for row in self._fetch(_PREPARED)}
        for reading in self._waiting:
            if reading.hidden - set(hidden):
                reading.prepared |= prepared - self._prepared
            reading.hidden &= set(hidden)
            reading.prepared &= prepared
        self._prepared = prepared
        self._waiting.append(_Reading(min(now - MARGIN, oldest or now).astimezone(UTC), set(hidden), set(prepared)))
        free = [reading.at for reading in self._waiting if not reading.hidden and not reading.prepared]
        self._safe = max([*free, *([] if self._safe is None else [self._safe])], default=None)
        self._waiting = [reading for reading in self._waiting if self._safe is None or reading.at > self._safe]
        if len(self._waiting) > REMEMBERED:
            del self._waiting[1:-1:2]

    def _require_lag(self, *, lagged: bool) -> None:
        if not lagged:
            raise ContractError(
                "this PostgreSQL is a standby, which does not show the transactions that are open on its primary",
                where=self._where,
                next_step="Give the table a `lag` longer than those transactions, or read the primary.",
            )

    def _busy(self) -> SourceBusyError:
        first = self._waiting[0]
        if first.prepared:
            return SourceBusyError(
                f"a prepared transaction is open ({min(first.prepared)[:80]}), and PostgreSQL does not tell when it began",
                where=self._where,
                next_step="Commit it or roll it back (select * from pg_prepared_xacts), then run again.",
            )
        return SourceBusyError(
            "transactions are open that the login may not look at, so that nobody knows from when on rows may still come",
            where=self._where,
            next_step="Grant the login pg_read_all_stats, or run again when they are gone.",
        )
