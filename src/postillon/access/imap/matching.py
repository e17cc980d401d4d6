"""Whether a message matches a search key, looking no further into it than it must.

Keys are ordered by what they cost: numbers need nothing, flags a placement, sizes and dates and the
common header fields a row, everything else the octets. A key that needs more than is there yet raises
`More`; the caller gets it and asks again.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum

from postillon.access.imap import flags
from postillon.access.imap.objects import email_id, thread_id
from postillon.access.imap.view import View
from postillon.account.emails import EmailRow
from postillon.mail import digest, mime
from postillon.mail.dates import parse_date
from postillon.mail.digest import HeaderDigest
from postillon.mail.header import unfold, unfolded
from postillon.mail.text import body_text
from postillon.mail.words import decode_words
from postillon.protocol.imap import commands
from postillon.protocol.imap.commands import Moment
from postillon.protocol.imap.numbers import SAVED, contains, resolve
from postillon.protocol.imap.words import Refused

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Cost(IntEnum):
    NUMBER = 0
    FLAGS = 1
    ROW = 2
    CONTENT = 3


class More(Exception):
    """The octets are needed to decide."""


@dataclass(slots=True)
class Candidate:
    """What is known of one message."""

    number: int
    uid: int
    flags: int = 0
    keywords: str | None = None
    modseq: int = 0
    email: int = 0
    row: EmailRow | None = None
    content: bytes | None = None  # the whole blob
    _digest: HeaderDigest | None = field(default=None, init=False)

    def digest(self) -> HeaderDigest:
        if self._digest is None:
            self._digest = digest.unpack(self.known().header)
        return self._digest

    def known(self) -> EmailRow:
        assert self.row is not None  # a key of Cost.ROW has had it read
        return self.row

    def octets(self) -> bytes:
        if self.content is None:
            raise More
        return self.content


@dataclass(frozen=True, slots=True)
class Test:
    cost: Cost
    matches: Callable[[Candidate], bool]


def fold(text: str) -> str:
    """What is compared: RFC 3501 section 6.4.4 wants no regard to case."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).casefold()


def compile_key(key: commands.SearchKey, view: View, now: int, *, only_uids: bool = False) -> Test:
    """now: ms since 1970 UTC. only_uids: sequence numbers are refused."""

    def inside(key: commands.SearchKey) -> Test:
        return compile_key(key, view, now, only_uids=only_uids)

    match key:
        case commands.Everything():
            return Test(Cost.NUMBER, lambda c: True)
        case commands.Numbered():
            return _numbered(key, view, only_uids)
        case commands.HasFlag():
            return _has_flag(key, view)
        case commands.HeaderHas():
            return _header_has(key)
        case commands.ContentHas():
            return _content_has(key)
        case commands.Size(larger, octets):
            if larger:
                return Test(Cost.ROW, lambda c: c.known().size > octets)
            return Test(Cost.ROW, lambda c: c.known().size < octets)
        case commands.OnDay():
            return _on_day(key)
        case commands.Age(younger, seconds):
            edge = now - seconds * 1000
            if younger:
                return Test(Cost.ROW, lambda c: c.known().received_at >= edge)
            return Test(Cost.ROW, lambda c: c.known().received_at <= edge)
        case commands.Since(modseq):
            return Test(Cost.FLAGS, lambda c: c.modseq >= modseq)
        case commands.HasId(thread, wanted):
            return _has_id(thread, wanted)
        case commands.Not(inner):
            test = inside(inner)
            return Test(test.cost, lambda c: not test.matches(c))
        case commands.Either(keys):
            first, second = sorted(map(inside, keys), key=_cost)
            return Test(second.cost, lambda c: first.matches(c) or second.matches(c))
        case commands.All(keys):
            tests = sorted(map(inside, keys), key=_cost)
            checks = [test.matches for test in tests]
            return Test(tests[-1].cost, lambda c: all(check(c) for check in checks))


def _cost(test: Test) -> Cost:
    return test.cost


def _numbered(key: commands.Numbered, view: View, only_uids: bool) -> Test:
    if key.numbers == SAVED:
        saved = list(view.saved)
        return Test(Cost.NUMBER, lambda c: contains(saved, c.uid))
    if key.uid:
        uids = resolve(key.numbers, view.uids.last)
        return Test(Cost.NUMBER, lambda c: contains(uids, c.uid))
    if only_uids:
        raise Refused("Only UIDs are used here", "BAD", "UIDREQUIRED")  # RFC 9586 section 3
    numbers = resolve(key.numbers, view.exists)
    return Test(Cost.NUMBER, lambda c: contains(numbers, c.number))


def _has_id(thread: bool, wanted: bytes) -> Test:
    if thread:
        return Test(Cost.ROW, lambda c: thread_id(c.known().thread) == wanted)
    return Test(Cost.FLAGS, lambda c: email_id(c.email) == wanted)


def _has_flag(key: commands.HasFlag, view: View) -> Test:
    name = key.flag.lower()
    if name == flags.RECENT:
        recent = view.recent
        return Test(Cost.NUMBER, lambda c: c.uid >= recent)
    bit = flags.BITS.get(name)
    if bit is not None:
        return Test(Cost.FLAGS, lambda c: bool(c.flags & bit))
    return Test(Cost.FLAGS, lambda c: c.keywords is not None and name in c.keywords.split(" "))


_IN_DIGEST: dict[bytes, Callable[[HeaderDigest], bytes]] = {
    b"from": lambda d: d.from_,
    b"to": lambda d: d.to,
    b"cc": lambda d: d.cc,
    b"bcc": lambda d: d.bcc,
    b"subject": lambda d: d.subject,
    b"sender": lambda d: d.sender,
    b"reply-to": lambda d: d.reply_to,
    b"message-id": lambda d: d.message_id,
    b"in-reply-to": lambda d: d.in_reply_to,
}


def _header_has(key: commands.HeaderHas) -> Test:
    wanted = fold(key.text)
    get = _IN_DIGEST.get(key.field) if wanted else None
    if get is not None:
        return Test(Cost.ROW, lambda c: wanted in fold(decode_words(get(c.digest()))))

    def matches(c: Candidate) -> bool:
        row = c.known()
        body_start = mime.unpack(row.structure).body_start
        header = row.prefix + c.octets()[:body_start]
        return any(
            name.lower() == key.field and wanted in fold(decode_words(unfold(value)))
            for name, value in unfolded(header)
        )

    return Test(Cost.CONTENT, matches)


def _content_has(key: commands.ContentHas) -> Test:
    wanted = fold(key.text)

    def matches(c: Candidate) -> bool:
        row, content = c.known(), c.octets()
        root = mime.unpack(row.structure)
        if key.header:
            header = row.prefix + content[: root.body_start]
            for name, value in unfolded(header):
                line = f"{name.decode('latin-1')}: {decode_words(unfold(value))}"
                if wanted in fold(line):
                    return True
        for part in mime.walk(root):
            if part.text and wanted in fold(body_text(content, part)):
                return True
            # Of a message in a message, its header is part of our body.
            if part.digest is not None and wanted in fold(
                decode_words(
                    part.digest.subject + b"\n" + part.digest.from_ + b"\n" + part.digest.to
                )
            ):
                return True
        return False

    return Test(Cost.CONTENT, matches)


def _on_day(key: commands.OnDay) -> Test:
    day_of = _DAYS[key.moment]
    first, before = key.first or date.min, key.before

    def matches(c: Candidate) -> bool:
        day = day_of(c)
        return first <= day and (before is None or day < before)

    return Test(Cost.ROW, matches)


def _received_on(c: Candidate) -> date:
    """The day that INTERNALDATE shows."""
    return _day(c.known().received_at)


def _sent_on(c: Candidate) -> date:
    """The day in the Date field, as it stands there; of INTERNALDATE where there is none."""
    moment = parse_date(c.digest().date)
    if moment is None:
        return _received_on(c)
    return _day(moment[0] + moment[1] * 60_000)


def _saved_on(c: Candidate) -> date:
    """The day it came into this mailbox (RFC 8514)."""
    return _day(c.known().saved_at)


_DAYS = {Moment.RECEIVED: _received_on, Moment.SENT: _sent_on, Moment.SAVED: _saved_on}


def _day(ms: int) -> date:
    try:
        return (_EPOCH + timedelta(milliseconds=ms)).date()
    except OverflowError:
        return date.min if ms < 0 else date.max
