"""LIST patterns: `*` matches anything, `%` anything but the delimiter (RFC 3501 section 6.3.8).

The matcher keeps all positions of the pattern that are reached as the bits of one number, so a name of
n characters costs n steps whatever the pattern is (FAULTS 27).
"""

from __future__ import annotations

import re

from postillon.protocol.imap import names

_WILD = re.compile(rb"([%*]+)")


class Pattern:
    """A compiled pattern over decoded names. INBOX is matched in any letter case."""

    def __init__(self, raw: bytes, *, utf8: bool = False) -> None:
        """Raises names.BadName when a piece between wildcards is no valid text."""
        self._literal: dict[str, int] = {}
        self._folded: dict[str, int] = {}  # the same by capitals, for INBOX
        self._star = self._percent = 0
        length = 0
        for n, piece in enumerate(_WILD.split(raw)):
            if n % 2:
                if b"*" in piece:
                    self._star |= 1 << length
                else:
                    self._percent |= 1 << length
                length += 1
                continue
            for character in names.decode_text(piece, utf8=utf8):
                bit = 1 << length
                self._literal[character] = self._literal.get(character, 0) | bit
                upper = character.upper()
                self._folded[upper] = self._folded.get(upper, 0) | bit
                length += 1
        self._wild = self._star | self._percent
        self._end = 1 << length

    def matches(self, name: str) -> bool:
        """Whether the whole name matches."""
        head, slash, rest = name.partition(names.DELIMITER)
        if head != names.INBOX:
            return bool(self._run(1 | (1 & self._wild) << 1, name, self._literal) & self._end)
        states = self._run(1 | (1 & self._wild) << 1, head, self._folded)
        return bool(self._run(states, slash + rest, self._literal) & self._end)

    def _run(self, states: int, text: str, literal: dict[str, int]) -> int:
        star, percent, wild = self._star, self._percent, self._wild
        for character in text:
            states = (
                (states & literal.get(character, 0)) << 1
                | states & star
                | (states & percent if character != "/" else 0)
            )
            if not states:
                return 0
            states |= (states & wild) << 1
        return states
