"""The address of a database server: its URL taken apart, with the password shown nowhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from lakehouse.errors import UsageError


@dataclass(frozen=True, slots=True)
class Address:
    """What a URL `scheme://user:password@host:port/database?options` says, with its %-signs decoded.

    Attributes:
        host: The server; an IPv6 address stands without its brackets.
        port: The URL's, or the usual one of the product.
        user: Empty where the URL has none.
        password: Empty where the URL has none.
        database: Never empty.
        options: What follows the `?`.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    options: dict[str, str] = field(repr=False)

    @classmethod
    def of(cls, url: str, product: str, scheme: str, port: int) -> Self:
        """The address behind a URL; `product`, its `scheme` and its usual `port` are named where the URL is wrong.

        Raises:
            UsageError: The URL cannot be read, or lacks its host or database.
        """
        parts = urlsplit(url)
        if "@" in parts.path + parts.query + parts.fragment:
            raise UsageError(
                f"the {product} URL cannot be read: a / ? or # stands before its @",
                next_step="Write special signs of the password as %2F, %3F, %23.",
            )
        try:
            found = parts.port or port
        except ValueError:
            raise UsageError(f"the {product} URL's port is no number", next_step="Set the connection's URL right.") from None
        if not parts.hostname or not parts.path.strip("/"):
            raise UsageError(
                f"the {product} URL is not whole",
                expected=f"{scheme}://user:password@host:{port}/database",
                next_step="Set the connection's URL right.",
            )
        return cls(
            parts.hostname,
            found,
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            unquote(parts.path.strip("/")),
            dict(parse_qsl(parts.query)),
        )

    @property
    def where(self) -> str:
        """Host, port and database, for messages."""
        return f"{self.host}:{self.port}/{self.database}"

    def url(self, scheme: str, options: dict[str, str]) -> str:
        """The address as a URL for a driver, password included, with these options instead of its own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        query = f"?{urlencode(options)}" if options else ""
        return f"{scheme}://{login}@{host}:{self.port}/{quote(self.database, safe='')}{query}"
