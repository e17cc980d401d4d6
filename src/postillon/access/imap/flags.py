"""Flags as IMAP writes them, and the bits and keywords that accounts keep (RFC 3501 section 2.3.2)."""

from __future__ import annotations

from collections.abc import Iterable

from postillon.account.keywords import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from postillon.account.rights import Right, settable
from postillon.protocol.imap.words import Refused

SYSTEM = (
    (b"\\Answered", ANSWERED),
    (b"\\Flagged", FLAGGED),
    (b"\\Deleted", DELETED),
    (b"\\Seen", SEEN),
    (b"\\Draft", DRAFT),
)
BITS = {name.decode().lower(): bit for name, bit in SYSTEM}
RECENT = "\\recent"

# Keywords are kept in small letters; these have a spelling that clients look for (RFC 5788 and habit).
_SPELLINGS = {
    word.lower(): word.encode()
    for word in (
        "$Forwarded", "$MDNSent", "$Junk", "$NotJunk", "$Phishing", "$Important", "$SubmitPending",
        "$Submitted", "Junk", "NonJunk", "NotJunk", "Forwarded",
    )
}  # fmt: skip
# Announced in every mailbox, so that clients use them.
COMMON = ("$forwarded", "$junk", "$mdnsent", "$notjunk")


def spelt(keyword: str) -> bytes:
    return _SPELLINGS.get(keyword) or keyword.encode("ascii", "replace")


def read(flags: Iterable[str]) -> tuple[int, frozenset[str]]:
    """Bits and keywords of flags as a client sent them. \\Recent is not a client's to set.

    Raises Refused for a system flag that does not exist.
    """
    bits = 0
    words: list[str] = []
    for flag in flags:
        if not flag.startswith("\\"):
            words.append(flag)
            continue
        bit = BITS.get(flag.lower())
        if bit is not None:
            bits |= bit
        elif flag.lower() != RECENT:
            raise Refused("There is no such system flag")
    return bits, frozenset(words)


def list_of_flags(keywords: Iterable[str], *more: bytes) -> bytes:
    """All system flags, these keywords in order, and more as they are."""
    words = [name for name, _ in SYSTEM]
    return b"(%b)" % b" ".join([*words, *map(spelt, sorted(keywords)), *more])


def permanent_flags(keywords: Iterable[str], rights: Right) -> bytes:
    """PERMANENTFLAGS: what somebody with these rights may change."""
    if Right.WRITE in rights:
        more, words = [b"\\*"], map(spelt, sorted(keywords))
    else:
        more, words = [], map(spelt, ())
    flags = settable(rights)
    return b"(%b)" % b" ".join([*(name for name, bit in SYSTEM if bit & flags), *words, *more])


class FlagWriter:
    """Writes flags lists, each combination once: a mailbox of thousands has a handful of them."""

    __slots__ = ("_known", "met")

    def __init__(self) -> None:
        self._known: dict[tuple[int, str | None, bool], bytes] = {}
        self.met: set[str] = set()  # keywords written

    def write(self, bits: int, keywords: str | None, recent: bool) -> bytes:
        """`(\\Seen $Forwarded)`; keywords as stored."""
        key = (bits, keywords, recent)
        text = self._known.get(key)
        if text is None:
            words = [name for name, bit in SYSTEM if bits & bit]
            if recent:
                words.append(b"\\Recent")
            if keywords:
                found = keywords.split(" ")
                self.met.update(found)
                words += map(spelt, found)
            text = self._known[key] = b"(%b)" % b" ".join(words)
            if len(self._known) > MAX_KNOWN:
                self._known.clear()
        return text


MAX_KNOWN = 1_000  # combinations kept by one writer
