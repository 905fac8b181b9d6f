"""What becomes of a column's personal data: the words of its metadata, and how lakes remember them."""

from __future__ import annotations

import re
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, StringConstraints

from lakehouse.model.words import Frozen

Mode = Literal["hmac", "mask", "drop", "tokenise"]
_KEY = re.compile(r"^([a-z][a-z0-9_]{0,40})(?:@([1-9][0-9]{0,2}))?\Z")
KeyName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}(@[1-9][0-9]{0,2})?$")]
PROTECTED = ("string", "smallint", "integer", "bigint", "decimal", "date", "timestamp")
"""The types whose values have one text, so that equal ones get equal tokens."""
WORDS = ("clear", "hmac", "mask", "tokenise", "sealed")
"""What bronze can have in the place of a value; their places here are in the lakes' numbers."""
CHECK_BITS = 32
"""How much of a key's check a number holds."""


class Guarded(Frozen):
    """The words of a column that holds personal data; without `pii` it holds none."""

    pii: Mode | None = Field(default=None)
    """What the lake has in the place of its values: `hmac`, a token that nobody can undo; `tokenise`, one that who holds the key can;
    `mask`, the shape of the value alone; `drop`, nothing, the column is not even read."""
    key: KeyName | None = None
    """The key of `hmac` and `tokenise` by its name, such as `people`, or after its rotation `people@2`; the key itself is in
    `LAKEHOUSE_KEY__<NAME>` (`LAKEHOUSE_KEY__PEOPLE`, `LAKEHOUSE_KEY__PEOPLE_2`). Columns with one key have one token for one value."""
    sealed: KeyName | None = None
    """The key under which bronze keeps the value encrypted, for `hmac` and `mask`: changes are then seen as the source shows them, and the
    column's `key` can be rotated without the source. Who holds this key can read the values."""


SUGGESTED: dict[str, Mode] = {
    "e-mail": "hmac",
    "IP address": "hmac",
    "phone": "tokenise",
    "IBAN": "tokenise",
    "bank account": "tokenise",
    "card number": "drop",
    "national id": "drop",
}
"""What `discover` suggests for each kind of personal data that it guesses; for the others a mask."""


def version_of(key: str) -> tuple[str, int]:
    """The name and the version of a key as metadata names it.

    >>> version_of("people"), version_of("people@2")
    (('people', 1), ('people', 2))
    """
    found = _KEY.match(key)
    assert found, key  # noqa: S101  the metadata's check
    return found[1], int(found[2] or 1)


def setting_of(key: str) -> str:
    """The setting that holds a key, in lower case.

    >>> setting_of("people@2")
    'people_2'
    """
    name, version = version_of(key)
    return name if version == 1 else f"{name}_{version}"


class State(NamedTuple):
    """What bronze has in the place of one column's values, as its commits carry it in one number.

    Attributes:
        word: One of `WORDS`.
        texts: What was done to the texts before.
        version: The version of the key, or 0 without one.
        check: Its check.
    """

    word: str
    texts: int = 0
    version: int = 0
    check: int = 0

    @property
    def number(self) -> int:
        """All of it: 0 for values in clear."""
        return (((self.version << 12 | self.texts) << 3 | WORDS.index(self.word)) << CHECK_BITS) | self.check

    @classmethod
    def of(cls, number: int | None) -> State:
        """The state that a number means."""
        high, check = divmod(number or 0, 1 << CHECK_BITS)
        return cls(WORDS[high & 7], high >> 3 & 0xFFF, high >> 15, check)

    def __str__(self) -> str:
        """For people: `hmac by version 2 of its key`."""
        return f"{self.word} by version {self.version} of its key" if self.version else self.word
