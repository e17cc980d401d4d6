"""Message disposition notifications, "read receipts" (RFC 8098): written and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from postillon.mail.address import Address
from postillon.mail.compose import Composer, multipart, text_entity
from postillon.mail.decode import decode_transfer
from postillon.mail.header import MAX_HEADER, header_end, unfolded
from postillon.mail.mime import scan

ACTIONS = ("manual-action", "automatic-action")
SENDINGS = ("mdn-sent-manually", "mdn-sent-automatically")
TYPES = ("displayed", "deleted", "dispatched", "processed")
MAX_FIELDS = 100  # of the part for programs that are read
_KNOWN = frozenset((
    "reporting-ua", "mdn-gateway", "original-recipient", "final-recipient", "original-message-id",
    "disposition", "error",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mdn:
    """What programs read of one. "" where a field is missing."""

    final_recipient: str  # "rfc822; ada@example.org"
    action: str  # of ACTIONS, and so on
    sending: str
    type: str
    original_message_id: str = ""  # with its angle brackets
    original_recipient: str = ""
    reporting_ua: str = ""
    gateway: str = ""
    errors: tuple[str, ...] = ()
    extension: Mapping[str, str] = field(default_factory=dict)


class NotAnMdn(ValueError):
    """A message that is none, or that nobody can read."""


def compose(
    mdn: Mdn,
    *,
    sender: Address,
    name: str,
    to: Address,
    subject: str,
    text: str,
    original: bytes | None,
    now: int,
    message_id: str,
    boundary: str,
) -> bytes:
    """original: the header block of the message it is about, where it is returned.

    Raises ValueError for a value that fits into no field.
    """
    header = Composer()
    header.mailboxes("From", [(name, sender)])
    header.mailboxes("To", [("", to)])
    header.text("Subject", subject)
    header.date(now)
    header.structured("Message-ID", message_id)
    if mdn.original_message_id:
        header.structured("In-Reply-To", mdn.original_message_id)
        header.structured("References", mdn.original_message_id)
    if mdn.sending == SENDINGS[1]:
        header.structured("Auto-Submitted", "auto-replied")
    parts = [text_entity(text), _fields(mdn)]
    if original is not None:
        kind = "text/rfc822-headers" if original.isascii() else "message/global-headers"
        encoding = "7bit" if original.isascii() else "8bit"
        top = Composer().structured("Content-Type", kind)
        parts.append(bytes(top.structured("Content-Transfer-Encoding", encoding)) + original)
    return multipart(header, "report", parts, boundary, {"report-type": "disposition-notification"})


def _fields(mdn: Mdn) -> bytes:
    fields = Composer()
    for name, value in (
        ("Reporting-UA", mdn.reporting_ua),
        ("MDN-Gateway", mdn.gateway),
        ("Original-Recipient", mdn.original_recipient),
        ("Final-Recipient", mdn.final_recipient),
        ("Original-Message-ID", mdn.original_message_id),
        ("Disposition", f"{mdn.action}/{mdn.sending}; {mdn.type}"),
        *(("Error", error) for error in mdn.errors),
        *mdn.extension.items(),
    ):
        if value:
            fields.words(name, value.split(" "))
    block = bytes(fields)
    encoding = "7bit" if block.isascii() else "8bit"
    top = Composer().structured("Content-Type", "message/disposition-notification")
    return bytes(top.structured("Content-Transfer-Encoding", encoding)) + block


def read(content: bytes) -> tuple[Mdn, str | None, bool]:
    """One that has come: its fields, its text for people, and whether it returns the message.

    Raises NotAnMdn.
    """
    structure = scan(content).structure
    if (structure.media.lower(), structure.subtype.lower()) != (b"multipart", b"report"):
        raise NotAnMdn("it is no report")
    parts = list(structure.children)
    for number, part in enumerate(parts):
        kind = part.subtype.lower()
        if kind not in (b"disposition-notification", b"global-disposition-notification"):
            continue
        body = decode_transfer(part.body(content), part.encoding)
        text = None
        if number and parts[0].media.lower() == b"text":
            words = decode_transfer(parts[0].body(content), parts[0].encoding)
            text = words.decode("utf-8", "replace")
        return _read(body), text, len(parts) > number + 1
    raise NotAnMdn("no part of it is a disposition notification")


def _read(body: bytes) -> Mdn:
    block = body[: min(header_end(body, 0, len(body)), MAX_HEADER)]
    found: dict[str, list[str]] = {}
    for name, value in list(unfolded(block))[:MAX_FIELDS]:
        text = " ".join(value.decode("utf-8", "replace").split())
        found.setdefault(name.decode("ascii", "replace").lower(), []).append(text)

    def first(name: str) -> str:
        return found.get(name, [""])[0]

    modes, _, kind = first("disposition").partition(";")
    action, _, sending = modes.partition("/")
    kind = kind.partition("/")[0].strip().lower()
    action, sending = action.strip().lower(), sending.strip().lower()
    final = first("final-recipient")
    if action not in ACTIONS or sending not in SENDINGS or kind not in TYPES or not final:
        raise NotAnMdn("its disposition or its final recipient is missing")
    extension = {name: values[0] for name, values in found.items() if name not in _KNOWN}
    return Mdn(
        final, action, sending, kind, first("original-message-id"), first("original-recipient"),
        first("reporting-ua"), first("mdn-gateway"), tuple(found.get("error", ())), extension,
    )  # fmt: skip
