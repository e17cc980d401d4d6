"""ENVELOPE, BODY and BODYSTRUCTURE out of what was kept at arrival (RFC 3501 section 7.4.2)."""

from __future__ import annotations

from collections.abc import Sequence

from postillon.mail.addresses import parse_mailboxes
from postillon.mail.digest import HeaderDigest
from postillon.mail.part import Part
from postillon.protocol.imap.writer import NIL, string


def envelope(digest: HeaderDigest) -> bytes:
    authors = _addresses(digest.from_)
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        _present(digest.date),
        _present(digest.subject),
        authors,
        # RFC 3501 section 7.4.2: absent or empty, they are those of From.
        authors if not digest.sender else _addresses(digest.sender, authors),
        authors if not digest.reply_to else _addresses(digest.reply_to, authors),
        _addresses(digest.to),
        _addresses(digest.cc),
        _addresses(digest.bcc),
        _present(digest.in_reply_to),
        _present(digest.message_id),
    )


def structure(part: Part, *, extended: bool) -> bytes:
    """BODYSTRUCTURE, or BODY without the extension data. As deep as mail.mime lets parts nest."""
    if part.multipart:
        children = b"".join([structure(child, extended=extended) for child in part.children])
        if not extended:
            return b"(%b %b)" % (children, string(part.subtype))
        return b"(%b %b %b %b)" % (
            children, string(part.subtype), _parameters(part.parameters), _tail(part),
        )  # fmt: skip
    text = b"%b %b %b %b %b %b %d" % (
        string(part.media),
        string(part.subtype),
        _parameters(part.parameters),
        _present(part.id),
        _present(part.description),
        string(part.encoding),
        part.size,
    )
    if part.digest is not None and part.subtype == b"rfc822":
        text += b" %b %b %d" % (
            envelope(part.digest),
            structure(part.children[0], extended=extended),
            part.lines,
        )
    elif part.media == b"text":
        text += b" %d" % part.lines
    if not extended:
        return b"(%b)" % text
    return b"(%b %b %b)" % (text, _present(part.md5), _tail(part))


def _tail(part: Part) -> bytes:
    """Disposition, language and location, which every kind of body ends with."""
    disposition = NIL
    if part.disposition:
        disposition = b"(%b %b)" % (
            string(part.disposition),
            _parameters(part.disposition_parameters),
        )
    language = NIL
    if part.language:
        language = b"(%b)" % b" ".join(map(string, part.language))
    return b"%b %b %b" % (disposition, language, _present(part.location))


def _present(value: bytes) -> bytes:
    return string(value) if value else NIL


def _parameters(parameters: Sequence[tuple[bytes, bytes]]) -> bytes:
    if not parameters:
        return NIL
    return b"(%b)" % b" ".join([b"%b %b" % (string(k), string(v)) for k, v in parameters])


def _addresses(value: bytes, default: bytes = NIL) -> bytes:
    if not value:
        return default
    found = [
        b"(%b NIL %b %b)"
        % (
            NIL if name is None else string(name),
            NIL if local is None else string(local),
            NIL if domain is None else string(domain),
        )
        for name, local, domain in parse_mailboxes(value)
    ]
    return b"(%b)" % b"".join(found) if found else default
