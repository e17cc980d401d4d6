"""A glance at octets before they are decoded: whether a text may hold what is looked for.

Most messages do not, and most octets mean themselves (ASCII in a charset that keeps it): there a word
is in the text only if it is in the octets. Whatever is not so simple may hold it, and is read properly
(mail.searchable): a glance never says no to a text that has it.
"""

from __future__ import annotations

import re

from postillon.mail.charset import means_itself
from postillon.mail.decode import IDENTITY, KNOWN, decode_transfer
from postillon.mail.octets import Octets
from postillon.mail.part import Part, walk
from postillon.mail.searchable import ADDRESSES
from postillon.mail.text import INLINE

# No reading of octets that mean themselves makes one of these characters, or takes one away: they
# stand beside each other in the text only if they do in the octets.
_WORD = re.compile("[a-z0-9.@_+/-]+")
_NEVER = b"\xff"  # in no octets that mean themselves
# Elements that strip_markup takes out without leaving a line end.
_JOINING = re.compile(b"</?(?:%b)(?![a-z0-9])[^>]*>" % b"|".join(sorted(map(str.encode, INLINE))))
# What stands for characters, but for those that are none of a word.
_ENTITY = re.compile(b"&(?:#|[a-z](?!(?:bsp|mp|t|uot|pos|dash|ull|iddot|opy|aquo|squo|dquo);))")


def word_of(folded: str) -> bytes | None:
    """What octets must hold if the text of them holds this; None: a glance can say nothing of it."""
    if not folded.isascii():
        return _NEVER
    return max(_WORD.findall(folded), key=len, default="").encode() or None


def field_may_hold(word: bytes, field: bytes, value: bytes) -> bool:
    """Of a field of the header digest. A comment may stand within an address."""
    return (
        word in value.lower()
        or b"=?" in value
        or not means_itself(value, b"")
        or (b"(" in value and field in ADDRESSES)
    )


def message_may_hold(
    word: bytes, prefix: bytes, content: Octets, root: Part, *, header: bool
) -> bool:
    """Of a whole message. header: what stands in its header counts too."""
    octets = bytes(content)
    lowered = octets.lower()
    if word in lowered or b"\0" in octets:
        return True
    if header and _header_may_hold(word, prefix + octets[: root.body_start]):
        return True
    return any(
        (part.media == b"text" and _part_may_hold(word, octets, lowered, part))
        or (part.digest is not None and _header_may_hold(word, _header_of(octets, part)))
        for part in walk(root)
    )  # fmt: skip


def _header_of(octets: bytes, part: Part) -> bytes:
    """Of the message in a message."""
    inner = part.children[0]
    return octets[inner.header_start : inner.body_start]


def _header_may_hold(word: bytes, block: bytes) -> bool:
    """Of a header block. Lone CRs, and NULs, are taken out of values, and so may join a word."""
    return (
        b"=?" in block
        or not means_itself(block, b"")
        or b"\0" in block
        or block.count(b"\r") != block.count(b"\r\n")
        or word in block.lower()
    )


def _part_may_hold(word: bytes, octets: bytes, lowered: bytes, part: Part) -> bool:
    """Of a part of text, of a message in whose octets, in small letters, the word is not."""
    if part.encoding in IDENTITY or part.encoding not in KNOWN:
        body, small = octets[part.body_start : part.end], lowered[part.body_start : part.end]
    else:
        body = decode_transfer(octets[part.body_start : part.end], part.encoding)
        small = body.lower()
        if word in small:
            return True
    if not means_itself(body, part.charset):
        return True
    return part.subtype == b"html" and (
        b"<!--" in small or _ENTITY.search(small) is not None or word in _JOINING.sub(b"", small)
    )
