"""The words of SMTP: paths, parameters and xtext (RFC 5321 section 4.1.2, RFC 3461, RFC 6531).

Strict: these are the addresses that routing acts on. What is refused carries the reply it has earned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from postillon.mail.address import Address, AddressError, parse_address
from postillon.mail.dates import parse_moment
from postillon.mail.envelope import Body, DeliverBy, Notify
from postillon.mail.outcome import Reply, reply

MAX_SIZE_DIGITS = 20  # RFC 1870 section 5
MAX_ENVID = 100  # characters as sent, RFC 3461 section 4.4
MAX_ORCPT = 500  # characters as sent, RFC 3461 section 4.2

_PLAIN_PATH = re.compile(r'<([^<>"\\\s]*)>(?: +(.*))?\Z', re.DOTALL)
_QUOTED_PATH = re.compile(r'<("(?:[^"\\]|\\.)*"[^<>"\\\s]*)>(?: +(.*))?\Z', re.DOTALL)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\u0080-\U0010ffff]+))?\Z")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*\Z")
_PLUS = re.compile(rb"\+([0-9A-F]{2})")
_UNICODE = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_BY = re.compile(r"([+-]?\d{1,9});([NR])(T?)\Z", re.IGNORECASE)
_HOLD_FOR = re.compile(r"[1-9]\d{0,8}\Z")
_ATOM = re.compile(r"[A-Za-z0-9-]+\Z")
_MUST_ENCODE = re.compile(rb"[^!-*,-<>-~]")


class Refused(ValueError):
    """A word that is not SMTP, with the reply for it."""

    def __init__(self, answer: Reply) -> None:
        super().__init__(str(answer))
        self.reply = answer


def split_path(text: str) -> tuple[str, str]:
    """`<...> parameters` as (inside of the brackets, the rest). Raises Refused."""
    match = _PLAIN_PATH.match(text) or _QUOTED_PATH.match(text)
    if match is None:
        raise Refused(reply(501, "5.5.4", "A path in angle brackets is needed"))
    return match[1], match[2] or ""


def reverse_path(inner: str) -> Address | None:
    """MAIL's path; None is the null sender. Raises Refused."""
    if not inner:
        return None
    try:
        return parse_address(inner)
    except AddressError as error:
        raise Refused(reply(501, "5.1.7", f"Bad sender address: {error}")) from error


def forward_path(inner: str, own_domain: str) -> Address:
    """RCPT's path. `<postmaster>` without a domain is ours (section 4.5.1). Raises Refused."""
    if "@" not in inner and inner.lower() == "postmaster":
        return Address("postmaster", own_domain)
    try:
        return parse_address(inner)
    except AddressError as error:
        raise Refused(reply(501, "5.1.3", f"Bad recipient address: {error}")) from error


def parameters(text: str) -> dict[str, str]:
    """`KEY=value KEY` with the keys in upper case; a key without value gives "". Raises Refused."""
    found: dict[str, str] = {}
    for word in text.split(" "):
        if not word:
            continue
        match = _PARAMETER.match(word)
        if match is None:
            raise Refused(reply(501, "5.5.4", "A parameter is malformed"))
        key = match[1].upper()
        if key in found:
            raise Refused(reply(501, "5.5.4", "A parameter is given twice"))
        found[key] = match[2] or ""
    return found


def size(value: str) -> int:
    """RFC 1870. Raises Refused."""
    if not value.isascii() or not value.isdigit() or len(value) > MAX_SIZE_DIGITS:
        raise Refused(reply(501, "5.5.4", "SIZE needs a number"))
    return int(value)


def body(value: str, *, binary: bool) -> Body:
    """RFC 6152, and RFC 3030 where it is offered. Raises Refused."""
    try:
        found = Body(value.upper())
    except ValueError as error:
        raise Refused(reply(501, "5.5.4", "BODY is not one that is known here")) from error
    if found is Body.BINARY and not binary:
        raise Refused(reply(501, "5.5.4", "BINARYMIME is not offered"))
    return found


def returned(value: str) -> bool:
    """RET: whether the full message is wanted back (RFC 3461 section 4.3). Raises Refused."""
    choice = value.upper()
    if choice not in {"FULL", "HDRS"}:
        raise Refused(reply(501, "5.5.4", "RET is FULL or HDRS"))
    return choice == "FULL"


def envid(value: str) -> str:
    """ENVID, decoded (RFC 3461 section 4.4). Raises Refused."""
    if len(value) > MAX_ENVID:
        raise Refused(reply(501, "5.5.4", "ENVID is too long"))
    return _printable(decode_xtext(value))


def deliver_by(value: str, least: int) -> DeliverBy:
    """BY (RFC 2852 section 4). least: seconds that by-mode R must leave. Raises Refused."""
    match = _BY.match(value)
    if match is None or not value.isascii():
        raise Refused(reply(501, "5.5.4", "BY needs a number of seconds, ; and N or R"))
    by = DeliverBy(int(match[1]), match[2].upper() == "R", bool(match[3]))
    if by.returns and by.seconds <= 0:
        raise Refused(reply(501, "5.5.4", "BY with R needs a time that is not over"))
    if by.returns and by.seconds < least:
        raise Refused(reply(555, "5.5.4", f"BY with R needs {least} seconds at least"))
    return by


def hold_for(value: str, most: int) -> int:
    """HOLDFOR in seconds (RFC 4865 section 4). Raises Refused."""
    if not _HOLD_FOR.match(value) or not value.isascii():
        raise Refused(reply(501, "5.5.4", "HOLDFOR needs a number of seconds from 1"))
    if int(value) > most:
        raise Refused(reply(501, "5.5.4", f"HOLDFOR is {most} seconds at most"))
    return int(value)


def hold_until(value: str) -> int:
    """HOLDUNTIL as ms since 1970 (RFC 4865 section 4, its erratum 2040). Raises Refused."""
    found = parse_moment(value)
    if found is None:
        raise Refused(reply(501, "5.5.4", "HOLDUNTIL needs a date and time of RFC 3339"))
    return found


def notify(value: str) -> Notify:
    """NOTIFY (RFC 3461 section 4.1). Raises Refused."""
    words = value.upper().split(",")
    if words == ["NEVER"]:
        return Notify.NEVER
    wishes = Notify.NEVER
    for word in words:
        if word not in {"SUCCESS", "FAILURE", "DELAY"}:
            raise Refused(reply(501, "5.5.4", "NOTIFY is malformed"))
        wishes |= Notify[word]
    return wishes


def original_recipient(value: str) -> str:
    """ORCPT as "type;address", decoded (RFC 3461 section 4.2, RFC 6533 section 3). Raises Refused."""
    kind, semicolon, address = value.partition(";")
    if not semicolon or not _ATOM.match(kind) or not address or len(value) > MAX_ORCPT:
        raise Refused(reply(501, "5.5.4", "ORCPT is malformed"))
    if kind.lower() != "utf-8":
        return f"{kind};{_printable(decode_xtext(address))}"
    if "+" in address and address.isascii() and _XTEXT.match(address):
        address = decode_xtext(address)
    return f"{kind};{_printable(_UNICODE.sub(_code_point, address))}"


def decode_xtext(text: str) -> str:
    """RFC 3461 section 4. Raises Refused."""
    if not _XTEXT.match(text):
        raise Refused(reply(501, "5.5.4", "An xtext is malformed"))
    if "+" not in text:
        return text
    octets = _PLUS.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode("ascii"))
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(reply(501, "5.5.4", "An xtext is not UTF-8")) from error


def encode_xtext(text: str) -> str:
    """RFC 3461 section 4: whatever `text` holds, nothing of it can end a word or a line."""
    octets = text.encode("utf-8", "surrogateescape")
    return _MUST_ENCODE.sub(lambda found: b"+%02X" % found[0][0], octets).decode("ascii")


def mail_command(path: Address | None, wishes: Mapping[str, str]) -> str:
    """MAIL as a line without CRLF; `wishes` are parameters whose values are words already."""
    return _command(f"MAIL FROM:<{'' if path is None else path}>", wishes)


def rcpt_command(path: Address, wishes: Mapping[str, str]) -> str:
    return _command(f"RCPT TO:<{path}>", wishes)


def _command(line: str, wishes: Mapping[str, str]) -> str:
    for key, value in wishes.items():
        line += f" {key}={value}" if value else f" {key}"
    if "\r" in line or "\n" in line or "\0" in line:
        raise ValueError("a command holds CR, LF or NUL")  # FAULTS 30
    return line


def _printable(text: str) -> str:
    if not text.isprintable():
        raise Refused(reply(501, "5.5.4", "A parameter holds control characters"))
    return text


def _code_point(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        raise Refused(reply(501, "5.5.4", "ORCPT names no character"))
    return chr(number)
