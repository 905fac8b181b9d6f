"""SQL Server's wire for tests: the package pysqlbridge answers TDS, read only, over tables that a test hands it.

Run as a program it is the server: it prints its port, then takes one JSON line per change of its tables and answers `ok`.

It is not SQL Server. What a test over it shows: the login, the encryption, both drivers and the T-SQL that we send work over the wire,
for int, bigint, float, nvarchar and datetime, and the INFORMATION_SCHEMA views have the columns we ask for. What it cannot show: the other
types of SQL Server (decimals, datetime2, datetimeoffset, money, xml and more), sys.partitions and indexes, isolation, collations, rights.
What a real server answers to a part of a statement that the bridge does not know (Change Tracking's functions) can be put in its place as
recorded: the rest of the statement is then run.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.servers import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Sequence

TRUST = "?encrypt=true&trust_server_certificate=true"


def address(port: int, password: str = PASSWORD, options: str = TRUST) -> str:
    """The URL of the bridge's only database."""
    return f"mssql://{USER}:{quote(password, safe='')}@127.0.0.1:{port}/shop{options}"


class Bridge:
    """A bridge of its own on 127.0.0.1 that asks for a password and an encrypted line."""

    def __init__(self) -> None:
        """Start the server and wait for its port; `certificate` is the file of its own."""
        self._folder = Path(tempfile.mkdtemp(prefix="lakehouse-bridge-"))
        self.certificate = self._folder / "certificate.pem"
        self._server = subprocess.Popen(
            (sys.executable, "-W", "ignore", "-m", "tests.bridge", str(self.certificate)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it logs every query there
            text=True,
        )
        self.port = int(self._line())

    def show(self, name: str, columns: Sequence[tuple[str, str]] | None = None, rows: Sequence[Sequence[object]] = ()) -> None:
        """Serve a table from now on (columns are names and types), or without columns no longer."""
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps({"name": name, "columns": columns, "rows": [list(row) for row in rows]}) + "\n")
        self._server.stdin.flush()
        assert self._line() == "ok"

    def record(self, part: str, instead: str | None) -> None:
        """Read `instead` where a statement has this part (a regular expression), from now on, or no longer."""
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps({"part": part, "instead": instead}) + "\n")
        self._server.stdin.flush()
        assert self._line() == "ok"

    def stop(self) -> None:
        """End the server."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._server.stdout.close()
        shutil.rmtree(self._folder)

    def _line(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline().strip()


def _table(name: str, columns: Sequence[tuple[str, str]], rows: Sequence[list[object]]) -> Any:  # noqa: ANN401  pysqlbridge has no types
    from pysqlbridge.source import Table  # noqa: PLC0415  only the server needs it
    from pysqlbridge.tds.result import Column, DateTime, Float, Integer, NVarChar  # noqa: PLC0415

    kinds = {"int": Integer(4), "bigint": Integer(8), "float": Float(8), "nvarchar": NVarChar(4000), "datetime": DateTime()}
    moments = {place for place, (_, kind) in enumerate(columns) if kind == "datetime"}
    values = [
        [datetime.fromisoformat(value) if place in moments and isinstance(value, str) else value for place, value in enumerate(row)]
        for row in rows
    ]
    return Table(name, [Column(column, kinds[kind]) for column, kind in columns], values)


def main() -> None:
    """Serve until the standard input ends; the argument is where to write the certificate."""
    from pysqlbridge import certificate  # noqa: PLC0415
    from pysqlbridge.catalog import Catalog  # noqa: PLC0415
    from pysqlbridge.logins import Login, LoginStore  # noqa: PLC0415
    from pysqlbridge.server import start_background  # noqa: PLC0415

    catalog, own = Catalog(), certificate.self_signed()
    recorded: dict[str, str] = {}

    def answer(request: Any) -> Any:  # noqa: ANN401  pysqlbridge has no types
        sql = request if isinstance(request, str) else request.sql
        for part, instead in recorded.items():
            sql = re.sub(part, instead, sql)
        request = sql if isinstance(request, str) else replace(request, sql=sql)
        return catalog.answer(request)

    Path(sys.argv[1]).write_bytes(own.cert_pem)
    server, _ = start_background(certificate=own, query_handler=answer, logins=LoginStore([Login(USER, PASSWORD, hashed=False)]))
    print(server.server_address[1], flush=True)  # noqa: T201  the port is this program's answer
    for line in sys.stdin:
        change = json.loads(line)
        if "part" in change:
            recorded.pop(change["part"], None)
            recorded.update({change["part"]: change["instead"]} if change["instead"] is not None else {})
            print("ok", flush=True)  # noqa: T201
            continue
        catalog.sources.pop(change["name"].lower(), None)
        if change["columns"] is not None:
            catalog.add(_table(change["name"], change["columns"], change["rows"]))
        print("ok", flush=True)  # noqa: T201
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    main()
