"""Commands as processes of their own that need not import everything anew: a process that has, forks for each.

What is loaded before the fork starts no thread of its own that matters after it; the engines are loaded by each command itself.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

SIZE = 1 << 20


class Zygote:
    """The process that forks, started at the first command; it ends with the one that started it."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        self._socket: socket.socket | None = None

    def call(self, words: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float) -> tuple[int, str, str]:
        """Run `lakehouse <words>` in a folder; (exit code, what it printed, what it said on stderr).

        Raises:
            TimeoutError: It was still running, and was killed.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            asked = json.dumps({"words": list(words), "folder": str(folder), "environment": dict(environment)}).encode()
            link = self._link()
            link.settimeout(timeout)
            socket.send_fds(link, [asked], [out.fileno(), err.fileno()])
            pid = int(link.recv(SIZE))
            try:
                code = int(link.recv(SIZE))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                link.recv(SIZE)
                raise
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode())
            return code, texts[0], texts[1]

    def _link(self) -> socket.socket:
        if self._socket is None:
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                process = subprocess.Popen((sys.executable, "-m", __name__, str(theirs.fileno())), pass_fds=[theirs.fileno()])
            atexit.register(_end, self._socket, process)
        return self._socket


def _end(link: socket.socket, process: subprocess.Popen[bytes]) -> None:
    link.close()
    process.wait(10)


def _serve(link: socket.socket) -> None:
    """Fork for each command that is asked for, until nobody asks any more; returns in the children."""
    while True:
        asked, given, _, _ = socket.recv_fds(link, SIZE, 2)
        if not asked:
            sys.exit()
        out, err = given
        pid = os.fork()
        if not pid:
            link.close()
            return _become(json.loads(asked), out, err)
        os.close(out)
        os.close(err)
        link.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        with suppress(BrokenPipeError):
            link.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(asked: dict[str, object], out: int, err: int) -> None:
    """Make this process the one that a shell would have started."""
    null = os.open(os.devnull, os.O_RDONLY)
    for given, place in ((null, 0), (out, 1), (err, 2)):
        os.dup2(given, place)
        os.close(given)
    os.chdir(str(asked["folder"]))
    environment, words = asked["environment"], asked["words"]
    assert isinstance(environment, dict)
    assert isinstance(words, list)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = ["lakehouse", *words]


def main() -> NoReturn:
    """Serve, and in each child run the command line."""
    import duckdb  # noqa: F401, PLC0415
    import psycopg2  # noqa: F401, PLC0415
    import pyarrow.compute  # noqa: PLC0415
    import pyarrow.parquet  # noqa: F401, PLC0415

    import lakehouse.catalog.load  # noqa: PLC0415
    import lakehouse.cli.main  # noqa: PLC0415
    import lakehouse.sources.connect  # noqa: PLC0415
    import lakehouse.sources.database  # noqa: PLC0415

    lakehouse.cli.main.commands(())  # they load their modules

    _serve(socket.socket(fileno=int(sys.argv[1])))
    sys.exit(lakehouse.cli.main.main())


if __name__ == "__main__":
    main()
