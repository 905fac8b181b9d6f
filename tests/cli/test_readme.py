"""The README's way to a user's own table, walked as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.cli.project import PROGRAM
from tests.servers import Postgres

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CUSTOMERS = """
create table public.customer (customer_id bigint primary key, name text, city text, updated_at timestamptz not null);
insert into public.customer values (1, 'Ann', 'Oslo', now() - interval '2 hours'), (2, 'Bob', 'Rome', now() - interval '1 hour');
"""


@pytest.fixture
def project(tmp_path: Path, postgres: Postgres) -> tuple[Path, str]:
    """A folder with the README's files, and a database with the table they describe."""
    blocks = BLOCK.findall(README.read_text(encoding="utf-8"))
    for kind, text in blocks:
        if kind == "yaml":
            file = tmp_path / text.splitlines()[0].removeprefix("# ")
        elif kind == "sql":
            file = tmp_path / "sql/gold/dim_customer.sql"
        else:
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    url = postgres.create_database("readme")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(CUSTOMERS.encode())
    return tmp_path, url


def test_the_quick_start_does_what_it_says(project: tuple[Path, str]) -> None:
    folder, url = project
    commands = [line for kind, text in BLOCK.findall(README.read_text(encoding="utf-8")) if kind == "sh" for line in text.splitlines()]
    own = [shlex.split(line, comments=True) for line in commands if line.startswith("lakehouse ")]
    assert [words[1] for words in own] == ["validate", "plan", "run", "query"]
    environment = {**os.environ, "LAKEHOUSE_LAKE": "./lake", "LAKEHOUSE_CONNECTION__SHOP": url}
    shown = ""
    for words in own:
        done = subprocess.run([PROGRAM, *words[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        shown = done.stdout
    assert "Ann" in shown
    ask: list[str | Path] = [PROGRAM, "query", "select count(*) as n from gold.dim_customer where customer_key <> -1", "-o", "json"]
    assert subprocess.run(ask, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout == '[{"n": 2}]\n'


def test_every_command_in_the_table_is_there() -> None:
    named = set(re.findall(r"^\| `lakehouse (\w+)` \|", README.read_text(encoding="utf-8"), re.MULTILINE))
    shown = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout
    assert named == set(re.findall(r"^  (\w+)  ", shown.partition("Commands:")[2], re.MULTILINE))
