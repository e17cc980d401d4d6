"""What two texts are compared by: without regard to case, accents and ways of writing one character.

Search folds the message and what is looked for in the same way, whether it reads the message or its
index. Beyond i;unicode-casemap (RFC 5051) the accents go, as people leave them out when they search.
"""

from __future__ import annotations

import re
import sys
from unicodedata import category, normalize, unidata_version

# Marks that people leave out: accents of Latin, Greek and Cyrillic, points of Hebrew, vowels of Arabic.
_ACCENTS = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u064b-\u065f\u0670\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
# Where other marks stand, which are letters of their scripts. Looking at all of Unicode takes longer.
_BLOCKS = (
    (0x300, 0x3100),
    (0xA600, 0xAC00),
    (0xFB1E, 0xFB1F),
    (0xFE00, 0xFE30),
    (0x10A00, 0x12000),
)
_MAX_MARKS = 16  # on one letter: normalising takes the square of their number


def ranges_of_marks() -> str:
    """All combining marks, as the inside of a class of a regular expression."""
    found = [
        code
        for first, stop in _BLOCKS
        for code in range(first, stop)
        if category(chr(code))[0] == "M"
    ]
    return "".join(map(chr, found))


def of_version() -> str:
    """Changes when texts may fold otherwise than before."""
    return f"1/{unidata_version}/{sys.maxunicode:x}"


MARKS = ranges_of_marks()
_TOO_MANY = re.compile(f"([{MARKS}]{{{_MAX_MARKS}}})[{MARKS}]+")


def casemap(text: str) -> str:
    """By i;unicode-casemap (RFC 5051), with full case folding: accents stay."""
    if text.isascii():
        return text.lower()
    return normalize("NFKD", normalize("NFKD", _TOO_MANY.sub(r"\1", text)).casefold())


def fold(text: str) -> str:
    """Idempotent; joins of texts by a line end fold as their parts."""
    if text.isascii():
        return text.lower()
    text = _TOO_MANY.sub(r"\1", _ACCENTS.sub("", text))
    text = normalize("NFKD", normalize("NFKD", text).casefold())
    return normalize("NFC", _ACCENTS.sub("", text))
