"""Coming in and going out: CAPABILITY, ID, STARTTLS, LOGIN, AUTHENTICATE, ENABLE, LOGOUT."""

from __future__ import annotations

import asyncio
import binascii
from typing import TYPE_CHECKING

from postillon import __version__
from postillon.access.imap import capabilities
from postillon.access.imap.answer import Answer, bad, no, ok
from postillon.directory.principals import Principal
from postillon.net.stream import PlaintextInjected
from postillon.protocol.imap import commands
from postillon.protocol.imap.parser import decode_base64
from postillon.protocol.imap.writer import string
from postillon.protocol.sasl import server as sasl

if TYPE_CHECKING:
    from postillon.access.imap.session import Session

# One text for everything that is wrong with a login (FAULTS 43).
WRONG = no("The login or the password is wrong", b"AUTHENTICATIONFAILED")
CLEAR_TEXT = no("Passwords are only taken under TLS", b"PRIVACYREQUIRED")


async def capability(session: Session, command: commands.Command) -> Answer:
    session.say(b"* CAPABILITY %b\r\n" % capabilities.of(session))
    return ok()


async def identify(session: Session, command: commands.Command) -> Answer:
    """RFC 2971. What clients say of themselves is for the log, and decides nothing."""
    argument = command.argument
    assert isinstance(argument, commands.Id)
    said = {name.lower(): value for name, value in argument.parameters if value}
    session.log.info(
        "client", name=said.get(b"name", b"")[:80], version=said.get(b"version", b"")[:80]
    )
    version = string(__version__.encode())
    session.say(b'* ID ("name" "Postillon" "version" %b)\r\n' % version)
    return ok()


async def start_tls(session: Session, command: commands.Command) -> Answer | None:
    """RFC 3501 section 6.2.1. Whoever sends more before the handshake is cut off (FAULTS 2)."""
    tls = session.server.tls
    if session.stream.tls is not None or tls is None:
        return bad("TLS cannot be started here")
    if session.engine.buffered or session.stream.pending():
        session.say(bad("Nothing may follow STARTTLS before the handshake").write(command.tag))
        session.bye("Clear text after STARTTLS")
        await session.flush()
        raise PlaintextInjected("in the same packet")
    session.say(ok("Begin TLS now").write(command.tag))
    await session.stream.start_tls(tls, session.unsaid())
    session.restart()
    return None


async def login(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Login)
    if not session.private:
        return CLEAR_TEXT
    # LOGIN means what PLAIN means, so it is read in the same way.
    step = sasl.Plain().step(b"\0%b\0%b" % (argument.user, argument.password))
    if isinstance(step, sasl.Credentials):
        return await _prove(session, step)
    return _failed(session, "")


async def authenticate(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Authenticate)
    if not session.private:
        return CLEAR_TEXT
    mechanism = sasl.mechanism(
        argument.mechanism, scram=True, binding=capabilities.binding(session)
    )
    if mechanism is None:
        return no("There is no such mechanism", b"CANNOT")
    if not isinstance(mechanism, sasl.Plain | sasl.Login):
        refused = await _patience(session, "")
        if refused is not None:
            return refused
    response = argument.initial
    if response is None:
        # Of the mechanisms in which the client speaks first, LOGIN alone has a question of its own.
        response = b"" if isinstance(mechanism, sasl.Login) else await _ask(session, b"")
    while response is not None:
        step = mechanism.step(response)
        if isinstance(step, sasl.LookUp):
            step = step.go_on(await session.server.credentials.scram(step.login))
        if isinstance(step, sasl.Challenge):
            response = await _ask(session, step.data)
        elif isinstance(step, sasl.Credentials):
            return await _prove(session, step)
        elif isinstance(step, sasl.ScramDone):
            principal = await session.server.credentials.principal(step.login)
            return _failed(session, step.login) if principal is None else _enter(session, principal)
        else:
            return bad("Malformed response") if step.malformed else _failed(session, "")
    return bad("Authentication was cancelled")


async def _ask(session: Session, challenge: bytes) -> bytes | None:
    """The client's response to a challenge; None when it gives up (RFC 3501 section 6.2.2)."""
    session.say(b"+ %b\r\n" % binascii.b2a_base64(challenge, newline=False))
    line = await session.line()
    return None if line == b"*" else decode_base64(line)


async def _patience(session: Session, login: str) -> Answer | None:
    """Slow down those who guess (FAULTS 42)."""
    verdict = session.server.throttle.check(session.stream.peer.ip, login)
    if verdict.delay_s:
        await session.flush()
        await asyncio.sleep(verdict.delay_s)
    if verdict.refused:
        return no("Too many failed logins, try again later", b"UNAVAILABLE")
    return None


async def _prove(session: Session, given: sasl.Credentials) -> Answer:
    refused = await _patience(session, given.login)
    if refused is not None:
        return refused
    principal = await session.server.credentials.verify(given.login, given.password, "imap")
    if principal is None:
        return _failed(session, given.login)
    if given.authzid and not await _same(session, principal, given.authzid):
        return no("Nobody can act for somebody else here", b"AUTHORIZATIONFAILED")
    return _enter(session, principal)


async def _same(session: Session, principal: Principal, authzid: str) -> bool:
    meant = await session.server.directory.by_login(authzid)
    return meant is not None and meant.id == principal.id


def _failed(session: Session, login: str) -> Answer:
    server = session.server
    server.throttle.failed(session.stream.peer.ip, login)
    server.meter.count("imap_failed_logins")
    session.log.info("login_failed", login=login)
    session.failed_logins += 1
    if session.failed_logins >= server.config.wrong_commands:
        session.bye("Too many failed logins")
    return WRONG


def _enter(session: Session, principal: Principal) -> Answer:
    session.server.throttle.succeeded(session.stream.peer.ip, principal.login)
    session.enter(principal)
    return ok("Logged in", b"CAPABILITY " + capabilities.of(session))


async def enable(session: Session, command: commands.Command) -> Answer:
    """RFC 5161. Nothing that we offer needs to be enabled yet, and unknown names are no error."""
    session.say(b"* ENABLED\r\n")
    return ok()


async def logout(session: Session, command: commands.Command) -> Answer:
    session.bye("Until next time")
    return ok()
