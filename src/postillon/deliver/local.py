"""Into a mailbox of ours: the operation of the accepting transaction, and of the queue's second try.

It needs nothing but the store, so it is never an agent's network call: whoever owns the transaction
(`queue.submit`, `queue.runner`) yields from it, and placement and bookkeeping are durable together.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import msgspec

from postillon.account import filing, mailboxes, rules
from postillon.account.emails import NewEmail, Placed, place
from postillon.account.errors import AccountNotFound, MailboxNotFound, OverQuota
from postillon.account.filing import Edit, Update
from postillon.account.roles import INBOX_ID
from postillon.account.rules import Decision, Places
from postillon.account.sync import Eyes
from postillon.mail.address import Address, AddressError, parse_address
from postillon.mail.digest import pack as pack_digest
from postillon.mail.mime import Scan
from postillon.mail.octets import Octets
from postillon.mail.outcome import Deferred, Delivered, Failed, Outcome, Status
from postillon.mail.part import pack as pack_structure
from postillon.mail.trace import delivered_to, return_path
from postillon.route.recipient import LocalTarget
from postillon.store.operation import BlobRef, Steps, Tx

DELIVERED = Status("2.0.0", "placed in the mailbox")
FULL = Status("4.2.2", "the mailbox is full")
GONE = Status("5.1.1", "there is no such mailbox here")
LOOP = Status("5.4.6", "the message has been delivered to this mailbox before: a mail loop")


class Copy(msgspec.Struct, frozen=True):
    """What all local copies of one message have in common, worked out once."""

    digest: bytes  # SHA-256 of the blob
    header: bytes
    structure: bytes
    preview: str
    sent_at: int | None
    thread_keys: tuple[int, ...]
    trace: bytes  # Received, and what submission completed
    return_path: bytes
    received_at: int
    queue_id: int


def prepare(
    content: Octets,
    scan: Scan,
    *,
    trace: bytes,
    reverse_path: Address | None,
    at: int,
    queue_id: int,
) -> Copy:
    return Copy(
        sha256(content).digest(),
        pack_digest(scan.digest),
        pack_structure(scan.structure),
        scan.preview,
        scan.digest.sent_at,
        scan.thread_keys,
        trace,
        return_path(reverse_path),
        at,
        queue_id,
    )


def loops(seen: Sequence[bytes], target: LocalTarget) -> bool:
    """Whether the message bears our Delivered-To of this account already (FAULTS 10)."""
    for value in seen:
        try:
            if parse_address(value.decode("utf-8").strip("<> \t")).key == target.address.key:
                return True
        except (AddressError, UnicodeDecodeError):
            continue
    return False


def deliver_copy(
    tx: Tx, copy: Copy, target: LocalTarget, blob: BlobRef, decision: Decision | None = None
) -> Steps[tuple[Outcome, Placed | None, Places | None]]:
    """Place one copy: Return-Path, Delivered-To and trace stand before the blob.

    decision: what the owner's rules say of it. Returns the outcome, where it went, and for which rule.
    Whatever is no delivery has changed nothing.
    """
    mailbox = INBOX_ID
    if target.detail:
        found = yield from mailboxes.find_detail(target.account, target.detail)
        mailbox = INBOX_ID if found is None else found
    places, flags, keywords = None, 0, None
    if decision is not None:
        places = yield from rules.places(target.account, decision.matched, mailbox)
        mailbox, flags, keywords = places.into[0], decision.flags, decision.keywords
    new = NewEmail(
        digest=copy.digest,
        header=copy.header,
        structure=copy.structure,
        preview=copy.preview,
        received_at=copy.received_at,
        prefix=copy.return_path + delivered_to(target.address) + copy.trace,
        sent_at=copy.sent_at,
        thread_keys=copy.thread_keys,
        flags=flags,
        keywords=keywords,
        mailbox=mailbox,
        queue_id=copy.queue_id,
    )
    try:
        placed = yield from place(tx, target.account, new, blob)
    except OverQuota:
        return Deferred(FULL), None, None
    except (AccountNotFound, MailboxNotFound):
        return Failed(GONE), None, None
    if places is not None and len(places.into) > 1:
        also = Update(placed.email, mailboxes=Edit(more=frozenset(places.into[1:])))
        yield from filing.update(tx, target.account, [also], Eyes())
    return Delivered(DELIVERED), placed, places
