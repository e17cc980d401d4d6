"""ENVELOPE, BODY and BODYSTRUCTURE out of what was kept at arrival (RFC 3501 section 7.4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

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


MAX_REMEMBERED = 200  # octets of an address list or a word whose writing is kept


def structure(part: Part, *, extended: bool) -> bytes:
    """BODYSTRUCTURE, or BODY without the extension data. As deep as mail.mime lets parts nest."""
    if part.multipart:
        children = b"".join([structure(child, extended=extended) for child in part.children])
        if not extended:
            return b"(%b %b)" % (children, _word(part.subtype))
        return b"(%b %b %b %b)" % (
            children, _word(part.subtype), _parameters(part.parameters), _tail(part),
        )  # fmt: skip
    text = b"%b %b %b %b %b %b %d" % (
        _word(part.media),
        _word(part.subtype),
        _parameters(part.parameters),
        _present(part.id),
        _present(part.description),
        _word(part.encoding),
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
            _word(part.disposition),
            _parameters(part.disposition_parameters),
        )
    language = NIL
    if part.language:
        language = b"(%b)" % b" ".join(map(string, part.language))
    return b"%b %b %b" % (disposition, language, _present(part.location))


def _word(raw: bytes) -> bytes:
    """As `string`, for what nearly every message has."""
    return string(raw) if len(raw) > MAX_REMEMBERED else _remembered_word(raw)


_remembered_word = lru_cache(1_024)(string)


def _present(value: bytes) -> bytes:
    return string(value) if value else NIL


def _parameters(parameters: Sequence[tuple[bytes, bytes]]) -> bytes:
    if not parameters:
        return NIL
    return b"(%b)" % b" ".join([b"%b %b" % (_word(k), _word(v)) for k, v in parameters])


def _addresses(value: bytes, default: bytes = NIL) -> bytes:
    if not value:
        return default
    written = _written(value) if len(value) > MAX_REMEMBERED else _remembered(value)
    return written or default


def _written(value: bytes) -> bytes:
    """An address list; b"" when it holds none."""
    found = [
        b"(%b %b %b %b)"
        % (
            NIL if name is None else string(name),
            NIL if route is None else string(route),
            NIL if local is None else string(local),
            NIL if domain is None else string(domain),
        )
        for name, local, domain, route in parse_mailboxes(value)
    ]
    return b"(%b)" % b"".join(found) if found else b""


_remembered = lru_cache(2_048)(_written)  # people write to the same people
