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
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from postillon.clock import Clock, system_clock
from postillon.directory import api_keys, app_passwords, principals, second_factor, sessions, tokens
from postillon.directory.api_keys import ApiKey
from postillon.directory.app_passwords import APP, AppPassword
from postillon.directory.config import AuthConfig
from postillon.directory.domains import TOPIC
from postillon.directory.guests import Guests
from postillon.directory.last_use import LastUse
from postillon.directory.ledger import Ledger
from postillon.directory.passwords import SALT, Passwords, prepare, read_verifier
from postillon.directory.principals import Principal, PrincipalKind
from postillon.directory.scopes import EVERYTHING, PROTOCOLS, meant
from postillon.directory.second_factor import Taken
from postillon.directory.throttle import Throttle
from postillon.mail.address import AddressError, parse_address
from postillon.store.operation import Steps, Store, Tx

MAX_REMEMBERED = 10_000  # verified passwords a worker knows again
MAX_LOGIN = 320  # characters; longer text is nobody's login
PASSWORD = "password"
HTTP = "http"  # in place of a protocol: what a token is for is looked at later
FAKE_KEY = "scram_fake_key"  # in `meta`: the key of made-up salts, the same for all workers


class Proving(NamedTuple):
    """A ScramVerifier, and whose: of an app password, or (0) of the password."""

    app: int
    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


class KeptApp(NamedTuple):
    id: int
    hash: str
    protocols: str  # separated by spaces
    used_at: int | None  # ms
    expires_at: int | None

    def good_at(self, now: int) -> bool:
        return self.expires_at is None or self.expires_at > now


class Kept(NamedTuple):
    """What the directory has of a login. second_factor: whether codes are asked for."""

    principal: Principal | None
    passwords: list[str]  # Argon2id
    apps: Sequence[KeptApp] = ()
    second_factor: bool = False


@dataclass(frozen=True, slots=True)
class Proof:
    """Who it is, and what they have shown. No scopes: it is good, but not for this protocol.

    second_factor: the account has one that this credential does not stand for.
    """

    principal: Principal
    scopes: frozenset[str] = EVERYTHING
    credential: str = PASSWORD
    second_factor: bool = False


class Credentials:
    """Checks passwords for every protocol of one worker."""

    def __init__(self, store: Store, config: AuthConfig, *, clock: Clock = system_clock) -> None:
        self._store = store
        self._config = config
        self.clock = clock
        self._passwords = Passwords(config)
        self._free = asyncio.Semaphore(config.parallel_checks)
        self._key = os.urandom(32)
        self._remember_ms = int(config.remember.total_seconds() * 1000)
        self._verified: OrderedDict[bytes, int] = OrderedDict()  # until when, ms
        self.last_use = LastUse(store, clock)

    async def verify(self, login: str, password: str, protocol: str) -> Proof | None:
        """What somebody proves with this password, or None. protocol: "imap", "smtp", ..."""
        kept = await self._store.query(_kept(login[:MAX_LOGIN]))
        proof = self._app(kept, password, protocol)
        if proof is not None:
            return proof
        principal, hashes = kept.principal, kept.passwords
        key = self._fingerprint(principal, hashes, password, protocol)
        if principal is not None and key is not None and self._knows(key):
            return Proof(principal, second_factor=kept.second_factor)
        async with self._free:
            fits = await asyncio.to_thread(self._passwords.check, hashes, password)
        if not fits or principal is None or key is None:
            return None
        # While the check ran, the password may have changed or the account been disabled.
        now = await self._store.query(_kept(login[:MAX_LOGIN]))
        if (now.principal, now.passwords) != (principal, hashes):
            return None
        self._verified[key] = self.clock() + self._remember_ms
        if len(self._verified) > MAX_REMEMBERED:
            self._verified.popitem(last=False)
        return Proof(principal, second_factor=now.second_factor)

    def _app(self, kept: Kept, password: str, protocol: str) -> Proof | None:
        """The app password that this is."""
        if kept.principal is None or not kept.apps:
            return None
        given, now, found = tokens.digest(tokens.plain(password)), self.clock(), None
        for app in kept.apps:
            if tokens.same(app.hash, given) and app.good_at(now):
                found = app
        return None if found is None else self._by_app(kept.principal, found, protocol)

    def _by_app(self, principal: Principal, app: KeptApp, protocol: str) -> Proof:
        fits = protocol in app.protocols.split()
        self.last_use.app_password(principal.id, app.id, app.used_at)
        scopes = PROTOCOLS.get(protocol, frozenset[str]()) if fits else frozenset[str]()
        return Proof(principal, scopes, f"app:{app.id}")

    async def scram(self, login: str) -> list[Proving]:
        """What SCRAM-SHA-256 needs; for unknown logins made up, and always the same. Never empty."""
        return await self._store.query(_verifiers(login[:MAX_LOGIN], self._config.scram_iterations))

    def guests(self) -> Guests:
        """To be started, for those who stay with what they have proved."""
        return Guests(self._store, self.clock)

    def ledger(self, throttle: Throttle) -> Ledger:
        """To be started, for what the workers tell each other of sign-ins."""
        return Ledger(self._store, self._config, self.clock, throttle)

    def binding(self, end_point: bytes | None) -> bytes | None:
        """What SCRAM may bind a login to, of what the connection has; None leaves -PLUS out."""
        return end_point if self._config.channel_binding else None

    async def proved(self, login: str) -> Proof | None:
        """What the password of this login proves: of somebody who is enabled."""
        kept = await self._store.query(_kept(login[:MAX_LOGIN]))
        if kept.principal is None:
            return None
        return Proof(kept.principal, second_factor=kept.second_factor)

    async def proved_by(self, login: str, proving: Proving, protocol: str) -> Proof | None:
        """What SCRAM has proved with one of what `scram` has given."""
        if not proving.app:
            return await self.proved(login)
        kept = await self._store.query(_kept(login[:MAX_LOGIN]))
        found = next((app for app in kept.apps if app.id == proving.app), None)
        if kept.principal is None or found is None or not found.good_at(self.clock()):
            return None
        return self._by_app(kept.principal, found, protocol)

    async def take_code(self, principal: int, code: str, *, known: bool) -> Taken:
        """Try a code of the second factor, which is used up. known: from where the owner has been."""
        now = self.clock()
        return await self._store.write(
            lambda tx: second_factor.take(tx, principal, code, now, known=known)
        )

    async def bearer(self, token: str, protocol: str) -> Proof | None:
        """Whom an access token speaks for; a proof without scopes where it is not for this protocol."""
        found = await self._store.query(sessions.bearer(token, self.clock()))
        if found is None:
            return None
        granted = meant(found.scopes)
        if found.client == sessions.OWN_CLIENT:
            granted = EVERYTHING
        if protocol != HTTP and not granted & PROTOCOLS.get(protocol, frozenset()):
            granted = frozenset()
        return Proof(found.principal, granted, f"session:{found.session}")

    async def api_key(self, key: str) -> ApiKey | None:
        """The key of the administration API that this is."""
        found = await self._store.query(api_keys.find(key, self.clock()))
        if found is not None:
            self.last_use.api_key(found.id, found.used_at)
        return found

    async def set_password(self, login: str, password: str, session: int = 0) -> Principal:
        """Replace the password; all sessions but one end.

        Raises BadName, PrincipalNotFound, WrongKind or BadPassword.
        """
        hashed, scram = await self.prepare(password, login)
        return await self._store.write(lambda tx: write_password(tx, login, hashed, scram, session))

    async def prepare(self, password: str, login: str = "") -> tuple[str, str]:
        """Hash and verifier for `write_password`. Raises BadPassword.

        login: "" for an account that does not exist yet; else one that may have app passwords.
        """
        salt, iterations = b"", 0
        if login:
            first, *_ = await self.scram(login)
            salt, iterations = first.salt, first.iterations
        async with self._free:
            return await asyncio.to_thread(self._passwords.keep, password, salt, iterations)

    async def add_app_password(
        self,
        principal: Principal,
        name: str,
        protocols: Sequence[str] = (),
        expires_at: int | None = None,
    ) -> tuple[AppPassword, str]:
        """Make one, and the password itself, shown this once. expires_at: ms.

        protocols: none named is all. Raises BadName or TooMany.
        """
        password = tokens.new_app_password()
        first, *_ = await self.scram(principal.login)
        async with self._free:
            verifier = await asyncio.to_thread(
                self._passwords.verifier, password, first.salt, first.iterations
            )
        made = await self._store.write(
            lambda tx: app_passwords.add(
                tx, principal.id, name, password, str(verifier), protocols, expires_at
            )
        )
        return made, password

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
        if self.clock() < until:
            return True
        del self._verified[key]
        return False


def write_password(
    tx: Tx, login: str, hashed: str, scram: str, session: int = 0
) -> Steps[Principal]:
    """Replace the password; all sessions but one end.

    Raises BadName, PrincipalNotFound or WrongKind.
    """
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
    yield from sessions.end_all(tx, principal.id, session)
    tx.announce(TOPIC)
    return principal


def _kept(login: str) -> Steps[Kept]:
    """What is kept of the enabled person of a login; nothing for nobody."""
    principal = yield from principals.by_login(login)
    if principal is None or not principal.may_sign_in:
        return Kept(None, [])
    rows = yield (
        "SELECT c.credential, c.kind, c.hash, c.scopes, c.used_at, c.expires_at, f.confirmed_at"
        " FROM credential c LEFT JOIN second_factor f ON f.principal = c.principal"
        " WHERE c.principal = ? ORDER BY c.credential",
        (principal.id,),
    )
    return Kept(
        principal,
        [row[2] for row in rows if row[1] == PASSWORD],
        [KeptApp(row[0], *row[2:6]) for row in rows if row[1] == APP],
        any(row[6] is not None for row in rows),
    )


def _verifiers(login: str, iterations: int) -> Steps[list[Proving]]:
    """Those with one salt, the password's first; one that nobody can prove where there is none."""
    principal = yield from principals.by_login(login)
    found: list[Proving] = []
    if principal is not None and principal.enabled:
        rows = yield (
            "SELECT credential, kind, scram FROM credential WHERE principal = ? ORDER BY credential",
            (principal.id,),
        )
        for number, kind, column in rows:
            kept = read_verifier(column)
            if kept is not None:
                found.append(Proving(number if kind == APP else 0, *kept.parts))
    if found:
        return found
    rows = yield ("SELECT value FROM meta WHERE key = ?", (FAKE_KEY,))
    key = base64.b64decode(rows[0][0]) if rows else bytes(32)  # without a row nobody has a password
    try:
        name = "@".join(parse_address(login.strip()).key)
    except AddressError:
        name = login
    salt = hmac.digest(key, b"salt\0" + name.encode("utf-8", "surrogatepass"), "sha256")[:SALT]
    return [Proving(0, salt, iterations, os.urandom(32), os.urandom(32))]
