"""A PostgreSQL source that changes all the time, late commits too, and what the lake must hold when it stops."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
from deltalake import DeltaTable

from tests.cli.project import PROGRAM
from tests.lakes import write_project

FILES = {
    "metadata/sources/shop.yml": "connection: shop\n",
    "metadata/tables/shop/events.yml": """
from: events
mode: incremental
keys: id
cursor: created_at
columns: {id: bigint, customer_id: bigint, amount: "decimal(12,2)", created_at: timestamp}
""",
    "metadata/tables/shop/customers.yml": """
from: customers
mode: incremental
keys: id
cursor: changed_at
history: scd2
columns: {id: bigint, city: string, changed_at: timestamp}
""",
    "metadata/models/dim_customer.yml": "kind: dimension\nkeys: id\nsurrogate_key: customer_key\nhistory: scd2\n",
    "metadata/models/fact_event.yml": """
kind: fact
keys: id
as_of: created_at
references:
  customer_key: {dimension: dim_customer, match: {id: customer_id}}
""",
    "sql/gold/dim_customer.sql": "select id, city, valid_from, valid_to, is_current from silver.customers\n",
    "sql/gold/fact_event.sql": "select id, customer_id, amount, created_at from silver.events\n",
}
CUSTOMERS = "metadata/tables/shop/customers.yml"
SWEPT = {**FILES, CUSTOMERS: FILES[CUSTOMERS] + "deletes: sweep\n"}
TABLES = """
create table customers (id bigint primary key, city text, changed_at timestamptz not null);
create table events (
    id bigint generated always as identity primary key, customer_id bigint, amount numeric(12,2), created_at timestamptz not null);
insert into customers select g, 'city ' || g, now() from generate_series(1, 20) g;
"""


class Changes:
    """Two writers that insert events and update customers until stopped; transactions overlap, and some commit late.

    With `deletes` customers go too, and most come back.
    """

    def __init__(self, url: str, seed: int = 0, *, deletes: bool = False) -> None:
        """Make the tables and start."""
        self._url, self._deletes, self._stop = url, deletes, threading.Event()
        with psycopg.connect(url) as connection:
            connection.execute(TABLES.encode())
        self._threads = [threading.Thread(target=self._write, args=(seed + number,)) for number in range(2)]
        for thread in self._threads:
            thread.start()

    def _write(self, seed: int) -> None:
        chance = random.Random(seed)
        with psycopg.connect(self._url) as connection:
            while not self._stop.is_set():
                with suppress(psycopg.errors.DeadlockDetected), connection.transaction():  # one of the two begins anew
                    for _ in range(chance.randint(1, 5)):
                        event = (chance.randint(1, 25), chance.randint(1, 9999) / 100)
                        connection.execute("insert into events (customer_id, amount, created_at) values (%s, %s, clock_timestamp())", event)
                    city = (f"city {chance.randint(1, 5)}", chance.randint(1, 20))
                    connection.execute("update customers set city = %s, changed_at = clock_timestamp() where id = %s", city)
                    if self._deletes:
                        self._delete(connection, chance)
                    self._stop.wait(chance.choice((0, 0.01, 0.05, 0.4)))  # the rows carry a time before their commit
                self._stop.wait(chance.random() * 0.05)

    @staticmethod
    def _delete(connection: psycopg.Connection, chance: random.Random) -> None:
        connection.execute("delete from customers where id = %s", (chance.randint(1, 20),))
        back = (chance.randint(1, 20), f"city {chance.randint(1, 5)}")
        connection.execute("insert into customers values (%s, %s, clock_timestamp()) on conflict do nothing", back)

    def stop(self) -> None:
        """Let both commit what they have begun."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


class Streaming:
    """A project over a changing source, and the command line that streams it."""

    def __init__(self, folder: Path, url: str, files: Mapping[str, str] = FILES) -> None:
        """Write the project's files."""
        self._folder, self._url, self._sweeps = write_project(folder, files), url, files == SWEPT
        outer = {name: value for name, value in os.environ.items() if not name.startswith("LAKEHOUSE_")}
        self._env = outer | {"LAKEHOUSE_CONNECTION__SHOP": url, "LAKEHOUSE_LAKE": str(folder / "lake")}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begin `lakehouse stream ...`."""
        return self.begin("stream", "--every", "0.1s", *words)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Begin a command."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = (PROGRAM, *words)
        return subprocess.Popen(command, cwd=self._folder, env=self._env, text=True, **pipes)  # type: ignore[call-overload,no-any-return]

    def call(self, *words: str) -> Any:  # noqa: ANN401  any JSON
        """What a command prints as JSON."""
        done = subprocess.run((PROGRAM, *words, "-o", "json"), cwd=self._folder, env=self._env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def rows(self, query: str) -> Counter[tuple[str, ...]]:
        """A query's rows as texts, each as often as it comes."""
        return Counter(tuple(str(value) for value in row.values()) for row in self.call("query", query))

    def require_equal(self) -> None:
        """The lake is the source by the last observation of every key, and no event stands twice."""
        stamp = "(extract(epoch from {}) * 1000000)::bigint::text"
        with psycopg.connect(self._url) as connection:
            events = f"select id::text, customer_id::text, amount::text, {stamp.format('created_at')} from events"
            customers = f"select id::text, city, {stamp.format('changed_at')} from customers"
            there = [Counter(connection.execute(query.encode()).fetchall()) for query in (events, customers)]
        assert self.rows("select id, customer_id, amount, epoch_us(created_at) as at from bronze.events") == there[0]
        assert self.rows("select id, customer_id, amount, epoch_us(created_at) as at from silver.events") == there[0]
        row = f"id, city, epoch_us(changed_at) as at{', _op' * self._sweeps}"
        last = f"select {row} from bronze.customers qualify _batch = max(_batch) over (partition by id)"
        shown = Counter({(*key, *("None",) * self._sweeps): count for key, count in there[1].items()})
        found = self.rows(last)
        assert Counter({key: count for key, count in found.items() if key[-1] != "delete"}) == shown
        assert self.rows("select id, city from silver.customers where is_current") == Counter(key[:2] for key in there[1])
        if self._sweeps:
            return
        twice = "select id, city, changed_at from bronze.customers group by all having count(*) > 1"
        assert not self.rows(twice)
        assert self.rows("select count(*) as n from gold.fact_event") == Counter([(str(sum(there[0].values())),)])
        assert self.rows("select count(*) as n from gold.fact_event where customer_key = -1") == Counter([("0",)])

    def require_windows_once(self) -> None:
        """Each batch of bronze is one commit of one run, and its window begins where the one before it ended."""
        for table in ("events", "customers"):
            delta = DeltaTable(self._folder / "lake" / "bronze" / table)
            stamps = [json.loads(entry["lakehouse"]) for entry in reversed(delta.history()) if "lakehouse" in entry]
            assert [stamp["batch"] for stamp in stamps] == list(range(1, len(stamps) + 1))
            reached: datetime | None = None
            for stamp in (stamp for stamp in stamps if not stamp.get("buried")):
                low = stamp["window"]["from"]
                assert (None if low is None else datetime.fromisoformat(low)) == reached, stamp
                (mark,) = [number for name, number in stamp["numbers"].items() if name.startswith("lakehouse.watermark.")]
                reached = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=mark)
                assert reached < datetime.fromisoformat(stamp["window"]["to"]), stamp
            there = {tuple(row) for row in pl.scan_delta(delta).select("_batch", "_run_id").unique().collect().rows()}
            assert there == {(stamp["batch"], stamp["run_id"]) for stamp in stamps}


def stop_cleanly(process: subprocess.Popen[str]) -> str:
    """Ask a stream to end; what it printed."""
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return out + err
