"""The header digest: what ENVELOPE, sorting, threading and lists need, kept beside the email.

Values are the octets of the field, unfolded and trimmed, without CR, LF or NUL; b"" means absent.
Nothing in them is decoded: who shows them does that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from hashlib import blake2b
from operator import attrgetter

import msgspec

from postillon.mail.dates import parse_date
from postillon.mail.subject import base_subject

MAX_VALUE = 65_536  # octets kept of one field; longer address lists end at their last comma
MAX_REFERENCES = 100  # message ids kept: the first, and the last ones
MAX_THREAD_KEYS = 20  # ids that decide about a thread: the message's own and its latest ancestors
MAX_ID = 998  # octets of a message id; a longer one is none (a line's limit, RFC 5322)


class HeaderDigest(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The fields of one message's header.

    `message_id` and `in_reply_to` are whole values as ENVELOPE repeats them, with angle brackets;
    `id` and `references` are bare ids. To, Cc and Bcc join repeated fields; of the rest the first
    counts, so what is shown is what was checked (FAULTS 19).
    """

    date: bytes = b""
    subject: bytes = b""
    from_: bytes = b""
    sender: bytes = b""  # as sent: ENVELOPE's default from From is the writer's part
    reply_to: bytes = b""
    to: bytes = b""
    cc: bytes = b""
    bcc: bytes = b""
    in_reply_to: bytes = b""
    message_id: bytes = b""
    id: bytes = b""  # Message-ID without angle brackets
    references: tuple[bytes, ...] = ()  # oldest first; In-Reply-To where there is no References
    base_subject: str = ""  # RFC 5256 section 2.1
    sent_at: int | None = None  # Date in milliseconds since 1970 UTC; None: absent or unreadable


_KEPT = {
    b"date": "date", b"subject": "subject", b"from": "from_", b"sender": "sender",
    b"reply-to": "reply_to", b"to": "to", b"cc": "cc", b"bcc": "bcc",
    b"in-reply-to": "in_reply_to", b"message-id": "message_id",
}  # fmt: skip
_LISTS = frozenset((b"from", b"to", b"cc", b"bcc", b"sender", b"reply-to"))
_JOINED = (b"to", b"cc", b"bcc")  # RFC 7103 section 7.8
_ID = re.compile(rb"<[ \t]*([^<>\s]+)[ \t]*>")
_NO_IDS: tuple[bytes, ...] = ()

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(HeaderDigest)


def pack(digest: HeaderDigest) -> bytes:
    return _encoder.encode(digest)


def unpack(packed: bytes) -> HeaderDigest:
    """Raises msgspec.DecodeError when these are not the octets of `pack`."""
    return _decoder.decode(packed)


def reader_of(field: str) -> Callable[[bytes], bytes]:
    """What reads one of the first ten fields of a packed digest: a third of the time of `unpack`."""
    names = HeaderDigest.__struct_fields__
    before = names[: names.index(field)]
    kind = msgspec.defstruct(
        "Beginning",
        [*((name, msgspec.Raw) for name in before), (field, bytes)],
        array_like=True,
        frozen=True,
        gc=False,
    )
    decode = msgspec.msgpack.Decoder(kind).decode
    value = attrgetter(field)
    return lambda packed: value(decode(packed))


def digest_of(fields: dict[bytes, bytes]) -> HeaderDigest:
    """Make the digest from unfolded values by lower-case name (see `collect`)."""
    get = fields.get
    for name in _LONG_ONES if sum(map(len, fields.values())) > MAX_VALUE else ():
        if len(get(name, b"")) > MAX_VALUE:
            fields[name] = _shortened(name, fields[name])
    date, subject = get(b"date", b""), get(b"subject", b"")
    in_reply_to, message_id = get(b"in-reply-to", b""), get(b"message-id", b"")
    moment = parse_date(date) if date else None
    references = get(b"references") or in_reply_to
    return HeaderDigest(
        date,
        subject,
        get(b"from", b""),
        get(b"sender", b""),
        get(b"reply-to", b""),
        get(b"to", b""),
        get(b"cc", b""),
        get(b"bcc", b""),
        in_reply_to,
        message_id,
        bare_id(message_id) if message_id else b"",
        bare_ids(references) if references else _NO_IDS,
        base_subject(subject) if subject else "",
        None if moment is None else moment[0],
    )


def collect(fields: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Fields as `header.unfolded` gives them by name: the first of each, address lists joined."""
    found: dict[bytes, bytes] = {}
    for name, value in fields:
        if name not in found:
            found[name] = value
        elif name in _JOINED and value and len(found[name]) < MAX_VALUE:
            found[name] = found[name] + b", " + value if found[name] else value
    return found


def bare_id(value: bytes) -> bytes:
    """The first message id of a value, without angle brackets; b"" when there is none."""
    match = _ID.search(value)
    found: bytes = value.strip(b" \t<>") if match is None else match[1]
    return b"" if len(found) > MAX_ID or b" " in found or b"\t" in found else found


def bare_ids(value: bytes) -> tuple[bytes, ...]:
    """The message ids of References or In-Reply-To, oldest first, each once; may be empty."""
    ids = [found for found in _ID.findall(value) if len(found) <= MAX_ID]
    if len(ids) > 1:
        ids = list(dict.fromkeys(ids))
    if len(ids) > MAX_REFERENCES:
        ids = [ids[0], *ids[1 - MAX_REFERENCES :]]
    return tuple(ids)


def thread_keys(digest: HeaderDigest) -> tuple[int, ...]:
    """What two emails of one thread have in common: at least one of these numbers.

    Each is a hash over one message id and the base subject, so that a new subject begins a new
    thread (RFC 8621 section 3 recommends both). Signed 64 bits, the message's own id first; empty
    when there is neither id nor reference.
    """
    ids = digest.references
    if len(ids) >= MAX_THREAD_KEYS:
        ids = (ids[0], *ids[2 - MAX_THREAD_KEYS :])
    if digest.id and digest.id not in ids:
        ids = (digest.id, *ids)
    if not ids:
        return ()
    subject = b"\0" + digest.base_subject.casefold().encode("utf-8", "replace")
    return tuple(
        int.from_bytes(blake2b(one + subject, digest_size=8).digest(), "big", signed=True)
        for one in ids
    )


_LONG_ONES = (*_KEPT, b"references")


def _shortened(name: bytes, value: bytes) -> bytes:
    if name == b"references":  # the last ids say where a message belongs
        return value[-MAX_VALUE:]
    kept = value[:MAX_VALUE]
    return kept[: kept.rfind(b",")] if name in _LISTS and b"," in kept else kept
