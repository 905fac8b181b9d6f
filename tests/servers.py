"""Real servers for tests, from packages alone: each listens on a free local port and ends with its test session."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import psycopg

from lakehouse.demo.server import Server, free_port
from lakehouse.demo.server import address as _address

__all__ = ["PASSWORD", "Postgres", "address", "free_port"]

PASSWORD = "p@ss:w/rd 100%#?"  # noqa: S105  of servers that end with their test


def address(port: int, database: str, password: str = PASSWORD) -> str:
    """The URL of a database of a local PostgreSQL."""
    return _address(port, database, password)


class Postgres:
    """A PostgreSQL of its own, as the demo starts one, in a folder that goes with it."""

    def __init__(self, *settings: str) -> None:
        """Make the data folder, start the server and wait until it answers; `settings` (`name=value`) win over ours."""
        self._folder = Path(tempfile.mkdtemp(prefix="lakehouse-postgres-"))
        self._folder.chmod(0o755)  # pytest's own temporary folders are closed to other users
        ours = ("fsync=off", "shared_buffers=16MB", "timezone=Asia/Kolkata")
        try:
            self._server = Server(self._folder, *ours, *settings, password=PASSWORD)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self.port, self.url = self._server.port, self._server.url()

    def create_database(self, name: str) -> str:
        """A new empty database; its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'create database "{name}"'.encode())
        return self._server.url(name)

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
