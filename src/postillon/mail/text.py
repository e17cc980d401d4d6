"""The text of a part, for search and for previews."""

from __future__ import annotations

import re
from html.entities import html5

from postillon.mail.charset import decode_octets
from postillon.mail.decode import KNOWN, decode_transfer
from postillon.mail.octets import Octets
from postillon.mail.part import Part, walk

MAX_TEXT = 4 << 20  # octets of an encoded body that become text (FAULTS 33)
MAX_PREVIEW = 256  # characters, RFC 8970 section 3.2 and RFC 8621 section 4.1.4
PREVIEW_OCTETS = 1024  # of a plain body; markup gets more, because most of it is not text
PREVIEW_MARKUP_OCTETS = 8192

_SILENT = ("style", "script", "head", "title")  # elements whose content nobody sees
INLINE = frozenset(
    ("a", "abbr", "b", "big", "code", "em", "font", "i", "s", "small", "span", "strong", "u")
)
_ENTITY = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6})|([A-Za-z][A-Za-z0-9]{1,31}));?")
_TAG_NAME = re.compile(r"/?([A-Za-z][A-Za-z0-9]{0,15})")


def body_text(blob: Octets, part: Part, limit: int = MAX_TEXT) -> str:
    """The text of one text part, markup stripped; "" for other media.

    At most `limit` octets of the encoded body are read. Charset rule: mail.charset. An encoding
    that nobody knows is taken as none.
    """
    if part.media != b"text":
        return ""
    stop = min(part.end, part.body_start + limit)
    return _text(blob[part.body_start : stop], part, cut=stop < part.end)


def preview_of(blob: Octets, root: Part) -> str:
    """The beginning of what a person would read first, on one line; may be empty.

    That is the first text/plain that is no attachment, or else the first text/html.
    """
    chosen = None
    for part in walk(root) if root.children else (root,):
        if (
            part.media == b"text"
            and part.disposition != b"attachment"
            and part.end > part.body_start
        ):
            if part.subtype == b"plain":
                chosen = part
                break
            if chosen is None and part.subtype == b"html":
                chosen = part
    if chosen is None:
        return ""
    size = PREVIEW_OCTETS if chosen.subtype == b"plain" else PREVIEW_MARKUP_OCTETS
    stop = min(chosen.end, chosen.body_start + size)
    text = _text(blob[chosen.body_start : stop], chosen, cut=stop < chosen.end)
    line = " ".join(text[: MAX_PREVIEW + 64].split())
    if len(line) < MAX_PREVIEW < len(text):  # much of the beginning is white space
        line = " ".join(text.split())
    return line[:MAX_PREVIEW]


def strip_markup(markup: str) -> str:
    """Text of an HTML document: tags out, invisible elements out, entities resolved; linear.

    For reading by machines only: the result is text and must never be shown as markup.
    """
    pieces: list[str] = []
    position = 0
    lowered = ""
    while True:
        start = markup.find("<", position)
        if start < 0:
            pieces.append(markup[position:])
            break
        pieces.append(markup[position:start])
        if markup.startswith("<!--", start):
            position = markup.find("-->", start + 4) + 3
            if position < 3:
                break
            continue
        end = markup.find(">", start)
        if end < 0:
            break
        match = _TAG_NAME.match(markup, start + 1)
        name = match[1].lower() if match is not None else ""
        position = end + 1
        if name in _SILENT and markup[start + 1] != "/":
            lowered = lowered or _ascii_lower(markup)
            closing = lowered.find(f"</{name}", position)
            if closing < 0:
                break
            position = closing
        elif name not in INLINE:
            pieces.append("\n")
    return _ENTITY.sub(_character, "".join(pieces))


def _text(octets: bytes, part: Part, *, cut: bool) -> str:
    encoding = part.encoding if part.encoding in KNOWN else b""
    text = decode_octets(decode_transfer(octets, encoding), part.charset, cut=cut)
    return strip_markup(text) if part.subtype == b"html" else text


_UPPER_TO_LOWER = {n: n + 32 for n in range(ord("A"), ord("Z") + 1)}


def _ascii_lower(text: str) -> str:
    # Not `lower`: that changes the length of some texts, and offsets must stay.
    return text.translate(_UPPER_TO_LOWER)


def _character(match: re.Match[str]) -> str:
    decimal, hexadecimal, name = match.groups()
    if name is not None:
        return html5.get(f"{name};", match[0])
    number = int(decimal) if decimal is not None else int(hexadecimal, 16)
    if number == 0 or number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        return "\ufffd"
    return chr(number)
