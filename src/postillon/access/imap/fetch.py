"""FETCH: answers straight from the rows; of a message's octets only those that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from postillon.access.imap.answer import Answer, no, ok
from postillon.access.imap.changing import GONE, NO_SUCH
from postillon.access.imap.flags import FlagWriter
from postillon.access.imap.sections import Piece, header_of, octets_of, read_pieces, size_of
from postillon.account.account import Account
from postillon.account.emails import EmailRow
from postillon.account.errors import EmailGone
from postillon.account.keywords import SEEN
from postillon.mail import digest, mime
from postillon.protocol.imap import commands
from postillon.protocol.imap.commands import Attribute, Section
from postillon.protocol.imap.dates import format_date_time
from postillon.protocol.imap.numbers import join
from postillon.protocol.imap.structure import envelope, structure
from postillon.protocol.imap.writer import without_nul
from postillon.store.operation import BlobLost, StoreFull

if TYPE_CHECKING:
    from postillon.access.imap.session import Session
    from postillon.access.imap.view import View

PLACEMENTS = 1_000  # messages in one portion when only flags are asked for
ROWS = 200  # messages in one portion otherwise: a row is about 1 KB
BODIES = 50  # and when octets of each are read
WHOLE = 64 * 1024  # octets of a section that are read before anything of the message is said

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
    plan = _Plan(session, argument)
    for portion, start, held in view.portions(ranges, plan.portion):
        rows = await plan.read(view, portion)
        if plan.marks_seen:
            rows = await _mark_seen(session, rows, plan)
        # Most often the rows are all there and the numbers follow each other.
        first = start + 1 if len(rows) == held else 0
        for place, row in enumerate(rows):
            await plan.say(first + place if first else view.number(row.uid), row)
        plan.missing += held - len(rows)
        await session.breathe()
    if plan.damaged:
        return DAMAGED
    if plan.missing and not argument.uid:
        return GONE
    return ok()


async def _mark_seen(session: Session, rows: Sequence[EmailRow], plan: _Plan) -> Sequence[EmailRow]:
    """A section without PEEK sets \\Seen, and the response shows it (RFC 3501 section 6.4.5).

    On a full disk it stays unset: a message can still be read.
    """
    unseen = [row.uid for row in rows if not row.flags & SEEN]
    plan.turned = set()
    if not unseen:
        return rows
    view = session.selected
    try:
        result = await session.account.store_flags(view.mailbox, join(unseen), "add", SEEN)
    except StoreFull:
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


class _Plan:
    """What one FETCH asks for, looked at once."""

    def __init__(self, session: Session, asked: commands.Fetch) -> None:
        view = session.selected
        self._session = session
        self._account: Account = session.account
        self._flags = FlagWriter()
        self._recent = view.recent
        items = list(asked.items)
        if asked.uid and Attribute.UID not in items:
            items.insert(0, Attribute.UID)  # RFC 3501 section 6.4.8
        self._sections = [item for item in items if isinstance(item, Section)]
        attributes = [item for item in items if isinstance(item, Attribute)]
        self._has_flags = Attribute.FLAGS in attributes
        self._only_placements = not self._sections and all(
            item in (Attribute.UID, Attribute.FLAGS) for item in attributes
        )
        # Attributes first, so that sections, which may be long, end the response.
        self._attributes = [(item.value + b" ", self._writer(item)) for item in attributes]
        self.marks_seen = not view.read_only and any(not item.peek for item in self._sections)
        self.turned: set[int] = set()  # UIDs of this portion that have just become \Seen
        self.missing = 0
        self.damaged = False

    @property
    def portion(self) -> int:
        return PLACEMENTS if self._only_placements else BODIES if self._sections else ROWS

    async def read(self, view: View, ranges: Sequence[tuple[int, int]]) -> Sequence[EmailRow]:
        """The rows of a portion: of those that are still there."""
        if self._only_placements:
            # What is read of it, a placement has too.
            return await self._account.placements(view.mailbox, ranges)  # type: ignore[return-value]
        return await self._account.emails(view.mailbox, ranges)

    async def say(self, number: int, row: EmailRow) -> None:
        """One FETCH response."""
        parts = [name + write(row) for name, write in self._attributes]
        if row.uid in self.turned and not self._has_flags:
            parts.append(b"FLAGS " + self._write_flags(row))
        if self._flags.met:
            self._session.tell_keywords(self._flags.met)
        if not self._sections:
            self._session.say(b"* %d FETCH (%b)\r\n" % (number, b" ".join(parts)))
            return
        try:
            root = mime.unpack(row.structure)
            read = self._account.content
            found: list[tuple[Section, list[Piece] | None]] = []
            for item in self._sections:
                span = header_of(item, root)
                header = b"" if span is None else await read(row, *span)
                found.append((item, octets_of(item, row, root, header)))
            large = sum(size_of(pieces) for _, pieces in found if pieces is not None) > WHOLE
            if not large:
                parts += [await self._small(item, row, pieces) for item, pieces in found]
                self._session.say(b"* %d FETCH (%b)\r\n" % (number, b" ".join(parts)))
                return
            await read(row, 0, 1)  # say nothing of what cannot be read
        except EmailGone:
            self.missing += 1
            return
        except BlobLost as error:
            self._session.fault("blob_lost", error, email=row.email)
            self.damaged = True
            return
        await self._say_large(number, row, parts, found)

    async def _small(self, item: Section, row: EmailRow, pieces: list[Piece] | None) -> bytes:
        label = _label(item)
        if pieces is None:
            return label + b" NIL"
        read = self._account.content
        text = without_nul(
            b"".join(
                [some if isinstance(some, bytes) else await read(row, *some) for some in pieces]
            )
        )
        return b"%b {%d}\r\n%b" % (label, len(text), text)

    async def _say_large(
        self,
        number: int,
        row: EmailRow,
        parts: list[bytes],
        found: list[tuple[Section, list[Piece] | None]],
    ) -> None:
        """Sections in slices, no faster than the client takes them."""
        session = self._session
        session.say(b"* %d FETCH (%b" % (number, b" ".join(parts)))
        space = b" " if parts else b""
        for item, pieces in found:
            if pieces is None:
                session.say(b"%b%b NIL" % (space, _label(item)))
            else:
                session.say(b"%b%b {%d}\r\n" % (space, _label(item), size_of(pieces)))
                try:
                    async for octets in read_pieces(pieces, row, self._account.content):
                        session.say(without_nul(octets))
                        await session.breathe()
                except (EmailGone, BlobLost) as error:
                    # A literal was promised: nothing else can follow but the end.
                    session.log.warning("fetch_cut", email=row.email, error=str(error))
                    raise ConnectionAbortedError("a message ended too early") from error
            space = b" "
        session.say(b")\r\n")

    def _write_flags(self, row: EmailRow) -> bytes:
        return self._flags.write(row.flags, row.keywords, row.uid >= self._recent)

    def _writer(self, item: Attribute) -> Callable[[EmailRow], bytes]:
        return self._write_flags if item is Attribute.FLAGS else _WRITERS[item]


def _label(item: Section) -> bytes:
    return item.label if item.partial is None else b"%b<%d>" % (item.label, item.partial[0])


_WRITERS: dict[Attribute, Callable[[EmailRow], bytes]] = {
    Attribute.UID: lambda row: b"%d" % row.uid,
    Attribute.SIZE: lambda row: b"%d" % row.size,
    Attribute.INTERNALDATE: lambda row: format_date_time(row.received_at),
    Attribute.ENVELOPE: lambda row: envelope(digest.unpack(row.header)),
    Attribute.STRUCTURE: lambda row: structure(mime.unpack(row.structure), extended=True),
    Attribute.BODY: lambda row: structure(mime.unpack(row.structure), extended=False),
}
