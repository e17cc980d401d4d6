"""FETCH: answers straight from the rows; of a message's octets only those that are asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from postillon.access.imap import binary
from postillon.access.imap.answer import Answer, no, ok
from postillon.access.imap.changing import GONE, NO_SUCH
from postillon.access.imap.extras import Extra
from postillon.access.imap.flags import FlagWriter
from postillon.access.imap.objects import email_id, thread_id
from postillon.access.imap.opening import vanished_in
from postillon.access.imap.sections import Read, header_of, octets_of, read_pieces, size_of
from postillon.account.account import Account
from postillon.account.emails import EmailRow
from postillon.account.errors import EmailGone, NotAllowed
from postillon.account.keywords import SEEN
from postillon.mail import digest, mime
from postillon.mail.decode import UnknownEncoding
from postillon.mail.mime import Part
from postillon.protocol.imap import commands
from postillon.protocol.imap.commands import Attribute, Binary, Section, SectionText
from postillon.protocol.imap.dates import format_date_time
from postillon.protocol.imap.numbers import MAX_NUMBER, contains, join, places, resolve, write
from postillon.protocol.imap.structure import envelope, structure
from postillon.protocol.imap.words import Refused
from postillon.protocol.imap.writer import string, without_nul
from postillon.store.operation import BlobLost, StoreFull

if TYPE_CHECKING:
    from postillon.access.imap.session import Session
    from postillon.access.imap.view import View

PLACEMENTS = 1_000  # messages in one portion when only flags are asked for
ROWS = 200  # messages in one portion otherwise: a row is about 1 KB
BODIES = 50  # and when octets of each are read
HEADERS = 8 * 1024  # octets in which most headers end
WHOLE = 64 * 1024  # octets of a section that are read before anything of the message is said

_OF_HEADER = (SectionText.HEADER, SectionText.FIELDS, SectionText.NOT_FIELDS)

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
    if Attribute.MODSEQ in argument.items:
        session.use(Extra.CONDSTORE)
    plan = _Plan(session, argument)
    for portion, start, held in view.portions(ranges, plan.portion):
        rows = await plan.read(view, portion)
        if plan.marks_seen:
            rows = await _mark_seen(session, rows, plan)
        if plan.ahead and len(rows) > 1:
            await view.account.ahead(rows, plan.ahead)
        # Most often the rows are all there and the numbers follow each other.
        first = start + 1 if len(portion) == 1 and len(rows) == held else 0
        for place, row in enumerate(rows):
            await plan.say(first + place if first else view.number(row.uid), row)
        plan.missing += held - len(rows)
        await session.breathe()
    if plan.damaged:
        return DAMAGED
    if plan.undecodable:
        return no("Nobody knows how this part is encoded", b"UNKNOWN-CTE")
    if plan.missing and not argument.uid:
        return GONE
    return ok()


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


async def _mark_seen(session: Session, rows: Sequence[EmailRow], plan: _Plan) -> Sequence[EmailRow]:
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


class _Plan:
    """What one FETCH asks for, looked at once."""

    def __init__(self, session: Session, asked: commands.Fetch) -> None:
        view = session.selected
        self._session = session
        self._account: Account = view.account
        self._other = view.other
        self._flags = FlagWriter()
        self._recent = view.recent
        items = list(asked.items)
        if asked.uid and Attribute.UID not in items and not session.uid_only:
            items.insert(0, Attribute.UID)  # RFC 3501 section 6.4.8
        if asked.changed_since is not None and Attribute.MODSEQ not in items:
            items.append(Attribute.MODSEQ)  # RFC 7162 section 3.1.4.1
        self._sections = [item for item in items if isinstance(item, Section)]
        self._binaries = [item for item in items if isinstance(item, Binary)]
        attributes = [item for item in items if isinstance(item, Attribute)]
        self._has_flags = Attribute.FLAGS in attributes
        self._only_placements = not (self._sections or self._binaries) and all(
            item in _OF_PLACEMENTS for item in attributes
        )
        # Attributes first, so that sections, which may be long, end the response.
        self._attributes = [(item.value + b" ", self._writer(item)) for item in attributes]
        texts: list[Section | Binary] = [*self._sections, *self._binaries]
        self.marks_seen = not view.read_only and any(not item.peek for item in texts)
        self.turned: set[int] = set()  # UIDs of this portion that have just become \Seen
        self.missing = 0
        self.damaged = self.undecodable = False
        self._has_modseq = Attribute.MODSEQ in attributes
        # First octets of each message that are worth getting together, where the store is far away.
        of_headers = all(item.text in _OF_HEADER and not item.path for item in self._sections)
        self.ahead = 0 if not texts else HEADERS if of_headers and not self._binaries else WHOLE

    @property
    def portion(self) -> int:
        return (
            PLACEMENTS
            if self._only_placements
            else BODIES
            if self._sections or self._binaries
            else ROWS
        )

    async def read(self, view: View, ranges: Sequence[tuple[int, int]]) -> Sequence[EmailRow]:
        """The rows of a portion: of those that are still there."""
        if self._only_placements:
            # What is read of it, a placement has too.
            return await self._account.placements(view.mailbox, ranges)  # type: ignore[return-value]
        return await self._account.emails(view.mailbox, ranges)

    async def say(self, number: int, row: EmailRow) -> None:
        """One FETCH response."""
        parts = [name + write(row) for name, write in self._attributes]
        head = self._session.fetch_head(number, row.uid)
        if row.uid in self.turned:
            if not self._has_flags:
                parts.append(b"FLAGS " + self._write_flags(row))
            if self._session.condstore and not self._has_modseq:
                parts.append(b"MODSEQ (%d)" % row.modseq)
        if self._flags.met:
            self._session.tell_keywords(self._flags.met)
        if not self._sections and not self._binaries:
            self._session.say(head + b" ".join(parts) + b")\r\n")
            return
        try:
            texts = await self._texts(row)
            large = sum(text.size for text in texts) > WHOLE
            if not large:
                parts += [await text.whole() for text in texts]
                self._session.say(head + b" ".join(parts) + b")\r\n")
                return
            await self._account.content(row, 0, 1)  # say nothing of what cannot be read
        except EmailGone:
            self.missing += 1
            return
        except UnknownEncoding:
            self.undecodable = True
            return
        except BlobLost as error:
            self._session.fault("blob_lost", error, email=row.email)
            self.damaged = True
            return
        await self._say_large(head, row, parts, texts)

    async def _texts(self, row: EmailRow) -> list[_Text]:
        """What is asked for of the octets of a message."""
        root = mime.unpack(row.structure)
        read = self._account.content
        texts: list[_Text] = []
        for item in self._sections:
            span = header_of(item, root)
            header = b"" if span is None else await read(row, *span)
            pieces = octets_of(item, row, root, header)
            if pieces is None:
                texts.append(_Text(_label(item) + b" NIL"))
                continue
            octets = partial(read_pieces, pieces, row, read)
            texts.append(_Text(_label(item), size_of(pieces), octets))
        return texts + [await _binary_text(item, row, root, read) for item in self._binaries]

    async def _say_large(
        self, head: bytes, row: EmailRow, parts: list[bytes], texts: list[_Text]
    ) -> None:
        """Texts in slices, no faster than the client takes them."""
        session = self._session
        session.say(head + b" ".join(parts))
        space = b" " if parts else b""
        try:
            for text in texts:
                session.say(space + text.head)
                async for octets in text.octets():
                    session.say(octets)
                    await session.breathe()
                space = b" "
        except (EmailGone, BlobLost) as error:
            # A literal was promised: nothing else can follow but the end.
            session.log.warning("fetch_cut", email=row.email, error=str(error))
            raise ConnectionAbortedError("a message ended too early") from error
        session.say(b")\r\n")

    def _write_flags(self, row: EmailRow) -> bytes:
        return self._flags.write(row.flags, row.keywords, row.uid >= self._recent)

    def _writer(self, item: Attribute) -> Callable[[EmailRow], bytes]:
        other = self._other
        if item is Attribute.FLAGS:
            return self._write_flags
        if item is Attribute.EMAIL_ID:
            return lambda row: b"(%b)" % email_id(row.email, other)
        if item is Attribute.THREAD_ID:
            return lambda row: b"(%b)" % thread_id(row.thread, other)
        return _WRITERS[item]


class _Text:
    """One text of a response. Without `source` all of it is said by its label."""

    __slots__ = ("_eight", "_label", "_source", "size")

    def __init__(
        self,
        label: bytes,
        size: int = 0,
        source: Callable[[], AsyncIterator[bytes]] | None = None,
        *,
        eight: bool = False,
    ) -> None:
        self.size = size
        self._label = label
        self._source = source
        self._eight = eight  # a literal8, which may hold NUL (RFC 3516)

    @property
    def head(self) -> bytes:
        if self._source is None:
            return self._label
        return b"%b %b{%d}\r\n" % (self._label, b"~" if self._eight else b"", self.size)

    async def octets(self) -> AsyncIterator[bytes]:
        if self._source is not None:
            async for octets in self._source():
                yield octets if self._eight else without_nul(octets)

    async def whole(self) -> bytes:
        return self.head + b"".join([octets async for octets in self.octets()])


async def _binary_text(item: Binary, row: EmailRow, root: Part, read: Read) -> _Text:
    if not binary.exists(item, root):
        return _Text(item.label + (b" 0" if item.size else b" NIL"))
    size, kept = await binary.measure(item, row, root, read, 0 if item.size else WHOLE)
    if item.size:
        return _Text(b"%b %d" % (item.label, size))
    if kept is None:
        source = partial(binary.decoded, item, row, root, read)
        return _Text(item.label, size, source, eight=True)

    async def there() -> AsyncIterator[bytes]:
        yield kept

    return _Text(item.label, size, there, eight=b"\0" in kept)


def _label(item: Section) -> bytes:
    return item.label if item.partial is None else b"%b<%d>" % (item.label, item.partial[0])


_OF_PLACEMENTS = frozenset((Attribute.UID, Attribute.FLAGS, Attribute.MODSEQ, Attribute.EMAIL_ID))

_WRITERS: dict[Attribute, Callable[[EmailRow], bytes]] = {
    Attribute.UID: lambda row: b"%d" % row.uid,
    Attribute.SIZE: lambda row: b"%d" % row.size,
    Attribute.INTERNALDATE: lambda row: format_date_time(row.received_at),
    Attribute.ENVELOPE: lambda row: envelope(digest.unpack(row.header)),
    Attribute.STRUCTURE: lambda row: structure(mime.unpack(row.structure), extended=True),
    Attribute.MODSEQ: lambda row: b"(%d)" % row.modseq,
    Attribute.SAVED: lambda row: format_date_time(row.saved_at),
    Attribute.PREVIEW: lambda row: string(row.preview.encode()),
    Attribute.BODY: lambda row: structure(mime.unpack(row.structure), extended=False),
}
