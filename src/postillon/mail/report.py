"""Delivery reports: words for people, fields for programs, in one multipart/report.

RFC 6522 (the container), RFC 3464 (the fields), RFC 3461 (who is told), RFC 6533 (addresses beyond
ASCII), RFC 3834 (Auto-Submitted), RFC 3282 (Content-Language). Everything a peer said is made one
printable line before it is written, and a value that still holds CR, LF or NUL is refused (FAULTS 30).
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from postillon.mail.address import Address
from postillon.mail.compose import MAX_LINE, Composer, multipart, text_entity
from postillon.mail.report_facts import Action, Original, Reported
from postillon.mail.report_fields import status_part
from postillon.mail.report_words import subject_of, summary_subject, summary_words, words_of
from postillon.mail.wording.catalogue import Wording
from postillon.mail.wording.en import ENGLISH

__all__ = [
    "Action", "Original", "Report", "Reported", "Summarised", "compose_report", "compose_summary",
]  # fmt: skip

MAX_HEADER = 64 * 1024  # octets of the original's header that are returned
MAX_REFERENCES = 20  # message ids kept in References

Summarised = tuple[Original, Sequence[Reported]]  # a message and its recipients that failed


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
    wording: Wording = ENGLISH,
) -> Report:
    """Write one report on all `recipients`, which share an action.

    message_id: with its angle brackets. boundary: must not occur in the original; `new_boundary`.
    Raises ValueError for a value with CR, LF or NUL in it.
    """
    header = _header(hostname, to, subject_of(wording, recipients), now, message_id, wording)
    if original.message_id:
        references = [*original.references[-MAX_REFERENCES:], original.message_id]
        header.structured("In-Reply-To", original.message_id)
        header.structured("References", " ".join(dict.fromkeys(references)))
    returned, returned_eight = _returned(original)
    # A returned header with 8-bit octets needs the same of its transport as an address would.
    utf8 = not to.ascii or (original.content is not None and not original.header.isascii())
    content = multipart(
        header,
        "report",
        (
            _text(wording, words_of(wording, hostname, recipients, original)),
            status_part(hostname, recipients, original, international=not to.ascii),
            returned,
        ),
        boundary,
        {"report-type": "delivery-status"},
    )
    return Report(content, not to.ascii or returned_eight, utf8)


def compose_summary(
    *,
    hostname: str,
    to: Address,
    messages: Sequence[Summarised],
    more: int,
    now: int,
    message_id: str,
    boundary: str,
    wording: Wording = ENGLISH,
) -> Report:
    """Write one report on several messages of a sender that failed, oldest first, at least one.

    more: how many further ones it speaks for without naming them. Nothing of a message is returned,
    which RFC 6522 section 3 allows. Raises ValueError as `compose_report` does.
    """
    count = len(messages) + more
    header = _header(hostname, to, summary_subject(wording, count), now, message_id, wording)
    recipients = [recipient for _, failed in messages for recipient in failed]
    content = multipart(
        header,
        "report",
        (
            _text(wording, summary_words(wording, hostname, messages, more)),
            status_part(hostname, recipients, None, international=not to.ascii),
        ),
        boundary,
        {"report-type": "delivery-status"},
    )
    return Report(content, not to.ascii, not to.ascii)


def _header(
    hostname: str, to: Address, subject: str, now: int, message_id: str, wording: Wording
) -> Composer:
    header = Composer()
    name = wording.sender_name.format(host=hostname)
    header.mailboxes("From", [(name, Address("mailer-daemon", hostname))])
    header.mailboxes("To", [("", to)])
    header.text("Subject", subject)
    header.date(now)
    header.structured("Message-ID", message_id)
    header.structured("Auto-Submitted", "auto-replied")
    header.structured("Content-Language", wording.language)
    return header


def _text(wording: Wording, text: str) -> bytes:
    language = f"Content-Language: {wording.language}\r\n".encode()
    return language + text_entity(text)


def _returned(original: Original) -> tuple[bytes, bool]:
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
    # RFC 6522 section 3: broken or extended headers may be quoted-printable; RFC 6533 section 5.
    kind = "message/global-headers" if _utf8(block) else "text/rfc822-headers"
    header.structured("Content-Type", kind)
    header.structured("Content-Transfer-Encoding", "quoted-printable")
    return bytes(header) + binascii.b2a_qp(block, istext=True), False


def _utf8(block: bytes) -> bool:
    """Whether a block is an internationalised header (RFC 6532), and not merely broken."""
    if block.isascii():
        return False
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True
