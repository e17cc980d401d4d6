"""Coming in and going out: CAPABILITY, ID, STARTTLS, LOGIN, AUTHENTICATE, ENABLE, LOGOUT."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

from postillon import __version__
from postillon.access.imap import capabilities, opening
from postillon.access.imap.answer import Answer, bad, no, ok
from postillon.access.imap.extras import Extra
from postillon.directory import signin
from postillon.net.deflate import DeflateStream
from postillon.net.stream import PlaintextInjected, Stream
from postillon.protocol.imap import commands
from postillon.protocol.imap.parser import decode_base64
from postillon.protocol.imap.writer import string

if TYPE_CHECKING:
    from postillon.access.imap.session import Session

# One text for everything that is wrong with a login (FAULTS 43); the codes are of RFC 5530.
DENIALS = {
    signin.Denied.WRONG: no("The login or the password is wrong", b"AUTHENTICATIONFAILED"),
    signin.Denied.OTHER: no("Nobody can act for somebody else here", b"AUTHORIZATIONFAILED"),
    signin.Denied.LATER: no("Too many failed logins, try again later", b"UNAVAILABLE"),
    signin.Denied.CANCELLED: bad("Authentication was cancelled"),
    signin.Denied.MALFORMED: bad("Malformed response"),
    signin.Denied.UNKNOWN_MECHANISM: no("There is no such mechanism", b"CANNOT"),
    # ALERT: its owner must read it, and clients show no other code.
    signin.Denied.NEEDS_CODE: no(
        "This account has a second factor: use an app password, or sign in with OAuth", b"ALERT"
    ),
    signin.Denied.WRONG_CODE: no("The login or the password is wrong", b"AUTHENTICATIONFAILED"),
    signin.Denied.NOT_FOR_THIS: no(
        "This app password or token was not made for IMAP", b"AUTHORIZATIONFAILED"
    ),
}
ENABLES = {
    "CONDSTORE": Extra.CONDSTORE,
    "QRESYNC": Extra.QRESYNC,
    "UTF8=ACCEPT": Extra.UTF8,
    "IMAP4REV2": Extra.REV2,
    "UIDONLY": Extra.UIDONLY,
}
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
    assert isinstance(session.stream, Stream)  # nobody compresses before the login
    await session.stream.start_tls(tls, session.unsaid())
    session.restart()
    return None


async def login(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Login)
    if not session.private:
        return CLEAR_TEXT
    attempt = _attempt(session)
    await session.flush()
    return _end(session, attempt, await attempt.password(argument.user, argument.password))


async def authenticate(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Authenticate)
    if not session.private:
        return CLEAR_TEXT
    attempt = _attempt(session)
    await session.flush()
    found = await attempt.begin(argument.mechanism, argument.initial)
    while isinstance(found, signin.Ask):
        found = await attempt.respond(await _ask(session, found.challenge))
    return _end(session, attempt, found)


def _attempt(session: Session) -> signin.SignIn:
    stream = session.stream
    return session.server.sign_ins.begin("imap", stream.peer.ip, stream.end_point)


async def _ask(session: Session, challenge: bytes) -> bytes | None:
    """The client's response to a challenge; None when it gives up (RFC 3501 section 6.2.2)."""
    session.say(b"+ %b\r\n" % binascii.b2a_base64(challenge, newline=False))
    line = await session.line()
    return None if line == b"*" else decode_base64(line)


def _end(session: Session, attempt: signin.SignIn, found: signin.Answer) -> Answer:
    if isinstance(found, signin.Granted):
        session.enter(found)
        return ok("Logged in", b"CAPABILITY " + capabilities.of(session))
    assert isinstance(found, signin.Denied)
    if attempt.failed:
        session.server.meter.count("imap_failed_logins")
        session.log.info("login_failed", login=attempt.login)
        session.failed_logins += 1
        if session.failed_logins >= session.server.config.wrong_commands:
            session.bye("Too many failed logins")
    return DENIALS[found]


async def enable(session: Session, command: commands.Command) -> Answer:
    """RFC 5161. Unknown names are no error, and what is enabled already is not said again."""
    argument = command.argument
    assert isinstance(argument, commands.Enable)
    new = [name for name in argument.capabilities if name in ENABLES]
    fresh = [name for name in dict.fromkeys(new) if not ENABLES[name] & session.extras]
    said = (name.replace("IMAP4REV2", "IMAP4rev2").encode() for name in fresh)  # as it is announced
    session.say(b"* ENABLED%b\r\n" % b"".join(b" " + name for name in said))
    for name in fresh:
        session.use(ENABLES[name])
    return ok()


async def jmap_access(session: Session, command: commands.Command) -> Answer:
    """RFC 9698 section 3: where the same mail is to be had by JMAP, with the same login."""
    if not session.server.jmap_url:
        return bad("There is no JMAP here")
    session.say(b"* JMAPACCESS %b\r\n" % string(session.server.jmap_url.encode("ascii", "replace")))
    return ok()


async def compress(session: Session, command: commands.Command) -> Answer | None:
    """RFC 4978. What follows the command must wait for its answer, as after STARTTLS."""
    argument = command.argument
    assert isinstance(argument, commands.Compress)
    stream = session.stream
    if argument.method != "DEFLATE":
        return no("There is no such method", b"CANNOT")
    if isinstance(stream, DeflateStream):
        return no("All is compressed already", b"COMPRESSIONACTIVE")
    if session.engine.buffered or stream.pending():
        return bad("Nothing may follow COMPRESS before its answer")
    session.say(ok("Compressed from here on").write(command.tag))
    await session.flush()
    session.stream = DeflateStream(stream)
    return None


async def unauthenticate(session: Session, command: commands.Command) -> Answer:
    """RFC 8437: as if the connection had just been made; TLS and compression stay."""
    await opening.leave(session)
    session.leave_account()
    return ok("Log in again")


async def logout(session: Session, command: commands.Command) -> Answer:
    session.bye("Until next time")
    return ok()
