"""Rights in mailboxes (ACL, RFC 4314). Who may do what is decided in `account`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postillon.access.imap.answer import Answer, bad, no, ok
from postillon.access.imap.places import place
from postillon.account import rights
from postillon.account.flags import FlagMode
from postillon.account.grants import ANYONE
from postillon.account.rights import Right
from postillon.directory.errors import DirectoryError
from postillon.protocol.imap import commands
from postillon.protocol.imap.words import Refused
from postillon.protocol.imap.writer import string

if TYPE_CHECKING:
    from postillon.access.imap.session import Session

ANYBODY = "anyone"  # RFC 4314 section 2
_MODES = {"+": FlagMode.ADD, "-": FlagMode.REMOVE}
# Each alone: none is tied to another, but for those of RFC 2086 that stand for several.
_OPTIONAL = " ".join([*rights.LETTERS, *rights.OBSOLETE]).encode()


def letters(held: Right) -> bytes:
    """With those of RFC 2086 of which any part is held (RFC 4314 section 2.1.1)."""
    old = [letter for letter, some in rights.OBSOLETE.items() if held & some]
    return "".join([rights.write(held), *old]).encode()


async def set_(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.SetAcl)
    text = argument.rights
    mode = _MODES.get(text[:1])
    try:
        wanted = rights.parse(text if mode is None else text[1:])
    except ValueError:
        return bad("There is no such right")
    return await _give(session, argument, wanted, mode or FlagMode.REPLACE)


async def delete(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.SetAcl)
    return await _give(session, argument, rights.NONE, FlagMode.REPLACE)


async def _give(
    session: Session, argument: commands.SetAcl, wanted: Right, mode: FlagMode
) -> Answer:
    where = await place(session, argument.mailbox)
    mailbox = await where.there(Right.ADMINISTER)
    try:
        grantee = await _grantee(session, argument.identifier)
        await where.account.grant(mailbox.id, grantee, wanted, mode)
    except DirectoryError:
        return no("There is nobody of this name", b"CANNOT")
    return ok()


async def _grantee(session: Session, raw: bytes) -> int:
    """The principal an identifier means. Raises DirectoryError, or Refused for a negative one."""
    text = raw.decode("utf-8", "replace")
    if text.startswith("-"):
        raise Refused("Rights can only be given, and taken away again", "NO", "CANNOT")
    if text.lower() == ANYBODY:
        return ANYONE
    return (await session.server.directory.require(text)).id


async def get(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Name)
    where = await place(session, argument.mailbox)
    mailbox = await where.there(Right.ADMINISTER)
    granted: list[tuple[int, Right]] = [(where.account.id, rights.ALL)]
    granted += [(item.grantee, item.rights) for item in await where.account.granted(mailbox.id)]
    words = [session.name((*where.above, *mailbox.path))]
    for grantee, held in granted:
        name = await _name(session, grantee)
        if name is not None:
            words.append(b"%b %b" % (string(name.encode()), string(letters(held))))
    session.say(b"* ACL %b\r\n" % b" ".join(words))
    return ok()


async def _name(session: Session, grantee: int) -> str | None:
    if grantee == ANYONE:
        return ANYBODY
    found = await session.server.directory.principal(grantee)
    return None if found is None else found.login


async def list_rights(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.SetAcl)
    where = await place(session, argument.mailbox)
    mailbox = await where.there(Right.ADMINISTER)
    try:
        grantee = await _grantee(session, argument.identifier)
    except DirectoryError:
        return no("There is nobody of this name", b"CANNOT")
    can = letters(rights.ALL) if grantee == where.account.id else b'"" ' + _OPTIONAL
    name = session.name((*where.above, *mailbox.path))
    session.say(b"* LISTRIGHTS %b %b %b\r\n" % (name, string(argument.identifier), can))
    return ok()


async def my_rights(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Name)
    where = await place(session, argument.mailbox)
    mailbox = await where.there()
    say(session, session.name((*where.above, *mailbox.path)), mailbox.rights)
    return ok()


def say(session: Session, name: bytes, held: Right) -> None:
    session.say(b"* MYRIGHTS %b %b\r\n" % (name, letters(held)))
