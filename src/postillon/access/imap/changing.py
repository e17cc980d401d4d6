"""What changes the messages of the selected mailbox: STORE, COPY, MOVE, EXPUNGE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postillon.access.imap import flags, limiting
from postillon.access.imap.answer import Answer, bad, no, ok
from postillon.access.imap.extras import Extra
from postillon.access.imap.places import place
from postillon.account.account import Account
from postillon.account.changes import Placement
from postillon.account.errors import EmailGone
from postillon.account.ids import MailboxId
from postillon.account.transfer import CopyResult
from postillon.protocol.imap import commands, numbers

if TYPE_CHECKING:
    from postillon.access.imap.session import Session

AT_ONCE = 500  # FETCH responses between two looks at how much the client has taken

NO_SUCH = bad("There is no message of this number")
READ_ONLY = no("The mailbox is read-only", b"READ-ONLY")
# RFC 2180 section 4.1. Tools that test servers know what is meant by either half of the text.
GONE = no("Some of the messages have been deleted and no longer exist", b"EXPUNGEISSUED")
TRY_CREATE = no("There is no such mailbox", b"TRYCREATE")


async def store(session: Session, command: commands.Command) -> Answer:
    """RFC 3501 section 6.4.6."""
    argument = command.argument
    assert isinstance(argument, commands.Store)
    view = session.selected
    account = view.account
    try:
        ranges, count = view.pick(argument.numbers, uid=argument.uid)
    except ValueError:
        return NO_SUCH
    if view.read_only:
        return READ_ONLY
    bits, words = flags.read(argument.flags)
    if argument.unchanged_since is not None:
        session.use(Extra.CONDSTORE)
    if not ranges:
        return ok()
    ranges, partly = limiting.newest(session, ranges)
    if partly:
        count = session.server.config.message_limit
    before = (await account.facts()).modseq
    await session.learn()
    result = await account.store_flags(
        view.mailbox, ranges, argument.mode.value, bits, words, argument.unchanged_since
    )
    # Has somebody changed something since `before`, then .SILENT cannot be relied on: what they did
    # may be in these states, and the client must hear of it.
    # Where nothing had to be changed, nothing of it is ours.
    alone = result.modseq == before + 1
    if argument.silent and alone:
        view.own(result.updated, told=False)
    elif not argument.silent:
        view.own(result.updated, told=True)
    if not argument.silent or session.condstore:
        # MODSEQs are told even so (RFC 7162 section 3.1.3).
        await tell_flags(session, result.updated, uid=argument.uid, flags=not argument.silent)
    if len(result.updated) + len(result.refused) < count and not argument.uid:
        return GONE
    if result.refused:
        if partly:
            session.say(b"* OK [%b] Partly done\r\n" % partly)
        them = result.refused if argument.uid else [view.number(uid) for uid in result.refused]
        return ok("Some were changed by others", b"MODIFIED " + numbers.write(numbers.join(them)))
    return ok("Partly done", partly) if partly else ok()


async def tell_flags(
    session: Session, placements: list[Placement], *, uid: bool, flags: bool = True
) -> None:
    view = session.selected
    for start in range(0, len(placements), AT_ONCE):
        some = placements[start : start + AT_ONCE]
        session.tell_flags([(view.number(item.uid), item) for item in some], uid=uid, flags=flags)
        await session.breathe()


async def copy(session: Session, command: commands.Command) -> Answer:
    """RFC 3501 section 6.4.7: all or none. RFC 4315 for the code."""
    argument = command.argument
    assert isinstance(argument, commands.Copy)
    view = session.selected
    try:
        ranges, count = view.pick(argument.numbers, uid=argument.uid)
    except ValueError:
        return NO_SUCH
    target = await _target(session, argument.mailbox)
    if target is None:
        return TRY_CREATE
    if not ranges:
        return ok()
    refused = limiting.too_many(session, count)
    if refused is not None:
        return refused
    into, mailbox = target
    least = 0 if argument.uid else count
    try:
        result = await view.account.copy(view.mailbox, ranges, mailbox, into, least=least)
    except EmailGone:
        return GONE
    return ok("Copied", _copyuid(result))


async def move(session: Session, command: commands.Command) -> Answer:
    """RFC 6851: the code comes in an untagged OK, before the EXPUNGE responses."""
    argument = command.argument
    assert isinstance(argument, commands.Copy)
    view = session.selected
    try:
        ranges, count = view.pick(argument.numbers, uid=argument.uid)
    except ValueError:
        return NO_SUCH
    if view.read_only:
        return READ_ONLY
    target = await _target(session, argument.mailbox)
    if target is None:
        return TRY_CREATE
    if not ranges:
        return ok()
    refused = limiting.too_many(session, count)
    if refused is not None:
        return refused
    into, mailbox = target
    result = await view.account.move(view.mailbox, ranges, mailbox, into)
    code = _copyuid(result)
    if code:
        session.say(b"* OK [%b] Moved\r\n" % code)
    if len(result.pairs) < count and not argument.uid:
        return GONE
    return ok("Moved")


async def _target(session: Session, raw: bytes) -> tuple[Account, MailboxId] | None:
    where = await place(session, raw)
    found = await where.find()
    return (where.account, found.id) if found is not None and found.selectable else None


def _copyuid(result: CopyResult) -> bytes:
    if not result.pairs:
        return b""
    return b"COPYUID %d %b %b" % (
        result.uid_validity,
        numbers.write(numbers.join(source for source, _ in result.pairs)),
        numbers.write(numbers.join(target for _, target in result.pairs)),
    )


async def expunge(session: Session, command: commands.Command) -> Answer:
    """RFC 3501 section 6.4.3, and UID EXPUNGE of RFC 4315."""
    argument = command.argument
    assert isinstance(argument, commands.Expunge)
    view = session.selected
    if view.read_only:
        return READ_ONLY
    if argument.numbers is None:
        await view.account.expunge(view.mailbox)
        return ok()
    ranges, _ = view.pick(argument.numbers, uid=True)
    ranges, partly = limiting.newest(session, ranges)
    if ranges:
        await view.account.expunge(view.mailbox, ranges)
    return ok("Partly done", partly) if partly else ok()
