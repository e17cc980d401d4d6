"""The filters of Email/query (RFC 8621 section 4.4.1): what the roll decides, and what needs a look.

A condition first glances at a row of the roll: it says yes, no, or None where the roll does not know.
Only emails about which a whole filter says None are looked into: the text index, then what is kept of
the header, then the octets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any

from postillon.access.jmap import names
from postillon.account.indexing import FIELDS
from postillon.account.keywords import FLAG_OF_KEYWORD
from postillon.account.objects import EmailObject
from postillon.account.roll import ATTACHED, LOOKED, Roll
from postillon.account.sync import Eyes
from postillon.mail import digest as digests
from postillon.mail.digest import HeaderDigest
from postillon.mail.folding import fold
from postillon.mail.part import Part, unpack
from postillon.mail.searchable import IN_DIGEST, body_texts, field_text, header_fields, header_lines
from postillon.mail.terms import needle
from postillon.protocol.jmap.bodies import has_attachment
from postillon.protocol.jmap.errors import MethodError, invalid_arguments
from postillon.protocol.jmap.kinds import WrongType, unsigned, utc_date
from postillon.protocol.jmap.standard import Condition, Filter
from postillon.store.textindex import Hits, Wanted

Glance = Callable[[int], bool | None]
KEYWORD_CONDITIONS = (
    "allInThreadHaveKeyword", "someInThreadHaveKeyword", "noneInThreadHaveKeyword",
)  # fmt: skip
TEXTS = ("text", "from", "to", "cc", "bcc", "subject", "body", "header")


CONDITIONS = frozenset((
    "inMailbox", "inMailboxOtherThan", "before", "after", "minSize", "maxSize", "hasKeyword",
    "notKeyword", "hasAttachment", *KEYWORD_CONDITIONS, *TEXTS,
))  # fmt: skip
MAX_WORDS = 20  # of one condition


class More(Exception):
    """The facts or the octets of the email are needed to decide."""


@dataclass(slots=True)
class Candidate:
    """One email that is looked into."""

    row: int
    email: int
    facts: EmailObject | None = None
    content: bytes | None = None  # the blob
    _digest: HeaderDigest | None = field(default=None, init=False)
    _root: Part | None = field(default=None, init=False)

    def known(self) -> EmailObject:
        if self.facts is None:
            raise More
        return self.facts

    def digest(self) -> HeaderDigest:
        if self._digest is None:
            self._digest = digests.unpack(self.known().header)
        return self._digest

    def root(self) -> Part:
        if self._root is None:
            self._root = unpack(self.known().structure)
        return self._root

    def octets(self) -> bytes:
        if self.content is None:
            raise More
        return self.content


@dataclass(frozen=True, slots=True)
class Text:
    """A condition about texts. field: lower case, "" for any; header and body: where to look."""

    wanted: str  # folded
    field: str = ""
    header: bool = True
    body: bool = True

    def question(self) -> Wanted | None:
        """What to ask the text index; None: it cannot help."""
        found = needle(self.wanted)
        if found is None:
            return None
        if self.field:
            if self.field in FIELDS:
                return Wanted((self.field,), found, found.decided)
            return Wanted(("header",), found, False)
        columns = (("header",) if self.header else ()) + (("body",) if self.body else ())
        return Wanted(columns, found, found.decided)

    def matches(self, candidate: Candidate) -> bool:
        if self.field and self.field.encode() in IN_DIGEST:
            return self.wanted in fold(field_text(candidate.digest(), self.field.encode()))
        item, root, content = candidate.known(), candidate.root(), candidate.octets()
        if self.field:
            found = header_fields(item.prefix, content, root)
            name = self.field.encode("utf-8", "replace")
            return any(one == name and self.wanted in fold(value) for one, value in found)
        texts: Iterator[str] = iter(())
        if self.header:
            texts = chain(texts, header_lines(item.prefix, content, root))
        if self.body:
            texts = chain(texts, body_texts(content, root))
        return any(self.wanted in fold(text) for text in texts)


@dataclass(frozen=True, slots=True)
class Existing:
    """A field is there, whatever it says."""

    field: str

    def matches(self, candidate: Candidate) -> bool:
        item = candidate.known()
        found = header_fields(item.prefix, candidate.octets(), candidate.root())
        name = self.field.encode("utf-8", "replace")
        return any(one == name for one, _ in found)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A filter. mailbox: where all that matches lies; mutable: whether a match may change."""

    glance: Glance | None  # None: everything matches
    look: Callable[[Candidate], bool]
    mailbox: int | None
    by_thread: bool  # whether other emails of the thread decide too


Answers = dict[Text, Hits | None]


def texts_of(condition: Filter | None) -> list[Text]:
    """All that is asked about texts, each once."""
    found: dict[Text, None] = {}
    for name, value in _properties(condition):
        if name in TEXTS:
            for item in parts_of(name, value):
                if isinstance(item, Text):
                    found.setdefault(item)
    return list(found)


def required_texts(condition: Filter | None) -> list[Text]:
    """Those without which nothing matches."""
    if isinstance(condition, Condition):
        return texts_of(condition)
    if condition is None or condition.operator != "AND":
        return []
    return [text for inner in condition.conditions for text in required_texts(inner)]


def check_names(condition: Filter | None) -> None:
    """For who does not compile the filter. Raises MethodError unsupportedFilter."""
    for name, _ in _properties(condition):
        if name not in CONDITIONS:
            raise MethodError("unsupportedFilter", f"not by {name}")


def by_thread(condition: Filter | None) -> bool:
    return any(name in KEYWORD_CONDITIONS for name, _ in _properties(condition))


def _properties(condition: Filter | None) -> Iterator[tuple[str, Any]]:
    if isinstance(condition, Condition):
        yield from condition.properties.items()
    elif condition is not None:
        for inner in condition.conditions:
            yield from _properties(inner)


def mailbox_of(condition: Filter | None) -> int | None:
    """The mailbox in which all that matches lies, where the filter names one."""
    if isinstance(condition, Condition):
        given = condition.properties.get("inMailbox")
        return (names.number(names.MAILBOX, given) or -1) if isinstance(given, str) else None
    if condition is not None and condition.operator == "AND":
        for inner in condition.conditions:
            found = mailbox_of(inner)
            if found is not None:
                return found
    return None


def only_mailbox(condition: Filter | None) -> bool:
    """Whether the filter says nothing but which mailbox it is, or nothing at all."""
    if condition is None:
        return True
    return isinstance(condition, Condition) and not set(condition.properties) - {"inMailbox"}


@dataclass(frozen=True, slots=True)
class Compiler:
    """Makes functions of filters, for one roll and one who looks."""

    roll: Roll
    eyes: Eyes
    answers: Answers

    def glance(self, condition: Filter) -> Glance:
        if isinstance(condition, Condition):
            return _every([self._glance(*item) for item in condition.properties.items()])
        inner = [self.glance(one) for one in condition.conditions]
        if condition.operator == "AND":
            return _every(inner)
        if condition.operator == "OR":
            return _any(inner)
        some = _any(inner)

        def none(row: int) -> bool | None:
            found = some(row)
            return None if found is None else not found

        return none

    def look(self, condition: Filter) -> Callable[[Candidate], bool]:
        """As `glance`, with all that is known of the email."""
        if isinstance(condition, Condition):
            checks = [self._look(*item) for item in condition.properties.items()]
            return lambda one: all(check(one) for check in checks)
        inner = [self.look(one) for one in condition.conditions]
        if condition.operator == "AND":
            return lambda one: all(check(one) for check in inner)
        if condition.operator == "OR":
            return lambda one: any(check(one) for check in inner)
        return lambda one: not any(check(one) for check in inner)

    def _look(self, name: str, value: Any) -> Callable[[Candidate], bool]:
        if name in TEXTS:
            checks = [self._look_into(part) for part in parts_of(name, value)]
            return lambda one: all(check(one) for check in checks)
        glance = self._glance(name, value)

        def check(one: Candidate) -> bool:
            found = glance(one.row)
            if found is not None:
                return found
            attached = has_attachment(one.root())  # the only other one that the roll may not know
            self.roll.flags[one.row] |= LOOKED | (ATTACHED if attached else 0)
            return bool(attached == value)

        return check

    def _look_into(self, part: Text | Existing) -> Callable[[Candidate], bool]:
        glance = self._text(part)

        def check(one: Candidate) -> bool:
            found = glance(one.row)
            return part.matches(one) if found is None else found

        return check

    def _glance(self, name: str, value: Any) -> Glance:
        roll = self.roll
        match name:
            case "inMailbox":
                mailbox = _mailbox(name, value)
                if not self.eyes.reads(mailbox):
                    return lambda row: False
                return lambda row: roll.is_in(row, mailbox)
            case "inMailboxOtherThan":
                if not isinstance(value, list):
                    raise invalid_arguments(f"{name} is a list of Ids", ["filter"])
                others = {_mailbox(name, item) for item in value}
                reads = self.eyes.reads
                return lambda row: any(
                    one not in others and reads(one) for one in roll.mailboxes(row)
                )
            case "before" | "after":
                edge = _ms(name, value)
                received = roll.received
                if name == "before":
                    return lambda row: received[row] < edge
                return lambda row: received[row] >= edge
            case "minSize" | "maxSize":
                size = _size(name, value)
                sizes = roll.sizes
                if name == "minSize":
                    return lambda row: sizes[row] >= size
                return lambda row: sizes[row] < size
            case "hasKeyword":
                return keyword_test(roll, _keyword(name, value))
            case "notKeyword":
                has = keyword_test(roll, _keyword(name, value))
                return lambda row: not has(row)
            case "hasAttachment":
                if not isinstance(value, bool):
                    raise invalid_arguments(f"{name} is true or false", ["filter"])
                return self._attached(value)
        if name in KEYWORD_CONDITIONS:
            return self._in_thread(name, keyword_test(roll, _keyword(name, value)))
        if name in TEXTS:
            return _every([self._text(part) for part in parts_of(name, value)])
        raise MethodError("unsupportedFilter", f"not by {name}")

    def _attached(self, wanted: bool) -> Glance:
        flags = self.roll.flags

        def glance(row: int) -> bool | None:
            return (bool(flags[row] & ATTACHED) == wanted) if flags[row] & LOOKED else None

        return glance

    def _in_thread(self, name: str, has: Callable[[int], bool]) -> Glance:
        roll, eyes = self.roll, self.eyes
        known: dict[int, bool] = {}

        def glance(row: int) -> bool:
            thread = roll.threads[row]
            if thread not in known:
                rows = [
                    one
                    for one in roll.of_thread(thread)
                    if any(map(eyes.reads, roll.mailboxes(one)))
                ]
                known[thread] = (
                    all(map(has, rows)) if name == "allInThreadHaveKeyword" else any(map(has, rows))
                )
            return known[thread] != (name == "noneInThreadHaveKeyword")

        return glance

    def _text(self, text: Text | Existing) -> Glance:
        hits = self.answers.get(text) if isinstance(text, Text) else None
        if hits is None:
            return lambda row: None
        says, emails = hits.says, self.roll.emails
        return lambda row: says(emails[row])


def keyword_test(roll: Roll, keyword: str) -> Callable[[int], bool]:
    bit = FLAG_OF_KEYWORD.get(keyword)
    if bit is not None:
        flags = roll.flags
        return lambda row: bool(flags[row] & bit)
    words, spellings = roll.words, roll.spellings
    return lambda row: keyword in spellings[words[row]]


def _every(glances: list[Glance]) -> Glance:
    if not glances:
        return lambda row: True
    if len(glances) == 1:
        return glances[0]

    def every(row: int) -> bool | None:
        open_ = False
        for glance in glances:
            found = glance(row)
            if found is False:
                return False
            open_ = open_ or found is None
        return None if open_ else True

    return every


def _any(glances: list[Glance]) -> Glance:
    def some(row: int) -> bool | None:
        open_ = False
        for glance in glances:
            found = glance(row)
            if found:
                return True
            open_ = open_ or found is None
        return None if open_ else False

    return some


def _mailbox(name: str, value: Any) -> int:
    if not isinstance(value, str):
        raise invalid_arguments(f"{name} names mailboxes by their Ids", ["filter"])
    return names.number(names.MAILBOX, value) or -1


def _ms(name: str, value: Any) -> int:
    try:
        text = utc_date(value)
    except WrongType as error:
        raise invalid_arguments(f"{name} {error}", ["filter"]) from None
    try:
        moment = datetime.fromisoformat(text.replace(":60", ":59"))
    except ValueError:
        raise invalid_arguments(f"{name} is no moment", ["filter"]) from None
    return round(moment.timestamp() * 1000)


def _size(name: str, value: Any) -> int:
    try:
        return unsigned(value)
    except WrongType as error:
        raise invalid_arguments(f"{name} {error}", ["filter"]) from None


def _keyword(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise invalid_arguments(f"{name} is a keyword", ["filter"])
    return value.lower()


_TOKEN = re.compile(r"""(?<!\S)(?:"([^"]*)"|'([^']*)')(?!\S)|(\S+)""")


def parts_of(name: str, value: Any) -> list[Text | Existing]:
    """What must be found, all of it: words apart, what stands in quotes together (section 4.4.1)."""
    if name == "header":
        if not (
            isinstance(value, list)
            and 1 <= len(value) <= 2
            and all(isinstance(item, str) for item in value)
            and value[0]
        ):
            raise invalid_arguments("header is a name, and perhaps a text", ["filter"])
        if len(value) == 1 or not value[1]:
            return [Existing(value[0].lower())]
        return [Text(fold(value[1]), value[0].lower(), body=False)]
    if not isinstance(value, str):
        raise invalid_arguments(f"{name} is a text", ["filter"])
    wanted = [fold("".join(filter(None, match.groups()))) for match in _TOKEN.finditer(value)]
    if len(wanted) > MAX_WORDS:
        raise MethodError("unsupportedFilter", f"at most {MAX_WORDS} words")
    header, field = name != "body", "" if name in ("text", "body") else name
    body = name in ("text", "body")
    return [Text(one, field, header, body) for one in wanted if one]
