"""Tokens in the place of values: pure functions over Arrow arrays of texts. NULL stays NULL, equal texts get equal tokens."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

import polars as pl
import polars_hash  # noqa: F401  registers the `chash` namespace
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from lakehouse.transform import kernels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakehouse.model.cleaning import Texts

BLOCK, TOKEN_SIGNS = 64, 32
"""SHA-256's block in bytes; the hex digits of a token: half of the digest, the least that RFC 2104 lets stand."""
SEALING = b"lakehouse AES-SIV"
MASKS = ((r"\p{Lu}|\p{Lt}", "X"), (r"[\p{Ll}\p{Lo}\p{Lm}]", "x"), (r"\p{N}", "9"), (r"\p{M}", ""))


class NoTokenError(ValueError):
    """A text that this key never made."""


def text(values: pa.Array, texts: Sequence[Texts] = ()) -> pa.Array:
    """The one text of each value, normalised as it is said; numbers and instants as ISO and SQL write them, without needless zeros.

    So an integer, a decimal with the same value and a text of the same digits are one.
    """
    kind = values.type
    if pa.types.is_timestamp(kind):
        values = kernels.replaced(kernels.cast(kernels.cast(values, pa.timestamp("us")), pa.string()), r"\.?0*$", "")
    if pa.types.is_decimal(kind):
        plain = kernels.cast(values, pa.string())
        values = plain if kind.scale <= 0 else kernels.replaced(kernels.replaced(plain, r"(\.[0-9]*?)0+$", r"\1"), r"\.$", "")
    values = kernels.cast(values, pa.string())
    for how in texts:
        values = kernels.trimmed(values) if how.trim else values
        values = kernels.composed(values) if how.unicode else values
        if how.case:
            values = kernels.cased(values, how.case)
            values = kernels.composed(values) if how.unicode else values  # one that is lowered may compose otherwise
    return values


def hashed(texts: pa.Array, secret: bytes) -> pa.Array:
    """HMAC-SHA-256 (RFC 2104) of each text's UTF-8, the first 128 bits in hex: nobody can undo it, nor guess at it without the key."""
    key = secret if len(secret) <= BLOCK else hashlib.sha256(secret).digest()
    inner, outer = (pl.lit(bytes(byte ^ pad for byte in key.ljust(BLOCK, b"\0"))) for pad in (0x36, 0x5C))

    def of(distinct: pa.Array) -> pa.Array:
        rows = pl.DataFrame({"text": pl.Series(distinct, dtype=pl.String)})
        first = (inner + pl.col("text").cast(pl.Binary)).chash.sha2_256().str.decode("hex")  # type: ignore[attr-defined]  # polars-hash
        made = rows.select((outer + first).chash.sha2_256().str.head(TOKEN_SIGNS).alias("token"))
        return kernels.cast(made["token"].to_arrow(compat_level=pl.CompatLevel.oldest()), pa.string())

    return _by_distinct(texts, of)


def masked(texts: pa.Array) -> pa.Array:
    """The shape of each text: a letter as `x` or `X`, a digit as `9`, other signs as they are."""
    for pattern, sign in MASKS:
        texts = kernels.replaced(texts, pattern, sign)
    return texts


def sealed(texts: pa.Array, secret: bytes) -> pa.Array:
    """Each text encrypted by AES-SIV (RFC 5297), deterministic, in hex; `opened` undoes it with the same key, and with no other one."""
    cipher = _cipher(secret)
    return _by_distinct(texts, lambda each: pa.array([cipher.encrypt(one, None).hex() for one in _bytes(each)], pa.string()))


def opened(tokens: pa.Array, secret: bytes) -> pa.Array:
    """The texts that `sealed` made these tokens of.

    Raises:
        NoTokenError: One was not made with this key, or was changed.
    """
    cipher = _cipher(secret)

    def of(distinct: pa.Array) -> pa.Array:
        try:
            return pa.array([cipher.decrypt(bytes.fromhex(one), None) for one in distinct.to_pylist()], pa.binary())
        except (InvalidTag, ValueError):
            raise NoTokenError from None

    return kernels.cast(_by_distinct(tokens, of), pa.string())


def _by_distinct(texts: pa.Array, of: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """What is made of each distinct text that is not NULL, at the place of each."""
    coded = texts.dictionary_encode()
    return kernels.taken(of(coded.dictionary), coded.indices)


def _bytes(texts: pa.Array) -> list[bytes]:
    found: list[bytes] = kernels.cast(texts, pa.binary()).to_pylist()
    return found


def _cipher(secret: bytes) -> AESSIV:
    """A cipher with two 256-bit keys of its own, derived by HKDF-Expand (RFC 5869): one secret may make both kinds of tokens."""
    return AESSIV(hmac.digest(secret, SEALING + b"\x01", "sha512"))
