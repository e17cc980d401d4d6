"""Scan a message once: header digest, MIME structure with octet offsets, preview, thread keys.

Everything a client later asks about the structure is answered from what `scan` returns. It never
raises, never recurses, and its work is bounded by a small multiple of the octets (FAULTS 23, 24).
"""

from __future__ import annotations

from typing import NamedTuple

from postillon.mail.digest import HeaderDigest, collect, digest_of, thread_keys
from postillon.mail.header import MAX_HEADER, header_end, unfolded
from postillon.mail.octets import Octets, count_lines, find_octets
from postillon.mail.parameters import Parameters, get, parse_disposition, parse_type, parse_word
from postillon.mail.part import Part, PartPath, pack, part_at, unpack, walk
from postillon.mail.text import body_text, preview_of

__all__ = [
    "Part", "PartPath", "Scan", "body_text", "pack", "part_at", "scan", "unpack", "walk",
]  # fmt: skip

MAX_DEPTH = 100  # of nested entities (FAULTS 23)
MAX_PARTS = 10_000  # of a message (FAULTS 23)
MAX_HEADERS = 4 << 20  # octets of all part headers together, as their values are kept
MAX_BOUNDARY = 256  # octets; RFC 2046 section 5.1.1 allows 70
MAX_NEAR_MISSES = 100_000  # lines that begin like a boundary and are none
# Nested entities are looked at once a level. Past this many octets in all, what is left is opaque.
WORK_FACTOR = 10
WORK_FLOOR = 16 << 20

_TEXT_PLAIN: tuple[bytes, bytes, Parameters] = (b"text", b"plain", ((b"charset", b"us-ascii"),))
_MESSAGE: tuple[bytes, bytes, Parameters] = (b"message", b"rfc822", ())
_EMBEDDED = (b"rfc822", b"global")  # RFC 2046 section 5.2.1, RFC 6532 section 3.7
_ENCODED = (b"base64", b"quoted-printable")
_TOO_MUCH = {b"content-type": b"application/octet-stream"}


_BULK = frozenset((b"bulk", b"list", b"junk"))


class Scan(NamedTuple):
    """What one pass over a message has found."""

    digest: HeaderDigest
    structure: Part
    preview: str  # at most 256 characters on one line
    thread_keys: tuple[int, ...]  # see mail.digest.thread_keys
    hops: int  # Received fields
    delivered_to: tuple[bytes, ...]  # values of Delivered-To, first is latest
    authors: tuple[bytes, ...]  # the value of each From field; more than one is suspect (FAULTS 19)
    bulk: bool = (
        False  # it says itself that it goes to many (RFC 2076 section 3.9, RFC 2369, RFC 2919)
    )


def scan(blob: Octets, completed: bytes = b"", *, deep: bool = True, pure: bool = False) -> Scan:
    """Read a message.

    completed: whole header lines that stand before the blob without being in it (Message-ID and
    Date that submission added); they count for the digest. All offsets are relative to the blob.
    deep: False looks at the header alone, for mail that only passes: neither parts nor preview.
    pure: CR and LF stand only side by side, as has been seen already.
    """
    end = len(blob)
    body_start = header_end(blob, 0, end)
    fields = unfolded(blob[: min(body_start, MAX_HEADER)])
    if completed:
        fields = unfolded(completed) + fields
    found = collect(fields)
    hops = 0
    delivered_to: tuple[bytes, ...] = ()
    authors: tuple[bytes, ...] = ()
    for name, value in fields:
        if name == b"received":
            hops += 1
        elif name == b"from":
            authors += (value,)
        elif name == b"delivered-to":
            delivered_to += (value,)
    root = _entity(found, 0, body_start, end, _TEXT_PLAIN)
    digest = digest_of(found)
    keys, bulk = thread_keys(digest), _bulk(found)
    if not deep:
        return Scan(digest, root, "", keys, hops, delivered_to, authors, bulk)
    if (root.media == b"multipart" or root.media == b"message") and _is_container(root):
        _descend(blob, root, pure)
    if root.media == b"text":
        root.lines = count_lines(blob, body_start, end, pure)
    preview = preview_of(blob, root)
    return Scan(digest, root, preview, keys, hops, delivered_to, authors, bulk)


def _bulk(fields: dict[bytes, bytes]) -> bool:
    """Whether a message's header marks it as one of many."""
    if b"list-unsubscribe" in fields or b"list-id" in fields:
        return True
    return fields.get(b"precedence", b"").strip().lower() in _BULK


def _entity(
    fields: dict[bytes, bytes],
    start: int,
    body_start: int,
    end: int,
    default: tuple[bytes, bytes, Parameters],
) -> Part:
    """An entity without its children, from its unfolded fields."""
    get_field = fields.get
    value = get_field(b"content-type")
    # What cannot be read is text/plain (RFC 2045 section 5.2).
    media, subtype, parameters = default if value is None else parse_type(value) or _TEXT_PLAIN
    value = get_field(b"content-transfer-encoding")
    encoding = b"7bit" if value is None else parse_word(value)
    value = get_field(b"content-disposition")
    disposition, disposition_parameters = (b"", ()) if value is None else parse_disposition(value)
    value = get_field(b"content-language")
    part = Part(
        media,
        subtype,
        parameters,
        get_field(b"content-id", b""),
        get_field(b"content-description", b""),
        encoding,
        disposition,
        disposition_parameters,
        () if value is None else _languages(value),
        get_field(b"content-location", b""),
        get_field(b"content-md5", b""),
        start,
        body_start,
        end,
        0,
        [],
        None,
    )
    if body_start - start > MAX_HEADER:
        _make_opaque(part)
    return part


def _descend(blob: Octets, root: Part, pure: bool) -> None:
    """Find the children of `root` and theirs, level by level."""
    room, headers = MAX_PARTS, MAX_HEADERS
    work = max(WORK_FLOOR, WORK_FACTOR * len(blob))
    stack = [(root, 1)]
    while stack:
        part, depth = stack.pop()
        start, end = part.body_start, part.end
        multipart = part.media == b"multipart"
        work -= end - start
        if work < 0 or room <= 1 or depth >= MAX_DEPTH:
            _make_opaque(part)
            continue
        if multipart:
            boundary = (get(part.parameters, b"boundary") or b"").rstrip(b" \t")
            ranges = (
                _ranges(blob, boundary, start, end, room)
                if 0 < len(boundary) <= MAX_BOUNDARY
                else []
            )
            if not ranges:
                part.media, part.subtype, part.parameters = _TEXT_PLAIN
                part.lines = count_lines(blob, start, end, pure)
                continue
            default = _MESSAGE if part.subtype == b"digest" else _TEXT_PLAIN
            room -= len(ranges)
        else:
            part.lines = count_lines(blob, start, end, pure)
            ranges = [(start, end)]
            default = _TEXT_PLAIN
            room -= 1
        for child_start, child_end in ranges:
            body_start = header_end(blob, child_start, child_end)
            headers -= body_start - child_start
            if headers < 0:
                fields = _TOO_MUCH.copy()
            else:
                block = blob[child_start : min(body_start, child_start + MAX_HEADER)]
                fields = collect(unfolded(block))
            child = _entity(fields, child_start, body_start, child_end, default)
            part.children.append(child)
            if child.media == b"text":
                child.lines = count_lines(blob, body_start, child_end, pure)
            elif (child.media == b"multipart" or child.media == b"message") and _is_container(
                child
            ):
                stack.append((child, depth + 1))
            if not multipart:
                part.digest = digest_of(fields)
        if room <= 0 and multipart:
            _make_opaque(part.children[-1])


def _is_container(part: Part) -> bool:
    """Whether a multipart or message part can have children; makes it opaque when it is spoilt."""
    if part.media == b"multipart":
        return True
    if part.subtype not in _EMBEDDED:
        return False
    if part.encoding in _ENCODED:  # forbidden by RFC 2046 section 5.2.1
        _make_opaque(part)
        return False
    return True


def _ranges(
    blob: Octets, boundary: bytes, start: int, stop: int, room: int
) -> list[tuple[int, int]]:
    """Where the parts of a multipart lie (RFC 2046 section 5.1.1); empty without delimiters.

    A delimiter is a whole line. Deviates: RFC 2046 lets anything follow the boundary, but then
    `a` would match the inner delimiter `ab`, which is common, and nothing in the field needs it.
    The last range runs to `stop` when the closing delimiter is missing or `room` is used up.
    """
    delimiter = b"--" + boundary
    size = len(delimiter)
    found: list[tuple[int, int]] = []
    opened = -1
    position = start
    misses = 0
    while len(found) < room - 1 and misses < MAX_NEAR_MISSES:
        at = find_octets(blob, delimiter, position, stop)
        if at < 0:
            break
        after = at + size
        line_end = find_octets(blob, b"\n", after, stop)
        if line_end < 0:
            line_end = stop
        tail = blob[after : min(line_end, after + MAX_BOUNDARY)].rstrip(b" \t\r")
        if (at == start or blob[at - 1] == 10) and (not tail or tail == b"--"):
            if opened >= 0:
                before = at - (2 if blob[at - 2 : at] == b"\r\n" else 1)
                found.append((opened, max(before, opened)))
            if tail:
                return found
            opened = min(line_end + 1, stop)
        else:
            misses += 1
        position = line_end + 1
    if opened >= 0:
        found.append((opened, stop))
    return found


def _make_opaque(part: Part) -> None:
    part.media, part.subtype, part.parameters = b"application", b"octet-stream", ()
    part.lines = 0


def _languages(value: bytes) -> tuple[bytes, ...]:
    tags = (tag.strip(b" \t") for tag in value[:1024].split(b","))
    return tuple(tag for tag in tags if tag)
