"""Parameters of Content-Type and Content-Disposition (RFC 2045 section 5.1, RFC 2231)."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from postillon.mail.charset import decode_octets
from postillon.mail.words import clean, decode_words

MAX_PARAMETERS = 100  # of one field (FAULTS 25)
MAX_CONTINUATIONS = 100  # of one parameter (FAULTS 25)
MAX_FIELD = 32_768  # octets of a field that are looked at
MAX_FILE_NAME = 255  # characters
MAX_COMMON = 48  # octets of a Content-Type whose reading is remembered

Parameters = tuple[tuple[bytes, bytes], ...]  # names in lower case as sent, values without quotes

_TOKEN = rb"[^\x00-\x20()<>@,;:\\\"/\[\]?=\x7f]+"
_TYPE = re.compile(rb"[ \t]*(" + _TOKEN + rb")[ \t]*/[ \t]*(" + _TOKEN + rb")")
_WORD = re.compile(rb"[ \t]*(" + _TOKEN + rb")")
# An unquoted value runs to the semicolon: senders forget the quotes around names with spaces.
_PARAMETER = re.compile(
    rb";[ \t]*([^\x00-\x20;=\"]+)[ \t]*=[ \t]*"
    rb"(?:\"([^\"\\]*(?:\\.[^\"\\]*)*)(?:\"|\Z|(?=\\\Z))|([^;\"][^;]*)?)",
    re.DOTALL,
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT = re.compile(rb"[ \t]\([^()]*\)[ \t]*\Z")


def parse_type(value: bytes) -> tuple[bytes, bytes, Parameters] | None:
    """Type, subtype (lower case) and parameters of a Content-Type; None when it is none."""
    return _common_type(value) if len(value) <= MAX_COMMON else _read_type(value)


def _read_type(value: bytes) -> tuple[bytes, bytes, Parameters] | None:
    match = _TYPE.match(value)
    if match is None:
        return None
    end = match.end()
    return match[1].lower(), match[2].lower(), _parameters(value, end) if b"=" in value else ()


# Most parts of most messages have one of a few types; a boundary makes a long one that is seen once.
_common_type = lru_cache(256)(_read_type)


def parse_disposition(value: bytes) -> tuple[bytes, Parameters]:
    """Kind (lower case, b"" when there is none) and parameters (RFC 2183)."""
    match = _WORD.match(value)
    kind = b"" if match is None else match[1].lower()
    return kind, _parameters(value, 0) if b"=" in value else ()


def parse_word(value: bytes) -> bytes:
    """The first token in lower case: Content-Transfer-Encoding, for one. b"" when there is none."""
    match = _WORD.match(value)
    return b"" if match is None else match[1].lower()


def get(parameters: Parameters, name: bytes) -> bytes | None:
    """The value sent under exactly this name."""
    for key, value in parameters:
        if key == name:
            return value
    return None


def decode_parameter(parameters: Parameters, name: bytes) -> str | None:
    """The text of a parameter: RFC 2231 with charset and continuations, else plain.

    Encoded words in a plain value are decoded too: forbidden, and common (RFC 7103 section 8).
    Control characters become spaces, so no name spreads over lines. None when it is absent.
    """
    pieces: dict[int, tuple[bool, bytes]] = {}
    plain: bytes | None = None
    for key, value in parameters:
        if key == name:
            plain = value if plain is None else plain
        elif key.startswith(name + b"*"):
            rest = key[len(name) + 1 :]
            encoded = rest.endswith(b"*") or not rest
            digits = rest.removesuffix(b"*") or b"0"
            if digits.isdigit() and len(digits) <= 3 and int(digits) < MAX_CONTINUATIONS:
                pieces.setdefault(int(digits), (encoded, value))
    if 0 not in pieces:
        return None if plain is None else decode_words(plain)
    charset = b""
    octets = b""
    number = 0
    while number in pieces:
        encoded, value = pieces[number]
        if encoded and number == 0 and value.count(b"'") >= 2:
            charset, _, value = value.split(b"'", 2)
        octets += unquote_to_bytes(value) if encoded else value
        number += 1
    return clean(decode_octets(octets, charset))


def file_name(disposition: Parameters, parameters: Parameters) -> str | None:
    """The one name of an attachment, used everywhere (FAULTS 25); None when it has none.

    No directories, no control characters, at most MAX_FILE_NAME characters with the end kept,
    because the end decides what opens it.
    """
    name = decode_parameter(disposition, b"filename")
    if name is None:
        name = decode_parameter(parameters, b"name")
    if name is None:
        return None
    name = "".join(c if c.isprintable() else " " for c in name)
    name = name.replace("\\", "/").rpartition("/")[2].strip(" .")
    return name[-MAX_FILE_NAME:] or None


def format_parameter(name: str, value: str) -> str:
    """`name=value` for a header of ours, quoted or in RFC 2231 form as it needs.

    Raises ValueError on CR, LF and NUL.
    """
    if any(character in "\r\n\0" for character in value):
        raise ValueError("a parameter holds CR, LF or NUL")
    if not value.isascii() or not value.isprintable():
        return f"{name}*=utf-8''{quote(value, safe='', errors='replace')}"
    if re.fullmatch(r"[A-Za-z0-9!#$&+.^_`{|}~-]+", value):
        return f"{name}={value}"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"'


def _parameters(value: bytes, start: int) -> Parameters:
    found: list[tuple[bytes, bytes]] = []
    for match in _PARAMETER.finditer(value, start, MAX_FIELD):
        if len(found) == MAX_PARAMETERS:
            break
        name, quoted, plain = match.groups()
        if quoted is not None:
            text = _ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted
        else:
            text = (plain or b"").strip(b' \t"')
            if text.endswith(b")"):
                text = _COMMENT.sub(b"", text)
        found.append((name.lower(), text))
    return tuple(found)
