"""Whether a message matches a search key, looking no further into it than it must.

Keys are ordered by what they cost: numbers need nothing, flags a placement, sizes and dates and the
common header fields a row, everything else the octets. Where the text index answers, the email's id is
enough. A key that needs more than is there yet raises `More`; the caller gets it and asks again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from itertools import chain
from types import MappingProxyType
from typing import Any

from postillon.access.imap import flags
from postillon.access.imap.objects import email_id, thread_id
from postillon.access.imap.view import View
from postillon.account.indexing import FIELDS
from postillon.mail import digest, glance, mime
from postillon.mail.dates import parse_date
from postillon.mail.digest import HeaderDigest
from postillon.mail.folding import fold
from postillon.mail.searchable import (
    IN_DIGEST,
    body_texts,
    field_text,
    header_fields,
    header_lines,
)
from postillon.mail.terms import has_words, needle
from postillon.protocol.imap import commands
from postillon.protocol.imap.commands import Moment
from postillon.protocol.imap.numbers import SAVED, contains, resolve
from postillon.protocol.imap.words import Refused
from postillon.store.textindex import Hits, Wanted

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


# Any: an EmailRow, or a Located where no test asks for the digest.
Row = Any


class Cost(IntEnum):
    NUMBER = 0
    FLAGS = 1
    INDEX = 2  # as flags, where the text index knows enough
    ROW = 3
    CONTENT = 4


class More(Exception):
    """The row or the octets are needed to decide."""


@dataclass(slots=True)
class Candidate:
    """What is known of one message."""

    number: int
    uid: int
    flags: int = 0
    keywords: str | None = None
    modseq: int = 0
    email: int = 0
    row: Row | None = None
    content: bytes | None = None  # the whole blob
    _digest: HeaderDigest | None = field(default=None, init=False)

    def digest(self) -> HeaderDigest:
        if self._digest is None:
            self._digest = digest.unpack(self.known().header)
        return self._digest

    def known(self) -> Row:
        if self.row is None:
            raise More
        return self.row

    def octets(self) -> bytes:
        if self.content is None:
            raise More
        return self.content


Marked = Callable[[int, str | None], bool]  # whether these flags and keywords pass
Headed = Callable[[bytes], bool]  # whether this header digest passes, as it is packed


@dataclass(frozen=True, slots=True)
class Test:
    cost: Cost
    matches: Callable[[Candidate], bool]
    hits: Hits | None = None  # what the text index says of this very key
    marks: Marked | None = None  # it is about flags and keywords alone
    headed: Headed | None = None  # it is about the header digest alone
    digest: bool = False  # the header digest may be asked for


TextKey = commands.HeaderHas | commands.ContentHas
Answers = Mapping[TextKey, Hits | None]  # what the text index says of the keys it was asked


def compile_key(
    key: commands.SearchKey,
    view: View,
    now: int,
    answers: Answers = MappingProxyType({}),
    *,
    only_uids: bool = False,
) -> Test:
    """now: ms since 1970 UTC. only_uids: sequence numbers are refused."""

    def inside(key: commands.SearchKey) -> Test:
        return compile_key(key, view, now, answers, only_uids=only_uids)

    match key:
        case commands.Everything():
            return Test(Cost.NUMBER, lambda c: True)
        case commands.Numbered():
            return _numbered(key, view, only_uids)
        case commands.HasFlag():
            return _has_flag(key, view)
        case commands.HeaderHas():
            return _asking_first(_header_has(key), answers.get(key))
        case commands.ContentHas():
            return _asking_first(_content_has(key), answers.get(key))
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
            return _has_id(thread, wanted, view.other)
        case commands.Not(inner):
            test = inside(inner)
            return _alike([test], lambda said: not any(said)) or Test(
                test.cost, lambda c: not test.matches(c), digest=test.digest
            )
        case commands.Either(keys):
            first, second = sorted(map(inside, keys), key=_cost)
            return _alike([first, second], any) or Test(
                second.cost,
                lambda c: first.matches(c) or second.matches(c),
                digest=first.digest or second.digest,
            )
        case commands.All(keys):
            tests = sorted(map(inside, keys), key=_cost)
            checks = [test.matches for test in tests]
            return _alike(tests, all) or Test(
                tests[-1].cost,
                lambda c: all(check(c) for check in checks),
                digest=any(test.digest for test in tests),
            )


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


def _has_id(thread: bool, wanted: bytes, other: int) -> Test:
    if thread:
        return Test(Cost.ROW, lambda c: thread_id(c.known().thread, other) == wanted)
    return Test(Cost.FLAGS, lambda c: email_id(c.email, other) == wanted)


def _has_flag(key: commands.HasFlag, view: View) -> Test:
    name = key.flag.lower()
    if name == flags.RECENT:
        recent = view.recent
        return Test(Cost.NUMBER, lambda c: c.uid >= recent)
    bit = flags.BITS.get(name)
    if bit is not None:
        return _marked(lambda flags, words: bool(flags & bit))
    return _marked(lambda flags, words: words is not None and name in words.split(" "))


def _marked(marks: Marked) -> Test:
    return Test(Cost.FLAGS, lambda c: marks(c.flags, c.keywords), marks=marks)


def _headed(headed: Headed) -> Test:
    return Test(Cost.ROW, lambda c: headed(c.known().header), headed=headed, digest=True)


def _alike(tests: Sequence[Test], joined: Callable[[Iterable[bool]], bool]) -> Test | None:
    """One test of several that are all about flags and keywords, or all about the header digest."""
    marks = [test.marks for test in tests if test.marks is not None]
    if len(marks) == len(tests):
        return _marked(lambda flags, words: joined(one(flags, words) for one in marks))
    headed = [test.headed for test in tests if test.headed is not None]
    if len(headed) == len(tests):
        return _headed(lambda packed: joined(one(packed) for one in headed))
    return None


def question(key: TextKey) -> Wanted | None:
    """What to ask the text index of a key; None: it cannot help."""
    wanted = needle(fold(key.text))
    if wanted is None:
        return None
    if isinstance(key, commands.ContentHas):
        columns = ("header", "body") if key.header else ("body",)
        return Wanted(columns, wanted, wanted.decided or key.fuzzy, key.fuzzy)
    field = key.field.decode("latin-1")
    if field in FIELDS:
        return Wanted((field,), wanted, wanted.decided or key.fuzzy, key.fuzzy)
    # Another field may hold it instead, so a hit decides nothing.
    return Wanted(("header",), wanted, False, key.fuzzy)


def _asking_first(test: Test, hits: Hits | None) -> Test:
    if hits is None:
        return test
    says, look = hits.says, test.matches

    def matches(c: Candidate) -> bool:
        known = says(c.email)
        return look(c) if known is None else known

    return Test(Cost.INDEX, matches, hits, digest=test.digest)


def _in_text(key: TextKey) -> Callable[[str], bool]:
    """Whether a text, not folded, is one that the key means."""
    wanted = fold(key.text)
    words = needle(wanted) if key.fuzzy else None
    if words is None:
        return lambda text: wanted in fold(text)
    return lambda text: has_words(fold(text), words)


def _header_has(key: commands.HeaderHas) -> Test:
    has = _in_text(key)
    if key.text and key.field in IN_DIGEST:
        return _headed(_in_field(key, has))

    def matches(c: Candidate) -> bool:
        row = c.known()
        fields = header_fields(row.prefix, c.octets(), mime.unpack(row.structure))
        return any(name == key.field and has(value) for name, value in fields)

    return Test(Cost.CONTENT, matches)


def _in_field(key: commands.HeaderHas, has: Callable[[str], bool]) -> Headed:
    field, word = key.field, _word(key)
    value_of = digest.reader_of(IN_DIGEST[field])

    def headed(packed: bytes) -> bool:
        if word is not None and not glance.field_may_hold(word, field, value_of(packed)):
            return False
        return has(field_text(digest.unpack(packed), field))

    return headed


def _word(key: TextKey) -> bytes | None:
    """What to look for at a glance; None: all must be read."""
    return None if key.fuzzy else glance.word_of(fold(key.text))


def _content_has(key: commands.ContentHas) -> Test:
    has, word = _in_text(key), _word(key)

    def matches(c: Candidate) -> bool:
        row, content = c.known(), c.octets()
        root = mime.unpack(row.structure)
        if word is not None and not glance.message_may_hold(
            word, row.prefix, content, root, header=key.header
        ):
            return False
        texts = body_texts(content, root)
        if key.header:
            texts = chain(header_lines(row.prefix, content, root), texts)
        if key.fuzzy:  # the words may stand anywhere
            return has("\n".join(texts))
        return any(map(has, texts))

    return Test(Cost.CONTENT, matches)


def _on_day(key: commands.OnDay) -> Test:
    day_of = _DAYS[key.moment]
    first, before = key.first or date.min, key.before

    def matches(c: Candidate) -> bool:
        day = day_of(c)
        return first <= day and (before is None or day < before)

    return Test(Cost.ROW, matches, digest=key.moment is Moment.SENT)


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
