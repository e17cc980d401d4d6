"""The grammar of what FETCH asks for (RFC 3501 section 6.4.5 and fetch-att)."""

from __future__ import annotations

import re
from functools import lru_cache

from postillon.protocol.imap.commands import Attribute, Binary, FetchItem, Section, SectionText
from postillon.protocol.imap.words import ATOM, Reader, Refused

MAX_ITEMS = 200  # of one FETCH; ours
MAX_REMEMBERED = 512  # octets of items whose parse is kept; ours
MAX_PATH = 100  # numbers in a section: no structure is deeper (FAULTS 23)

_FAST = (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE)
_MACROS: dict[bytes, tuple[FetchItem, ...]] = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, Attribute.ENVELOPE),
    b"FULL": (*_FAST, Attribute.ENVELOPE, Attribute.BODY),
}
_PLAIN: dict[bytes, FetchItem] = {
    **{attribute.value: attribute for attribute in Attribute},
    b"RFC822": Section(b"RFC822"),
    b"RFC822.HEADER": Section(b"RFC822.HEADER", text=SectionText.HEADER, peek=True),
    b"RFC822.TEXT": Section(b"RFC822.TEXT", text=SectionText.TEXT),
}
_ITEM = re.compile(rb"[A-Za-z0-9.]+")
_SECTION = re.compile(
    rb"\[(?P<path>[0-9]+(?:\.[0-9]+)*)?(?P<dot>\.)?"
    rb"(?P<text>HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME)?",
    re.IGNORECASE,
)
_NUMBERED = re.compile(rb"\[([0-9]+(?:\.[0-9]+)*)?\]")
# RFC 9051 section 9 has 63 bits. BINARY without a length, to the end, is asked for by some clients.
_PARTIAL = re.compile(rb"<([0-9]{1,18})(?:\.([0-9]{1,18}))?>")
_TO_THE_END = 1 << 62
_TEXTS = {text.value.encode(): text for text in SectionText}


def items(reader: Reader) -> tuple[FetchItem, ...]:
    """A macro, one item, or a list of items; no item twice."""
    rest = reader.text[reader.position :]
    if len(rest) > MAX_REMEMBERED or b"{" in rest:
        return _items(reader)
    found, taken = _remembered(rest)
    reader.position += taken
    return found


@lru_cache(maxsize=256)
def _remembered(text: bytes) -> tuple[tuple[FetchItem, ...], int]:
    """Clients ask for the same things again and again."""
    reader = Reader(text)
    return _items(reader), reader.position


def _items(reader: Reader) -> tuple[FetchItem, ...]:
    if reader.skip(b"("):
        found: dict[FetchItem, None] = {}
        while True:
            found[_item(reader)] = None
            if reader.skip(b")"):
                return tuple(found)
            if len(found) >= MAX_ITEMS:
                raise Refused("Too many items", "NO", "LIMIT")
            reader.need(b" ")
    start = reader.position
    macro = _MACROS.get((reader.match(_ITEM) or b"").upper())
    if macro is not None:
        return macro
    reader.position = start
    return (_item(reader),)


def _item(reader: Reader) -> FetchItem:
    name = reader.word(_ITEM, "a fetch item").upper()
    if reader.text.startswith(b"[", reader.position):
        if name == b"BODY" or name == b"BODY.PEEK":
            return _section(reader, peek=name == b"BODY.PEEK")
        if name in (b"BINARY", b"BINARY.PEEK", b"BINARY.SIZE"):
            return _binary(reader, name)
        raise Refused("Unknown fetch item")
    if name == b"PREVIEW" and reader.skip(b" ("):  # RFC 8970 section 4: modifiers
        if reader.keyword() != "LAZY":
            raise Refused("Unknown modifier")
        reader.need(b")")
    item = _PLAIN.get(name)
    if item is None:
        raise Refused("Unknown fetch item")
    return item


def _section(reader: Reader, *, peek: bool) -> Section:
    match = _SECTION.match(reader.text, reader.position)
    assert match is not None  # the bracket is there, all else is optional
    reader.position = match.end()
    path: tuple[int, ...] = ()
    if match["path"]:
        path = _path(match["path"])
    text = _TEXTS[(match["text"] or b"").upper()]
    # The dot stands between a path and a text, and nowhere else.
    if bool(match["dot"]) != (bool(path) and text is not SectionText.ALL):
        raise Refused("Malformed section")
    if text is SectionText.MIME and not path:
        raise Refused("MIME needs a part number")
    label = b"BODY" + match[0]
    fields: tuple[bytes, ...] = ()
    if text is SectionText.FIELDS or text is SectionText.NOT_FIELDS:
        reader.need(b" ")
        names = reader.list_of(reader.astring)
        label += b" (" + b" ".join(map(_field, names)) + b")"
        fields = tuple(name.lower() for name in names)
    reader.need(b"]")
    partial = None
    found = _PARTIAL.match(reader.text, reader.position)
    if found is not None and found[2]:
        reader.position = found.end()
        partial = _partial(found)
    elif reader.text.startswith(b"<", reader.position):
        raise Refused("Malformed partial")
    return Section(label + b"]", path, text, fields, partial, peek)


def _binary(reader: Reader, name: bytes) -> Binary:
    """RFC 3516 section 7: a part number in brackets, and a partial unless the size is asked for."""
    match = _NUMBERED.match(reader.text, reader.position)
    if match is None:
        raise Refused("Malformed section")
    reader.position = match.end()
    path = _path(match[1]) if match[1] else ()
    size = name == b"BINARY.SIZE"
    found = None if size else _PARTIAL.match(reader.text, reader.position)
    label = (b"BINARY.SIZE" if size else b"BINARY") + match[0]
    if found is None:
        return Binary(label, path, None, name == b"BINARY.PEEK" or size, size)
    reader.position = found.end()
    partial = _partial(found)
    return Binary(label + b"<%d>" % partial[0], path, partial, name == b"BINARY.PEEK")


def _partial(found: re.Match[bytes]) -> tuple[int, int]:
    length = int(found[2] or _TO_THE_END)
    if not length:
        raise Refused("A partial must not be empty")
    return int(found[1]), length


def _path(text: bytes) -> tuple[int, ...]:
    numbers = text.split(b".")
    if len(numbers) > MAX_PATH or any(len(n) > 5 or n.startswith(b"0") for n in numbers):
        raise Refused("Section number out of range")
    return tuple(map(int, numbers))


def _field(name: bytes) -> bytes:
    """A field name as the response repeats it."""
    if ATOM.fullmatch(name):
        return name
    if not name.isascii() or b"\r" in name or b"\n" in name:
        raise Refused("Malformed field name")
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
