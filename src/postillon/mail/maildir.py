"""Names in a Maildir, without the folder: flags, keywords, dates, the tree of Maildir++.

A message is a file in `new` or `cur`; behind `:2,` in its name stand the letters of its flags. Dovecot
gives keywords the letters a to z and writes in `dovecot-keywords` which is which. Folders of Maildir++
are siblings named `.Parent.Child`; a name itself may hold a dot or a slash as `\\2e` and `\\2f`, as
Dovecot's listescape writes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# As account.keywords has them (a test compares): this package knows no account.
SEEN, ANSWERED, FLAGGED, DELETED, DRAFT = 1, 2, 4, 8, 16
LETTERS = {"D": DRAFT, "F": FLAGGED, "R": ANSWERED, "S": SEEN, "T": DELETED}
PASSED, FORWARDED = "P", "$forwarded"

KEYWORDS = 26  # letters there are
MAX_KEYWORD_FILE = 1 << 20  # octets of a dovecot-keywords file that are read

_INFO = re.compile(r"[:!;]2,([A-Za-z]*)\Z")
_ESCAPED = re.compile(r"\\([0-9a-fA-F]{2})")
_TO_ESCAPE = re.compile(r"[./\\]|^~")


def base_of(name: str) -> str:
    """What stays when flags change: the identity of a message."""
    match = _INFO.search(name)
    return name if match is None else name[: match.start()]


def marks_of(name: str, keywords: Mapping[str, str]) -> tuple[int, list[str]]:
    """Flags and keywords of a file's name. keywords: by letter."""
    match = _INFO.search(name)
    flags, words = 0, []
    for letter in "" if match is None else match[1]:
        if letter in LETTERS:
            flags |= LETTERS[letter]
        elif letter == PASSED:
            words.append(FORWARDED)
        elif letter in keywords:
            words.append(keywords[letter])
    return flags, words


def read_keywords(text: bytes) -> dict[str, str]:
    """A dovecot-keywords file: lines of a number from 0 and a word. What is none is passed over."""
    found = {}
    for line in text.decode("utf-8", "replace").splitlines():
        number, _, word = line.partition(" ")
        if number.isdecimal() and int(number) < KEYWORDS and word:
            found[chr(ord("a") + int(number))] = word.strip()
    return found


def write_keywords(words: Sequence[str]) -> bytes:
    """Such a file; the first 26 words get letters."""
    return "".join(f"{n} {word}\n" for n, word in enumerate(words[:KEYWORDS])).encode()


def name_of(base: str, flags: int, words: Sequence[str], letters: Mapping[str, str]) -> str:
    """The name in `cur`. letters: by keyword; a keyword without one is left out."""
    found = {letter for letter, flag in LETTERS.items() if flags & flag}
    if FORWARDED in words:
        found.add(PASSED)
    found |= {letters[word] for word in words if word in letters}
    return f"{base}:2,{''.join(sorted(found))}"


def split_name(name: str) -> list[str]:
    """The parts of a Maildir++ folder, still escaped: `.Work.Letters`."""
    return [part for part in name.split(".") if part]


def unescape(part: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), part)


def escape(part: str) -> str:
    """A name as a part of a Maildir++ folder or as a folder of its own."""
    return _TO_ESCAPE.sub(lambda match: f"\\{ord(match[0]):02x}", part)
