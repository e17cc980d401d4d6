"""Flags and keywords of emails: five bits for the ones every client sets, text for the others.

A keyword is stored in lower case, because both protocols compare without regard to case (RFC 9051
section 2.3.2, RFC 8621 section 4.1.1); how a client likes it spelt is for the protocol to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from postillon.account.errors import BadKeyword, TooManyKeywords

SEEN = 1
ANSWERED = 2
FLAGGED = 4
DELETED = 8  # belongs to a placement alone: JMAP does not know it
DRAFT = 16
ALL_FLAGS = SEEN | ANSWERED | FLAGGED | DELETED | DRAFT

# RFC 8621 section 4.1.1: what JMAP calls the flags.
FLAG_OF_KEYWORD = {"$seen": SEEN, "$answered": ANSWERED, "$flagged": FLAGGED, "$draft": DRAFT}

MAX_KEYWORD = 255  # octets, RFC 8621 section 4.1.1
MAX_KEYWORDS = 100  # of one email; ours (FAULTS 28)

# RFC 8621 section 4.1.1: printable ASCII that an IMAP atom can hold too.
_KEYWORD = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+\Z")


def check_keyword(text: str) -> str:
    """The keyword as it is stored. Raises BadKeyword for one that no client may set."""
    if len(text) > MAX_KEYWORD or not _KEYWORD.match(text):
        raise BadKeyword(text[:MAX_KEYWORD])
    return text.lower()


def check_keywords(words: Iterable[str]) -> frozenset[str]:
    """All of them as they are stored. Raises BadKeyword or TooManyKeywords."""
    checked = frozenset(map(check_keyword, words))
    if len(checked) > MAX_KEYWORDS:
        raise TooManyKeywords(len(checked), MAX_KEYWORDS)
    for word in checked & FLAG_OF_KEYWORD.keys():
        raise BadKeyword(word)  # it has a bit, and must not exist twice
    return checked


def join_keywords(words: frozenset[str]) -> str | None:
    """The column `placement.keywords`: sorted, separated by a space, None when there are none."""
    return " ".join(sorted(words)) if words else None


def split_keywords(column: str | None) -> frozenset[str]:
    return frozenset(column.split(" ")) if column else frozenset()
