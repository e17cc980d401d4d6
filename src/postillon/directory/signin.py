"""Who is it? Signing in, the same for every protocol, slowed by the throttle (FAULTS 42 to 44).

What is proved and what is refused is decided here; a protocol only says it in its own words.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum, auto

from postillon.directory.credentials import PASSWORD, Credentials
from postillon.directory.principals import Principal
from postillon.directory.scopes import EVERYTHING
from postillon.directory.throttle import Throttle
from postillon.protocol.sasl import server as sasl


class Denied(Enum):
    """Why nobody has signed in."""

    WRONG = auto()  # the login or the password: nobody is told which
    OTHER = auto()  # the password is right, but it is for acting as somebody else
    LATER = auto()  # too many have failed from this network; nothing was looked at
    CANCELLED = auto()
    MALFORMED = auto()
    UNKNOWN_MECHANISM = auto()


@dataclass(frozen=True, slots=True)
class Granted:
    """credential: what proved it, such as "password"."""

    principal: Principal
    scopes: frozenset[str] = EVERYTHING
    credential: str = PASSWORD


@dataclass(frozen=True, slots=True)
class Ask:
    """Send this and give the answer to `respond`. Octets, not yet in Base64."""

    challenge: bytes


Answer = Ask | Granted | Denied


class SignIns:
    """What the sign-ins of all protocols of one worker share."""

    def __init__(self, credentials: Credentials, throttle: Throttle) -> None:
        self.credentials = credentials
        self.throttle = throttle

    def begin(self, protocol: str, address: str, end_point: bytes | None = None) -> SignIn:
        """One attempt. address: of the peer; end_point: what SCRAM may bind to (RFC 5929)."""
        return SignIn(self, protocol, address, self.credentials.binding(end_point))

    def offered(self, end_point: bytes | None = None) -> tuple[str, ...]:
        """The SASL mechanisms to announce where passwords may be sent, strongest first."""
        return sasl.offered(scram=True, binding=self.credentials.binding(end_point))


class SignIn:
    """One attempt to sign in. `failed` is true when it counts against the connection."""

    def __init__(self, shared: SignIns, protocol: str, address: str, binding: bytes | None) -> None:
        self._credentials = shared.credentials
        self._throttle = shared.throttle
        self._protocol = protocol
        self._address = address
        self._binding = binding
        self._mechanism: sasl.ServerMechanism | None = None
        self.login = ""  # the login that was tried, for the log; "" before it was named
        self.failed = False

    async def begin(self, name: str, initial: bytes | None) -> Answer:
        """Begin a SASL exchange. name: in any case; initial: None when none was sent."""
        self._mechanism = sasl.mechanism(name, scram=True, binding=self._binding)
        if self._mechanism is None:
            return Denied.UNKNOWN_MECHANISM
        if initial is None and name.upper() != "LOGIN":
            return Ask(b"")  # the client speaks first, but has not yet
        return await self.respond(initial or b"")

    async def password(self, login: bytes, password: bytes) -> Answer:
        """A login and its password without SASL: as PLAIN reads them."""
        self._mechanism = sasl.Plain()
        return await self.respond(b"\0%b\0%b" % (login, password))

    async def respond(self, response: bytes | None) -> Answer:
        """The answer to a response; None when the client gives up."""
        if response is None or self._mechanism is None:
            return Denied.CANCELLED
        known = self.login
        if known and await self._turned_away(known):
            return Denied.LATER
        step = self._mechanism.step(response)
        if isinstance(step, sasl.LookUp):
            self.login = step.login
            step = step.go_on(await self._credentials.scram(step.login))
        match step:
            case sasl.Challenge(data):
                return Ask(data)
            case sasl.Credentials(login, password, authzid):
                self.login = login
                if await self._turned_away(login):
                    return Denied.LATER
                found = await self._credentials.verify(login, password, self._protocol)
                return await self._end(found, authzid)
            case sasl.ScramDone(login):
                return await self._end(await self._credentials.principal(login), "")
            case sasl.Failed(_, malformed):
                if malformed and not known:
                    return Denied.MALFORMED
                return await self._end(None, "")

    async def _turned_away(self, login: str) -> bool:
        verdict = self._throttle.check(self._address, login)
        if verdict.delay_s:
            await asyncio.sleep(verdict.delay_s)
        self.failed = self.failed or verdict.refused
        return verdict.refused

    async def _end(self, found: Principal | None, authzid: str) -> Answer:
        if found is None:
            self.failed = True
            self._throttle.failed(self._address, self.login)
            return Denied.WRONG
        if authzid:  # one's own name may be written out
            other = await self._credentials.principal(authzid)
            if other is None or other.id != found.id:
                self.failed = True
                return Denied.OTHER
        self._throttle.succeeded(self._address, self.login)
        return Granted(found)
