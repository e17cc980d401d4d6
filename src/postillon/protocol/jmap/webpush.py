"""Web Push: content that only the client can read, and proof of who sends it (RFC 8291, RFC 8292)."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ENCODING = "aes128gcm"  # RFC 8188
SALT = 16  # octets
MAX_PLAIN = 3_993  # octets of content: a push service takes 4,096 (RFC 8291 section 4)
RECORD = 4_096  # octets of the only record
TOKEN_S = 12 * 3_600  # a proof is good so long; at most a day (RFC 8292 section 2)
_CURVE = ec.SECP256R1()


class BadKeys(ValueError):
    """The client's keys are none."""


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """p256dh: an uncompressed point of P-256, 65 octets. auth: 16 octets."""

    p256dh: bytes
    auth: bytes

    def __post_init__(self) -> None:
        """Raises BadKeys."""
        if len(self.auth) != SALT:
            raise BadKeys("auth must be 16 octets")
        if len(self.p256dh) != 65:
            raise BadKeys("p256dh must be an uncompressed point of P-256")
        point_of(self.p256dh)


def point_of(octets: bytes) -> ec.EllipticCurvePublicKey:
    """Raises BadKeys."""
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, octets)
    except (ValueError, UnsupportedAlgorithm):
        raise BadKeys("p256dh is no point of P-256") from None


def encrypt(
    content: bytes, keys: ClientKeys, salt: bytes, own: ec.EllipticCurvePrivateKey
) -> bytes:
    """The body of a push message (RFC 8291 section 3). salt: 16 octets, own: both never used before.

    Raises ValueError for more than MAX_PLAIN octets.
    """
    if len(content) > MAX_PLAIN:
        raise ValueError(f"more than {MAX_PLAIN} octets")
    public = encoded(own.public_key())
    shared = own.exchange(ec.ECDH(), point_of(keys.p256dh))
    both = b"WebPush: info\0" + keys.p256dh + public
    secret = _derive(keys.auth, shared, both, 32)
    key = _derive(salt, secret, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(salt, secret, b"Content-Encoding: nonce\0", 12)
    sealed = AESGCM(key).encrypt(nonce, content + b"\x02", None)
    return salt + RECORD.to_bytes(4, "big") + bytes([len(public)]) + public + sealed


def authorization(
    own: ec.EllipticCurvePrivateKey, audience: str, subject: str, expires_at: int
) -> str:
    """The Authorization field (RFC 8292 section 3).

    audience: scheme, host and port of the push service. subject: where its operator finds us, a
    mailto or https URL. expires_at: seconds since 1970.
    """
    claims = {"aud": audience, "exp": expires_at, "sub": subject}
    signed = f"{_part({'typ': 'JWT', 'alg': 'ES256'})}.{_part(claims)}"
    r, s = decode_dss_signature(own.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    signature = base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    return f"vapid t={signed}.{signature}, k={base64url(encoded(own.public_key()))}"


def encoded(key: ec.EllipticCurvePublicKey) -> bytes:
    """As an uncompressed point, 65 octets."""
    return key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(_CURVE)


def base64url(octets: bytes) -> str:
    """Without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """With or without padding. Raises BadKeys."""
    try:
        if "+" in text or "/" in text:  # of the other alphabet, which Python takes too
            raise ValueError(text)
        octets = text.rstrip("=").encode("ascii")
        return base64.b64decode(octets + b"=" * (-len(octets) % 4), b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        raise BadKeys("keys are base64url") from None


def _derive(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


def _part(value: dict[str, Any]) -> str:
    return base64url(json.dumps(value, separators=(",", ":")).encode())
