"""Messages of our own: header fields that fold and encode, text entities, multiparts.

Strict where the parsers are tolerant: a CR, LF or NUL in any value raises (FAULTS 30).
"""

from __future__ import annotations

import binascii
import re
from base64 import b32encode
from collections.abc import Iterable, Iterator, Mapping, Sequence

from postillon.mail.address import Address
from postillon.mail.dates import format_date
from postillon.mail.octets import Octets, find_octets
from postillon.mail.parameters import format_parameter
from postillon.mail.words import encode_words

WIDTH = 78  # characters of a line, RFC 5322 section 2.1.1
MAX_LINE = 998  # octets of a line without CRLF, RFC 5322 section 2.1.1

_NAME = re.compile(r"[!-9;-~]{1,76}\Z")
_UNSAFE = re.compile(r"[\r\n\0]")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*\Z")


class Composer:
    """A header, field by field in order; `bytes()` gives it with the empty line at its end."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def text(self, name: str, value: str) -> Composer:
        """An unstructured field (Subject): whatever is not ASCII becomes encoded words."""
        if value.isascii() and value.isprintable() and "=?" not in value:
            return self.structured(name, value)
        return self._fold(name, encode_words(value))

    def structured(self, name: str, value: str) -> Composer:
        """A field whose ASCII value is already in its grammar; folded at its spaces."""
        if not value.isascii() or _UNSAFE.search(value):
            raise ValueError(f"{name}: not ASCII, or with CR, LF or NUL")
        return self._fold(name, value.split(" "))

    def mailboxes(self, name: str, mailboxes: Sequence[tuple[str, Address]]) -> Composer:
        """An address list of display names ("" for none) and addresses.

        Addresses that are not ASCII stay UTF-8 (RFC 6532), so their message needs SMTPUTF8.
        """
        words: list[str] = []
        for number, (display, address) in enumerate(mailboxes, 1):
            comma = "," if number < len(mailboxes) else ""
            if display:
                words += [*phrase(display), f"<{address}>{comma}"]
            else:
                words.append(f"{address}{comma}")
        if any(_UNSAFE.search(word) for word in words):
            raise ValueError(f"{name}: CR, LF or NUL in an address")
        return self._fold(name, words)

    def words(self, name: str, words: Sequence[str]) -> Composer:
        """A field of words in its grammar, folded between them; what is not ASCII stays UTF-8."""
        if any(_UNSAFE.search(word) for word in words):
            raise ValueError(f"{name}: CR, LF or NUL in it")
        return self._fold(name, words)

    def raw(self, name: str, value: str) -> Composer:
        """A field as it is to be sent, folded by whoever wrote it; the value follows the colon."""
        value = value.replace("\r\n", "\n").rstrip("\n")
        lines = value.split("\n")
        if not _NAME.match(name) or "\r" in value or "\0" in value:
            raise ValueError(f"{name}: not a field, or with CR or NUL")
        if any(line[:1] not in (" ", "\t") or not line.strip() for line in lines[1:]):
            raise ValueError(f"{name}: a line that continues none")
        if any(len(line.encode("utf-8", "replace")) > MAX_LINE - len(name) for line in lines):
            raise ValueError(f"{name}: a line is too long")
        self._lines.append(f"{name}:" + "\r\n".join(lines) + "\r\n")
        return self

    def parameters(self, name: str, value: str, parameters: Mapping[str, str]) -> Composer:
        """A value with parameters: Content-Type, Content-Disposition."""
        words = [format_parameter(key, text) for key, text in parameters.items()]
        words = [f"{word};" for word in (value, *words)]
        words[-1] = words[-1][:-1]
        if not value.isascii() or _UNSAFE.search(value):
            raise ValueError(f"{name}: not ASCII, or with CR, LF or NUL")
        return self._fold(name, words)

    def date(self, at: int, offset: int = 0) -> Composer:
        return self.structured("Date", format_date(at, offset))

    def __bytes__(self) -> bytes:
        return "".join([*self._lines, "\r\n"]).encode()

    def _fold(self, name: str, words: Iterable[str]) -> Composer:
        if not _NAME.match(name):
            raise ValueError("not a field name")
        line = f"{name}:"
        folded = False
        for word in words:
            if (
                len(line) + 1 + len(word) > WIDTH
                and word
                and line.strip(" ")
                and (folded or line != f"{name}:")
            ):
                self._lines.append(f"{line}\r\n")
                line, folded = "", True
            line += f" {word}"
            if len(line.encode("utf-8", "replace")) > MAX_LINE:
                raise ValueError(f"{name}: a word longer than a line")
        self._lines.append(f"{line}\r\n")
        return self


def text_entity(text: str, subtype: str = "plain") -> bytes:
    """A text part with its header: 7bit where that is enough, else quoted-printable UTF-8.

    Line ends of any kind become CRLF; the text ends with one.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    body = "\r\n".join([*lines, ""])
    plain = text.isascii() and "\0" not in text and all(len(line) <= WIDTH for line in lines)
    header = Composer().parameters(
        "Content-Type", f"text/{subtype}", {"charset": "us-ascii" if plain else "utf-8"}
    )
    if plain:
        header.structured("Content-Transfer-Encoding", "7bit")
        return bytes(header) + body.encode()
    header.structured("Content-Transfer-Encoding", "quoted-printable")
    encoded = binascii.b2a_qp(body.encode("utf-8", "replace"), istext=True)
    return bytes(header) + encoded


def new_boundary(random: bytes) -> str:
    """A boundary that no text contains by chance. random: at least 12 octets."""
    return f"=_{b32encode(random).decode().rstrip('=').lower()}"


def multipart_chunks(
    header: Composer,
    subtype: str,
    parts: Sequence[Octets | Sequence[Octets]],
    boundary: str,
    parameters: Mapping[str, str] | None = None,
) -> Iterator[bytes]:
    """A multipart message in pieces.

    header: fields of the message so far; MIME-Version and Content-Type are added to it. parts:
    whole entities with their headers, each one content or a sequence of contents to be joined.
    Raises ValueError when the boundary occurs in a part.
    """
    delimiter = f"--{boundary}".encode()
    header.structured("MIME-Version", "1.0")
    header.parameters(
        "Content-Type", f"multipart/{subtype}", {**(parameters or {}), "boundary": boundary}
    )
    pieces: list[list[Octets]] = [
        [part] if isinstance(part, Octets) else list(part) for part in parts
    ]
    for piece in (piece for part in pieces for piece in part):
        if find_octets(piece, delimiter, 0, len(piece)) >= 0:
            raise ValueError("the boundary occurs in a part")
    yield bytes(header)
    for part in pieces:
        yield delimiter + b"\r\n"
        for piece in part:
            yield piece[:]
        yield b"\r\n"
    yield delimiter + b"--\r\n"


def multipart(
    header: Composer,
    subtype: str,
    parts: Sequence[Octets | Sequence[Octets]],
    boundary: str,
    parameters: Mapping[str, str] | None = None,
) -> bytes:
    """A multipart message in one piece; see `multipart_chunks`."""
    return b"".join(multipart_chunks(header, subtype, parts, boundary, parameters))


def phrase(display: str) -> list[str]:
    """A display name as words (RFC 5322 section 3.2.5)."""
    if not display.isascii() or not display.isprintable() or "=?" in display:
        return encode_words(display)
    if _ATOMS.match(display):
        return display.split()
    escaped = display.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{escaped}"']
