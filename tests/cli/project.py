"""A tiny project over a SQLite file, and the command line as a person starts it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

from tests.zygote import ZYGOTE

PROGRAM = Path(sys.executable).parent / "lakehouse"

FILES = {
    "metadata/sources/shop.yml": "kind: database\nconnection: shop\n",
    "metadata/tables/shop/users.yml": """\
from: Users
mode: incremental
keys: user_id
cursor: updated_at
lookback: 30d
history: scd2
columns:
  user_id: integer
  name: string
  updated_at: timestamp
""",
    "metadata/tables/shop/orders.yml": """\
from: Orders
mode: incremental
keys: order_id
cursor: ordered_at
tags: [daily]
columns:
  order_id: bigint
  user_id: integer
  amount: decimal(12,2)
  ordered_at: timestamp
expect:
  amount_is_positive: {that: amount > 0, else: warn}
""",
    "metadata/models/dim_user.yml": """\
kind: dimension
keys: user_id
surrogate_key: user_key
history: scd2
""",
    "metadata/models/fact_order.yml": """\
kind: fact
keys: order_id
as_of: ordered_at
references:
  user_key: {dimension: dim_user, match: {user_id: user_id}}
""",
    "sql/gold/dim_user.sql": "select user_id, name, valid_from, valid_to, is_current from silver.users\n",
    "sql/gold/fact_order.sql": "select order_id, user_id, amount, ordered_at from silver.orders\n",
}
SOURCE = """
create table Users (user_id integer primary key, name text, updated_at datetime);
create table Orders (order_id integer primary key, user_id integer, amount decimal(12,2), ordered_at datetime);
insert into Users values (1, 'Ann', '2024-01-01 10:00:00'), (2, 'Bob ü', '2024-01-02 10:00:00');
insert into Orders values (10, 1, 9.99, '2024-01-03 12:00:00'), (11, 2, 0.10, '2024-01-04 12:00:00'), (12, 3, -1, '2024-01-05 12:00:00');
"""
ROWS = {"bronze.users": 2, "silver.users": 2, "bronze.orders": 3, "silver.orders": 3, "gold.fact_order": 3}


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401  any JSON
        """What it printed, as one JSON document."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Project:
    """A project in a folder of its own; its lake is `lake/` in it."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Project:
        """A project that has never run, with its source."""
        project = cls(folder)
        for name, text in FILES.items():
            project.write(name, text)
        project.change(SOURCE)
        return project

    @property
    def url(self) -> str:
        """The URL of its source."""
        return f"sqlite://{self.folder}/shop.db"

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        """Change a file of the project where it says `old`."""
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text
        self.write(name, text.replace(old, new))

    def change(self, script: str) -> None:
        """Run SQL on the source."""
        with closing(sqlite3.connect(self.folder / "shop.db")) as connection, connection:
            connection.executescript(script)

    def add_orders(self, count: int) -> None:
        """So many more orders in the source, from number 1000 on."""
        self.change(f"""
            with recursive t(n) as (select 0 union all select n + 1 from t where n < {count - 1})
            insert into Orders select n + 1000, 1, 1.5, datetime('2024-01-06', '+' || n || ' seconds') from t
        """)

    def rows(self, table: str) -> list[int]:
        """The keys of a table of its source, in order."""
        with closing(sqlite3.connect(self.folder / "shop.db")) as connection:
            return [row[0] for row in connection.execute(f"select * from {table} order by 1")]

    def environment(self, **settings: str | None) -> dict[str, str]:
        """What a command sees; settings are `LAKEHOUSE_*` variables, None unsets one."""
        given = {"CONNECTION__SHOP": self.url, "CLOCK": "2024-02-01T00:00:00Z", **settings}
        outer = {name: value for name, value in os.environ.items() if not name.startswith("LAKEHOUSE_")}
        inner = {f"LAKEHOUSE_{name}": value for name, value in given.items() if value is not None}
        return outer | inner

    def call(self, *words: str, **settings: str | None) -> Done:
        """Run `lakehouse <words>` in the project's folder, under these settings."""
        if current_thread() is not main_thread():  # several at once
            return self._done((PROGRAM, *words), self.environment(**settings))
        return Done(*ZYGOTE.call(words, self.folder, self.environment(**settings), timeout=60))

    def call_limited(self, limit: str, value: int, *words: str, **settings: str | None) -> Done:
        """The same in a process of which the system limits something, such as `RLIMIT_FSIZE`."""
        start = f"import os, resource, sys; resource.setrlimit(resource.{limit}, ({value}, {value})); os.execv(sys.argv[1], sys.argv[1:])"
        return self._done((sys.executable, "-c", start, str(PROGRAM), *words), self.environment(**settings))

    def start(self, *words: str, **settings: str | None) -> subprocess.Popen[str]:
        """Begin `lakehouse <words>`."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen((PROGRAM, *words), cwd=self.folder, env=self.environment(**settings), text=True, **pipes)  # type: ignore[call-overload,no-any-return]

    def _done(self, command: tuple[str | Path, ...], environment: dict[str, str]) -> Done:
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, encoding="utf-8", timeout=60, check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    def ask(self, sql: str) -> Any:  # noqa: ANN401  any JSON
        """The rows of a query."""
        done = self.call("query", sql, "-o", "json")
        assert done.code == 0, done.err
        return done.json

    def tree(self, *, ledger: bool = False) -> dict[str, str]:
        """Every file of the lake with its checksum; the ledger's only when asked for."""
        lake = self.folder / "lake"
        return {
            str(path.relative_to(lake)): sha256(path.read_bytes()).hexdigest()
            for path in sorted(lake.rglob("*"))
            if path.is_file() and (ledger or path.relative_to(lake).parts[0] != "_ledger")
        }
