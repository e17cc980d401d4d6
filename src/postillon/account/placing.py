"""`emails.place` as one statement, for a database across a socket: a tenth of the waiting.

The steps of `place` are the truth of it. Where this one finds no room, no account or no mailbox it
changes nothing, and those steps say why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from postillon.account.changes import Kind
from postillon.account.ids import AccountId, MailboxId
from postillon.account.keywords import DELETED, SEEN
from postillon.store.operation import BlobRef, Row, Steps, Tx

if TYPE_CHECKING:
    from postillon.account.emails import NewEmail

_TAKEN = (
    "WITH taken AS (UPDATE account SET modseq = modseq + 1, next_id = next_id + 1, used = used + ?,"
    " emails = emails + 1 WHERE account = ? AND (quota IS NULL OR used + ? <= quota)"
    " AND EXISTS (SELECT 1 FROM mailbox b WHERE b.account = account.account AND b.mailbox = ?"
    " AND b.kind = 0 AND b.parent >= 0) RETURNING modseq, next_id - 1 AS email),"
    " placed AS (UPDATE mailbox SET uid_next = mailbox.uid_next + 1, total = mailbox.total + 1,"
    " unseen = mailbox.unseen + ?, deleted = mailbox.deleted + ?, octets = mailbox.octets + ?,"
    " modseq = taken.modseq FROM taken WHERE mailbox.account = ? AND mailbox.mailbox = ?"
    " RETURNING mailbox.uid_next - 1 AS uid, mailbox.uid_validity, taken.modseq, taken.email),"
)
_NO_THREAD = " joined AS (SELECT email AS thread FROM placed),"
_THREAD = (
    " joined AS (INSERT INTO thread_key (account, key, thread) SELECT ?, ?, email FROM placed"
    " ON CONFLICT (account, key) DO UPDATE SET thread = thread_key.thread RETURNING thread),"
)
_WRITTEN = (
    " e AS (INSERT INTO email (account, email, thread, pack, start, length, size, digest, prefix,"
    " received_at, sent_at, header, structure, preview, queue_id, created, content_changed,"
    " seen_changed, envelope, bodystructure)"
    " SELECT ?, placed.email, joined.thread, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
    " placed.modseq, placed.modseq, placed.modseq, ?, ? FROM placed, joined),"
    " p AS (INSERT INTO placement (account, mailbox, uid, email, placement, flags, keywords, modseq,"
    " created, saved_at) SELECT ?, ?, uid, email, email, ?, ?, modseq, modseq, ? FROM placed),"
    " c AS (INSERT INTO change (account, modseq, n, kind, mailbox, uid, object, at)"
    " SELECT ?, modseq, 0, ?, ?, uid, email, ? FROM placed)"
    " SELECT uid, uid_validity, modseq, email FROM placed"
)
_WITHOUT_KEY = _TAKEN + _NO_THREAD + _WRITTEN
_WITH_KEY = _TAKEN + _THREAD + _WRITTEN


def chained(
    tx: Tx, account: AccountId, mailbox: MailboxId, new: NewEmail, blob: BlobRef
) -> Steps[Row | None]:
    """(UID, UIDVALIDITY, MODSEQ, email) of the placed one; None if it was not placed.

    For an email with one thread key at most.
    """
    size = len(new.prefix) + blob.length
    flags, keys = new.flags, new.thread_keys
    rows = yield (
        _WITH_KEY if keys else _WITHOUT_KEY,
        (
            size, account, size, mailbox,
            int(not flags & SEEN), int(flags & DELETED != 0), size, account, mailbox,
            *((account, keys[0]) if keys else ()),
            account, blob.pack, blob.offset, blob.length, size, new.digest, new.prefix,
            new.received_at, new.sent_at, new.header, new.structure, new.preview, new.queue_id,
            new.envelope, new.bodystructure,
            account, mailbox, flags, new.keywords, tx.now,
            account, int(Kind.CREATED), mailbox, tx.now,
        ),
    )  # fmt: skip
    if not rows:
        return None
    tx.changed(account, rows[0][2])
    return rows[0]
