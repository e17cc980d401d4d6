"""A message on its way into a mailbox: what it brings along, and what of that is kept."""

from __future__ import annotations

import hashlib

import msgspec

from postillon.account import emails
from postillon.account.emails import NewEmail
from postillon.account.ids import MailboxId
from postillon.account.keywords import ALL_FLAGS, check_keywords, join_keywords
from postillon.account.rights import ALL, Right, settable
from postillon.account.roles import Role
from postillon.mail import digest, mime
from postillon.mail.octets import Octets
from postillon.protocol.imap.structure import envelope, structure

MAX_KEPT = 16 * 1024  # octets of ENVELOPE or BODYSTRUCTURE beyond which it is made when asked for


class ToAppend(msgspec.Struct, frozen=True):
    """A message to append, scanned."""

    content: Octets
    scan: mime.Scan
    flags: int = 0
    keywords: frozenset[str] = frozenset()
    received_at: int | None = None  # ms; None: now


def new_email(
    scan: mime.Scan,
    content_digest: bytes,
    received_at: int,
    *,
    prefix: bytes = b"",
    flags: int = 0,
    keywords: str | None = None,
    mailbox: emails.Target = Role.INBOX,
    queue_id: int | None = None,
) -> NewEmail:
    """What a scan has found, as `place` wants it."""
    return NewEmail(
        digest=content_digest,
        header=digest.pack(scan.digest),
        structure=mime.pack(scan.structure),
        envelope=_kept(envelope(scan.digest)),
        bodystructure=_kept(structure(scan.structure, extended=True)),
        preview=scan.preview,
        received_at=received_at,
        prefix=prefix,
        sent_at=scan.digest.sent_at,
        thread_keys=scan.thread_keys,
        flags=flags,
        keywords=keywords,
        mailbox=mailbox,
        queue_id=queue_id,
    )


def _kept(text: bytes) -> bytes | None:
    return text if len(text) <= MAX_KEPT else None


def as_new(message: ToAppend, mailbox: MailboxId) -> NewEmail:
    return new_email(
        message.scan,
        hashlib.sha256(message.content).digest(),
        -1 if message.received_at is None else message.received_at,
        flags=message.flags & ALL_FLAGS,
        keywords=join_keywords(check_keywords(message.keywords)),
        mailbox=mailbox,
    )


def fit(item: NewEmail, now: int, rights: Right) -> NewEmail:
    """With a date, and without the flags that the rights do not cover (RFC 4314 section 4)."""
    if item.received_at < 0:
        item = msgspec.structs.replace(item, received_at=now)
    if rights == ALL:
        return item
    keywords = item.keywords if Right.WRITE in rights else None
    return msgspec.structs.replace(item, flags=item.flags & settable(rights), keywords=keywords)
