"""The base subject: what remains of a subject when replies and forwards are undone.

RFC 5256 section 2.1. Every step works on at most MAX_SUBJECT characters.
"""

from __future__ import annotations

import re

from postillon.mail.words import decode_words

MAX_SUBJECT = 1_000  # characters

_BLOB = r"\[[^\[\]]*\]\s*"
_LEADER = re.compile(rf"(?:{_BLOB})*(?:re|fwd?)\s*(?:{_BLOB})?:\s*", re.IGNORECASE)
_LEADING_BLOB = re.compile(_BLOB)
_TRAILER = re.compile(r"\(fwd\)\Z", re.IGNORECASE)
_FORWARD = re.compile(r"\[fwd:(.*)\]\Z", re.IGNORECASE | re.DOTALL)


def is_reply(raw: bytes) -> bool:
    """Whether a raw Subject value says that it answers or forwards (RFC 5256 section 2.1)."""
    text = " ".join(decode_words(raw[: MAX_SUBJECT * 8]).split())[:MAX_SUBJECT]
    position = 0
    while match := _LEADING_BLOB.match(text, position):
        position = match.end()
    found = _LEADER.match(text) or _LEADER.match(text, position)
    return bool(found or _TRAILER.search(text) or _FORWARD.match(text))


def base_subject(raw: bytes) -> str:
    """The base subject of a raw Subject value; case and words are kept, spaces are single."""
    text = " ".join(decode_words(raw[: MAX_SUBJECT * 8]).split())[:MAX_SUBJECT]
    while True:
        while text.endswith(")") and (trailer := _TRAILER.search(text)):  # step 2
            text = text[: trailer.start()].rstrip()
        if ":" not in text and "[" not in text:
            return text
        position = 0
        while True:
            if match := _LEADER.match(text, position):  # step 3
                position = match.end()
            elif (match := _LEADING_BLOB.match(text, position)) and match.end() < len(text):
                position = match.end()  # step 4: only while something remains
            else:
                break
        text = text[position:]
        match = _FORWARD.match(text)  # step 6
        if match is None:
            return text
        text = match[1].strip()
