"""Reports that arrive about what an account has sent: the way to their submission (RFC 8621 section 7).

A delivery report (RFC 3464) says by the header it returns which message it is about, a read receipt
(RFC 8098) by Original-Message-ID. The transaction that places one notes it at the submission, so it
is found wherever it is moved later.
"""

from __future__ import annotations

from dataclasses import dataclass

from postillon.account.ids import AccountId, EmailId
from postillon.mail import disposition
from postillon.mail.decode import UnknownEncoding, decode_transfer
from postillon.mail.digest import bare_id
from postillon.mail.disposition import NotAnMdn
from postillon.mail.header import MAX_HEADER, header_end, unfolded
from postillon.mail.octets import Octets
from postillon.mail.part import Part
from postillon.queue import submissions
from postillon.queue.ids import QueueId
from postillon.queue.submissions import NO, YES, Told
from postillon.store.operation import Steps, Tx

MAX_READ = 1 << 20  # octets of a report that is looked into
_RECEIPTS = (b"disposition-notification", b"global-disposition-notification")
_STATUSES = (b"delivery-status", b"global-delivery-status")
_HEADERS = (b"rfc822-headers", b"global-headers")
DISPLAYED = "displayed"
MAX_TOLD = 1_000  # recipients of one report that are looked at
_ENDS = {"delivered": YES, "failed": NO}  # what other actions say changes nothing (section 7)


@dataclass(frozen=True, slots=True)
class Report:
    """message_id: of the message it is about, without brackets."""

    message_id: str
    receipt: bool
    told: tuple[Told, ...] = ()


def read(content: Octets, structure: Part) -> Report | None:
    """None for a message that is no report, or does not say what it is about. Never fails."""
    if structure.subtype != b"report" or not structure.multipart or len(content) > MAX_READ:
        return None
    parts = structure.children
    for number, part in enumerate(parts):
        if part.subtype in _RECEIPTS:
            return _receipt(bytes(content))
        if part.subtype in _STATUSES:
            found = next(filter(None, (_returned(content, p) for p in parts[number + 1 :])), b"")
            return Report(_text(found), False, _statuses(content, part)) if found else None
    return None


def _receipt(content: bytes) -> Report | None:
    try:
        mdn, _, _ = disposition.read(content)
    except (NotAnMdn, UnknownEncoding):
        return None
    found = bare_id(mdn.original_message_id.encode("utf-8", "replace"))
    told: tuple[Told, ...] = ()
    if mdn.type == DISPLAYED:
        told = (Told(_addresses(mdn.final_recipient, mdn.original_recipient), displayed=True),)
    return Report(_text(found), True, told) if found else None


def _statuses(content: Octets, part: Part) -> tuple[Told, ...]:
    """What a delivery report says of each recipient: blocks of fields, the first of the message."""
    found = []
    for block in _decoded(content, part).replace(b"\r\n", b"\n").split(b"\n\n")[1 : MAX_TOLD + 1]:
        fields = {name: _text(value) for name, value in unfolded(block + b"\n")}
        end = _ENDS.get(fields.get(b"action", "").strip().lower())
        if end is None:
            continue
        named = _addresses(
            fields.get(b"final-recipient", ""), fields.get(b"original-recipient", "")
        )
        kind, _, words = fields.get(b"diagnostic-code", "").partition(";")
        reply = " ".join(words.split()) if kind.strip().lower() == "smtp" else ""
        found.append(Told(named, delivered=end, reply=reply))
    return tuple(found)


def _addresses(*fields: str) -> frozenset[str]:
    """Of "rfc822; ada@example.org"; in lower case."""
    found = (field.partition(";")[2].strip().casefold() for field in fields)
    return frozenset(one for one in found if one)


def _returned(content: Octets, part: Part) -> bytes:
    """The id of the message that is returned in a part, or whose header is."""
    if part.digest is not None:
        return part.digest.id
    if part.subtype not in _HEADERS:
        return b""
    block = _decoded(content, part)
    block = block[: min(header_end(block, 0, len(block)), MAX_HEADER)]
    return bare_id(dict(unfolded(block)).get(b"message-id", b""))


def _decoded(content: Octets, part: Part) -> bytes:
    try:
        return decode_transfer(bytes(content[part.body_start : part.end]), part.encoding)
    except UnknownEncoding:
        return b""


def _text(found: bytes) -> str:
    return found.decode("utf-8", "replace").replace("\0", "")


def note(
    tx: Tx, account: AccountId, email: EmailId, report: Report, about: QueueId | None
) -> Steps[None]:
    """In the transaction that has placed a report. about: what a report of our own is about."""
    sent = yield from submissions.of_message(account, report.message_id, about)
    if sent is not None:
        yield from submissions.add_report(
            tx, account, sent, email, receipt=report.receipt, told=report.told
        )
