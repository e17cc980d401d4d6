"""Header fields in the forms of RFC 8621 section 4.1.2, for reading; which form a field may have."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

from postillon.mail.addresses import Mailbox, parse_mailboxes
from postillon.mail.dates import parse_date
from postillon.mail.header import split, unfold
from postillon.mail.words import decode_words


class Form(Enum):
    """The value is what a property's name says."""

    RAW = "asRaw"
    TEXT = "asText"
    ADDRESSES = "asAddresses"
    GROUPED = "asGroupedAddresses"
    MESSAGE_IDS = "asMessageIds"
    DATE = "asDate"
    URLS = "asURLs"


class HeaderProperty(NamedTuple):
    """`header:{name}:as{Form}:all`. name: lower case."""

    name: str
    form: Form
    every: bool


class EmailHeader(NamedTuple):
    """A field as it was sent: raw, still folded, without its line end."""

    name: str
    value: str

    def as_json(self) -> dict[str, str]:
        return {"name": self.name, "value": self.value}


_ADDRESS_FIELDS = frozenset((
    "from", "sender", "reply-to", "to", "cc", "bcc", "resent-from", "resent-sender",
    "resent-reply-to", "resent-to", "resent-cc", "resent-bcc",
))  # fmt: skip
_ID_FIELDS = frozenset(("message-id", "in-reply-to", "references", "resent-message-id"))
_DATE_FIELDS = frozenset(("date", "resent-date"))
_URL_FIELDS = frozenset((
    "list-help", "list-unsubscribe", "list-subscribe", "list-post", "list-owner", "list-archive",
))  # fmt: skip
_TEXT_FIELDS = frozenset(("subject", "comments", "keywords", "list-id"))
_TRACE_FIELDS = frozenset(("return-path", "received"))  # RFC 5322 defines them: only as they are
_DEFINED = (
    _ADDRESS_FIELDS | _ID_FIELDS | _DATE_FIELDS | _URL_FIELDS | _TEXT_FIELDS | _TRACE_FIELDS
) - {"list-id"}
_FIELDS_OF: Mapping[Form, frozenset[str]] = {
    Form.TEXT: _TEXT_FIELDS,
    Form.ADDRESSES: _ADDRESS_FIELDS,
    Form.GROUPED: _ADDRESS_FIELDS,
    Form.MESSAGE_IDS: _ID_FIELDS,
    Form.DATE: _DATE_FIELDS,
    Form.URLS: _URL_FIELDS,
}
# The properties of an Email that are forms of one field.
CONVENIENT: Mapping[str, HeaderProperty] = {
    "messageId": HeaderProperty("message-id", Form.MESSAGE_IDS, False),
    "inReplyTo": HeaderProperty("in-reply-to", Form.MESSAGE_IDS, False),
    "references": HeaderProperty("references", Form.MESSAGE_IDS, False),
    "sender": HeaderProperty("sender", Form.ADDRESSES, False),
    "from": HeaderProperty("from", Form.ADDRESSES, False),
    "to": HeaderProperty("to", Form.ADDRESSES, False),
    "cc": HeaderProperty("cc", Form.ADDRESSES, False),
    "bcc": HeaderProperty("bcc", Form.ADDRESSES, False),
    "replyTo": HeaderProperty("reply-to", Form.ADDRESSES, False),
    "subject": HeaderProperty("subject", Form.TEXT, False),
    "sentAt": HeaderProperty("date", Form.DATE, False),
}
_NAME = re.compile(r"[!-9;-~]{1,255}")
_ID = re.compile(rb"<[ \t]*([^<>\s]+)[ \t]*>")
_URL = re.compile(rb"<([^<>]*)>")
_COMMENT = re.compile(rb"\((?:[^()\\]|\\.)*\)")
_BLANK = re.compile(rb"\s+")


@lru_cache(512)
def parse_property(text: str) -> HeaderProperty | None:
    """None: no property of a header field, or of a form that this field cannot have."""
    parts = text.split(":")
    if len(parts) < 2 or len(parts) > 4 or parts[0] != "header" or not _NAME.fullmatch(parts[1]):
        return None
    name, rest = parts[1].lower(), parts[2:]
    every = bool(rest) and rest[-1] == "all"
    if every:
        rest = rest[:-1]
    form = Form.RAW
    if rest:
        if len(rest) > 1 or rest[0] not in _FORMS:
            return None
        form = _FORMS[rest[0]]
    return HeaderProperty(name, form, every) if may_have(name, form) else None


_FORMS = {form.value: form for form in Form}


def may_have(name: str, form: Form) -> bool:
    """Section 4.1.2: the forms of fields that are defined, any form for others."""
    return form is Form.RAW or name in _FIELDS_OF[form] or name not in _DEFINED


def fields(block: bytes) -> list[tuple[bytes, bytes]]:
    """Name (lower case) and raw value of each field of a header block, in order."""
    return [(field.name.lower(), field.value) for field in split(block)]


def as_sent(block: bytes) -> list[dict[str, str]]:
    """All fields of a header block, as the property `headers` has them."""
    return [
        EmailHeader(field.name.decode("ascii"), raw(field.value)).as_json()
        for field in split(block)
    ]


def value_of(wanted: HeaderProperty, found: Sequence[tuple[bytes, bytes]]) -> Any:
    """The value of a property, from `fields`; the last one counts where there are several."""
    name = wanted.name.encode("ascii")
    read = READERS[wanted.form]
    values = [value for other, value in found if other == name]
    if wanted.every:
        return [read(value) for value in values]
    return read(values[-1]) if values else None


def raw(value: bytes) -> str:
    return value.replace(b"\0", b"").decode("utf-8", "replace")


def text(value: bytes) -> str:
    return unicodedata.normalize("NFC", decode_words(unfold(value)))


def addresses(value: bytes) -> list[dict[str, str | None]]:
    """Groups are dissolved (section 4.1.2.3)."""
    return [_address(item) for item in parse_mailboxes(unfold(value)) if item.domain is not None]


def grouped(value: bytes) -> list[dict[str, Any]]:
    """Addresses outside of groups are groups without a name, as long as they follow one another."""
    found: list[dict[str, Any]] = []
    inside = False
    for item in parse_mailboxes(unfold(value)):
        if item.domain is None:
            inside = item.local is not None
            if item.local is not None:
                found.append({"name": decode_words(item.local), "addresses": []})
            continue
        if not inside and (not found or found[-1]["name"] is not None):
            found.append({"name": None, "addresses": []})
        found[-1]["addresses"].append(_address(item))
    return found


def message_ids(value: bytes) -> list[str] | None:
    """Without angle brackets; None where there is none in them."""
    found = _ID.findall(_COMMENT.sub(b" ", unfold(value)))
    return [item.decode("utf-8", "replace") for item in found] or None


def date(value: bytes) -> str | None:
    moment = parse_date(unfold(value))
    return None if moment is None else date_text(*moment)


def urls(value: bytes) -> list[str] | None:
    """RFC 2369: each in angle brackets; white space in them is dropped."""
    found = [_BLANK.sub(b"", item) for item in _URL.findall(unfold(value))]
    return [item.decode("utf-8", "replace") for item in found if item] or None


READERS: Mapping[Form, Callable[[bytes], Any]] = {
    Form.RAW: raw,
    Form.TEXT: text,
    Form.ADDRESSES: addresses,
    Form.GROUPED: grouped,
    Form.MESSAGE_IDS: message_ids,
    Form.DATE: date,
    Form.URLS: urls,
}


def _address(item: Mailbox) -> dict[str, str | None]:
    local = (item.local or b"").decode("utf-8", "replace")
    domain = (item.domain or b"").decode("utf-8", "replace")
    name = decode_words(item.name) if item.name else ""
    return {
        "name": unicodedata.normalize("NFC", name) or None,
        "email": f"{_quoted(local)}@{domain}" if domain else local,
    }


_DOT_ATOM = re.compile(r"[^\s()<>\[\]:;@\\,\"]+")


def _quoted(local: str) -> str:
    if not local or _DOT_ATOM.fullmatch(local):
        return local
    escaped = local.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANGE = (-62_135_596_800_000, 253_402_300_799_000)  # the years 1 to 9999


def date_text(ms: int, offset: int) -> str | None:
    """RFC 3339 with the zone, in minutes east of UTC; None outside the years 1 to 9999."""
    try:
        moment = _EPOCH + timedelta(seconds=ms // 1000)
        local = moment.astimezone(timezone(timedelta(minutes=offset)))
    except (OverflowError, ValueError):
        return None
    return local.isoformat().replace("+00:00", "Z") if not offset else local.isoformat()


def utc_text(ms: int) -> str:
    """A UTCDate to the second."""
    bounded = min(max(ms, _RANGE[0]), _RANGE[1])
    return (
        (_EPOCH + timedelta(seconds=bounded // 1000)).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
    )
