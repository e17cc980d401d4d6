"""Proving who somebody is.

One answer for a wrong password, an unknown login and a disabled account, after the same work
(FAULTS 43). A verified password is known again for a short time by a keyed hash of everything that
decided, the kept hash included: changing the password forgets it at once (FAULTS 41).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
from collections import OrderedDict

from postillon.clock import Clock, system_clock
from postillon.directory import principals
from postillon.directory.config import AuthConfig
from postillon.directory.domains import TOPIC
from postillon.directory.passwords import SALT, Passwords, ScramVerifier, prepare, read_verifier
from postillon.directory.principals import Principal, PrincipalKind
from postillon.mail.address import AddressError, parse_address
from postillon.store.operation import Steps, Store, Tx

MAX_REMEMBERED = 10_000  # verified passwords a worker knows again
MAX_LOGIN = 320  # characters; longer text is nobody's login
PASSWORD = "password"
FAKE_KEY = "scram_fake_key"  # in `meta`: the key of made-up salts, the same for all workers


class Credentials:
    """Checks passwords for every protocol of one worker."""

    def __init__(self, store: Store, config: AuthConfig, *, clock: Clock = system_clock) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._passwords = Passwords(config)
        self._free = asyncio.Semaphore(config.parallel_checks)
        self._key = os.urandom(32)
        self._remember_ms = int(config.remember.total_seconds() * 1000)
        self._verified: OrderedDict[bytes, int] = OrderedDict()  # until when, ms

    async def verify(self, login: str, password: str, protocol: str) -> Principal | None:
        """The person who proves it with this password, or None. protocol: "imap", "smtp", ..."""
        principal, hashes = await self._store.query(_hashes(login[:MAX_LOGIN]))
        key = self._fingerprint(principal, hashes, password, protocol)
        if key is not None and self._knows(key):
            return principal
        async with self._free:
            fits = await asyncio.to_thread(self._passwords.check, hashes, password)
        if not fits or principal is None or key is None:
            return None
        # While the check ran, the password may have changed or the account been disabled.
        if await self._store.query(_hashes(login[:MAX_LOGIN])) != (principal, hashes):
            return None
        self._verified[key] = self._clock() + self._remember_ms
        if len(self._verified) > MAX_REMEMBERED:
            self._verified.popitem(last=False)
        return principal

    async def scram(self, login: str) -> ScramVerifier:
        """What SCRAM-SHA-256 needs; for unknown logins made up, and always the same."""
        return await self._store.query(_verifier(login[:MAX_LOGIN], self._config.scram_iterations))

    def binding(self, end_point: bytes | None) -> bytes | None:
        """What SCRAM may bind a login to, of what the connection has; None leaves -PLUS out."""
        return end_point if self._config.channel_binding else None

    async def principal(self, login: str) -> Principal | None:
        """Who may be logged in after SCRAM has proved this login: enabled, and a person."""
        return (await self._store.query(_hashes(login[:MAX_LOGIN])))[0]

    async def set_password(self, login: str, password: str) -> Principal:
        """Raises BadName, PrincipalNotFound, WrongKind or BadPassword."""
        hashed, scram = await self.prepare(password)
        return await self._store.write(lambda tx: write_password(tx, login, hashed, scram))

    async def prepare(self, password: str) -> tuple[str, str]:
        """Hash and verifier for `write_password`. Raises BadPassword."""
        async with self._free:
            return await asyncio.to_thread(self._passwords.keep, password)

    def _fingerprint(
        self, principal: Principal | None, hashes: list[str], password: str, protocol: str
    ) -> bytes | None:
        octets = prepare(password)
        if principal is None or octets is None:
            return None
        state = hashlib.blake2b(key=self._key, digest_size=32)
        for part in (
            str(principal.id).encode(),
            protocol.encode(),
            "\n".join(hashes).encode(),
            octets,
        ):
            state.update(len(part).to_bytes(8, "big") + part)
        return state.digest()

    def _knows(self, key: bytes) -> bool:
        until = self._verified.get(key)
        if until is None:
            return False
        if self._clock() < until:
            return True
        del self._verified[key]
        return False


def write_password(tx: Tx, login: str, hashed: str, scram: str) -> Steps[Principal]:
    """Replace the password. Raises BadName, PrincipalNotFound or WrongKind."""
    principal = yield from principals.require(login, PrincipalKind.PERSON)
    yield (
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (FAKE_KEY, base64.b64encode(os.urandom(32)).decode()),
    )
    yield ("DELETE FROM credential WHERE principal = ? AND kind = ?", (principal.id, PASSWORD))
    yield (
        "INSERT INTO credential (principal, credential, kind, hash, scram, created_at)"
        " VALUES (?, 1, ?, ?, ?, ?)",
        (principal.id, PASSWORD, hashed, scram, tx.now),
    )
    tx.announce(TOPIC)
    return principal


def _hashes(login: str) -> Steps[tuple[Principal | None, list[str]]]:
    """The enabled person of a login, with the hashes of the passwords; (None, []) for nobody."""
    principal = yield from principals.by_login(login)
    if principal is None or not principal.enabled or principal.kind is not PrincipalKind.PERSON:
        return None, []
    rows = yield (
        "SELECT hash FROM credential WHERE principal = ? AND kind = ? ORDER BY credential",
        (principal.id, PASSWORD),
    )
    return principal, [encoded for (encoded,) in rows]


def _verifier(login: str, iterations: int) -> Steps[ScramVerifier]:
    principal = yield from principals.by_login(login)
    if principal is not None and principal.enabled:
        rows = yield (
            "SELECT scram FROM credential WHERE principal = ? AND kind = ?",
            (principal.id, PASSWORD),
        )
        kept = read_verifier(rows[0][0]) if rows else None
        if kept is not None:
            return kept
    rows = yield ("SELECT value FROM meta WHERE key = ?", (FAKE_KEY,))
    key = base64.b64decode(rows[0][0]) if rows else bytes(32)  # without a row nobody has a password
    try:
        name = "@".join(parse_address(login.strip()).key)
    except AddressError:
        name = login
    salt = hmac.digest(key, b"salt\0" + name.encode("utf-8", "surrogatepass"), "sha256")[:SALT]
    return ScramVerifier(salt, iterations, os.urandom(32), os.urandom(32))
