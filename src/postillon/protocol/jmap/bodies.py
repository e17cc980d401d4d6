"""The parts of a message as JMAP shows them (RFC 8621 section 4.1.4): body, attachments, values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from postillon.mail.charset import codec_of, decode_octets
from postillon.mail.decode import KNOWN, UnknownEncoding, decode_transfer
from postillon.mail.octets import Octets
from postillon.mail.parameters import get
from postillon.mail.part import Part, PartPath
from postillon.protocol.jmap import headers
from postillon.protocol.jmap.headers import parse_property

PROPERTIES = frozenset((
    "partId", "blobId", "size", "headers", "name", "type", "charset", "disposition", "cid",
    "language", "location", "subParts",
))  # fmt: skip
DEFAULT = (
    "partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "language",
    "location",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BodyPart:
    """A part with its number, and its type as it counts here."""

    part: Part
    path: PartPath
    children: tuple[BodyPart, ...]

    @property
    def type(self) -> str:
        return b"/".join((self.part.media, self.part.subtype)).decode("utf-8", "replace")

    @property
    def multipart(self) -> bool:
        return bool(self.children)

    @property
    def id(self) -> str | None:
        """None for a multipart."""
        return None if self.children else ".".join(map(str, self.path))


def tree(root: Part) -> BodyPart:
    """The structure of a message. Messages in it are leaves: they are parsed on their own."""
    return _tree(root, () if root.multipart else (1,))


def _tree(part: Part, path: PartPath) -> BodyPart:
    children = (
        tuple(_tree(child, (*path, n)) for n, child in enumerate(part.children, 1))
        if part.multipart
        else ()
    )
    return BodyPart(part, path, children)


def leaves(top: BodyPart) -> Iterator[BodyPart]:
    """All parts that are no multipart, in order."""
    stack = [top]
    while stack:
        part = stack.pop()
        if part.children:
            stack.extend(reversed(part.children))
        else:
            yield part


@dataclass(frozen=True, slots=True)
class Bodies:
    text: list[BodyPart]
    html: list[BodyPart]
    attachments: list[BodyPart]

    @property
    def has_attachment(self) -> bool:
        """Whether there is one that does not stand within the text."""
        return any(part.part.disposition != b"inline" for part in self.attachments)


def bodies(top: BodyPart) -> Bodies:
    """Which parts are shown as the text and which are attached: the algorithm of section 4.1.4."""
    found = Bodies([], [], [])
    _sort_out((top,), "mixed", False, found.html, found.text, found.attachments)
    return found


def has_attachment(root: Part) -> bool:
    if not root.children and root.media == b"text" and root.disposition != b"attachment":
        return root.subtype not in (b"plain", b"html") and root.disposition != b"inline"
    return bodies(tree(root)).has_attachment


_Parts = list[BodyPart]


def _sort_out(
    parts: Sequence[BodyPart],
    kind: str,
    in_alternative: bool,
    html: _Parts | None,
    text: _Parts | None,
    attachments: _Parts,
) -> None:
    text_before = -1 if text is None else len(text)
    html_before = -1 if html is None else len(html)
    for n, part in enumerate(parts):
        if part.children:
            sub = part.part.subtype.decode("ascii", "replace")
            _sort_out(
                part.children, sub, in_alternative or sub == "alternative", html, text, attachments
            )
        elif not _is_inline(part, n, kind):
            attachments.append(part)
        elif kind == "alternative":
            if part.type == "text/plain" and text is not None:
                text.append(part)
            elif part.type == "text/html" and html is not None:
                html.append(part)
            elif part.part.media != b"text":
                attachments.append(part)
        else:
            if in_alternative:
                if part.type == "text/plain":
                    html = None
                if part.type == "text/html":
                    text = None
            if text is not None:
                text.append(part)
            if html is not None:
                html.append(part)
            if (text is None or html is None) and _is_shown(part):
                attachments.append(part)
    if kind == "alternative" and text is not None and html is not None:
        if text_before == len(text) and html_before != len(html):
            text.extend(html[html_before:])
        elif html_before == len(html) and text_before != len(text):
            html.extend(text[text_before:])


def _is_inline(part: BodyPart, n: int, kind: str) -> bool:
    if part.part.disposition == b"attachment":
        return False
    shown = _is_shown(part)
    if part.type not in ("text/plain", "text/html") and not shown:
        return False
    # Of a multipart/related only the first is text; a text with a name behind others is a file.
    return n == 0 or (kind != "related" and (shown or not part.part.file_name))


def _is_shown(part: BodyPart) -> bool:
    return part.part.media in (b"image", b"audio", b"video")


# One part as JSON ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Describer:
    """Writes parts of one message.

    blob_id: of a part. octets: those of the message that offsets of parts count; only asked where
    size or header fields are wanted. before: header lines in front of the message itself.
    """

    properties: Sequence[str]
    blob_id: Callable[[PartPath], str]
    octets: Octets
    before: bytes = b""

    def __call__(self, part: BodyPart, *, deep: bool = False) -> dict[str, Any]:
        """deep: with subParts, whether or not they are asked for."""
        found: dict[str, Any] = {}
        wanted = [*self.properties, "subParts"] if deep else self.properties
        fields: list[tuple[bytes, bytes]] | None = None
        for name in wanted:
            if name == "subParts":
                if part.children:
                    found[name] = [self(child, deep=True) for child in part.children]
                elif deep and "subParts" in self.properties:
                    found[name] = None
                continue
            header = parse_property(name) if name.startswith("header:") else None
            if header is not None:
                if fields is None:
                    fields = headers.fields(self._header(part))
                found[name] = headers.value_of(header, fields)
            else:
                found[name] = self._value(name, part)
        return found

    def _header(self, part: BodyPart) -> bytes:
        own = part.part.header(self.octets)
        return self.before + own if part.part.header_start == 0 else own

    def _value(self, name: str, body: BodyPart) -> Any:
        part = body.part
        match name:
            case "partId":
                return body.id
            case "blobId":
                return None if body.children else self.blob_id(body.path)
            case "size":
                return part.size if body.children else size_of(part, self.octets)
            case "headers":
                return headers.as_sent(self._header(body))
            case "name":
                return part.file_name
            case "type":
                return body.type
            case "charset":
                implied = b"us-ascii" if part.media == b"text" else b""
                return (part.charset or implied).decode("utf-8", "replace") or None
            case "disposition":
                return part.disposition.decode("utf-8", "replace") or None
            case "cid":
                return part.id.strip(b" \t<>").decode("utf-8", "replace") or None
            case "language":
                return [tag.decode("utf-8", "replace") for tag in part.language] or None
            case _:
                return part.location.decode("utf-8", "replace") or None


def size_of(part: Part, octets: Octets) -> int:
    """Octets of the body without its transfer encoding."""
    if part.encoding not in (b"base64", b"quoted-printable"):
        return part.size
    return len(decode_transfer(part.body(octets), part.encoding))


@dataclass(frozen=True, slots=True)
class BodyValue:
    value: str
    encoding_problem: bool
    truncated: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "isEncodingProblem": self.encoding_problem,
            "isTruncated": self.truncated,
        }


def body_value(part: Part, octets: Octets, most: int) -> BodyValue:
    """The text of a part with LF line ends. most: octets of UTF-8; 0: all of it."""
    problem = part.encoding not in KNOWN
    try:
        raw = decode_transfer(part.body(octets), part.encoding)
    except UnknownEncoding:
        raw = part.body(octets)
    charset = get(part.parameters, b"charset") or b""
    codec = codec_of(charset)
    if codec is None:
        problem = True
    else:
        try:
            raw.decode(codec)
        except ValueError:
            problem = True
    text = decode_octets(raw, charset).replace("\r\n", "\n").removeprefix("\ufeff")
    cut = False
    if most:
        text, cut = _shortened(text, most, markup=part.subtype == b"html")
    return BodyValue(text.replace("\0", ""), problem, cut)


def _shortened(text: str, most: int, *, markup: bool) -> tuple[str, bool]:
    """At most so many octets of UTF-8, no character and no tag cut."""
    if len(text) * 4 <= most:
        return text, False
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= most:
        return text, False
    kept = encoded[:most].decode("utf-8", "ignore")
    if markup:
        opened = kept.rfind("<")
        if opened >= 0 and kept.find(">", opened) < 0:
            kept = kept[:opened]
        reference = kept.rfind("&")
        if reference >= 0 and len(kept) - reference < 12 and ";" not in kept[reference:]:
            kept = kept[:reference]
    return kept, True
