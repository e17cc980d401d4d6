"""Which mailbox is selected: SELECT, EXAMINE, CLOSE, UNSELECT; and NOOP and CHECK, which only look."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from postillon.access.imap.answer import Answer, bad, no, ok
from postillon.access.imap.extras import Extra
from postillon.access.imap.flags import COMMON, list_of_flags, permanent_flags
from postillon.access.imap.objects import mailbox_id
from postillon.access.imap.places import old_name, place
from postillon.access.imap.view import View
from postillon.account.changes import MailboxChanges
from postillon.account.errors import MailboxNotFound, NotAllowed
from postillon.account.keywords import SEEN
from postillon.account.mailboxes import Mailbox
from postillon.account.rights import Right
from postillon.protocol.imap import commands, numbers
from postillon.protocol.imap.numbers import contains, join, resolve
from postillon.store.operation import StoreFull

if TYPE_CHECKING:
    from postillon.access.imap.session import Session

AT_ONCE = 500  # FETCH responses between two looks at how much the client has taken
# Who has none of these in somebody else's mailbox finds it read-only (RFC 4314 section 5.2).
CHANGING = Right.KEEP_SEEN | Right.WRITE | Right.INSERT | Right.DELETE_MESSAGES | Right.EXPUNGE
LOOKED_AT = 5_000  # messages looked at for the first unseen one; beyond that we do not say


async def nothing(session: Session, command: commands.Command) -> Answer:
    """NOOP and CHECK: what has changed is told with every answer, and all is durable already."""
    return ok()


async def select(session: Session, command: commands.Command) -> Answer:
    return await _open(session, command, read_only=False)


async def examine(session: Session, command: commands.Command) -> Answer:
    return await _open(session, command, read_only=True)


async def close(session: Session, command: commands.Command) -> Answer:
    """RFC 3501 section 6.4.2: expunge without a word, unless the mailbox is read-only."""
    view = session.selected
    if not view.read_only:
        # Somebody has deleted it all, or we may not: nothing is said of it.
        with contextlib.suppress(MailboxNotFound, NotAllowed):
            await view.account.expunge(view.mailbox)
    await leave(session)
    return ok()


async def unselect(session: Session, command: commands.Command) -> Answer:
    await leave(session)
    return ok()


async def leave(session: Session) -> None:
    """No mailbox is selected any more. What came while it was is \\Recent for nobody else."""
    view, session.view = session.view, None
    if view is not None and not view.read_only and view.uid_next > view.recent_until:
        try:
            await view.account.claim_recent(view.mailbox)
        except (MailboxNotFound, NotAllowed, StoreFull):
            return


async def _open(session: Session, command: commands.Command, *, read_only: bool) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Select)
    if session.view is not None:
        await leave(session)
        session.say(b"* OK [CLOSED] The mailbox is closed\r\n")  # RFC 7162 section 3.2.11
    known = argument.known
    if known is not None and not session.qresync:
        return bad("QRESYNC must be enabled first")  # RFC 7162 section 3.2.3
    if argument.condstore:
        session.use(Extra.CONDSTORE)
    where = await place(session, argument.mailbox)
    account = where.account
    found = await where.there(Right.READ)
    read_only = read_only or not found.rights & CHANGING
    if not found.selectable:
        return no("The name is only there for the mailboxes below it", b"CANNOT")
    recent, claimed = found.recent_uid, found.recent_uid
    if not read_only and recent < found.uid_next and Right.KEEP_SEEN in found.rights:
        with contextlib.suppress(StoreFull):  # they stay \\Recent for the next; reading goes on
            recent, claimed = await account.claim_recent(found.id)
    # Row before UIDs: what comes in between is learnt again, and the view takes that.
    mailbox = await account.mailbox(found.id)
    view = View(
        mailbox.id,
        await account.uids(mailbox.id),
        modseq=mailbox.modseq,
        uid_next=mailbox.uid_next,
        uid_validity=mailbox.uid_validity,
        read_only=read_only,
        recent=recent,
        account=account,
        rights=found.rights,
    )
    view.keywords = frozenset(await account.keywords(mailbox.id)) | frozenset(COMMON)
    view.recent_until = claimed
    if session.rev2:
        view.forget_recent()
    session.view = view
    name = session.name((*where.above, *mailbox.path))
    await _describe(session, view, mailbox, name + old_name(session, argument.mailbox, name))
    if known is not None and known.uid_validity == view.uid_validity:
        await _resynchronise(session, view, known)
    if read_only:
        return ok("Read-only", b"READ-ONLY")
    return ok("Selected", b"READ-WRITE")


async def _describe(session: Session, view: View, mailbox: Mailbox, name: bytes) -> None:
    """RFC 3501 section 6.3.1; flags that the rights do not cover are not permanent."""
    permanent = b"()" if view.read_only else permanent_flags(view.keywords, view.rights)
    if session.rev2:
        second = b'* LIST () "/" %b\r\n' % name
    else:
        unseen = await _first_unseen(session, view, mailbox)
        second = b"* %d RECENT\r\n" % view.recent_count
        second += b"* OK [UNSEEN %d] First unseen\r\n" % unseen if unseen else b""
    session.say(
        b"* FLAGS %b\r\n* %d EXISTS\r\n%b"
        b"* OK [PERMANENTFLAGS %b] Flags that are kept\r\n"
        b"* OK [UIDVALIDITY %d] UIDs are valid\r\n* OK [UIDNEXT %d] Next UID\r\n"
        b"* OK [HIGHESTMODSEQ %d] Highest\r\n* OK [MAILBOXID (%b)] Its id\r\n"
        b"* OK [URLMECH INTERNAL] URLs of its messages\r\n"
        % (
            list_of_flags(view.keywords),
            view.exists,
            second,
            permanent,
            view.uid_validity,
            view.uid_next,
            view.highest,
            mailbox_id(mailbox.id, view.other),
        )
    )


async def _resynchronise(session: Session, view: View, known: commands.Known) -> None:
    """What has changed since the client was here last (RFC 7162 section 3.2.5)."""
    asked = resolve(known.uids or ((1, view.uid_next - 1),), view.uid_next - 1)
    changes = await view.account.changes(view.mailbox, known.modseq)
    gone = vanished_in(view, changes, asked)
    if gone:
        session.say(b"* VANISHED (EARLIER) %b\r\n" % numbers.write(gone))
    news = sorted([*changes.created, *changes.changed], key=lambda item: item.uid)
    seen = [(view.number(item.uid), item) for item in news if contains(asked, item.uid)]
    for start in range(0, len(seen), AT_ONCE):
        session.tell_flags(seen[start : start + AT_ONCE], uid=True)
        await session.breathe()


def vanished_in(
    view: View, changes: MailboxChanges, asked: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """UIDs among `asked` that are gone since a MODSEQ, and that the view has not either.

    When tombstones have been cut meanwhile, all that are not there count as gone: a client may be told
    of UIDs it never knew (RFC 7162 section 3.2.6).
    """
    if changes.complete:
        gone = [uid for uid in changes.vanished if contains(asked, uid) and not view.number(uid)]
        return join(gone)
    last = view.uid_next - 1
    return [gap for low, high in asked for gap in view.uids.gaps(low, min(high, last))]


async def _first_unseen(session: Session, view: View, mailbox: Mailbox) -> int:
    """The sequence number of the first message without \\Seen; 0: there is none, or it is far away."""
    if not mailbox.unseen or not view.exists:
        return 0
    if mailbox.unseen >= mailbox.total:
        return 1
    # Most often new mail is at the end, behind much that was read: then a short tail has it all.
    uids = view.uids
    last = min(view.exists, LOOKED_AT)
    for item in await view.account.placements(view.mailbox, [(uids[0], uids[last - 1])]):
        if not item.flags & SEEN:
            return view.number(item.uid)
    return 0
