"""An encrypted connection of python-tds to a SQL Server, with its certificate checked as the URL demands."""

from __future__ import annotations

import ipaddress
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytds
import pytds.tls
from cryptography import x509
from OpenSSL import SSL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from OpenSSL.crypto import X509

    from lakehouse.sources.address import Address

_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class Encryption:
    """What of a connection is encrypted, and whom it trusts.

    Attributes:
        whole: Everything, or the login only.
        trusting: Whether any certificate will do.
        authority: A file of certificates to trust; by default those that the machine trusts.
    """

    whole: bool
    trusting: bool
    authority: str | None


def connect(address: Address, encryption: Encryption, seconds: float) -> Any:  # noqa: ANN401  python-tds has no types
    """A connection to the database, or the driver's own error within about `seconds`."""
    context = _context(address.host, encryption)
    line = socket.create_connection((address.host, address.port), seconds)  # refused at once, where the driver waits its whole time
    try:
        with _instead_of_the_driver_s(context):
            return pytds.connect(
                dsn=address.host,
                port=address.port,
                database=address.database,
                user=address.user,
                password=address.password,
                appname="lakehouse",
                login_timeout=seconds,
                disable_connect_retry=True,
                autocommit=True,
                sock=line,
                cafile="as the context says",
                validate_host=False,
                enc_login_only=not encryption.whole,
            )
    except BaseException:
        line.close()
        raise


def _context(host: str, encryption: Encryption) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    if encryption.trusting:
        context.set_verify(SSL.VERIFY_NONE)
        return context
    if encryption.authority:
        context.load_verify_locations(encryption.authority)
    else:
        context.set_default_verify_paths()
    context.set_verify(SSL.VERIFY_PEER, lambda _line, found, _error, depth, fine: bool(fine) and (depth > 0 or names(found, host)))
    return context


@contextmanager
def _instead_of_the_driver_s(context: SSL.Context) -> Iterator[None]:
    """The driver makes its TLS context in a function of its own, which can neither trust any certificate nor read their newer names."""
    with _ONE_AT_A_TIME:
        original = pytds.tls.create_context
        pytds.tls.create_context = lambda _: context
        try:
            yield
        finally:
            pytds.tls.create_context = original


def names(certificate: X509, host: str) -> bool:
    """Whether a certificate names the host (RFC 6125: by its alternative names, a `*` for one leftmost label)."""
    try:
        found = certificate.to_cryptography().extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    try:
        return ipaddress.ip_address(host) in found.get_values_for_type(x509.IPAddress)
    except ValueError:
        wanted = host.lower().rstrip(".")
        beyond = wanted.partition(".")[2]
        return any(name.lower() in (wanted, f"*.{beyond}" if beyond else wanted) for name in found.get_values_for_type(x509.DNSName))
