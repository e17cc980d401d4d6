"""Coming in and going out: CAPA, USER, PASS, AUTH, STLS, UTF8, QUIT."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

from postillon import __version__
from postillon.directory.signin import Answer, Ask, Denied, Granted, SignIn
from postillon.net.stream import PlaintextInjected, Stream
from postillon.protocol.pop3.engine import Command
from postillon.protocol.pop3.writer import challenge, err, listing, ok

if TYPE_CHECKING:
    from postillon.access.pop3.session import Session

PROTOCOL = "pop3"
ALWAYS = (b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING", b"UTF8 USER",
          b"EXPIRE NEVER")  # fmt: skip
CLEAR_TEXT = err("Passwords are only taken under TLS: use STLS, or the port for POP3 with TLS")

# One text for everything that is wrong with a login (FAULTS 43); the codes are of RFC 3206.
DENIALS = {
    Denied.WRONG: err("The login or the password is wrong", "AUTH"),
    Denied.OTHER: err("Nobody can act for somebody else here", "AUTH"),
    Denied.LATER: err("Too many failed logins from your network; try again later", "SYS/TEMP"),
    Denied.CANCELLED: err("Cancelled"),
    Denied.MALFORMED: err("The response is malformed"),
    Denied.UNKNOWN_MECHANISM: err("There is no such mechanism"),
    Denied.NEEDS_CODE: err(
        "This account has a second factor: use an app password, or sign in with OAuth", "AUTH"
    ),
    Denied.WRONG_CODE: err("The login or the password is wrong", "AUTH"),
    Denied.NOT_FOR_THIS: err("This app password or token was not made for POP3", "AUTH"),
}


async def capabilities(session: Session, command: Command) -> bytes:
    """RFC 2449 section 5: only what holds at this moment."""
    lines = list(ALWAYS)
    if session.mailbox is None:
        if session.server.tls is not None and session.stream.tls is None:
            lines.append(b"STLS")
        if session.private:
            lines.append(b"USER")
            lines.append(b"SASL " + " ".join(_mechanisms(session)).encode())
    else:
        lines.append(b"IMPLEMENTATION Postillon-" + __version__.encode())
    return listing("I can", lines)


async def user(session: Session, command: Command) -> bytes:
    """Any name is taken: whether there is such a login is nobody's business before its password."""
    if not session.private:
        return CLEAR_TEXT
    session.user = command.argument.strip()
    return ok("And the password?") if session.user else err("USER takes a login")


async def password(session: Session, command: Command) -> bytes:
    """All that follows the first space is the password, spaces included (RFC 1939 section 7)."""
    if not session.private:
        return CLEAR_TEXT
    if not session.user:
        return err("USER comes before PASS")
    login, session.user = session.user, b""
    attempt = session.sign_in()
    return await _end(session, attempt, await attempt.password(login, command.argument))


async def authenticate(session: Session, command: Command) -> bytes:
    """RFC 5034. Without a name: what there is, as old clients expect."""
    if not session.private:
        return CLEAR_TEXT
    words = command.words()
    if not words:
        return listing("I know", [name.encode() for name in _mechanisms(session)])
    initial: bytes | None = None
    if len(words) == 2:
        initial = b"" if words[1] == b"=" else decode_base64(words[1])
    if len(words) > 2 or (len(words) == 2 and initial is None):
        return DENIALS[Denied.MALFORMED]
    attempt = session.sign_in()
    answer = await attempt.begin(words[0].decode("ascii", "replace"), initial)
    while isinstance(answer, Ask):
        session.say(challenge(binascii.b2a_base64(answer.challenge, newline=False)))
        line = await session.line()
        response = decode_base64(line)
        if response is None and line != b"*":
            return DENIALS[Denied.MALFORMED]
        answer = await attempt.respond(response)
    return await _end(session, attempt, answer)


async def start_tls(session: Session, command: Command) -> bytes:
    """RFC 2595 section 4. Whoever sends more before the handshake is cut off (FAULTS 2)."""
    tls = session.server.tls
    if session.stream.tls is not None or tls is None:
        return err("TLS cannot be started here")
    if session.engine.buffered or session.stream.pending():
        session.say(err("Nothing may follow STLS before the handshake"))
        await session.flush()
        raise PlaintextInjected("in the same packet")
    session.say(ok("Begin TLS now"))
    assert isinstance(session.stream, Stream)  # POP3 has no compression
    await session.stream.start_tls(tls, session.unsaid())
    session.restart()
    return b""


async def utf8(session: Session, command: Command) -> bytes:
    """RFC 6856 section 2. Messages are always given as they came, so nothing has to be changed."""
    return ok("UTF-8 it is")


async def quit_(session: Session, command: Command) -> bytes:
    """The UPDATE state (RFC 1939 section 6): what was deleted is gone once this is answered."""
    session.closing = True
    mailbox = session.mailbox
    if mailbox is None:
        return ok("Until next time")
    read = mailbox.read if session.server.config.mark_read else set[int]()
    removed = await mailbox.drop.finish(read, mailbox.deleted)
    session.mailbox = None
    session.log.info("logout", read=len(mailbox.read), deleted=removed)
    return ok(f"Until next time ({removed} deleted)" if removed else "Until next time")


async def _end(session: Session, attempt: SignIn, answer: Answer) -> bytes:
    if isinstance(answer, Granted):
        await session.enter(answer)
        count, octets = len(session.opened.drop.uids), sum(session.opened.drop.sizes)
        return ok(f"{count} messages, {octets} octets")
    assert isinstance(answer, Denied)
    if attempt.failed:
        session.refused(attempt.login)
    return DENIALS[answer]


def _mechanisms(session: Session) -> tuple[str, ...]:
    return session.server.sign_ins.offered(session.stream.end_point)


def decode_base64(data: bytes) -> bytes | None:
    """None for what is no Base64."""
    try:
        return binascii.a2b_base64(data, strict_mode=True) if data else b""
    except binascii.Error:
        return None
