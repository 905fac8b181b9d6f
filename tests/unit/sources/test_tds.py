"""Which certificates name a host."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL.crypto import X509

from lakehouse.sources.tds import names

KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "other")])


def certificate(*alternatives: x509.GeneralName) -> X509:
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).public_key(KEY.public_key()).serial_number(7)
    made = made.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    if alternatives:
        made = made.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return X509.from_cryptography(made.sign(KEY, hashes.SHA256()))


@pytest.mark.parametrize(
    ("alternative", "host", "right"),
    [
        (x509.DNSName("db.example.com"), "DB.example.com", True),
        (x509.DNSName("*.database.windows.net"), "shop.database.windows.net", True),
        (x509.DNSName("*.database.windows.net"), "a.shop.database.windows.net", False),
        (x509.DNSName("*.database.windows.net"), "database.windows.net", False),
        (x509.DNSName("*"), "localhost", False),
        (x509.DNSName("db.example.com"), "example.com", False),
        (x509.IPAddress(ipaddress.ip_address("10.0.0.1")), "10.0.0.1", True),
        (x509.IPAddress(ipaddress.ip_address("10.0.0.1")), "10.0.0.2", False),
        (x509.DNSName("10.0.0.1"), "10.0.0.1", False),
    ],
)
def test_the_names_of_a_certificate(alternative: x509.GeneralName, host: str, right: bool) -> None:
    assert names(certificate(alternative), host) is right


def test_a_certificate_without_names() -> None:
    assert not names(certificate(), "other")
