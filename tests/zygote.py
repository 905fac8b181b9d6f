"""Commands as processes of their own that need not import everything anew: a process that has, forks for each.

What is loaded before the fork starts no thread that a command needs; the engines start theirs in each command itself.
"""

from __future__ import annotations

import atexit
import gc
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
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
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


ZYGOTE = Zygote()
"""The one of this test process."""


def _end(link: socket.socket, process: subprocess.Popen[bytes]) -> None:
    link.close()
    process.wait(10)


def _serve(link: socket.socket) -> None:
    """Fork for each command that is asked for, until nobody asks any more; returns in the children."""
    while True:
        asked, given, _, _ = socket.recv_fds(link, SIZE, 2)
        if not asked:
            os._exit(0)
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
    """Serve, and in each child run the command line.

    What is imported has started no pool of threads yet: Polars, delta-rs and DuckDB start theirs at the first query, in the child.
    """
    import lakehouse  # noqa: PLC0415
    from lakehouse.cli.main import commands, program  # noqa: PLC0415

    for module in walk_packages(lakehouse.__path__, "lakehouse."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    for name in ("connectorx", "duckdb", "psycopg", "psycopg2", "pyarrow.compute", "pyarrow.parquet", "rich.table"):
        import_module(name)
    commands(())  # they load their modules
    gc.collect()
    gc.freeze()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    program()


if __name__ == "__main__":
    main()
