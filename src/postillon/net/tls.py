"""TLS for both sides: which contexts we use, and what a session may know of its own TLS.

Certificates are read from files and read again when they change; a connection keeps what it began
with. Versions before 1.2 are never spoken (RFC 8996).
"""

from __future__ import annotations

import asyncio.sslproto
import contextlib
import ctypes
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HANDSHAKE_TIMEOUT_S = 30.0
SHUTDOWN_TIMEOUT_S = 5.0  # for the peer's close_notify; then the connection is cut
STDLIB_TLS_BUFFER = 32 * 1024  # octets; the standard loop takes 256 KiB per connection otherwise
M_MMAP_THRESHOLD, MAPPED_FROM = -3, 256 * 1024  # mallopt(3); uvloop's buffer is as large
SELF_SIGNED_LIFETIME = timedelta(days=3650)
CLOCK_SKEW = timedelta(hours=1)


class TlsError(Exception):
    """A certificate or key that cannot be used. The text names the file."""


@dataclass(frozen=True, slots=True)
class TlsState:
    """What was agreed on a connection. None of it changes until the connection ends."""

    version: str  # "TLSv1.3"
    cipher: str  # OpenSSL's name of the suite
    end_point: bytes | None  # tls-server-end-point data (RFC 5929 section 4); None: undefined
    peer_certificate: bytes | None  # DER; None: the peer showed none
    verified: bool  # the peer's certificate was checked against name and authorities


class ServerTls:
    """The server's certificate chain and key, from PEM files.

    Raises TlsError if they cannot be read or do not belong together.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self.certificate, self.key = certificate, key
        self._stamp = self._look()
        self.context, self.end_point = self._read()

    def reload_if_changed(self) -> bool:
        """Read the files again if they are not those in use; new connections get the new ones.

        Returns whether they changed. Raises TlsError and keeps the old ones if the new are unusable.
        """
        stamp = self._look()
        if stamp == self._stamp:
            return False
        self.context, self.end_point = self._read()
        self._stamp = stamp
        return True

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        found = []
        for path in (self.certificate, self.key):
            try:
                facts = path.stat()
            except OSError as error:
                raise TlsError(f"{path}: {error.strerror}") from error
            found.append((facts.st_ino, facts.st_mtime_ns, facts.st_size))
        return tuple(found)

    def _read(self) -> tuple[ssl.SSLContext, bytes | None]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        try:
            context.load_cert_chain(self.certificate, self.key)
            leaf = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise TlsError(f"{self.certificate} with {self.key}: {error}") from error
        return context, end_point(leaf.public_bytes(serialization.Encoding.DER))


@dataclass(frozen=True, slots=True)
class ClientTls:
    """How a connection we open is protected.

    Opportunistic (`verify` False) takes any certificate: against a listener it is all that plain
    SMTP's STARTTLS can promise (RFC 7435). `authorities`: a PEM file instead of the system's.
    """

    server_name: str  # for SNI, and the name that must be in the certificate when verifying
    verify: bool = False
    authorities: str | None = None

    @property
    def context(self) -> ssl.SSLContext:
        return _client_context(self.verify, self.authorities)


@lru_cache(maxsize=16)
def _client_context(verify: bool, authorities: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif authorities is not None:
        context.load_verify_locations(authorities)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


def end_point(certificate: bytes) -> bytes | None:
    """The tls-server-end-point data of a DER certificate (RFC 5929 section 4.1).

    None where the signature uses no hash of its own (Ed25519) or one we do not know.
    """
    try:
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return None
    if algorithm is None:
        return None
    if algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificate)
    return digest.finalize()


def tls_state(connection: ssl.SSLObject, tls: ServerTls | ClientTls) -> TlsState:
    """The facts of a finished handshake."""
    certificate = connection.getpeercert(binary_form=True)
    if isinstance(tls, ServerTls):
        bound = tls.end_point
    else:
        bound = end_point(certificate) if certificate else None
    suite = connection.cipher()
    return TlsState(
        connection.version() or "",
        suite[0] if suite else "",
        bound,
        certificate,
        isinstance(tls, ClientTls) and tls.verify,
    )


def self_signed(names: Sequence[str], now: datetime | None = None) -> tuple[bytes, bytes]:
    """A new ECDSA P-256 key and a certificate for `names` (domains or addresses, at least one).

    Returns certificate and key as PEM. P-256 because its handshake costs the server least.
    """
    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + SELF_SIGNED_LIFETIME)
        .add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        # What RFC 5280 section 4.2.1 wants of an authority, and strict verifiers (Python 3.13) ask for.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(
            x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
    )
    certificate = builder.sign(key, hashes.SHA256())
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def limit_tls_memory() -> None:
    """Tame the TLS buffers of the loops. Once, at the start of a process.

    The standard loop takes 256 KiB for each connection and keeps hundreds of MB after a scan of half
    handshakes; 32 KiB cost no time. uvloop takes as much and touches a page or two of it, which is
    all it costs as long as glibc maps such blocks one by one. After the first large block that was
    freed it would take them from its heap instead, whose pages are in use: twice the memory of a
    connection (measured: 46 KB instead of 24).
    """
    asyncio.sslproto.SSLProtocol.max_size = STDLIB_TLS_BUFFER
    with contextlib.suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MAPPED_FROM)
