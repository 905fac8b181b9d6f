"""A real MariaDB for tests, from the machine's own binary or the one that `make mariadb` unpacked."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import pymysql
from pysqlbridge.certificate import self_signed

from tests.servers import PASSWORD, START_SECONDS, USER, free_port, open_to_all

_UNPACKED = Path(sys.prefix) / "mariadb"
_SYSTEM = ("mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql")
_SMALL = ("--innodb-buffer-pool-size=16M", "--innodb-log-file-size=4M", "--innodb-flush-log-at-trx-commit=0", "--loose-skip-feedback")


def installed() -> Path | None:
    """The folder that holds `sbin/mariadbd` and `share/mysql`, or None."""
    found = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found:
        return Path(found).resolve().parents[1]
    return _UNPACKED / "usr" if (_UNPACKED / "usr/sbin/mariadbd").is_file() else None


def address(port: int, database: str, password: str = PASSWORD) -> str:
    """The URL of a database of a local MariaDB."""
    return f"mysql://{USER}:{quote(password, safe='')}@127.0.0.1:{port}/{quote(database, safe='')}"


class Mariadb:
    """A MariaDB of its own on 127.0.0.1 that asks for a password, far from UTC; started by root it runs as `nobody`."""

    def __init__(self, usr: Path) -> None:
        """Make the data folder, start the server and wait until it answers."""
        self._folder = Path(tempfile.mkdtemp(prefix="lakehouse-mariadb-"))
        self._user = "nobody" if os.name == "posix" and os.geteuid() == 0 else None
        try:
            if self._user and not open_to_all(usr / "sbin/mariadbd"):
                usr = Path(shutil.copytree(usr, self._folder / "usr"))
            self._usr, self._data = usr, self._folder / "data"
            self._data.mkdir()
            if self._user:
                self._folder.chmod(0o755)
                shutil.chown(self._data, self._user)
            self.certificate = self._certify()
            self._initialise()
            self._server, self.port = self._start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    @property
    def url(self) -> str:
        """The URL of the server's own database."""
        return address(self.port, "mysql")

    def create_database(self, name: str) -> str:
        """A new empty database; its URL."""
        with pymysql.connect(host="127.0.0.1", port=self.port, user=USER, password=PASSWORD) as connection, connection.cursor() as cursor:
            cursor.execute(f"create database `{name}` character set utf8mb4")
        return address(self.port, name)

    def stop(self) -> None:
        """End the server by its own pid and remove its folder."""
        self._server.send_signal(signal.SIGTERM)
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _command(self, *more: str) -> list[str]:
        share = self._usr / "share/mysql"
        return [
            *(str(self._usr / "sbin/mariadbd"), "--no-defaults", f"--datadir={self._data}", *_SMALL),
            *(f"--lc-messages-dir={share}", f"--character-sets-dir={share / 'charsets'}"),
            *([f"--user={self._user}"] if self._user else []),
            *more,
        ]

    @property
    def _environment(self) -> dict[str, str]:
        libraries = ":".join(str(folder) for folder in (self._usr / "lib").glob("*-linux-*"))
        return os.environ | ({} if self._usr == Path("/usr") else {"LD_LIBRARY_PATH": libraries})

    def _certify(self) -> Path:
        """The file of a certificate of its own, with which it encrypts for those who ask."""
        own = self_signed()
        (self._folder / "key.pem").write_bytes(own.key_pem)
        (self._folder / "certificate.pem").write_bytes(own.cert_pem)
        if self._user:
            shutil.chown(self._folder / "key.pem", self._user)
        return self._folder / "certificate.pem"

    def _initialise(self) -> None:
        texts = [(self._usr / "share/mysql" / name).read_text(encoding="utf-8") for name in _SYSTEM]
        done = subprocess.run(
            self._command("--bootstrap"),
            input="\n".join(["create database mysql;", "use mysql;", *texts]),
            env=self._environment,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        first = self._folder / "first.sql"
        first.write_text(
            f"create user {USER}@'127.0.0.1' identified by '{PASSWORD}';\ngrant all on *.* to {USER}@'127.0.0.1' with grant option;\n"
        )

    def _start(self) -> tuple[subprocess.Popen[bytes], int]:
        log = self._folder / "log"
        files = (f"--socket={self._data / 'socket'}", f"--pid-file={self._data / 'pid'}", f"--init-file={self._folder / 'first.sql'}")
        encryption = (f"--ssl-cert={self.certificate}", f"--ssl-key={self._folder / 'key.pem'}")
        for _ in range(3):
            port = free_port()
            where = ("--bind-address=127.0.0.1", f"--port={port}", "--skip-name-resolve", "--default-time-zone=+05:30")
            with log.open("wb") as out:
                server = subprocess.Popen(
                    self._command(*files, *encryption, *where), env=self._environment, cwd=self._folder, stdout=out, stderr=out
                )
            if self._answers(server, port):
                return server, port
        raise AssertionError(log.read_text())

    @staticmethod
    def _answers(server: subprocess.Popen[bytes], port: int) -> bool:
        """Whether the server answers before it ends, such as where somebody took its port."""
        end = time.monotonic() + START_SECONDS
        while server.poll() is None and time.monotonic() < end:
            try:
                pymysql.connect(host="127.0.0.1", port=port, user=USER, password=PASSWORD, connect_timeout=2).close()
            except pymysql.err.OperationalError:
                time.sleep(0.05)
            else:
                return True
        if server.poll() is None:
            server.kill()
            server.wait()
        return False
