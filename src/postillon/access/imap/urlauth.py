"""URLs that let others fetch a message or a part of it (URLAUTH, RFC 4467; URLAUTH=BINARY, RFC 5524).

A token is the HMAC-SHA-256 of all that stands before it, made with a key of the mailbox that only this
server has. What a URL names is read with the rights that its owner has at that moment.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from postillon.access.imap import binary, linked
from postillon.access.imap.answer import Answer, bad, no, ok
from postillon.access.imap.linked import Linked
from postillon.access.imap.places import place, shared
from postillon.account.errors import AccountError
from postillon.account.url_keys import KEY_SIZE
from postillon.directory.principals import PrincipalKind
from postillon.mail.decode import UnknownEncoding
from postillon.mail.mime import part_at
from postillon.protocol.imap import commands, urls
from postillon.protocol.imap.commands import Binary, SectionText
from postillon.protocol.imap.structure import structure
from postillon.protocol.imap.urls import Access, BadUrl, ImapUrl
from postillon.protocol.imap.writer import NIL, string, without_nul
from postillon.store.operation import BlobLost

if TYPE_CHECKING:
    from postillon.access.imap.session import Session

MECHANISM = "INTERNAL"  # the only one there is (RFC 4467 section 3)
ANYBODY, ANY_USER = "anonymous", "authuser"


async def generate(session: Session, command: commands.Command) -> Answer:
    """GENURLAUTH (section 7.1): all of the URLs or none."""
    argument = command.argument
    assert isinstance(argument, commands.Urls)
    made: list[bytes] = []
    for raw, mechanism in argument.urls:
        if mechanism != MECHANISM:
            return bad("There is only the mechanism INTERNAL")
        try:
            url = urls.parse(raw)
            access = url.access
            if access is None or access.token or not _is_somebody(access):
                raise BadUrl("it must say who may use it, and nothing after that")
            await linked.check_server(session, url)
            account, mailbox, _ = await linked.mailbox_of(session.server, session.account, url)
            key = await account.url_key(mailbox, secrets.token_bytes(KEY_SIZE))
        except BadUrl as error:
            return bad(f"This URL cannot be authorized: {error}")
        made.append(string(access.rump + b":internal:" + _token(key, access).encode()))
    session.say(b"* GENURLAUTH %b\r\n" % b" ".join(made))
    return ok()


def _is_somebody(access: Access) -> bool:
    who = access.who.lower()
    kind, plus, name = who.partition("+")
    return who in (ANYBODY, ANY_USER) or bool(kind in ("user", "submit") and plus and name)


def _token(key: bytes, access: Access) -> str:
    return hmac.digest(key, access.rump, "sha256").hex()


async def reset(session: Session, command: commands.Command) -> Answer:
    """RESETKEY (section 7.2): what was handed out is void; without a mailbox, all of it."""
    argument = command.argument
    assert isinstance(argument, commands.ResetKey)
    if argument.mailbox is None:
        await session.account.reset_url_keys()
        for other in await shared(session):
            await other.account.reset_url_keys()
        return ok()
    if not set(argument.mechanisms) <= {MECHANISM}:
        return no("There is only the mechanism INTERNAL")
    where = await place(session, argument.mailbox)
    await where.account.reset_url_keys((await where.there()).id)
    return ok("Done", b"URLMECH INTERNAL")


async def fetch(session: Session, command: commands.Command) -> Answer:
    """URLFETCH (section 7.3): NIL for whatever cannot be had, and no word why."""
    argument = command.argument
    assert isinstance(argument, commands.UrlFetch)
    for raw, wanted in argument.urls:
        try:
            found = await _authorized(session, urls.parse(raw))
            if found is not None:
                await found.account.content(found.row, 0, 1)  # say nothing of what cannot be read
        except (BadUrl, AccountError, BlobLost):
            found = None
        session.say(b"* URLFETCH " + string(raw))
        if found is None:
            session.say(b" NIL")
        elif not wanted:
            session.say(b" ")
            await _say_octets(session, found)
        else:
            await _say_items(session, found, wanted)
        session.say(b"\r\n")
        await session.breathe()
    return ok()


async def _authorized(session: Session, url: ImapUrl) -> Linked | None:
    """What a URL names, if who has logged in may have it."""
    access = url.access
    if access is None or access.mechanism != MECHANISM or not access.token or url.user is None:
        return None
    now = datetime.fromtimestamp(session.server.clock() / 1000, UTC)
    if access.expires_at is not None and access.expires_at <= now:
        return None
    if not await _may_use(session, access.who):
        return None
    owner = await session.server.directory.by_login(url.user)
    if owner is None or owner.kind is not PrincipalKind.PERSON:
        return None
    account = session.server.accounts.open(owner.id)
    where, mailbox, validity = await linked.mailbox_of(session.server, account, url)
    key = await where.known_url_key(mailbox)
    if key is None or not hmac.compare_digest(_token(key, access), access.token):
        return None
    return await linked.find(where, mailbox, url, validity)


async def _may_use(session: Session, who: str) -> bool:
    """Section 3.1. `submit+` is for submission servers, and nobody logs in as one here."""
    kind, _, name = who.lower().partition("+")
    if kind in (ANYBODY, ANY_USER):
        return not name
    if kind != "user":
        return False
    principal = await session.server.directory.principal(session.account.id)
    return principal is not None and principal.login.lower() == name


# Octets -------------------------------------------------------------------------------------------


async def _say_octets(session: Session, found: Linked) -> None:
    session.say(b"{%d}\r\n" % found.size)
    await _stream(session, found.octets(), nul=False)


async def _stream(session: Session, source: AsyncIterator[bytes], *, nul: bool) -> None:
    """What was promised as a literal: nothing else can follow but its end."""
    try:
        async for octets in source:
            session.say(octets if nul else without_nul(octets))
            await session.breathe()
    except (AccountError, BlobLost) as error:
        session.log.warning("urlfetch_cut", error=str(error))
        raise ConnectionAbortedError("a message ended too early") from error


async def _say_items(session: Session, found: Linked, wanted: Sequence[str]) -> None:
    """RFC 5524 section 3: each in parentheses behind the URL."""
    for name in wanted:
        session.say(b" (%b " % name.encode())
        if name == "BODYPARTSTRUCTURE":
            session.say(_structure(found))
        elif name == "BINARY" and found.section.text is SectionText.ALL and found.section.path:
            await _say_binary(session, found)
        else:  # a header has no encoding to take away
            await _say_octets(session, found)
        session.say(b")")


async def _say_binary(session: Session, found: Linked) -> None:
    item = Binary(b"", found.section.path, found.section.partial)
    read = found.account.content
    try:
        size, _ = await binary.measure(item, found.row, found.root, read, 0)
    except UnknownEncoding:
        session.say(NIL)
        return
    session.say(b"~{%d}\r\n" % size)
    await _stream(session, binary.decoded(item, found.row, found.root, read), nul=True)


def _structure(found: Linked) -> bytes:
    """Of the part that is named; NIL for a header."""
    section = found.section
    if section.text is not SectionText.ALL:
        return NIL
    part = part_at(found.root, section.path) if section.path else found.root
    return NIL if part is None else structure(part, extended=True)
