"""A small shop whose users are people: what the lake may have of them, and canaries that must be nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from tests.cli.project import Project

KEY, VAULT = "c0ffee00" * 8, "facade00" * 8
KEYS = {"KEY__PEOPLE": KEY, "KEY__VAULT": VAULT}
CANARIES = ("canary", "4915550123", KEY, VAULT)
USERS = """\
from: Users
mode: incremental
keys: email
cursor: updated_at
history: scd2
normalize_keys: true
columns:
  user_id: integer
  email: {type: string, pii: hmac, key: people}
  name: {type: string, pii: mask}
  phone: {type: bigint, pii: tokenise, key: people}
  nick: {type: string, pii: hmac, key: people, sealed: vault}
  notes: {type: string, pii: drop}
  updated_at: timestamp
expect:
  known: {that: name <> 'Xxx Xxxxxx', else: quarantine}
"""
SOURCE = """
alter table Users add column email text;
alter table Users add column phone;
alter table Users add column nick text;
alter table Users add column notes text;
update Users set email = 'ann.canary@example.org', name = 'Ann Canary', phone = 4915550123, nick = 'canary', notes = 'canary';
update Users set email = 'other.canary@example.org', name = 'O', updated_at = '2024-01-03' where user_id = 2;
"""


def with_people(project: Project) -> Project:
    """The project, its users protected in each way that there is."""
    project.change(SOURCE)
    project.write("metadata/tables/shop/users.yml", USERS)
    project.replace("metadata/models/dim_user.yml", "keys: user_id", "keys: email")
    project.replace("sql/gold/dim_user.sql", "user_id, name", "email, name, phone, nick")
    for name in ("metadata/models/fact_order.yml", "sql/gold/fact_order.sql"):
        (project.folder / name).unlink()
    return project


def leaks(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file with a canary in its bytes or, decoded, in its rows."""
    for file in (file for file in folder.rglob("*") if file.is_file()):
        seen = file.read_bytes().decode("latin-1")
        seen += pl.read_parquet(file).write_json() if file.suffix == ".parquet" else ""
        yield from ((file, canary) for canary in CANARIES if canary in seen.lower())
