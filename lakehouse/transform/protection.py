"""Which columns of a table hold personal data, and what becomes of them at the door of bronze and on the way to silver."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import polars as pl
import pyarrow as pa

from lakehouse.model.personal import CHECK_BITS, State, setting_of, version_of
from lakehouse.transform import tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lakehouse.model.cleaning import Texts
    from lakehouse.model.personal import Mode
    from lakehouse.model.table import Table

_TOKEN = re.compile(r"[0-9a-f]{32}")
_CHECK = b"lakehouse key check\0"


class Key(NamedTuple):
    """A key with the name by which metadata calls it."""

    name: str
    secret: bytes

    @property
    def check(self) -> int:
        """32 bits that tell this key from others, and nothing about it."""
        return int.from_bytes(hmac.digest(self.secret, _CHECK, "sha256")[: CHECK_BITS // 8])

    @property
    def number(self) -> int:
        """What a table's commits carry for each key that its rows have tokens of: its version and its check."""
        return version_of(self.name)[1] << CHECK_BITS | self.check


@dataclass(frozen=True, slots=True)
class Guard:
    """One column that holds personal data.

    Attributes:
        name: In bronze.
        mode: What silver has in the place of its values.
        key: The key of its tokens.
        seal: The key under which bronze keeps its values encrypted.
        texts: What is done to its texts before.
        is_key: Whether it names rows: then bronze's values are normalised too, so that one person is one key.
    """

    name: str
    mode: Mode
    key: Key | None
    seal: Key | None
    texts: tuple[Texts, ...]
    is_key: bool = False

    @property
    def state(self) -> State:
        """What bronze is to have."""
        texts = self.texts if self.is_key or not self.seal else ()
        coded = 0
        for how in texts:  # two at most: those of keys, then the column's own
            coded = coded << 4 | how.trim | {None: 0, "lower": 2, "upper": 4}[how.case] | (how.unicode is not None) << 3
        word, key = ("sealed", self.seal) if self.seal else (self.mode, self.key)
        return State(word, coded, *((0, 0) if key is None else (version_of(key.name)[1], key.check)))

    def at_the_door(self, values: pa.Array) -> pa.Array:
        """What bronze has of the source's values."""
        if self.seal:
            return tokens.sealed(tokens.text(values, self.texts if self.is_key else ()), self.seal.secret)
        return self._token(tokens.text(values, self.texts))

    def in_silver(self, values: pa.Array) -> pa.Array:
        """What silver has of bronze's values.

        Raises:
            NoTokenError: One was not made with the key.
        """
        return self._token(tokens.text(tokens.opened(values, self.seal.secret), self.texts)) if self.seal else values

    def token_of(self, value: object) -> str:
        """The token in silver of one value as the source has it; of a token itself."""
        word = str(value)
        if self.mode == "hmac" and _TOKEN.fullmatch(word):
            return word
        try:
            if self.mode == "tokenise" and self.key:
                tokens.opened(pa.array([word]), self.key.secret)
                return word
        except tokens.NoTokenError:
            pass
        return str(self._token(tokens.text(pa.array([word]), self.texts))[0])

    def _token(self, texts: pa.Array) -> pa.Array:
        if self.mode == "mask" or self.key is None:
            return tokens.masked(texts)
        return (tokens.hashed if self.mode == "hmac" else tokens.sealed)(texts, self.key.secret)


@dataclass(frozen=True, slots=True)
class Protection:
    """All columns of a table that hold personal data."""

    guards: tuple[Guard, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Their names in bronze."""
        return tuple(guard.name for guard in self.guards)

    @property
    def sealed(self) -> tuple[str, ...]:
        """The names of those that bronze has sealed."""
        return tuple(guard.name for guard in self.guards if guard.seal)

    @property
    def keys(self) -> dict[str, Key]:
        """The keys of the tokens that silver has, by their names without a version."""
        return {version_of(guard.key.name)[0]: guard.key for guard in self.guards if guard.key}

    def door(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Rows of the source as bronze may have them."""
        for guard in self.guards:
            if guard.name in rows.schema.names:
                rows = _with(rows, guard.name, guard.at_the_door(rows.column(guard.name)))
        return rows

    def opened(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of bronze as silver may have them.

        Raises:
            NoTokenError: A value was not sealed with the key.
        """
        made = []
        for guard in self.guards:
            if guard.seal and guard.name in rows.columns:
                values = pa.array(rows[guard.name].to_arrow(compat_level=pl.CompatLevel.oldest()), pa.string())
                made.append(pl.Series(guard.name, guard.in_silver(values), pl.String))
        return rows.with_columns(made)

    def opening(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """The same as they stream by."""
        return rows.map_batches(self.opened, projection_pushdown=False, predicate_pushdown=False, streamable=True)


def protection(table: Table, secret: Callable[[str], bytes]) -> Protection | None:
    """The protection of a table, or None where nothing is declared; `secret` gives the bytes of the setting of a key."""
    if not table.personal:
        return None
    known: dict[str, Key] = {}

    def key(name: str | None) -> Key | None:
        if name is None:
            return None
        return known.setdefault(name, Key(name, secret(setting_of(name))))

    return Protection(
        tuple(
            Guard(name, shape.pii, key(shape.key), key(shape.sealed), table.texts(name), is_key=name in table.keys)
            for name, shape in table.personal.items()
            if shape.pii
        )
    )


def clear(values: pa.Array, state: State, secrets: Iterable[bytes]) -> pa.Array | None:
    """The values in clear of what bronze has, by the one of these keys that it was made with; None where no key undoes it."""
    if state.word == "clear":
        return values
    made_with = [secret for secret in secrets if Key("k", secret).check == state.check]
    return tokens.opened(values, made_with[0]) if made_with and state.word in ("sealed", "tokenise") else None


def _with(rows: pa.RecordBatch, name: str, values: pa.Array) -> pa.RecordBatch:
    return rows.set_column(rows.schema.get_field_index(name), pa.field(name, values.type), values)
