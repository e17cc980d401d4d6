"""IMAP URLs (RFC 5092) of messages and their parts, with the authorization of RFC 4467."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

from postillon.protocol.imap import fetching
from postillon.protocol.imap.commands import Section
from postillon.protocol.imap.numbers import MAX_NUMBER
from postillon.protocol.imap.words import Reader, Refused

MAX_URL = 4_000  # octets; ours

# Section 7 of RFC 4467: the rump is all that stands before the mechanism.
_AUTHORIZED = re.compile(
    r"(?P<rump>.*?(?:;EXPIRE=(?P<expire>[^;/:]+(?::[^;/]+)?))?;URLAUTH=(?P<access>[^:;/?#]+))"
    r"(?::(?P<mechanism>[A-Za-z0-9.-]+):(?P<token>[0-9A-Fa-f]{32,128}))?\Z",
    re.IGNORECASE,
)
_SERVER = re.compile(
    r"imap://(?:(?P<user>[^@/;?#]*)(?:;AUTH=[^@/]*)?@)?(?P<host>[^/@:?#]+|\[[^/]+\])(?::[0-9]{1,5})?(?=/)",
    re.IGNORECASE,
)
_PATH = re.compile(
    r"(?:/(?P<mailbox>[^;?#]+)(?:;UIDVALIDITY=(?P<validity>[1-9][0-9]{0,9}))?/)?"
    r";UID=(?P<uid>[1-9][0-9]{0,9})"
    r"(?:/;SECTION=(?P<section>[^;?#]+))?"
    r"(?:/;PARTIAL=(?P<first>[0-9]{1,10})(?:\.(?P<count>[1-9][0-9]{0,9}))?)?\Z",
    re.IGNORECASE,
)
_DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.IGNORECASE
)


class BadUrl(ValueError):
    """No URL of a message, or of one that cannot be reached. The text is for a human."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may fetch what the URL names, and the proof that its owner says so."""

    rump: bytes  # what the token is made of
    who: str  # `anonymous`, `authuser`, `user+...` or `submit+...`, as written but decoded
    expires_at: datetime | None = None
    mechanism: str = ""  # in capitals; "" where the URL is not yet authorized
    token: str = ""  # hexadecimal, in small letters


@dataclass(frozen=True, slots=True)
class ImapUrl:
    uid: int
    section: Section  # the whole message, or what SECTION and PARTIAL say
    mailbox: bytes | None = None  # UTF-8; None: the selected one
    uid_validity: int | None = None
    user: str | None = None  # a login; one without a domain is of the host's
    host: str | None = None  # None: this server
    access: Access | None = None


def parse(raw: bytes) -> ImapUrl:
    """Raises BadUrl for what is no URL of a message."""
    if len(raw) > MAX_URL or not raw.isascii():
        raise BadUrl("this is no URL")
    text = raw.decode("ascii")
    access = None
    if ";urlauth=" in text.lower():
        match = _AUTHORIZED.match(text)
        if match is None:
            raise BadUrl("malformed authorization")
        access = _access(match)
        text = text[: match.start("access") - len(";URLAUTH=")]
        if match["expire"]:
            text = text[: match.start("expire") - len(";EXPIRE=")]
    server = _SERVER.match(text)
    path = _PATH.fullmatch(text[server.end() :] if server else text)
    if path is None or (server is not None and path["mailbox"] is None):
        raise BadUrl("this is no URL of a message")
    if access is not None and (server is None or not server["user"]):
        raise BadUrl("an authorized URL names its server and its user")
    return ImapUrl(
        _number(path["uid"]),
        _section(path["section"], path["first"], path["count"]),
        _decoded(path["mailbox"]) if path["mailbox"] else None,
        _number(path["validity"]) if path["validity"] else None,
        _login(server["user"], server["host"]) if server and server["user"] else None,
        server["host"].lower() if server else None,
        access,
    )


def _login(user: str, host: str) -> str:
    name = _text(user)
    return name if "@" in name else f"{name}@{host.lower()}"


def _access(match: re.Match[str]) -> Access:
    expires_at = None
    if match["expire"]:
        expires_at = _moment(match["expire"])
    return Access(
        match["rump"].encode(),
        _text(match["access"]),
        expires_at,
        (match["mechanism"] or "").upper(),
        (match["token"] or "").lower(),
    )


def _moment(text: str) -> datetime:
    """A date-time of RFC 3339."""
    if _DATE_TIME.fullmatch(text) is None:
        raise BadUrl("malformed time of expiry")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadUrl("malformed time of expiry") from error


def _section(text: str | None, first: str | None, count: str | None) -> Section:
    raw = b"BODY[%b]" % (_decoded(text) if text else b"")
    if first is not None:
        raw += b"<%d.%d>" % (_number(first), _number(count) if count else MAX_NUMBER)
    if b"\r" in raw or b"\n" in raw or b"{" in raw:
        raise BadUrl("malformed section")
    reader = Reader(raw)
    try:
        [item] = fetching.items(reader)
    except (Refused, ValueError) as error:
        raise BadUrl("malformed section") from error
    if not isinstance(item, Section) or not reader.at_end():
        raise BadUrl("malformed section")
    return item


def _number(digits: str) -> int:
    value = int(digits)
    if value > MAX_NUMBER:
        raise BadUrl("a number is out of range")
    return value


def _decoded(text: str) -> bytes:
    return unquote_to_bytes(text)


def _text(text: str) -> str:
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadUrl("a name is not UTF-8") from error
