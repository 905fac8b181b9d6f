"""The README's way to a user's own table, walked as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import psycopg

from lakehouse.catalog import load
from tests.cli.project import PROGRAM
from tests.lakes import write_project
from tests.servers import Postgres

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
URL = "postgresql://user:password@host:5432/shop"
MOST_COMMANDS = 9
CUSTOMERS = """
create table public.customer (customer_id bigint primary key, name text, city text, updated_at timestamptz not null);
insert into public.customer values (1, 'Ann', 'Oslo', now() - interval '2 hours'), (2, 'Bob', 'Rome', now() - interval '1 hour');
"""


def quick_start() -> str:
    blocks: list[tuple[str, str]] = BLOCK.findall(README.read_text(encoding="utf-8"))
    return next(text for kind, text in blocks if kind == "sh" and "lakehouse init" in text)


def test_the_quick_start_does_what_it_says(tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.create_database("readme")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(CUSTOMERS.encode())
    script = quick_start()
    assert len(script.splitlines()) <= MOST_COMMANDS
    assert URL in script
    outer = {name: value for name, value in os.environ.items() if not name.startswith("LAKEHOUSE_")}
    path = {"PATH": f"{PROGRAM.parent}{os.pathsep}{outer['PATH']}"}
    command = ("bash", "-euo", "pipefail", "-c", script.replace(URL, f"'{url}'"))
    done = subprocess.run(command, cwd=tmp_path, env=outer | path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Ann" in done.stdout
    assert "customer_key" in done.stdout
    ask = (PROGRAM, "query", "select count(*) as n from gold.dim_customer where customer_key <> -1", "-o", "json")
    assert subprocess.run(ask, cwd=tmp_path / "shop", env=outer, capture_output=True, text=True, check=True).stdout == '[{"n": 2}]\n'


def test_the_files_shown_are_valid(tmp_path: Path) -> None:
    shown = [text for kind, text in BLOCK.findall(README.read_text(encoding="utf-8")) if kind == "yaml"]
    write_project(tmp_path, {text.splitlines()[0].removeprefix("# "): text for text in shown})
    catalog = load(tmp_path, deep=True)
    assert list(catalog.tables) == ["customer"]
    assert list(catalog.sources) == ["shop"]


def test_every_command_in_the_table_is_there() -> None:
    named = set(re.findall(r"^\| `lakehouse (\w+)` \|", README.read_text(encoding="utf-8"), re.MULTILINE))
    shown = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout
    assert named == set(re.findall(r"^  (\w+)  ", shown.partition("Commands:")[2], re.MULTILINE))


def test_every_link_between_the_pages_leads_somewhere() -> None:
    pages = [README, *(README.parent / "docs").rglob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())]
    assert links
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []
