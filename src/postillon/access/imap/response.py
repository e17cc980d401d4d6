"""FETCH responses, straight from the rows; of a message's octets only those that are asked for.

What is asked for is looked at once, and the rows hold no more than it needs. Small texts are read
together and written at once; large ones go out in slices, no faster than the client takes them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from postillon.access.imap import binary
from postillon.access.imap.flags import FlagWriter
from postillon.access.imap.objects import email_id, thread_id
from postillon.access.imap.sections import (
    Read,
    header_of,
    join_pieces,
    octets_of,
    read_pieces,
    size_of,
)
from postillon.account import marks
from postillon.account.account import Account
from postillon.account.emails import EmailRow
from postillon.account.errors import EmailGone
from postillon.account.ids import Uid
from postillon.account.marks import Mark
from postillon.mail import digest, mime
from postillon.mail.decode import UnknownEncoding
from postillon.mail.mime import Part
from postillon.protocol.imap import commands
from postillon.protocol.imap.commands import Attribute, Binary, Section, SectionText
from postillon.protocol.imap.dates import format_date_time
from postillon.protocol.imap.structure import envelope, structure
from postillon.protocol.imap.writer import literal, string, without_nul
from postillon.store.operation import BlobLost

if TYPE_CHECKING:
    from postillon.access.imap.session import Session
    from postillon.access.imap.view import View

MARKS = 5_000  # messages in one portion when only flags and UIDs are asked for
PLACEMENTS = 1_000  # when only what a placement has is
LISTINGS = 500  # when only what lists show is
ROWS = 200  # otherwise: a row is about 1 KB
BODIES = 100  # and when octets of each are read
HEADERS = 8 * 1024  # octets in which most headers end
WHOLE = 64 * 1024  # octets of a section that are read before anything of the message is said

_OF_HEADER = (SectionText.HEADER, SectionText.FIELDS, SectionText.NOT_FIELDS)
# A row of a placement, a listing or an email: whatever has what the writers of a plan read of it.
_Row = Any


class Plan:
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
        self._texts: list[Section | Binary] = [*self._sections, *self._binaries]
        self._has_flags = Attribute.FLAGS in attributes
        self._has_uid = Attribute.UID in attributes
        self._has_modseq = Attribute.MODSEQ in attributes
        kinds = frozenset(attributes)
        self._marks = not self._texts and attributes in _MARKS
        self._marks &= not (session.uid_only and self._has_uid)
        self._placements = not self._texts and kinds <= _OF_PLACEMENTS
        self._listings = not (self._texts or self._placements) and kinds <= _OF_LISTINGS
        self._located = bool(self._texts) and kinds <= _OF_LOCATED
        # Attributes first, so that sections, which may be long, end the response.
        self._writers = [self._writer(item) for item in attributes]
        self._by_uid = session.uid_only
        self._head = b"* %d UIDFETCH (" if session.uid_only else b"* %d FETCH ("
        self.marks_seen = not view.read_only and any(not item.peek for item in self._texts)
        self.turned: set[int] = set()  # UIDs of this portion that have just become \Seen
        self.missing = 0
        self.damaged = self.undecodable = False
        self._headers = not self._binaries and all(
            item.text in _OF_HEADER and not item.path for item in self._sections
        )
        # One section that is the octets read and nothing else.
        self._plain = len(self._texts) == len(self._sections) == 1 and _is_plain(self._sections[0])

    @property
    def portion(self) -> int:
        """How many messages are read at a time."""
        if self._texts:
            return BODIES
        if self._marks:
            return MARKS
        return PLACEMENTS if self._placements else LISTINGS if self._listings else ROWS

    async def read(self, view: View, ranges: Sequence[tuple[int, int]]) -> Sequence[EmailRow]:
        """The rows of a portion: of those that are still there, with what is needed of them."""
        if self._placements:
            return await self._account.placements(view.mailbox, ranges)  # type: ignore[return-value]
        if self._listings:
            return await self._account.listings(view.mailbox, ranges)  # type: ignore[return-value]
        if self._located:
            return await self._account.located(view.mailbox, ranges)  # type: ignore[return-value]
        return await self._account.emails(view.mailbox, ranges)

    async def tell_marks(
        self, view: View, ranges: Sequence[tuple[int, int]], start: int, held: int
    ) -> bool:
        """Answer a portion of which only flags and UIDs are asked for, without its rows.

        start: place of its first message in the view; held: how many it has. False: it must be read,
        as more is asked for, or not all of them are there any more.
        """
        if not self._marks or len(ranges) != 1:
            return False
        there = await self._account.marks(view.mailbox, Uid(ranges[0][0]), Uid(ranges[0][1]))
        if len(there) != held:
            return False
        old = min(max(view.uids.below(self._recent) - start, 0), held)
        words = self._words_of(there[:old], recent=False) + self._words_of(there[old:], recent=True)
        self._tell_keywords()
        uids = view.uids.part(start, start + held) if self._by_uid or self._has_uid else ()
        numbers = range(start + 1, start + 1 + held)
        if self._by_uid:
            lines = [f"* {uid} UIDFETCH ({word}" for uid, word in zip(uids, words, strict=True)]
        elif self._has_uid:
            lines = [
                f"* {number} FETCH (UID {uid} {word}"
                for number, uid, word in zip(numbers, uids, words, strict=True)
            ]
        else:
            lines = [
                f"* {number} FETCH ({word}" for number, word in zip(numbers, words, strict=True)
            ]
        self._session.say("".join(lines).encode("ascii"))
        return True

    def _words_of(self, found: Sequence[Mark], *, recent: bool) -> list[str]:
        """The end of a response for each."""
        written: dict[Mark, str] = {}
        for mark in set(found):
            flags, keywords = marks.read(mark)
            text = self._flags.write(flags, keywords, recent).decode("ascii")
            written[mark] = f"FLAGS {text})\r\n"
        return [written[mark] for mark in found]

    async def tell(self, numbers: Sequence[int], rows: Sequence[EmailRow]) -> None:
        """The responses for rows of these sequence numbers."""
        if self._texts:
            await self._tell_texts(numbers, rows)
            return
        lines = [
            self._head_of(number, row) + b" ".join(self._words(row)) + b")\r\n"
            for number, row in zip(numbers, rows, strict=True)
        ]
        self._tell_keywords()
        self._session.say(b"".join(lines))

    def _head_of(self, number: int, row: _Row) -> bytes:
        return self._head % (row.uid if self._by_uid else number)

    def _words(self, row: _Row) -> list[bytes]:
        """The attributes."""
        words = [write(row) for write in self._writers]
        if row.uid in self.turned:
            if not self._has_flags:
                words.append(self._write_flags(row))
            if self._session.condstore and not self._has_modseq:
                words.append(b"MODSEQ (%d)" % row.modseq)
        return words

    def _tell_keywords(self) -> None:
        if self._flags.met:
            self._session.tell_keywords(self._flags.met)

    # Texts

    async def _tell_texts(self, numbers: Sequence[int], rows: Sequence[EmailRow]) -> None:
        roots: Sequence[Part | None] = [None] * len(rows)
        if not self._plain or self._headers:
            roots = [mime.unpack(row.structure) for row in rows]
        there: Sequence[bytes | None] = [None] * len(rows)
        if not self._binaries:
            wanted = [
                min(root.body_start if root and self._headers else row.ref.length, WHOLE + 1)
                for row, root in zip(rows, roots, strict=True)
            ]
            there = await self._account.contents(rows, wanted, WHOLE)
        elif len(rows) > 1:
            await self._account.ahead(rows, WHOLE)
        pieces: list[bytes] = []
        for number, row, root, octets in zip(numbers, rows, roots, there, strict=True):
            words = self._words(row)
            self._tell_keywords()
            head = self._head_of(number, row)
            if octets is None:
                self._session.say(b"".join(pieces))
                pieces = []
                await self._say(head, words, row, root)
            elif self._plain:
                size = len(row.prefix) + len(octets)
                words.append(b"%b {%d}\r\n" % (self._sections[0].label, size))
                if b"\0" in octets:
                    octets = without_nul(octets)
                pieces += (head, b" ".join(words), row.prefix, octets, b")\r\n")
            else:
                assert root is not None
                words += [_section(item, row, root, octets) for item in self._sections]
                pieces += (head, b" ".join(words), b")\r\n")
        self._session.say(b"".join(pieces))

    async def _say(self, head: bytes, parts: list[bytes], row: EmailRow, root: Part | None) -> None:
        """One response, whose texts are read now."""
        root = root or mime.unpack(row.structure)
        try:
            texts = await self._read_texts(row, root)
            if sum(text.size for text in texts) <= WHOLE:
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

    async def _read_texts(self, row: EmailRow, root: Part) -> list[_Text]:
        """What is asked for of the octets of a message."""
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

    def _write_flags(self, row: _Row) -> bytes:
        return b"FLAGS " + self._flags.write(row.flags, row.keywords, row.uid >= self._recent)

    def _writer(self, item: Attribute) -> Callable[[_Row], bytes]:
        other = self._other
        if item is Attribute.FLAGS:
            return self._write_flags
        if item is Attribute.EMAIL_ID:
            return lambda row: b"EMAILID (%b)" % email_id(row.email, other)
        if item is Attribute.THREAD_ID:
            return lambda row: b"THREADID (%b)" % thread_id(row.thread, other)
        if self._listings and item in _KEPT:
            return _KEPT[item]
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


def _is_plain(item: Section) -> bool:
    return (
        not item.path
        and item.partial is None
        and item.text in (SectionText.ALL, SectionText.HEADER)
    )


def _section(item: Section, row: EmailRow, root: Part, octets: bytes) -> bytes:
    """A section of a message of which the first octets are there, as many as it takes."""
    span = header_of(item, root)
    pieces = octets_of(item, row, root, b"" if span is None else octets[slice(*span)])
    if pieces is None:
        return _label(item) + b" NIL"
    return _label(item) + b" " + literal(join_pieces(pieces, octets))


def _label(item: Section) -> bytes:
    return item.label if item.partial is None else b"%b<%d>" % (item.label, item.partial[0])


_MARKS = ([Attribute.FLAGS], [Attribute.UID, Attribute.FLAGS])
_OF_PLACEMENTS = frozenset((Attribute.UID, Attribute.FLAGS, Attribute.MODSEQ, Attribute.EMAIL_ID))
_OF_LOCATED = _OF_PLACEMENTS | {
    Attribute.SIZE, Attribute.INTERNALDATE, Attribute.SAVED, Attribute.THREAD_ID,
}  # fmt: skip
_OF_LISTINGS = _OF_LOCATED | {Attribute.ENVELOPE, Attribute.STRUCTURE}

_WRITERS: dict[Attribute, Callable[[_Row], bytes]] = {
    Attribute.UID: lambda row: b"UID %d" % row.uid,
    Attribute.SIZE: lambda row: b"RFC822.SIZE %d" % row.size,
    Attribute.INTERNALDATE: lambda row: b"INTERNALDATE " + format_date_time(row.received_at),
    Attribute.ENVELOPE: lambda row: b"ENVELOPE " + envelope(digest.unpack(row.header)),
    Attribute.STRUCTURE: lambda row: (
        b"BODYSTRUCTURE " + structure(mime.unpack(row.structure), extended=True)
    ),
    Attribute.MODSEQ: lambda row: b"MODSEQ (%d)" % row.modseq,
    Attribute.SAVED: lambda row: b"SAVEDATE " + format_date_time(row.saved_at),
    Attribute.PREVIEW: lambda row: b"PREVIEW " + string(row.preview.encode()),
    Attribute.BODY: lambda row: b"BODY " + structure(mime.unpack(row.structure), extended=False),
}
_KEPT: dict[Attribute, Callable[[_Row], bytes]] = {
    Attribute.ENVELOPE: lambda row: b"ENVELOPE " + row.envelope,
    Attribute.STRUCTURE: lambda row: b"BODYSTRUCTURE " + row.bodystructure,
}
