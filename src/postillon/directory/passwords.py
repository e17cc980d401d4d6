"""How a password is kept: an Argon2id hash, and a SCRAM-SHA-256 verifier made at the same time.

Both are slow on purpose and run in a thread, never in the loop.
"""

from __future__ import annotations

import base64
import binascii
import os
import unicodedata
from dataclasses import dataclass

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from scramp import ScramException, ScramMechanism

from postillon.directory.config import AuthConfig
from postillon.directory.errors import BadPassword

MAX_PASSWORD = 1_024  # octets; as protocol.sasl
MIN_PASSWORD = 8  # characters, NIST SP 800-63B section 5.1.1.1
SALT = 16  # octets


@dataclass(frozen=True, slots=True)
class ScramVerifier:
    """What SCRAM-SHA-256 needs of a password (RFC 5802 section 3)."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes

    @property
    def parts(self) -> tuple[bytes, int, bytes, bytes]:
        return self.salt, self.iterations, self.stored_key, self.server_key

    def __str__(self) -> str:
        """The column `credential.scram`."""
        parts = (self.salt, self.stored_key, self.server_key)
        encoded = ",".join(base64.b64encode(part).decode() for part in parts)
        return f"{self.iterations},{encoded}"


def read_verifier(column: str | None) -> ScramVerifier | None:
    if not column:
        return None
    try:
        iterations, *parts = column.split(",")
        salt, stored_key, server_key = (base64.b64decode(part, validate=True) for part in parts)
        return ScramVerifier(salt, int(iterations), stored_key, server_key)
    except (ValueError, binascii.Error):
        return None


class Passwords:
    """Hashes and checks; every method takes tens of milliseconds: call them in a thread."""

    def __init__(self, config: AuthConfig) -> None:
        self._hasher = PasswordHasher(
            time_cost=config.argon2_passes,
            memory_cost=config.argon2_memory,
            parallelism=1,
            type=Type.ID,
        )
        self._iterations = config.scram_iterations
        self._dummy = self._hasher.hash(os.urandom(SALT))

    def keep(self, password: str, salt: bytes = b"", iterations: int = 0) -> tuple[str, str]:
        """Hash and SCRAM verifier, as the columns want them. Raises BadPassword.

        salt: that of other passwords of the same account, so that SCRAM can prove either.
        """
        if len(password) < MIN_PASSWORD:
            raise BadPassword(f"a password has at least {MIN_PASSWORD} characters")
        octets = prepare(password)
        if octets is None:
            raise BadPassword(f"a password has at most {MAX_PASSWORD} octets, and no NUL")
        verifier = self.verifier(password, salt or os.urandom(SALT), iterations or self._iterations)
        return self._hasher.hash(octets), str(verifier)

    def verifier(self, password: str, salt: bytes, iterations: int) -> ScramVerifier:
        """What SCRAM needs of it. Raises BadPassword."""
        try:
            salt, stored_key, server_key, iterations = ScramMechanism(
                "SCRAM-SHA-256"
            ).make_auth_info(password, iteration_count=iterations, salt=salt)
        except ScramException as error:
            raise BadPassword("the password holds characters that SASLprep forbids") from error
        return ScramVerifier(salt, iterations, stored_key, server_key)

    def check(self, hashes: list[str], password: str) -> bool:
        """Whether the password fits one of the hashes; one check is made even for none."""
        octets = prepare(password)
        fits = False
        for encoded in hashes or [self._dummy]:
            try:
                fits |= self._hasher.verify(encoded, octets or b"")
            except (VerificationError, InvalidHashError):
                continue
        return fits and bool(hashes) and octets is not None


def prepare(password: str) -> bytes | None:
    """The octets that are hashed: NFC (RFC 8265 section 4.2). None for what can be no password."""
    try:
        octets = unicodedata.normalize("NFC", password).encode()
    except UnicodeEncodeError:
        return None
    return octets if 0 < len(octets) <= MAX_PASSWORD and b"\0" not in octets else None
