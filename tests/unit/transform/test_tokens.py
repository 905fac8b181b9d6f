"""Tokens: by the standards' own arithmetic, the same for the same person, undone by the key and by nothing else."""

from __future__ import annotations

import hmac
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.model.cleaning import Texts
from lakehouse.transform.tokens import NoTokenError, hashed, masked, opened, sealed, text

KEY = bytes(range(200, 232))
VALUES = pa.array(["ada@example.org", None, "", "ünï\x00", "ada@example.org"])


@pytest.mark.parametrize("secret", [KEY, KEY * 2, KEY * 3])
def test_a_hash_is_hmac_sha_256_cut_in_half(secret: bytes) -> None:
    made = [None if value is None else hmac.digest(secret, value.encode(), "sha256").hex()[:32] for value in VALUES.to_pylist()]
    assert hashed(VALUES, secret).to_pylist() == made


def test_a_sealed_text_is_aes_siv_under_a_key_of_its_own() -> None:
    cipher = AESSIV(HKDFExpand(SHA512(), 64, b"lakehouse AES-SIV").derive(KEY))
    assert sealed(VALUES, KEY)[0].as_py() == cipher.encrypt(b"ada@example.org", None).hex()


@given(st.lists(st.none() | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20), max_size=8))
def test_the_key_undoes_what_it_sealed(values: list[str | None]) -> None:
    given = pa.array(values, pa.string())
    assert opened(sealed(given, KEY), KEY).equals(given)


@pytest.mark.parametrize("token", ["", "zz", "00" * 20, sealed(VALUES, KEY)[0].as_py()])
def test_another_key_undoes_nothing(token: str) -> None:
    with pytest.raises(NoTokenError) as refused:
        opened(pa.array([token]), KEY[::-1])
    assert refused.value.__cause__ is None


def test_one_person_has_one_text_however_it_is_written() -> None:
    how = (Texts(trim=True, case="lower", unicode="NFC"),)
    assert set(text(pa.array([" ÉVA@x.org", "e\u0301va@X.org\u00a0", "éva@x.org"]), how).to_pylist()) == {"éva@x.org"}


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([42, -1, None], pa.int32()), ["42", "-1", None]),
        (pa.array([Decimal("42.00"), Decimal("0.50")], pa.decimal128(9, 2)), ["42", "0.5"]),
        (pa.array([Decimal(100)], pa.decimal128(9, 0)), ["100"]),
        (pa.array([date(1815, 12, 10)]), ["1815-12-10"]),
        (pa.array([datetime(2020, 1, 10, tzinfo=UTC)], pa.timestamp("us", "UTC")), ["2020-01-10 00:00:00"]),
    ],
)
def test_each_type_has_one_text(values: pa.Array, texts: list[str | None]) -> None:
    assert text(values).to_pylist() == texts


def test_a_mask_keeps_the_shape_alone() -> None:
    assert masked(pa.array(["Ada.B-7@Mail.org", "Ñandú 日本", None])).to_pylist() == ["Xxx.X-9@Xxxx.xxx", "Xxxxx xx", None]
