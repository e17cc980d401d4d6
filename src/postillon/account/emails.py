"""Emails: how one comes into an account, and what reading one gives.

`place` is the one way in, for delivery and APPEND alike. It is the hottest operation of the server,
therefore its statements are few and written out.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import msgspec

from postillon.account import mailboxes, placing
from postillon.account.changes import Kind
from postillon.account.counters import refuse
from postillon.account.errors import MailboxNotFound
from postillon.account.ids import AccountId, EmailId, MailboxId, ModSeq, ThreadId, Uid
from postillon.account.keywords import DELETED, SEEN
from postillon.account.ranges import Ranges, lists, select_in
from postillon.account.roles import INBOX_ID, Role
from postillon.account.threads import join_thread
from postillon.mail import digest, mime
from postillon.protocol.imap.structure import envelope, structure
from postillon.store.operation import BlobRef, Row, Steps, Tx

Target = MailboxId | Role | tuple[str, ...]  # where to: an id, a role, a path


class NewEmail(msgspec.Struct, frozen=True, kw_only=True):
    """An email about to be placed. The octets a client sees are `prefix` and the blob."""

    digest: bytes  # SHA-256 of the blob
    header: bytes  # mail.digest.pack
    structure: bytes  # mail.mime.pack
    preview: str
    received_at: int  # ms
    envelope: bytes | None = None  # as IMAP writes them; None: made of the others when asked for
    bodystructure: bytes | None = None
    prefix: bytes = b""  # whole header lines
    sent_at: int | None = None  # ms; None where there is no Date that can be read
    thread_keys: tuple[int, ...] = ()  # of the scan
    flags: int = 0  # account.keywords
    keywords: str | None = None  # account.keywords.join_keywords
    mailbox: Target = INBOX_ID
    queue_id: int | None = None  # the trace it came by; None for appended ones


class Placed(msgspec.Struct, frozen=True, gc=False):
    """Where an email went."""

    mailbox: MailboxId
    uid: Uid
    uid_validity: int
    modseq: ModSeq
    email: EmailId


class EmailRow(msgspec.Struct, frozen=True, gc=False):
    """An email as it lies in a mailbox, without its octets."""

    uid: Uid
    email: EmailId
    thread: ThreadId
    size: int  # octets of prefix and blob
    prefix: bytes
    ref: BlobRef
    received_at: int
    sent_at: int | None
    header: bytes
    structure: bytes
    preview: str
    flags: int
    keywords: str | None
    modseq: ModSeq
    saved_at: int


def place(tx: Tx, account: AccountId, new: NewEmail, blob: BlobRef) -> Steps[Placed]:
    """Put an email into a mailbox under the next UID.

    UID, MODSEQ, counters and change record are one transaction: a client sees all of them or none.
    UIDs only grow and are never reused (RFC 9051 section 2.3.1.1).

    Raises MailboxNotFound, AccountNotFound, or OverQuota; then nothing has changed, as long as the
    operation lets the error out or has done nothing else before.
    """
    mailbox = new.mailbox
    if not isinstance(mailbox, int):
        mailbox = yield from _look_up(account, mailbox)
    size = len(new.prefix) + blob.length
    if tx.chains and len(new.thread_keys) < 2:
        row = yield from placing.chained(tx, account, mailbox, new, blob)
        if row is not None:  # otherwise the steps below find out what is in the way
            return Placed(mailbox, *row)
    rows = yield (
        "UPDATE account SET modseq = modseq + 1, next_id = next_id + 1, used = used + ?,"
        " emails = emails + 1 WHERE account = ? AND (quota IS NULL OR used + ? <= quota)"
        " RETURNING modseq, next_id - 1",
        (size, account, size),
    )
    if not rows:
        yield from refuse(account, size)
    modseq, email = rows[0]
    flags = new.flags
    rows = yield (
        "UPDATE mailbox SET uid_next = uid_next + 1, total = total + 1, unseen = unseen + ?,"
        " deleted = deleted + ?, octets = octets + ?, modseq = ?"
        " WHERE account = ? AND mailbox = ? AND kind = 0 AND parent >= 0"
        " RETURNING uid_next - 1, uid_validity",
        (not flags & SEEN, flags & DELETED != 0, size, modseq, account, mailbox),
    )
    if not rows:
        yield from _give_back(account, size)
        raise MailboxNotFound(mailbox)
    uid, uid_validity = rows[0]
    thread = yield from join_thread(account, email, new.thread_keys)
    yield (
        "INSERT INTO email (account, email, thread, pack, start, length, size, digest, prefix,"
        " received_at, sent_at, header, structure, preview, queue_id, created, content_changed,"
        " seen_changed, envelope, bodystructure)"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            account, email, thread, blob.pack, blob.offset, blob.length, size, new.digest,
            new.prefix, new.received_at, new.sent_at, new.header, new.structure, new.preview,
            new.queue_id, modseq, modseq, modseq, new.envelope, new.bodystructure,
        ),
    )  # fmt: skip
    yield (
        "INSERT INTO placement (account, mailbox, uid, email, placement, flags, keywords, modseq,"
        " created, saved_at) VALUES (?,?,?,?,?,?,?,?,?,?)",
        (account, mailbox, uid, email, email, flags, new.keywords, modseq, modseq, tx.now),
    )
    yield (
        "INSERT INTO change (account, modseq, n, kind, mailbox, uid, object, at)"
        " VALUES (?,?,0,?,?,?,?,?)",
        (account, modseq, int(Kind.CREATED), mailbox, uid, email, tx.now),
    )
    tx.changed(account, modseq)
    return Placed(mailbox, uid, uid_validity, modseq, email)


def _look_up(account: AccountId, target: Role | tuple[str, ...]) -> Steps[MailboxId]:
    if isinstance(target, Role):
        found = yield from mailboxes.of_role(account, target)
    else:
        found = yield from mailboxes.find(account, target)
    if found is None:
        raise MailboxNotFound(target)
    return found


def _give_back(account: AccountId, size: int) -> Steps[None]:
    """Undo the charge, for an operation that catches MailboxNotFound and tries another mailbox."""
    yield (
        "UPDATE account SET used = used - ?, emails = emails - 1 WHERE account = ?",
        (size, account),
    )


def room(account: AccountId) -> Steps[int | None]:
    """How many octets more would be taken; None: any number. -1 where there is no account."""
    rows = yield "SELECT quota - used FROM account WHERE account = ?", (account,)
    return rows[0][0] if rows else -1


def rows_in(account: AccountId, mailbox: MailboxId, ranges: Ranges) -> Steps[list[EmailRow]]:
    """The emails of these UIDs that are there, ascending."""
    rows = yield from select_in(
        "p.uid, p.email, e.thread, e.size, e.prefix, e.pack, e.start, e.length, e.received_at,"
        " e.sent_at, e.header, e.structure, e.preview, p.flags, p.keywords, p.modseq, p.saved_at",
        "JOIN email e ON e.account = p.account AND e.email = p.email",
        account,
        mailbox,
        ranges,
    )
    return [_email_row(row) for row in rows]


class Located(msgspec.Struct, frozen=True, gc=False):
    """Where the octets of an email lie, and the little that is told with them."""

    uid: Uid
    email: EmailId
    flags: int
    keywords: str | None
    modseq: ModSeq
    saved_at: int
    thread: ThreadId
    size: int
    received_at: int
    prefix: bytes
    structure: bytes
    ref: BlobRef


def located_in(account: AccountId, mailbox: MailboxId, ranges: Ranges) -> Steps[list[Located]]:
    """Of the emails of these UIDs that are there, ascending."""
    rows = yield from select_in(
        "p.uid, p.email, p.flags, p.keywords, p.modseq, p.saved_at, e.thread, e.size,"
        " e.received_at, e.prefix, e.structure, e.pack, e.start, e.length",
        "JOIN email e ON e.account = p.account AND e.email = p.email",
        account,
        mailbox,
        ranges,
    )
    return [Located(*(*row[:11], BlobRef(*row[11:]))) for row in rows]


class Listing(msgspec.Struct, frozen=True, gc=False):
    """What a list of messages shows of one; `envelope` and `bodystructure` as IMAP writes them."""

    uid: Uid
    email: EmailId
    flags: int
    keywords: str | None
    modseq: ModSeq
    saved_at: int
    thread: ThreadId
    size: int
    received_at: int
    envelope: bytes
    bodystructure: bytes


def listings_in(account: AccountId, mailbox: MailboxId, ranges: Ranges) -> Steps[list[Listing]]:
    """Of the emails of these UIDs that are there, ascending."""
    rows = yield from select_in(
        "p.uid, p.email, p.flags, p.keywords, p.modseq, p.saved_at, e.thread, e.size,"
        " e.received_at, e.envelope, e.bodystructure,"
        " CASE WHEN e.envelope IS NULL THEN e.header END,"
        " CASE WHEN e.bodystructure IS NULL THEN e.structure END",
        "JOIN email e ON e.account = p.account AND e.email = p.email",
        account,
        mailbox,
        ranges,
    )
    return [Listing(*row[:11]) if row[11] is row[12] else _made(row) for row in rows]


def _made(row: Row) -> Listing:
    """Of an email that came before the texts were kept."""
    *facts, envelope_text, structure_text, header, parts = row
    texts = (
        envelope_text or envelope(digest.unpack(header)),
        structure_text or structure(mime.unpack(parts), extended=True),
    )
    return Listing(*(*facts, *texts))


def headers_in(
    account: AccountId, mailbox: MailboxId, ranges: Ranges
) -> Steps[list[tuple[Uid, bytes]]]:
    """The packed header digests of the emails of these UIDs that are there, ascending."""
    rows = yield from select_in(
        "p.uid, e.header", "JOIN email e ON e.account = p.account AND e.email = p.email",
        account, mailbox, ranges,
    )  # fmt: skip
    return cast("list[tuple[Uid, bytes]]", rows)


class SortFacts(msgspec.Struct, frozen=True, gc=False):
    """What an email is sorted and threaded by."""

    uid: Uid
    size: int
    received_at: int
    sent_at: int | None
    header: bytes = b""  # only when it was asked for


def sort_facts(
    account: AccountId, mailbox: MailboxId, ranges: Ranges, *, header: bool
) -> Steps[list[SortFacts]]:
    """Of the emails of these UIDs that are there, ascending."""
    rows = yield from select_in(
        "p.uid, e.size, e.received_at, e.sent_at" + (", e.header" if header else ""),
        "JOIN email e ON e.account = p.account AND e.email = p.email",
        account,
        mailbox,
        ranges,
    )
    return [SortFacts(*row) for row in rows]


def _email_row(row: Row) -> EmailRow:
    uid, email, thread, size, prefix, pack, start, length, *rest = row
    # The checker cannot count the rest.
    return EmailRow(uid, email, thread, size, prefix, BlobRef(pack, start, length), *rest)


def ref_of(account: AccountId, email: EmailId) -> Steps[BlobRef | None]:
    """Where the blob of an email lies now: compaction moves it."""
    rows = yield (
        "SELECT pack, start, length FROM email WHERE account = ? AND email = ?",
        (account, email),
    )
    return BlobRef(*rows[0]) if rows else None


def deleted_octets(account: AccountId, mailbox: MailboxId) -> Steps[int]:
    """Octets of the emails marked \\Deleted in a mailbox."""
    rows = yield (
        f"SELECT sum(e.size) FROM placement p JOIN email e ON e.account = p.account"  # noqa: S608
        f" AND e.email = p.email WHERE p.account = ? AND p.mailbox = ? AND p.flags & {DELETED} <> 0",
        (account, mailbox),
    )
    return int(rows[0][0] or 0)


FEW = 4_000  # emails that are looked up one by one; for more the whole mailbox is read


def places(
    account: AccountId, mailbox: MailboxId, hits: Collection[int], more: Collection[int], after: int
) -> Steps[list[tuple[Uid, EmailId]]]:
    """Where these emails stand in a mailbox, and all with a higher id than `after`; ascending."""
    found: list[tuple[Uid, EmailId]] = []
    if len(hits) + len(more) > FEW:
        rows = yield (
            "SELECT uid, email FROM placement WHERE account = ? AND mailbox = ? ORDER BY uid",
            (account, mailbox),
        )
        return [row for row in rows if row[1] > after or row[1] in hits or row[1] in more]
    for marks, parameters in lists([*hits, *more]):
        rows = yield (
            # The sign keeps SQLite from reading the whole mailbox instead.
            "SELECT uid, email FROM placement WHERE account = ? AND +mailbox = ?"  # noqa: S608
            f" AND email IN ({marks})",
            (account, mailbox, *parameters),
        )
        found += rows
    rows = yield (
        "SELECT uid, email FROM placement WHERE account = ? AND email > ? AND +mailbox = ?",
        (account, after, mailbox),
    )
    found += rows
    found.sort()
    return found
