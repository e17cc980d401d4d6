"""The mbox format in its variants (RFC 4155 and its ancestors), without the file.

A message begins with a separator line, `From ` with a sender and a date, that is the first line or
follows an empty one; an empty line ends it. What a body line `From ` becomes tells the variants apart:

    mboxo    `>From `; nobody can tell it from a line that was `>From ` before
    mboxrd   one more `>` before any number of them: the one that is reversible, and what we write
    mboxcl   as mboxo or mboxrd, and Content-Length says how many octets the body has
    mboxcl2  Content-Length alone; lines that begin with `From ` stand as they are

Reading finds out by itself: a Content-Length is followed where it leads to a separator or to the end
of the file; in what it spans, a bare `From ` line proves mboxcl2. Otherwise one `>` is taken away:
right for mboxrd, and for mboxo but where `>>From ` was meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import NamedTuple

from postillon.mail.dates import parse_date
from postillon.mail.header import header_end

Read = Callable[[int, int], bytes]  # octets of the file from an offset on, at most so many

FIRST_WINDOW = 16 << 10  # octets looked through first: the next message is mostly near
WINDOW = 1 << 20  # octets looked through at once, further on
LINE = 1_000  # octets of a separator line that are looked at
HEADER = 1 << 20  # octets in which the fields of the mailbox itself are looked for

_BREAK = b"\nFrom "
# A sender, then a date as of asctime, with a zone before or after the year; or the one of RFC 5322.
_SEPARATOR = re.compile(
    rb"From (?:(\S+)[ \t]+)?(?:[^\n]*?[ \t])??"
    rb"((?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?[ \t]+[^\n]{0,60}\d{1,2}:\d{2}[^\n]{0,60})",
    re.IGNORECASE,
)
_FIRST_FIELD = re.compile(  # what a separator without an empty line before it must be followed by
    rb"(?:Return-Path|Received|Delivered-To|Status|X-Mozilla-Status|X-Account-Key|X-UIDL):", re.I
)
_QUOTED = re.compile(rb"^>(>*From )", re.M)
_QUOTED_ONCE = re.compile(rb"^>(From )", re.M)
_TO_QUOTE = re.compile(rb"^(>*From )", re.M)
_BARE = re.compile(rb"^From ", re.M)
_CONTENT_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,12})[ \t]*\r?$", re.I | re.M)
# Fields that belong to the mailbox and not to the message.
_OWN = re.compile(
    rb"^(status|x-status|x-keywords|x-mozilla-status|x-mozilla-status2|x-mozilla-keys|x-uid|x-imap"
    rb"|x-imapbase|content-length):[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)(?:\n|\Z)",
    re.I | re.M,
)
# In the order of asctime, a zone stands before or behind the year.
_ASCTIME = re.compile(rb"[a-z]{3},?[ \t]+[a-z]{3}[ \t]", re.I)
_ZONE = re.compile(rb"[ \t]+([+-])(\d\d)(\d\d)(?=[ \t]+\d{4}\s*\Z|\s*\Z)")

# As account.keywords has them (a test compares): this package knows no account.
SEEN, ANSWERED, FLAGGED, DELETED, DRAFT = 1, 2, 4, 8, 16


class Variant(Enum):
    """How bodies are quoted; AUTO finds out."""

    AUTO = "auto"
    MBOXO = "mboxo"
    MBOXRD = "mboxrd"
    MBOXCL = "mboxcl"
    MBOXCL2 = "mboxcl2"


class Span(NamedTuple):
    """Where a message lies: from its separator line, its octets, and where the next one begins."""

    start: int
    content: int
    end: int  # of the octets, without the empty line behind them
    next: int
    counted: bool  # Content-Length told the end


class Marks(NamedTuple):
    """What the fields of the mailbox said of a message."""

    flags: int
    keywords: tuple[str, ...]
    expunged: bool  # Mozilla keeps what was deleted until it compacts


class NotMbox(ValueError):
    """The octets at `offset` are no separator line."""

    def __init__(self, offset: int) -> None:
        super().__init__("no message begins here")
        self.offset = offset


def is_separator(line: bytes) -> bool:
    return line.startswith(b"From ") and _SEPARATOR.match(line) is not None


def separator_date(line: bytes) -> int | None:
    """Milliseconds since 1970; a date without a zone is read as UTC. None where there is none."""
    match = _SEPARATOR.match(line)
    if match is None:
        return None
    text, minutes = match[2].strip(), 0
    zone = _ZONE.search(text) if _ASCTIME.match(text) else None
    if zone is not None:
        minutes = (int(zone[2]) * 60 + int(zone[3])) * (1 if zone[1] == b"+" else -1)
        text = text[: zone.start()] + text[zone.end() :]
    found = parse_date(text)
    return None if found is None else found[0] - minutes * 60_000


def spans(read: Read, size: int, start: int = 0, variant: Variant = Variant.AUTO) -> Iterator[Span]:
    """The messages of a file, in order. start: offset of a separator.

    Raises NotMbox if no separator stands there.
    """
    while start < size and read(start, 1) in (b"\n", b"\r"):
        start += 1
    while start < size:
        line = _line(read, start)
        if not line.startswith(b"From "):
            raise NotMbox(start)
        content = start + len(line)
        counted = None
        if variant in (Variant.AUTO, Variant.MBOXCL, Variant.MBOXCL2):
            counted = _counted(read, content, size)
        if counted is not None:
            end, following = counted
        else:
            end, following = _next_separator(read, content, size)
        yield Span(start, content, end, following, counted is not None)
        start = following


def first_separator(read: Read, size: int, start: int) -> int:
    """The next place from `start` on where a message begins; `size` if there is none."""
    if start == 0 and is_separator(_line(read, 0)):
        return 0
    return _next_separator(read, max(start, 1), size)[1]


def _line(read: Read, offset: int) -> bytes:
    piece = read(offset, LINE)
    end = piece.find(b"\n")
    return piece if end < 0 else piece[: end + 1]


def _next_separator(read: Read, offset: int, size: int) -> tuple[int, int]:
    """End of a message that begins at an offset, and where the next one begins."""
    position = max(offset - 1, 0)  # the line break before the first line
    length = FIRST_WINDOW
    while position < size:
        window = read(position, length)
        length = min(4 * length, WINDOW)
        at = window.find(_BREAK)
        while at >= 0:
            end = _ends_before(read, position + at + 1, offset)
            if end is not None:
                return end, position + at + 1
            at = window.find(_BREAK, at + 1)
        if len(window) <= len(_BREAK) or position + len(window) >= size:
            break
        position += len(window) - len(_BREAK) + 1
    tail = read(max(size - 3, offset), 3)
    return size - _empty_line(tail), size


def _ends_before(read: Read, line: int, offset: int) -> int | None:
    """Where a message ends if a separator stands at `line`; None if none does."""
    piece = read(line, 2 * LINE)
    if not is_separator(piece):
        return None
    if line == offset:
        return line  # an empty message
    before = read(max(line - 3, offset), min(3, line - offset))
    empty = _empty_line(before)
    if empty:
        return line - empty
    following = piece.partition(b"\n")[2]
    return line if _FIRST_FIELD.match(following) else None


def _empty_line(tail: bytes) -> int:
    """Octets of the empty line that ends these: they begin with the end of the line before."""
    if tail.endswith(b"\n\r\n"):
        return 2
    return 1 if tail.endswith(b"\n\n") or tail == b"\n" else 2 if tail == b"\r\n" else 0


def _counted(read: Read, content: int, size: int) -> tuple[int, int] | None:
    """End and next message by Content-Length, where both fit."""
    head = read(content, FIRST_WINDOW)
    body = header_end(head, 0, len(head))
    if body == len(head) == FIRST_WINDOW:
        head = read(content, HEADER)
        body = header_end(head, 0, len(head))
    match = _CONTENT_LENGTH.search(head, 0, body)
    if match is None:
        return None
    end = content + body + int(match[1])
    if end > size:
        return None
    after = read(end, 2 * LINE)
    following = after.lstrip(b"\r\n")
    blank = len(after) - len(following)
    if end + blank >= size:
        return end, size
    if blank <= 4 and is_separator(following):
        return end, end + blank
    return None


def unquoted(text: bytes, variant: Variant) -> bytes:
    """Whole lines of a message as they were before they came into the file."""
    if b">From " not in text or variant is Variant.MBOXCL2:
        return text
    pattern = _QUOTED_ONCE if variant is Variant.MBOXO else _QUOTED
    return pattern.sub(rb"\1", text)


def has_bare_from(text: bytes) -> bool:
    """Whether a line begins with `From `, which only mboxcl2 leaves so."""
    return b"From " in text and _BARE.search(text) is not None


def crlf(text: bytes) -> bytes:
    """Every line end as CRLF; a CR alone stays."""
    if text.count(b"\n") == text.count(b"\r\n"):
        return text
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def take_marks(text: bytes) -> tuple[bytes, Marks]:
    """The beginning of a message, with its whole header, without the mailbox's own fields."""
    end = header_end(text, 0, len(text))
    head = text[:end]
    if _OWN.search(head) is None:
        return text, Marks(0, (), False)
    words: list[str] = []
    flags, expunged = 0, False
    for match in _OWN.finditer(head):
        name, value = match[1].lower(), match[2].strip()
        if name == b"status":
            flags |= SEEN if b"R" in value else 0
        elif name == b"x-status":
            for letter, flag in ((b"A", ANSWERED), (b"F", FLAGGED), (b"D", DELETED), (b"T", DRAFT)):
                flags |= flag if letter in value else 0
        elif name in (b"x-keywords", b"x-mozilla-keys"):
            words += value.decode("ascii", "replace").split()
        elif name == b"x-mozilla-status" and re.fullmatch(rb"[0-9a-fA-F]{1,8}", value):
            bits = int(value, 16)
            flags |= (SEEN if bits & 1 else 0) | (ANSWERED if bits & 2 else 0)
            flags |= FLAGGED if bits & 4 else 0
            words += ["$forwarded"] if bits & 0x1000 else []
            expunged = bool(bits & 8)
    return _OWN.sub(b"", head) + text[end:], Marks(flags, tuple(words), expunged)


def separator(sender: str, date: str) -> bytes:
    """The line before a message. date: as of asctime, UTC."""
    address = re.sub(r"[^\x21-\x7e]", "", sender) or "MAILER-DAEMON"
    return f"From {address} {date}\n".encode()


def quoted(content: bytes, flags: int, keywords: str | None) -> bytes:
    """A message as it stands in an mboxrd, with the empty line behind it.

    keywords: separated by a space. Lines end with LF; the mailbox's own fields are new.
    """
    text = content.replace(b"\r\n", b"\n")
    if not text.endswith(b"\n"):
        text += b"\n"
    end = header_end(text, 0, len(text))
    head, body = _OWN.sub(b"", text[:end]), text[end:]
    blank = b"\n" if head.endswith(b"\n\n") or head == b"\n" else b""
    fields = b"Status: " + (b"RO" if flags & SEEN else b"O") + b"\n"
    marks = ((ANSWERED, b"A"), (FLAGGED, b"F"), (DRAFT, b"T"), (DELETED, b"D"))
    letters = b"".join(letter for flag, letter in marks if flags & flag)
    if letters:
        fields += b"X-Status: " + letters + b"\n"
    if keywords:
        fields += b"X-Keywords: " + keywords.encode("ascii", "replace") + b"\n"
    head = head[: len(head) - len(blank)] + fields
    return _TO_QUOTE.sub(rb">\1", head + blank + body) + b"\n"
