"""Who is it? One SASL exchange of an SMTP session, slowed by the throttle (FAULTS 42 to 44)."""

from __future__ import annotations

import asyncio
import base64

from postillon.directory.credentials import Credentials
from postillon.directory.principals import Principal
from postillon.directory.throttle import Throttle
from postillon.mail.outcome import Reply, reply
from postillon.protocol.sasl import server as sasl

PROTOCOL = "smtp"

WRONG = reply(535, "5.7.8", "Login or password is wrong")
LATER = reply(454, "4.7.0", "Too many failed logins from your network; try again later")
CANCELLED = reply(501, "5.7.0", "Login cancelled")
UNKNOWN_MECHANISM = reply(504, "5.5.4", "This mechanism is not offered")
SUCCESS = reply(235, "2.7.0", "Welcome")


class Login:
    """One AUTH. `principal` is set when it has succeeded; `failed` counts against the connection."""

    def __init__(
        self, credentials: Credentials, throttle: Throttle, address: str, binding: bytes | None
    ) -> None:
        self._credentials = credentials
        self._throttle = throttle
        self._address = address
        self._binding = binding
        self._mechanism: sasl.ServerMechanism | None = None
        self._login = ""  # as far as it is known
        self.principal: Principal | None = None
        self.failed = False

    @property
    def login(self) -> str:
        """The login that was tried, for the log; "" before it was named."""
        return self._login

    async def begin(self, name: str, initial: bytes | None) -> Reply:
        self._mechanism = sasl.mechanism(name, scram=True, binding=self._binding)
        if self._mechanism is None:
            return UNKNOWN_MECHANISM
        if initial is None and name != "LOGIN":
            return reply(334, "", "")  # RFC 4954 section 4: an empty challenge
        return await self.respond(initial or b"")

    async def respond(self, response: bytes | None) -> Reply:
        """The reply to a response; 334 while the exchange goes on."""
        if response is None or self._mechanism is None:
            return CANCELLED
        known = self._login
        if known and await self._turned_away(known):
            return LATER
        step = self._mechanism.step(response)
        if isinstance(step, sasl.LookUp):
            self._login = step.login
            step = step.go_on(await self._credentials.scram(step.login))
        match step:
            case sasl.Challenge(data):
                return reply(334, "", base64.b64encode(data).decode("ascii"))
            case sasl.Credentials(login, password, authzid):
                self._login = login
                if await self._turned_away(login):
                    return LATER
                found = await self._credentials.verify(login, password, PROTOCOL)
                return await self._end(found, authzid)
            case sasl.ScramDone(login):
                return await self._end(await self._credentials.principal(login), "")
            case sasl.Failed(_, malformed):
                if malformed and not known:
                    return reply(501, "5.5.2", "The response is malformed")
                return await self._end(None, "")

    async def _turned_away(self, login: str) -> bool:
        verdict = self._throttle.check(self._address, login)
        if verdict.delay_s:
            await asyncio.sleep(verdict.delay_s)
        self.failed = self.failed or verdict.refused
        return verdict.refused

    async def _end(self, found: Principal | None, authzid: str) -> Reply:
        if found is not None and authzid:
            # Nobody acts for somebody else; but one's own name may be written out.
            other = await self._credentials.principal(authzid)
            if other is None or other.id != found.id:
                found = None
        if found is None:
            self.failed = True
            self._throttle.failed(self._address, self._login)
            return WRONG
        self.principal = found
        self._throttle.succeeded(self._address, self._login)
        return SUCCESS
