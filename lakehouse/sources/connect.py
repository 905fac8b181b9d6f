"""The connected dialect behind a connection's URL."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lakehouse.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from lakehouse.sources.dialect import Dialect


def connect(url: str, project: Path) -> Dialect:
    """The dialect that the URL's scheme names, connected and seen to answer.

    Raises:
        UsageError: The scheme names no database that the product knows.
        SourceError: The database refuses, or nobody answers.
    """
    try:
        scheme = urlsplit(url).scheme.partition("+")[0]
    except ValueError:
        raise UsageError("the connection's URL cannot be read", next_step="Set the connection's URL right.") from None
    if scheme == "sqlite":
        from lakehouse.sources.sqlite import Sqlite  # noqa: PLC0415  each dialect loads its own driver

        return Sqlite(url, project)
    if scheme in ("postgresql", "postgres"):
        from lakehouse.sources.postgres import Postgres  # noqa: PLC0415

        return Postgres(url)
    try:
        if scheme in ("mysql", "mariadb"):
            from lakehouse.sources.mysql import Mysql  # noqa: PLC0415

            return Mysql(url)
        if scheme in ("mssql", "sqlserver"):
            from lakehouse.sources.sqlserver import SqlServer  # noqa: PLC0415

            return SqlServer(url)
    except ModuleNotFoundError as exc:
        extra = "mysql" if scheme in ("mysql", "mariadb") else "sqlserver"
        raise UsageError(
            f"the driver for {scheme}:// is not installed (there is no {exc.name})", next_step=f"pip install 'lakehouse[{extra}]'"
        ) from None
    raise UsageError(
        f"no database is known by the scheme {scheme!r}",
        expected="sqlite://, postgresql://, mysql:// or mssql://",
        next_step="Set the connection's URL right.",
    )
