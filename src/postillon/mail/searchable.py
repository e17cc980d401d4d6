"""The texts of a message that a search looks into, the same for reading it and for its index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from postillon.mail.addresses import parse_mailboxes
from postillon.mail.digest import HeaderDigest
from postillon.mail.header import unfold, unfolded
from postillon.mail.octets import Octets
from postillon.mail.part import Part, walk
from postillon.mail.text import MAX_TEXT, body_text
from postillon.mail.words import decode_words

# Fields that the header digest has, by name, as it calls them.
IN_DIGEST: Mapping[bytes, str] = {
    b"from": "from_",
    b"to": "to",
    b"cc": "cc",
    b"bcc": "bcc",
    b"subject": "subject",
    b"sender": "sender",
    b"reply-to": "reply_to",
    b"message-id": "message_id",
    b"in-reply-to": "in_reply_to",
}


ADDRESSES = frozenset((b"from", b"to", b"cc", b"bcc", b"sender", b"reply-to"))


def field_text(header: HeaderDigest, field: bytes) -> str:
    """A field of IN_DIGEST as people read it; "" where it is absent.

    Addresses that have comments inside follow without these: FROM of IMAP is about what ENVELOPE
    shows (RFC 3501 section 6.4.4).
    """
    raw: bytes = getattr(header, IN_DIGEST[field])
    text = decode_words(raw)
    if b"(" not in raw or field not in ADDRESSES:
        return text
    plain = [
        b"%b@%b" % (item.local, item.domain)
        for item in parse_mailboxes(raw)
        if item.local is not None and item.domain
    ]
    addresses = (octets.decode("utf-8", "replace") for octets in plain)
    return "\n".join([text, *(address for address in addresses if address not in text)])


def header_fields(prefix: bytes, content: Octets, root: Part) -> Iterator[tuple[bytes, str]]:
    """Name (lower case) and text of each field. prefix: trace header of this copy."""
    for name, value in unfolded(prefix + bytes(content[: root.body_start])):
        yield name.lower(), decode_words(unfold(value))


def header_lines(prefix: bytes, content: Octets, root: Part) -> Iterator[str]:
    """What TEXT looks through of the header."""
    for name, value in header_fields(prefix, content, root):
        yield f"{name.decode('latin-1')}: {value}"


def body_texts(content: Octets, root: Part) -> Iterator[str]:
    """Each text part, markup stripped; of a message in a message its best known fields too."""
    for part in walk(root):
        text = body_text(content, part)
        if text:
            yield text
        if part.digest is not None:
            header = part.digest
            yield decode_words(header.subject + b"\n" + header.from_ + b"\n" + header.to)


def text_octets(root: Part) -> int:
    """At most how many encoded octets `body_texts` decodes."""
    return sum(min(part.size, MAX_TEXT) for part in walk(root) if part.media == b"text")
