"""What programs read of a delivery report: message/delivery-status (RFC 3464, RFC 6533)."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from postillon.mail.compose import WIDTH, Composer
from postillon.mail.dates import format_date, format_moment
from postillon.mail.report_facts import MAX_WORDS, Action, Original, Reported
from postillon.mail.words import clean

_OURS = (
    "X-Postillon"  # the type of a diagnostic code that no other server has given (section 2.1.1)
)
MAX_TYPED = 900  # octets of an address with its type, so that its field fits into a line
# RFC 6533 section 3: what stands as \x{HEX} in utf-8-addr-xtext, the form for seven bits.
_NOT_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")


def status_part(
    hostname: str, recipients: Sequence[Reported], original: Original | None, *, international: bool
) -> bytes:
    """The second part of a report, with its header.

    original None: the report is about several messages. international: the sender's own address
    is beyond ASCII, so that its mail knows UTF-8 fields; all others get seven bits.
    Raises ValueError for a value with CR, LF or NUL in it.
    """
    fields = [f"Reporting-MTA: dns; {hostname}"]
    if original is not None:
        if original.envid:
            fields.insert(0, f"Original-Envelope-Id: {_ascii(clean(original.envid))}")
        if original.arrived_at:
            fields.append(f"Arrival-Date: {format_date(original.arrived_at)}")
        if original.deliver_by is not None:  # RFC 2852 section 6
            fields.append(f"Deliver-By-Date: {format_date(original.deliver_by)}")
        if original.held_until:  # RFC 4865 section 6
            fields.append(f"Future-Release-Request: until;{format_moment(original.held_until)}")
    for recipient in recipients:
        fields += ["", *_recipient_fields(recipient, international)]
    header = Composer()
    kind = "global-delivery-status" if international else "delivery-status"
    header.structured("Content-Type", f"message/{kind}")
    header.structured("Content-Transfer-Encoding", "8bit" if international else "7bit")
    lines = "".join(f"{_fit(field)}\r\n" for field in fields)
    return bytes(header) + lines.encode("utf-8", "replace")


def _recipient_fields(recipient: Reported, international: bool) -> list[str]:
    """In the order of RFC 3464 section 2.3."""
    status = recipient.status
    fields = []
    if recipient.original:
        kind, _, address = recipient.original.partition(";")
        typed = _typed(kind, address, international)
        if len(typed.encode("utf-8", "replace")) <= MAX_TYPED:  # it may be left out
            fields.append(f"Original-Recipient: {typed}")
    fields.append(
        f"Final-Recipient: {_typed('rfc822', str(recipient.forward_path), international)}"
    )
    fields.append(f"Action: {recipient.action.value}")
    fields.append(f"Status: {status.code}")
    if status.host:
        fields.append(f"Remote-MTA: dns; {_ascii(clean(status.host))}")
    if status.remote is not None:
        fields.append(f"Diagnostic-Code: smtp; {_ascii(recipient.answer)[:MAX_WORDS]}")
    elif recipient.action in (Action.FAILED, Action.DELAYED) and status.text:
        fields.append(f"Diagnostic-Code: {_OURS}; {_ascii(clean(status.text))[:MAX_WORDS]}")
    if recipient.last_try_at is not None:
        fields.append(f"Last-Attempt-Date: {format_date(recipient.last_try_at)}")
    if recipient.give_up_at is not None and recipient.action is Action.DELAYED:
        fields.append(f"Will-Retry-Until: {format_date(recipient.give_up_at)}")
    return fields


def _typed(kind: str, address: str, international: bool) -> str:
    """An address with its type; beyond ASCII always as utf-8 (RFC 6533 section 3)."""
    kind, address = _ascii(clean(kind)).strip(), clean(address).strip()
    if address.isascii():
        return f"{kind}; {address}"
    if not international:
        address = _NOT_QCHAR.sub(lambda match: f"\\x{{{ord(match[0]):X}}}", address)
    return f"utf-8; {address}"


def _fit(field: str) -> str:
    """A field folded at spaces. Raises ValueError for CR, LF or NUL in it (FAULTS 30)."""
    if any(character in field for character in "\r\n\0"):
        raise ValueError("a field must be one line")
    return "\r\n ".join(
        textwrap.wrap(field, WIDTH - 1, break_long_words=False, break_on_hyphens=False) or [""]
    )


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()
