"""Address lists of header fields, read tolerantly for display (RFC 5322 section 3.4, RFC 7103).

Only for ENVELOPE, search and lists: where mail goes is decided by mail.address, which is strict.
Encoded words are never decoded before or while parsing (FAULTS 31). Linear and bounded.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_MAILBOXES = 10_000  # of one field, group marks included (FAULTS 24)
MAX_FIELD = 1 << 20  # octets that are looked at
MAX_COMMENT = 100  # nested parentheses; deeper ones are skipped with the rest of the field


class Mailbox(NamedTuple):
    """One entry of an ENVELOPE address list (RFC 9051 section 7.5.2), without quoting.

    A group begins with `local` as its name and `domain` None, and ends with both None. An entry
    without an at sign has `domain` b"".
    """

    name: bytes | None  # display name, encoded words kept; None: absent
    local: bytes | None
    domain: bytes | None
    route: bytes | None = None  # obsolete: `@a,@b` of `<@a,@b:ada@example.org>`


GROUP_END = Mailbox(None, None, None)

_ATOM = rb"[^\x00-\x20()<>\[\]:;@\\,\"\x7f]+"  # repeated as `++`: nothing is ever tried twice
# What nearly every field is: one mailbox, or several without anything special in them.
_PLAIN = re.compile(
    rb"[ \t]*+(?:(?:\"([^\"\\\r\n\0]*+)\"[ \t]*+|([^\x00-\x1f\"()<>\[\]:;@\\,\x7f]*+))"
    rb"<(" + _ATOM + rb"+)@(" + _ATOM + rb"+)>|(" + _ATOM + rb"+)@(" + _ATOM + rb"+))"
    rb"[ \t]*+(?:,|\Z)"
)
_TOKEN = re.compile(
    rb"(?P<space>[\x00-\x20\x7f]+)|(?P<quoted>\"[^\"\\]*(?:\\.[^\"\\]*)*\")"
    rb"|(?P<literal>\[[^\[\]\\]*\])|(?P<atom>" + _ATOM + rb")|(?P<special>.)",
    re.DOTALL,
)
_PAREN = re.compile(rb"\\.|[()]", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_BREAKS = re.compile(rb"[\r\n\0]+")


def parse_mailboxes(raw: bytes) -> list[Mailbox]:
    """The entries of a From, To, Cc ... value, folded or not, in order; may be empty. Never fails."""
    found: list[Mailbox] = []
    position, size = 0, min(len(raw), MAX_FIELD)
    while position < size and len(found) < MAX_MAILBOXES:
        match = _PLAIN.match(raw, position, size)
        if match is None:
            _Reader(raw[position:size], found).read()
            break
        quoted, name, local, domain, bare_local, bare_domain = match.groups()
        if bare_local is not None:
            found.append(Mailbox(None, bare_local, bare_domain))
        else:
            found.append(Mailbox((name or quoted or b"").rstrip(b" ") or None, local, domain))
        position = match.end()
    return found


class _Reader:
    """Reads what the fast pattern cannot: groups, comments, quoted locals, routes, damage."""

    def __init__(self, raw: bytes, found: list[Mailbox]) -> None:
        raw = _BREAKS.sub(b"", raw)
        # A quote that never ends would swallow the rest: then quotes mean nothing (RFC 7103).
        if b'"' in raw and not _quotes_balanced(raw):
            raw = raw.replace(b'"', b" ")
        self._raw = raw
        self._found = found
        self._group = False
        self._clear()

    def _clear(self) -> None:
        self._words: list[bytes] = []  # outside the angle brackets
        self._spaced = False  # white space stood before the next word
        self._at = -1  # index into _words of the first domain word; -1: no at sign yet
        self._angle: list[bytes] | None = None  # between them
        self._angle_at = -1
        self._route_start = -1  # where an at sign has opened the brackets
        self._route: bytes | None = None
        self._inside = False
        self._comment = b""

    def read(self) -> None:
        raw, position, size = self._raw, 0, len(self._raw)
        while position < size and len(self._found) < MAX_MAILBOXES:
            match = _TOKEN.match(raw, position)
            if match is None:  # cannot be: _TOKEN matches any octet
                break
            kind, text = match.lastgroup, match[0]
            position = match.end()
            if kind == "space":
                self._spaced = True
            elif kind == "special":
                position = self._special(text, position)
            elif kind == "quoted":
                self._word(_ESCAPED.sub(rb"\1", text[1:-1]))
            else:
                self._word(text)
        self._finish()
        if self._group and len(self._found) < MAX_MAILBOXES:
            self._found.append(GROUP_END)

    def _word(self, text: bytes) -> None:
        if self._inside and self._angle is not None:
            self._angle.append(text)
        elif self._spaced and self._words and self._at < 0:
            self._words += (b" ", text)
        else:
            self._words.append(text)
        self._spaced = False

    def _special(self, text: bytes, position: int) -> int:
        if text == b"(":
            return self._read_comment(position)
        if text == b"<" and self._angle is None:
            self._angle, self._inside = [], True
        elif text == b">":
            self._inside = False
        elif text == b"@":
            if self._inside and self._angle is not None:
                self._angle_at = len(self._angle)
                if not self._angle:
                    self._route_start = position - 1
            else:
                self._at = len(self._words)
        elif text == b":":
            if self._inside and self._angle is not None:  # the end of a source route
                if self._route_start >= 0:
                    self._route = b"".join(self._raw[self._route_start : position - 1].split())
                self._angle, self._angle_at, self._route_start = [], -1, -1
            elif self._at < 0 and not self._group and self._angle is None:
                self._found.append(Mailbox(None, b"".join(self._words).strip(), None))
                self._group = True
                self._clear()
        elif text == b"," and self._inside and self._between_hosts(position):
            pass
        elif text in b",;":
            self._finish()
            if text == b";" and self._group:
                self._found.append(GROUP_END)
                self._group = False
        self._spaced = False
        return position

    def _between_hosts(self, position: int) -> bool:
        """Whether a comma in brackets, which ends at `position`, is part of a source route."""
        if self._route_start < 0:
            return False
        return self._angle_at == 0 or self._raw[position : position + 2].strip().startswith(b"@")

    def _read_comment(self, position: int) -> int:
        start, depth = position, 1
        for match in _PAREN.finditer(self._raw, position):
            if match[0] == b"(":
                depth += 1
                if depth > MAX_COMMENT:
                    break
            elif match[0] == b")":
                depth -= 1
                if depth == 0:
                    self._comment = _ESCAPED.sub(rb"\1", self._raw[start : match.start()])
                    self._spaced = True
                    return match.end()
        return len(self._raw)

    def _finish(self) -> None:
        """Turn what has been collected since the last comma into an entry, if it is one."""
        name = self._comment.strip() or None
        if self._angle is not None:
            name = b"".join(_with_at(self._words, self._at)).strip() or name
            words, at = self._angle, self._angle_at
        else:
            words, at = self._words, self._at
        if at >= 0:
            local, domain = _without_gaps(words[:at]), b"".join(words[at:])
            self._found.append(Mailbox(name, local, domain, self._route))
        elif words:
            self._found.append(Mailbox(name, b"".join(words), b""))
        elif name is not None and self._angle is not None:
            self._found.append(Mailbox(name, b"", b""))
        self._clear()


def _without_gaps(words: list[bytes]) -> bytes:
    """A local part; the space that obsolete syntax allows around its dots is dropped."""
    kept = [
        word
        for n, word in enumerate(words)
        if word != b" " or not (words[n - 1].endswith(b".") or words[n + 1 : n + 2] == [b"."])
    ]
    return b"".join(kept).strip()


def _with_at(words: list[bytes], at: int) -> list[bytes]:
    """A display name may hold an unquoted at sign, as in `ada@example.org <ada@example.org>`."""
    return words if at < 0 else [*words[:at], b"@", *words[at:]]


def _quotes_balanced(raw: bytes) -> bool:
    return re.sub(rb"\\.", b"", raw, flags=re.DOTALL).count(b'"') % 2 == 0
