"""Delivery reports: words for people, fields for programs, in one multipart/report.

RFC 6522 (the container), RFC 3464 (the fields), RFC 3461 (who is told), RFC 6533 (addresses beyond
ASCII), RFC 3834 (Auto-Submitted). Everything a peer said is made one printable line before it is
written, and a value that still holds CR, LF or NUL is refused (FAULTS 30).
"""

from __future__ import annotations

import binascii
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from postillon.mail.address import Address
from postillon.mail.compose import MAX_LINE, WIDTH, Composer, multipart, text_entity
from postillon.mail.dates import format_date
from postillon.mail.outcome import Status
from postillon.mail.words import clean

MAX_WORDS = 500  # characters kept of what another server said
MAX_HEADER = 64 * 1024  # octets of the original's header that are returned
MAX_REFERENCES = 20  # message ids kept in References


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

    message_id: with its angle brackets. boundary: must not occur in the original; `new_boundary`.
    Raises ValueError for a value with CR, LF or NUL in it.
    """
    international = not to.ascii or any(not r.forward_path.ascii for r in recipients)
    returned, returned_eight = _returned(original, international)
    header = Composer()
    header.mailboxes("From", [(f"Mail delivery at {hostname}", Address("mailer-daemon", hostname))])
    header.mailboxes("To", [("", to)])
    header.text("Subject", _subject(recipients))
    header.date(now)
    header.structured("Message-ID", message_id)
    header.structured("Auto-Submitted", "auto-replied")
    if original.message_id:
        references = [*original.references[-MAX_REFERENCES:], original.message_id]
        header.structured("In-Reply-To", original.message_id)
        header.structured("References", " ".join(dict.fromkeys(references)))
    content = multipart(
        header,
        "report",
        (
            text_entity(_words(hostname, recipients, original)),
            _status_part(hostname, recipients, original, international),
            returned,
        ),
        boundary,
        {"report-type": "delivery-status"},
    )
    # A returned header with 8-bit octets needs the same of its transport as an address would.
    utf8 = international or (original.content is not None and not original.header.isascii())
    return Report(content, international or returned_eight, utf8)


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
        lines.append(f"Subject: {clean(original.subject)[:200]}")
    if original.arrived_at:
        lines.append(f"Sent:    {_when(original.arrived_at)}")
    if original.message_id:
        lines.append(f"Id:      {clean(original.message_id)[:200]}")
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
    text = clean(status.text).rstrip(".")
    if status.remote is None:
        return f"{text[:1].upper()}{text[1:]} ({status.code})."
    host = f"The server {status.host}" if status.host else "The other server"
    return f"{host} said: {clean(str(status.remote))[:MAX_WORDS]}"


def _shown(recipient: Reported) -> str:
    """The address as the sender wrote it, where that is known."""
    kind, _, address = recipient.original.partition(";")
    if address and kind.strip().lower() in ("rfc822", "utf-8"):
        return clean(address.strip())[:320]
    return clean(recipient.forward_path.unicode())


def describe(status: Status) -> str:
    """One line on what a try ended with, for the history of a recipient."""
    if status.remote is None:
        return clean(status.text)[:MAX_WORDS]
    return f"{status.host or 'the other server'} said: {clean(str(status.remote))[:MAX_WORDS]}"


def history_line(at: int, words: str) -> str:
    return f"{_when(at)}: {words}"


# What programs read -------------------------------------------------------------------------------


def _status_part(
    hostname: str, recipients: Sequence[Reported], original: Original, international: bool
) -> bytes:
    fields = [f"Reporting-MTA: dns; {hostname}"]
    if original.envid:
        fields.insert(0, f"Original-Envelope-Id: {_ascii(clean(original.envid))}")
    if original.arrived_at:
        fields.append(f"Arrival-Date: {format_date(original.arrived_at)}")
    for recipient in recipients:
        fields += ["", *_recipient_fields(recipient)]
    header = Composer()
    kind = "global-delivery-status" if international else "delivery-status"
    header.structured("Content-Type", f"message/{kind}")
    header.structured("Content-Transfer-Encoding", "8bit" if international else "7bit")
    return bytes(header) + "".join(f"{_fit(field)}\r\n" for field in fields).encode()


def _recipient_fields(recipient: Reported) -> list[str]:
    status, path = recipient.status, recipient.forward_path
    fields = []
    if recipient.original:
        kind, _, address = recipient.original.partition(";")
        fields.append(f"Original-Recipient: {clean(kind).strip()}; {clean(address).strip()}")
    fields.append(f"Final-Recipient: {'rfc822' if path.ascii else 'utf-8'}; {path}")
    fields.append(f"Action: {recipient.action.value}")
    fields.append(f"Status: {status.code}")
    if status.host:
        fields.append(f"Remote-MTA: dns; {clean(status.host)}")
    if status.remote is not None:
        words = _ascii(clean(str(status.remote))[:MAX_WORDS])
        fields.append(f"Diagnostic-Code: smtp; {words}")
    if recipient.last_try_at is not None:
        fields.append(f"Last-Attempt-Date: {format_date(recipient.last_try_at)}")
    if recipient.give_up_at is not None and recipient.action is Action.DELAYED:
        fields.append(f"Will-Retry-Until: {format_date(recipient.give_up_at)}")
    return fields


def _returned(original: Original, international: bool) -> tuple[bytes, bool]:
    """The third part, and whether it needs an 8-bit transport."""
    header = Composer()
    if original.content is not None:
        plain = original.content.isascii()
        utf8 = not original.header.isascii()
        header.structured("Content-Type", "message/global" if utf8 else "message/rfc822")
        header.structured("Content-Transfer-Encoding", "7bit" if plain else "8bit")
        return bytes(header) + original.content, not plain
    block = original.header[:MAX_HEADER]
    if len(original.header) > MAX_HEADER:
        block = block[: block.rfind(b"\r\n") + 2]
    lines = block.split(b"\r\n")
    if block.isascii() and b"\0" not in block and max(map(len, lines)) <= MAX_LINE:
        header.structured("Content-Type", "text/rfc822-headers")
        return bytes(header) + block, False
    # RFC 6522 section 3: broken or extended headers may be quoted-printable.
    kind = "message/global-headers" if international else "text/rfc822-headers"
    header.structured("Content-Type", kind)
    header.structured("Content-Transfer-Encoding", "quoted-printable")
    return bytes(header) + binascii.b2a_qp(block, istext=True), False


def _fit(field: str) -> str:
    """A field folded at spaces. Raises ValueError for CR, LF or NUL in it (FAULTS 30)."""
    if any(character in field for character in "\r\n\0"):
        raise ValueError("a field must be one line")
    return "\r\n ".join(
        textwrap.wrap(field, WIDTH - 1, break_long_words=False, break_on_hyphens=False) or [""]
    )


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


def _wrap(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH - 2, initial_indent=indent, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _when(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%a %d %b %Y %H:%M UTC")
