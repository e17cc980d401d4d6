"""Delivery reports: words for people, fields for programs, in one multipart/report.

RFC 6522 (the container), RFC 3464 (the fields), RFC 3461 (who is told), RFC 6533 (addresses beyond
ASCII), RFC 3834 (Auto-Submitted). Everything a peer said is made one printable line before it is
written, and a value that still holds CR, LF or NUL is refused (FAULTS 30).
"""

from __future__ import annotations

import base64
import quopri
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import Enum

from postillon.mail.address import Address
from postillon.mail.outcome import Status

MAX_WORDS = 500  # characters kept of what another server said
MAX_HEADER = 64 * 1024  # octets of the original's header that are returned
MAX_REFERENCES = 20  # message ids kept in References
_LINE = 76
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Action(Enum):
    """What became of a recipient (RFC 3464 section 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


@dataclass(frozen=True, slots=True)
class Reported:
    """One recipient of a report. Times in ms; `history` at most three lines, oldest first."""

    forward_path: Address
    action: Action
    status: Status
    original: str = ""  # ORCPT as "rfc822;ada@example.org"; "" when not known
    last_try_at: int | None = None
    next_try_at: int | None = None
    give_up_at: int | None = None
    history: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Original:
    """What a report keeps of the message it is about."""

    header: bytes  # its header block, as it stood on arrival
    content: bytes | None = None  # the whole message where it is to be returned
    message_id: str = ""  # with its angle brackets; "" when it has none
    references: tuple[str, ...] = ()
    subject: str = ""
    envid: str = ""
    arrived_at: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """A report's octets and whether its transport must be 8-bit clean or know SMTPUTF8."""

    content: bytes
    eight_bit: bool
    smtputf8: bool


def compose_report(
    *,
    hostname: str,
    to: Address,
    recipients: Sequence[Reported],
    original: Original,
    now: int,
    message_id: str,
    boundary: str,
) -> Report:
    """Write one report on all `recipients`, which share an action.

    message_id: without brackets. boundary: must not occur in the original; random text will do.
    Raises ValueError for a value with CR, LF or NUL in it.
    """
    international = not to.ascii or any(not r.forward_path.ascii for r in recipients)
    text = _words(hostname, recipients, original)
    returned, eight_bit = _returned(original, international)
    smtputf8 = international or not _header_ascii(original) and original.content is not None
    parts = (
        _text_part("text/plain", text),
        _status_part(hostname, recipients, original, international),
        returned,
    )
    head = [
        _field("From", f"Mail delivery at {hostname} <mailer-daemon@{hostname}>"),
        _field("To", f"<{to}>"),
        _field("Subject", _subject(recipients)),
        _field("Date", _date(now)),
        _field("Message-ID", f"<{message_id}>"),
        _field("Auto-Submitted", "auto-replied"),
    ]
    if original.message_id:
        references = [*original.references[-MAX_REFERENCES:], original.message_id]
        head.append(_field("In-Reply-To", original.message_id))
        head.append(_field("References", " ".join(dict.fromkeys(references))))
    head.append(_field("MIME-Version", "1.0"))
    head.append(
        _field(
            "Content-Type",
            f'multipart/report; report-type=delivery-status; boundary="{boundary}"',
        )
    )
    border = f"--{boundary}\r\n".encode()
    body = b"".join(border + part + b"\r\n" for part in parts)
    content = "".join(head).encode() + b"\r\n" + body + f"--{boundary}--\r\n".encode()
    status_eight = international
    return Report(content, eight_bit or status_eight, smtputf8)


# What people read ---------------------------------------------------------------------------------


_SUBJECT = {
    Action.FAILED: "Not delivered",
    Action.DELAYED: "Delayed, still trying",
    Action.DELIVERED: "Delivered",
    Action.RELAYED: "Handed on",
    Action.EXPANDED: "Distributed",
}

_OPENING = {
    Action.FAILED: "Your message could not be delivered{whom}. We do not try any further.",
    Action.DELAYED: "Your message has not been delivered{whom} yet. You need not do anything:"
    " we keep trying.",
    Action.DELIVERED: "Your message has been delivered{whom}.",
    Action.RELAYED: "Your message has been handed on{whom}, to a server that does not report"
    " deliveries. You will hear no more about it unless something goes wrong.",
    Action.EXPANDED: "Your message has been accepted and distributed to all members behind the"
    " address{whom}. You will hear no more about it unless something goes wrong.",
}


def _subject(recipients: Sequence[Reported]) -> str:
    first = recipients[0]
    more = f" and {len(recipients) - 1} more" if len(recipients) > 1 else ""
    return f"{_SUBJECT[first.action]}: your message to {_shown(first)}{more}"


def _words(hostname: str, recipients: Sequence[Reported], original: Original) -> str:
    whom = "" if len(recipients) > 1 else f" to {_shown(recipients[0])}"
    if recipients[0].action is Action.EXPANDED:
        whom = "" if len(recipients) > 1 else f" {_shown(recipients[0])}"
    lines = [*_wrap(_OPENING[recipients[0].action].format(whom=whom)), ""]
    if original.subject:
        lines.append(f"Subject: {_clean(original.subject)[:200]}")
    if original.arrived_at:
        lines.append(f"Sent:    {_when(original.arrived_at)}")
    if original.message_id:
        lines.append(f"Id:      {_clean(original.message_id)[:200]}")
    lines.append("")
    for recipient in recipients:
        lines += _about(recipient)
    lines.append(f"-- \nMail delivery at {hostname}")
    return "\n".join(lines) + "\n"


def _about(recipient: Reported) -> list[str]:
    lines = [f"{_shown(recipient)}:"]
    if recipient.action in (Action.FAILED, Action.DELAYED):
        lines += _wrap(_reason(recipient.status), "  ")
        if recipient.history:
            lines += ["", "  What happened:"]
            lines += [line for entry in recipient.history for line in _wrap(entry, "    ")]
    if recipient.next_try_at is not None:
        lines += ["", f"  Next try:   {_when(recipient.next_try_at)}"]
    if recipient.give_up_at is not None and recipient.action is Action.DELAYED:
        lines.append(f"  We give up: {_when(recipient.give_up_at)}")
    return [*lines, ""]


def _reason(status: Status) -> str:
    text = _clean(status.text).rstrip(".")
    if status.remote is None:
        return f"{text[:1].upper()}{text[1:]} ({status.code})."
    host = f"The server {status.host}" if status.host else "The other server"
    return f"{host} said: {_clean(str(status.remote))[:MAX_WORDS]}"


def _shown(recipient: Reported) -> str:
    """The address as the sender wrote it, where that is known."""
    kind, _, address = recipient.original.partition(";")
    if address and kind.strip().lower() in ("rfc822", "utf-8"):
        return _clean(address.strip())[:320]
    return _clean(recipient.forward_path.unicode())


def describe(status: Status) -> str:
    """One line on what a try ended with, for the history of a recipient."""
    if status.remote is None:
        return _clean(status.text)[:MAX_WORDS]
    return f"{status.host or 'the other server'} said: {_clean(str(status.remote))[:MAX_WORDS]}"


def history_line(at: int, words: str) -> str:
    return f"{_when(at)}: {words}"


# What programs read -------------------------------------------------------------------------------


def _status_part(
    hostname: str, recipients: Sequence[Reported], original: Original, international: bool
) -> bytes:
    subtype = "global-delivery-status" if international else "delivery-status"
    fields = [_field("Reporting-MTA", f"dns; {hostname}")]
    if original.envid:
        fields.insert(0, _field("Original-Envelope-Id", _clean(original.envid)))
    if original.arrived_at:
        fields.append(_field("Arrival-Date", _date(original.arrived_at)))
    groups = ["".join(fields)]
    groups += ["".join(_recipient_fields(recipient)) for recipient in recipients]
    body = "\r\n".join(groups).encode()
    head = _field("Content-Type", f"message/{subtype}")
    if international:
        head += _field("Content-Transfer-Encoding", "8bit")
    return head.encode() + b"\r\n" + body


def _recipient_fields(recipient: Reported) -> list[str]:
    status = recipient.status
    path = recipient.forward_path
    fields = []
    if recipient.original:
        fields.append(_field("Original-Recipient", _typed(recipient.original)))
    kind = "rfc822" if path.ascii else "utf-8"
    fields.append(_field("Final-Recipient", f"{kind}; {path}"))
    fields.append(_field("Action", recipient.action.value))
    fields.append(_field("Status", status.code))
    if status.host:
        fields.append(_field("Remote-MTA", f"dns; {_clean(status.host)}"))
    if status.remote is not None:
        words = _ascii(_clean(str(status.remote))[:MAX_WORDS])
        fields.append(_field("Diagnostic-Code", f"smtp; {words}"))
    if recipient.last_try_at is not None:
        fields.append(_field("Last-Attempt-Date", _date(recipient.last_try_at)))
    if recipient.give_up_at is not None and recipient.action is Action.DELAYED:
        fields.append(_field("Will-Retry-Until", _date(recipient.give_up_at)))
    return fields


def _typed(original: str) -> str:
    kind, _, address = original.partition(";")
    return f"{_clean(kind).strip()}; {_clean(address).strip()}"


def _returned(original: Original, international: bool) -> tuple[bytes, bool]:
    """The third part, and whether it needs an 8-bit transport."""
    if original.content is not None:
        plain = original.content.isascii()
        utf8 = not _header_ascii(original)
        head = _field("Content-Type", "message/global" if utf8 else "message/rfc822")
        if not plain:
            head += _field("Content-Transfer-Encoding", "8bit")
        return head.encode() + b"\r\n" + original.content, not plain
    header = original.header[:MAX_HEADER]
    if len(original.header) > MAX_HEADER:
        header = header[: header.rfind(b"\r\n") + 2]
    if header.isascii() and b"\0" not in header:
        return _field("Content-Type", "text/rfc822-headers").encode() + b"\r\n" + header, False
    # RFC 6522 section 3: broken or extended headers may be quoted-printable.
    subtype = "message/global-headers" if international else "text/rfc822-headers"
    head = _field("Content-Type", subtype)
    head += _field("Content-Transfer-Encoding", "quoted-printable")
    return head.encode() + b"\r\n" + _quoted_printable(header), False


def _header_ascii(original: Original) -> bool:
    return original.header.isascii()


# Writing ------------------------------------------------------------------------------------------


def _text_part(media_type: str, text: str) -> bytes:
    raw = text.replace("\n", "\r\n").encode()
    if raw.isascii():
        return _field("Content-Type", f"{media_type}; charset=us-ascii").encode() + b"\r\n" + raw
    head = _field("Content-Type", f"{media_type}; charset=utf-8")
    head += _field("Content-Transfer-Encoding", "quoted-printable")
    return head.encode() + b"\r\n" + _quoted_printable(raw)


def _quoted_printable(raw: bytes) -> bytes:
    encoded = quopri.encodestring(raw.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return encoded if encoded.endswith(b"\r\n") else encoded + b"=\r\n"


def _field(name: str, value: str) -> str:
    """A header field, folded at spaces. Raises ValueError for CR, LF or NUL in the value."""
    if any(character in value for character in "\r\n\0"):
        raise ValueError(f"{name} must be one line")
    if name == "Subject" and not value.isascii():
        value = _encoded_words(value)
    lines, line = [], f"{name}:"
    for word in value.split(" "):
        if len(line) + 1 + len(word) > _LINE and line.strip() and not line.endswith(":"):
            lines.append(line)
            line = f" {word}"
        else:
            line += f" {word}"
    return "\r\n".join([*lines, line]) + "\r\n"


def _encoded_words(text: str) -> str:
    """RFC 2047, each word of at most 75 characters and whole characters."""
    words, chunk = [], ""
    for character in text:
        if len((chunk + character).encode()) > 42:  # 56 characters of base64 with 12 around them
            words.append(chunk)
            chunk = ""
        chunk += character
    words.append(chunk)
    return " ".join(f"=?utf-8?B?{base64.b64encode(w.encode()).decode()}?=" for w in words)


def _clean(text: str) -> str:
    """One line without control characters, whatever a peer put into it."""
    return _CONTROL.sub(" ", text).encode("utf-8", "replace").decode()


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


def _wrap(text: str, indent: str = "") -> list[str]:
    lines, line = [], indent
    for word in text.split():
        if len(line) + 1 + len(word) > _LINE and line.strip():
            lines.append(line)
            line = indent
        line += word if line == indent else f" {word}"
    return [*lines, line] if line.strip() else lines


def _when(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%a %d %b %Y %H:%M UTC")


def _date(at: int) -> str:
    return format_datetime(datetime.fromtimestamp(at // 1000, UTC))
