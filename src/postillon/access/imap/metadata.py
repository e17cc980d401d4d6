"""Annotations (METADATA, RFC 5464, and LIST-METADATA, RFC 9590) and quotas (RFC 9208)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from postillon.access.imap.answer import Answer, no, ok
from postillon.access.imap.places import place
from postillon.account import metadata as kept
from postillon.account.account import Account
from postillon.account.errors import TooManyAnnotations
from postillon.account.ids import MailboxId
from postillon.protocol.imap import commands
from postillon.protocol.imap.writer import astring, string

if TYPE_CHECKING:
    from postillon.access.imap.session import Session

KIB = 1024  # octets of one unit of STORAGE (RFC 9208 section 5.1)


async def get(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.GetMetadata)
    account, mailbox = await _meant(session, argument.mailbox)
    there = await account.annotations(mailbox)
    chosen = {
        name: value
        for name, value in there.items()
        if any(_below(name, entry, argument.depth) for entry in argument.entries)
    }
    limit = argument.max_size
    longest = max((len(value) for value in chosen.values()), default=0)
    if limit is not None:
        chosen = {name: value for name, value in chosen.items() if len(value) <= limit}
    named = session.name(session.path(argument.mailbox)) if argument.mailbox else b'""'
    say(session, named, argument.entries if not argument.depth else (), chosen, there)
    if limit is not None and longest > limit:
        return ok("Some are longer", b"METADATA LONGENTRIES %d" % longest)
    return ok()


def say(
    session: Session,
    named: bytes,
    asked: Iterable[str],
    chosen: Mapping[str, bytes],
    there: Mapping[str, bytes],
) -> None:
    """The METADATA response: values, and NIL for what was asked for by name and does not exist."""
    words = [b"%b %b" % (astring(name.encode()), value_of(value)) for name, value in chosen.items()]
    words += [b"%b NIL" % astring(name.encode()) for name in asked if name not in there]
    if words:
        session.say(b"* METADATA %b (%b)\r\n" % (named, b" ".join(words)))


def value_of(value: bytes) -> bytes:
    """A literal8 where it holds NUL (RFC 5464 section 5)."""
    return b"~{%d}\r\n%b" % (len(value), value) if b"\0" in value else string(value)


async def set_(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.SetMetadata)
    account, mailbox = await _meant(session, argument.mailbox)
    if any(len(value or b"") > kept.MAX_VALUE for _, value in argument.values):
        return no("A value is too long", b"METADATA MAXSIZE %d" % kept.MAX_VALUE)
    try:
        await account.annotate(mailbox, dict(argument.values))
    except TooManyAnnotations:
        return no("There are too many annotations", b"METADATA TOOMANY")
    return ok()


async def _meant(session: Session, raw: bytes) -> tuple[Account, MailboxId]:
    """The mailbox of a name; the empty one is the account itself (RFC 5464 section 4.2)."""
    if not raw:
        return session.account, kept.ACCOUNT
    where = await place(session, raw)
    return where.account, (await where.there()).id


def _below(name: str, entry: str, depth: int) -> bool:
    """Whether it is this entry, or lies at most `depth` levels below it."""
    if name == entry:
        return True
    return name.startswith(entry + "/") and name.count("/", len(entry)) <= depth


async def get_quota(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Root)
    if argument.root:
        return no("There is no such quota root", b"NONEXISTENT")
    await _say_quota(session)
    return ok()


async def get_quota_root(session: Session, command: commands.Command) -> Answer:
    """All mailboxes of an account share one root, whose name is empty; another's is not shown.

    One's own need not be there: so a client learns what would count for it (RFC 9208 section 4.1.2).
    """
    argument = command.argument
    assert isinstance(argument, commands.Name)
    where = await place(session, argument.mailbox)
    name = session.name((*where.above, *where.path))
    if not where.account.own:
        await where.there()
        session.say(b"* QUOTAROOT %b\r\n" % name)
        return ok()
    session.say(b'* QUOTAROOT %b ""\r\n' % name)
    await _say_quota(session)
    return ok()


async def set_quota(session: Session, command: commands.Command) -> Answer:
    return no("Quotas are set by the administrator", b"NOPERM")


async def _say_quota(session: Session) -> None:
    facts = await session.account.facts()
    if facts.quota is None:
        session.say(b'* QUOTA "" ()\r\n')
        return
    # A mailbox that is not empty shows as used, and one that is full as full.
    used, limit = -(-facts.used // KIB), facts.quota // KIB
    session.say(b'* QUOTA "" (STORAGE %d %d)\r\n' % (used, limit))
