"""Who is it? Signing in, the same for every protocol, slowed by the throttle (FAULTS 42 to 44).

What is proved and what is refused is decided here; a protocol only says it in its own words.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from enum import Enum, auto

from postillon.directory.attempts import Outcome
from postillon.directory.credentials import HTTP, PASSWORD, Credentials, Proof, Proving
from postillon.directory.principals import Principal
from postillon.directory.scopes import EVERYTHING, MAIL, SEND
from postillon.directory.second_factor import Taken
from postillon.directory.throttle import Throttle
from postillon.protocol.sasl import server as sasl

INTERACTIVE = "interactive"  # in place of a protocol: a person in front of a page of ours


class Denied(Enum):
    """Why nobody has signed in."""

    WRONG = auto()  # the login or the password: nobody is told which
    OTHER = auto()  # the password is right, but it is for acting as somebody else
    LATER = auto()  # too many have failed from this network; nothing was looked at
    CANCELLED = auto()
    MALFORMED = auto()
    UNKNOWN_MECHANISM = auto()
    NEEDS_CODE = auto()  # the password is right, but the account has a second factor
    WRONG_CODE = auto()  # of the second factor
    NOT_FOR_THIS = auto()  # the app password or token is right, but made for something else


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
    """What the sign-ins of all protocols of one worker share.

    bearer: whether tokens are taken. metadata: where a client learns to get one (RFC 7628 section
    3.2.2), "" where nothing is told.
    """

    def __init__(
        self,
        credentials: Credentials,
        throttle: Throttle,
        *,
        bearer: bool = True,
        metadata: str = "",
    ) -> None:
        self.credentials = credentials
        self.throttle = throttle
        self.guests = credentials.guests()
        self.ledger = credentials.ledger(throttle)
        self.bearer = bearer
        self.refusal = _refusal(metadata)

    def begin(self, protocol: str, address: str, end_point: bytes | None = None) -> SignIn:
        """One attempt. address: of the peer; end_point: what SCRAM may bind to (RFC 5929)."""
        return SignIn(self, protocol, address, self.credentials.binding(end_point))

    def offered(self, end_point: bytes | None = None) -> tuple[str, ...]:
        """The SASL mechanisms to announce where passwords may be sent, strongest first."""
        binding = self.credentials.binding(end_point)
        return sasl.offered(scram=True, binding=binding, bearer=self.bearer)


class SignIn:
    """One attempt to sign in. `failed` is true when it counts against the connection."""

    def __init__(self, shared: SignIns, protocol: str, address: str, binding: bytes | None) -> None:
        self._shared = shared
        self._credentials = shared.credentials
        self._throttle = shared.throttle
        self._protocol = protocol
        self._address = address
        self._binding = binding
        self._mechanism: sasl.ServerMechanism | None = None
        self.login = ""  # the login that was tried, for the log; "" before it was named
        self.failed = False
        self._provings: list[Proving] = []  # what SCRAM may prove
        self._refused: Denied | None = None  # what comes after the error of a token was read

    async def begin(self, name: str, initial: bytes | None) -> Answer:
        """Begin a SASL exchange. name: in any case; initial: None when none was sent."""
        self._mechanism = sasl.mechanism(
            name, scram=True, binding=self._binding, bearer=self._shared.bearer
        )
        if self._mechanism is None:
            return Denied.UNKNOWN_MECHANISM
        if initial is None and name.upper() != "LOGIN":
            return Ask(b"")  # the client speaks first, but has not yet
        return await self.respond(initial or b"")

    async def password(self, login: bytes, password: bytes) -> Answer:
        """A login and its password without SASL: as PLAIN reads them."""
        self._mechanism = sasl.Plain()
        return await self.respond(b"\0%b\0%b" % (login, password))

    async def interactive(self, login: str, password: str, code: str) -> Answer:
        """A person on a page: the password itself, and a code where there is a second factor.

        code: "" while none has been asked for. Says NEEDS_CODE after the right password only.
        """
        self.login = login
        if await self._turned_away(login):
            return Denied.LATER
        proof = await self._credentials.verify(login, password, INTERACTIVE)
        if proof is None or proof.credential != PASSWORD:
            return self._wrong()
        if proof.second_factor:
            if code:
                return await self.code(proof.principal, code)
            self._note(Outcome.NEEDS_CODE)
            return Denied.NEEDS_CODE
        self._succeeded()
        return Granted(proof.principal)

    async def code(self, principal: Principal, code: str) -> Answer:
        """The second factor of somebody whose password was right."""
        self.login = self.login or principal.login
        if await self._turned_away(self.login):
            return Denied.LATER
        known = await self._shared.ledger.knows(self._address, self.login)
        taken = await self._credentials.take_code(principal.id, code, known=known)
        if taken is Taken.LATER:
            self.failed = True
            self._note(Outcome.TURNED_AWAY)
            return Denied.LATER
        if taken is Taken.WRONG:
            self._wrong(Outcome.WRONG_CODE)
            return Denied.WRONG_CODE
        self._succeeded()
        return Granted(principal)

    async def again(self, principal: Principal, password: str) -> Answer:
        """Somebody who is signed in and says the password again, before a change that matters."""
        self.login = principal.login
        if await self._turned_away(principal.login):
            return Denied.LATER
        proof = await self._credentials.verify(principal.login, password, INTERACTIVE)
        if proof is None or proof.credential != PASSWORD or proof.principal.id != principal.id:
            return self._wrong()
        return Granted(principal)

    async def token(self, token: str) -> Answer:
        """An access token without SASL. Nobody guesses 256 bits, and tokens expire: nothing counts."""
        found = await self._credentials.bearer(token, self._protocol)
        return Denied.WRONG if found is None else await self._end(found, "")

    async def respond(self, response: bytes | None) -> Answer:
        """The answer to a response; None when the client gives up."""
        if self._refused is not None:
            return self._refused
        if response is None or self._mechanism is None:
            return Denied.CANCELLED
        known = self.login
        if known and await self._turned_away(known):
            return Denied.LATER
        step = self._mechanism.step(response)
        if isinstance(step, sasl.LookUp):
            self.login = step.login
            self._provings = await self._credentials.scram(step.login)
            step = step.go_on(*self._provings)
        match step:
            case sasl.Challenge(data):
                return Ask(data)
            case sasl.Credentials(login, password, authzid):
                self.login = login
                if await self._turned_away(login):
                    return Denied.LATER
                found = await self._credentials.verify(login, password, self._protocol)
                return await self._end(found, authzid)
            case sasl.BearerToken(token, authzid):
                self.login = authzid
                return await self._by_token(token, authzid)
            case sasl.ScramDone(login, which):
                proving = self._provings[which]
                proof = await self._credentials.proved_by(login, proving, self._protocol)
                return await self._end(proof, "")
            case sasl.Failed(_, malformed):
                if malformed and not known:
                    return Denied.MALFORMED
                return self._wrong()

    async def _by_token(self, token: str, authzid: str) -> Answer:
        """A token that is refused is answered with why, and then the exchange fails."""
        found = await self._credentials.bearer(token, self._protocol)
        if found is None:
            self._note(Outcome.BAD_TOKEN)
        answer = Denied.WRONG if found is None else await self._end(found, authzid)
        if isinstance(answer, Denied):
            self.failed = True
            self._refused = answer
            return Ask(self._shared.refusal)
        return answer

    async def _turned_away(self, login: str) -> bool:
        throttle, ledger = self._throttle, self._shared.ledger
        verdict = throttle.check(self._address, login)
        stranger = not throttle.knows(self._address, login)
        if (verdict.refused or verdict.delay_s) and stranger:
            await ledger.knows(self._address, login)  # another worker may have let them in
            verdict = throttle.check(self._address, login)
        if verdict.delay_s:
            await asyncio.sleep(verdict.delay_s)
        if verdict.refused:
            self.failed = True
            self._note(Outcome.TURNED_AWAY)
        return verdict.refused

    async def _end(self, found: Proof | None, authzid: str) -> Answer:
        if found is None:
            return self._wrong()
        self.login = self.login or found.principal.login
        if authzid:  # one's own name may be written out
            other = await self._credentials.proved(authzid)
            if other is None or other.principal.id != found.principal.id:
                self.failed = True
                self._note(Outcome.FOR_ANOTHER)
                return Denied.OTHER
        if found.second_factor:
            self.failed = (
                True  # but not in the throttle: a program with the old password is no thief
            )
            self._note(Outcome.NEEDS_CODE)
            return Denied.NEEDS_CODE
        if not found.scopes:
            self._throttle.succeeded(self._address, self.login)
            self.failed = True
            self._note(Outcome.NOT_FOR_THIS)
            return Denied.NOT_FOR_THIS
        self._succeeded()
        return Granted(found.principal, found.scopes, found.credential)

    def _succeeded(self) -> None:
        self._throttle.succeeded(self._address, self.login)
        self._note(Outcome.OK)

    def _wrong(self, outcome: Outcome = Outcome.WRONG_PASSWORD) -> Denied:
        self.failed = True
        self._throttle.failed(self._address, self.login)
        self._note(outcome)
        return Denied.WRONG

    def _note(self, outcome: Outcome) -> None:
        """For the record. A token in a request over HTTP is no sign-in: its session began with one."""
        if self._protocol != HTTP:
            self._shared.ledger.attempts.note(self._protocol, self._address, self.login, outcome)


def _refusal(metadata: str) -> bytes:
    """RFC 7628 section 3.2.2; XOAUTH2 has the same with other words for the status."""
    said = {"status": "invalid_token", "schemes": "bearer", "scope": f"{MAIL} {SEND}"}
    if metadata:
        said["openid-configuration"] = metadata
    return json.dumps(said).encode()
