"""Small words that several metadata files share: names, durations, frozen models."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, StringConstraints, WithJsonSchema

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"^(\d{1,6})\s*([smhdw])$")


class Frozen(BaseModel):
    """A metadata object: immutable, and every unknown key is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Misfit(ValueError):  # noqa: N818  pydantic turns it into a fault; it is no error of the product's own tree
    """Keys of one object that do not go together; `key` is the one to look at first."""

    def __init__(self, what: str, *key: str) -> None:
        """Say what is wrong at `key`, a path from the object."""
        super().__init__(what)
        self.key = key


def parse_lookback(text: object) -> timedelta | int:
    """A span of time (`30d`, `12h`, `15m`, `10s`, `2w`) or, for integer cursors, a plain number of ids.

    >>> parse_lookback("30d")
    datetime.timedelta(days=30)

    Raises:
        ValueError: The text is neither.
    """
    if isinstance(text, timedelta) or (isinstance(text, int) and not isinstance(text, bool) and text >= 0):
        return text
    if match := _DURATION.match(str(text).strip()):
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    raise ValueError(
        f"{text!r} is no span; allowed: a number and a unit such as 30d, 12h, 15m, 10s, 2w, or a plain number for integer cursors"
    )


def _write_lookback(span: timedelta | int) -> str | int:
    return span if isinstance(span, int) else f"{int(span.total_seconds())}s"


Lookback = Annotated[
    timedelta | int,
    BeforeValidator(parse_lookback),
    PlainSerializer(_write_lookback),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _DURATION.pattern}, {"type": "integer", "minimum": 0}]}),
]


def parse_span(text: object) -> timedelta:
    """A span of time above zero: `30d`, `12h`, `15m`, `10s`, `2w`.

    Raises:
        ValueError: The text is none.
    """
    if isinstance(span := parse_lookback(text), timedelta) and span > timedelta(0):
        return span
    raise ValueError(f"{text!r} is no span of time above zero; allowed: a number and a unit such as 30d, 12h, 15m, 10s, 2w")


Span = Annotated[
    timedelta,
    BeforeValidator(parse_span),
    PlainSerializer(_write_lookback),
    WithJsonSchema({"type": "string", "pattern": _DURATION.pattern}),
]


def parse_zone(text: str) -> str:
    """The name of a time zone that this machine knows.

    Raises:
        ValueError: It knows none of that name.
    """
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{text!r} is no time zone; expected a name of the IANA database such as Europe/Berlin or UTC") from None


Zone = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9_+-]*(/[A-Z][A-Za-z0-9_+-]*)*$"), AfterValidator(parse_zone)]
ColumnName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,62}$")]


def _listed(given: object) -> object:
    return [given] if isinstance(given, str) else given


Columns = Annotated[tuple[ColumnName, ...], BeforeValidator(_listed)]
TableName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
SourceObject = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_$ ]{0,62}(\.[A-Za-z_][A-Za-z0-9_$ ]{0,62}){0,2}$")]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
