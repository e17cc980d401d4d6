"""FETCH: which messages are meant, and portion by portion their responses (response.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from postillon.access.imap import limiting
from postillon.access.imap.answer import Answer, no, ok
from postillon.access.imap.changing import GONE, NO_SUCH
from postillon.access.imap.extras import Extra
from postillon.access.imap.opening import vanished_in
from postillon.access.imap.response import PLACEMENTS, Plan
from postillon.account.emails import EmailRow
from postillon.account.errors import NotAllowed
from postillon.account.keywords import SEEN
from postillon.protocol.imap import commands
from postillon.protocol.imap.commands import Attribute
from postillon.protocol.imap.numbers import MAX_NUMBER, contains, join, places, resolve, write
from postillon.protocol.imap.words import Refused
from postillon.store.operation import StoreFull

if TYPE_CHECKING:
    from postillon.access.imap.session import Session
    from postillon.access.imap.view import View

DAMAGED = no("A message is damaged", b"CORRUPTION")


async def fetch(session: Session, command: commands.Command) -> Answer:
    """RFC 3501 section 6.4.5. Messages that are gone are left out, and the answer says so."""
    argument = command.argument
    assert isinstance(argument, commands.Fetch)
    view = session.selected
    try:
        ranges, _count = view.pick(argument.numbers, uid=argument.uid)
    except ValueError:
        return NO_SUCH
    try:
        if argument.changed_since is not None:
            session.use(Extra.CONDSTORE)
            ranges = await _changed(session, argument, ranges)
        if argument.partial is not None:
            ranges = _part_of(view, ranges, argument.partial)
    except Refused as refused:
        return Answer(refused.status, refused.text, refused.code.encode())
    ranges, partly = limiting.newest(session, ranges)
    if Attribute.MODSEQ in argument.items:
        session.use(Extra.CONDSTORE)
    if argument.items == (Attribute.UID,) and not argument.uid and argument.changed_since is None:
        await _tell_uids(session, ranges)
        return ok("Partly done", partly) if partly else ok()
    plan = Plan(session, argument)
    for portion, start, held in view.portions(ranges, plan.portion):
        if await plan.tell_marks(view, portion, start, held):
            await session.breathe()
            continue
        rows = await plan.read(view, portion)
        if plan.marks_seen:
            rows = await _mark_seen(session, rows, plan)
        # Most often the rows are all there and the numbers follow each other.
        if len(portion) == 1 and len(rows) == held:
            numbers: Sequence[int] = range(start + 1, start + 1 + held)
        else:
            numbers = [view.number(row.uid) for row in rows]
        await plan.tell(numbers, rows)
        plan.missing += held - len(rows)
        await session.breathe()
    if plan.damaged:
        return DAMAGED
    if plan.undecodable:
        return no("Nobody knows how this part is encoded", b"UNKNOWN-CTE")
    if plan.missing and not argument.uid:
        return GONE
    return ok("Partly done", partly) if partly else ok()


async def _tell_uids(session: Session, ranges: list[tuple[int, int]]) -> None:
    """Known here, also of messages that are gone and still have numbers (RFC 2180 section 4.1)."""
    view = session.selected
    for portion, _, _ in view.portions(ranges, PLACEMENTS):
        for low, high in portion:
            start = view.uids.below(low)
            uids = view.uids.part(start, view.uids.below(high + 1))
            lines = [b"* %d FETCH (UID %d)\r\n" % pair for pair in enumerate(uids, start + 1)]
            session.say(b"".join(lines))
        await session.breathe()


async def tell_new(session: Session, first: int, items: tuple[commands.FetchItem, ...]) -> None:
    """FETCH responses for the messages from a UID on, as NOTIFY wants them (RFC 5465 section 5.2).

    Nobody has read them: none becomes \\Seen.
    """
    view = session.selected
    if not items:
        return
    plan = Plan(session, commands.Fetch(True, (), items))
    for portion, _, _ in view.portions([(first, view.uids.last)], plan.portion):
        rows = await plan.read(view, portion)
        await plan.tell([view.number(row.uid) for row in rows], rows)
        await session.breathe()


async def _changed(
    session: Session, argument: commands.Fetch, ranges: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Of the messages named, those changed after a MODSEQ; what is gone is said at once."""
    view, since = session.selected, argument.changed_since
    assert since is not None
    if argument.vanished and not session.qresync:
        raise Refused("QRESYNC must be enabled first")  # RFC 7162 section 3.2.6
    changes = await view.account.changes(view.mailbox, since)
    if argument.vanished:
        asked = resolve(argument.numbers, max(view.uid_next - 1, 1))
        gone = vanished_in(view, changes, asked)
        if gone:
            session.say(b"* VANISHED (EARLIER) %b\r\n" % write(gone))
    uids = sorted(item.uid for item in (*changes.created, *changes.changed))
    return join(uid for uid in uids if view.number(uid) and contains(ranges, uid))


def _part_of(
    view: View, ranges: list[tuple[int, int]], partial: tuple[int, int]
) -> list[tuple[int, int]]:
    """The messages of these places among those named, counted from 1, or from -1 at the end."""
    count = sum(held for _, _, held in view.portions(ranges, MAX_NUMBER))
    low, high = places(partial, count)
    found: list[tuple[int, int]] = []
    place = 1  # of the first message of the range
    for first_uid, last_uid in ranges:
        first, last = view.uids.below(first_uid), view.uids.below(last_uid + 1)
        start, stop = max(low - place, 0), min(high - place + 1, last - first)
        if start < stop:
            found.append((view.uids[first + start], view.uids[first + stop - 1]))
        place += last - first
    return found


async def _mark_seen(session: Session, rows: Sequence[EmailRow], plan: Plan) -> Sequence[EmailRow]:
    """A section without PEEK sets \\Seen, and the response shows it (RFC 3501 section 6.4.5).

    On a full disk, and without the right to, it stays unset: a message can still be read.
    """
    unseen = [row.uid for row in rows if not row.flags & SEEN]
    plan.turned = set()
    if not unseen:
        return rows
    view = session.selected
    try:
        result = await view.account.store_flags(view.mailbox, join(unseen), "add", SEEN)
    except (StoreFull, NotAllowed):
        return rows
    plan.turned = set(unseen)
    view.own(result.updated, told=True)
    now = {item.uid: item for item in result.updated}
    return [
        row
        if (new := now.get(row.uid)) is None
        else msgspec.structs.replace(row, flags=new.flags, keywords=new.keywords, modseq=new.modseq)
        for row in rows
    ]
