"""What a database server says of itself: its version, its clock, and what its login cannot see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlglot import exp, parse_one

from lakehouse.errors import SourceError

if TYPE_CHECKING:
    from lakehouse.sources.dialect import Dialect

_VERSION = {
    "sqlite": ("SQLite", "select sqlite_version()"),
    "postgres": ("PostgreSQL", "select current_setting('server_version')"),
    "mysql": ("MySQL", "select version()"),
    "tsql": ("SQL Server", "select @@version"),
}
_CLOCK = {"postgres": "clock_timestamp()", "mysql": "utc_timestamp(6)", "tsql": "sysutcdatetime()"}
_SEES_OTHERS = "select pg_has_role(current_user, 'pg_read_all_stats', 'usage')"


@dataclass(frozen=True, slots=True)
class Server:
    """A database server as it answered.

    Attributes:
        product: Its kind and version.
        skew: Its clock less ours, where it has one of its own that can be asked; half the answer's way is taken off.
        blind: What the login cannot see though a safe read needs it; empty where nothing.
    """

    product: str
    skew: timedelta | None = None
    blind: str = ""


def ask(dialect: Dialect) -> Server:
    """What the server says; a question that it does not understand is left out.

    Raises:
        SourceError: It does not answer at all.
    """
    dialect.value(exp.select(exp.Literal.number(1)))
    kind, question = _VERSION.get(dialect.sql, (dialect.sql, ""))
    version = str(_answer(dialect, question) or "").splitlines()
    said = version[0] if version else ""
    return Server((said if kind in said else f"{kind} {said}").strip()[:80], _skew(dialect), _blind(dialect))


def _skew(dialect: Dialect) -> timedelta | None:
    if dialect.sql not in _CLOCK:
        return None
    before = datetime.now(UTC)
    there = _answer(dialect, f"select {_CLOCK[dialect.sql]}")
    after = datetime.now(UTC)
    if not isinstance(there, datetime):
        return None
    there = there.replace(tzinfo=UTC) if there.tzinfo is None else there
    return there - after if there > after else there - before if there < before else timedelta(0)


def _blind(dialect: Dialect) -> str:
    if dialect.sql != "postgres" or _answer(dialect, _SEES_OTHERS) is not False:
        return ""
    return "the login cannot see when other sessions' transactions began, so a read waits for those that are open, or holds back"


def _answer(dialect: Dialect, question: str) -> object:
    try:
        return dialect.value(parse_one(question, read=dialect.sql)) if question else None
    except SourceError:
        return None
