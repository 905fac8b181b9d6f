"""What a store's refusal says, in one line that is fit for people: no secret, no colour, no source code."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deltalake.exceptions import DeltaError

from lakehouse.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = re.compile(r"<Code>(\w+)</Code>")
STATUS = re.compile(r"status code: (\d{3})")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_QUERY = re.compile(r"(https?://[^\s?]+)\?\S*")
_LONGEST = 300


def reason(exc: BaseException) -> str:
    r"""The reason that a store's client gives, in one line; of a URL's query, which may hold a signature, nothing stays.

    >>> reason(OSError("Generic error\n  \x1b[31m↳\x1b[0m GET https://a.net/b?sig=secret: no answer\n\nDebug source:\nGeneric {"))
    'Generic error: GET https://a.net/b no answer'
    """
    text = _QUERY.sub(r"\1", _COLOUR.sub("", str(exc)).partition("Debug source:")[0]).replace("↳", ":")
    answered = CODE.search(text)
    head = re.sub(r"\s+", " ", text.partition("<?xml")[0]).replace(" :", ":").strip()
    return (f"{head} {answered[1]}" if answered else head)[:_LONGEST].strip() or type(exc).__name__


@contextmanager
def reading(table: str) -> Iterator[None]:
    """What a store refuses to whoever reads a table's log, as an error of ours."""
    try:
        yield
    except (DeltaError, OSError) as exc:
        raise StorageError(
            f"the table cannot be read: {reason(exc)}", where=table, next_step="See that the lake can be read, then run again."
        ) from exc
