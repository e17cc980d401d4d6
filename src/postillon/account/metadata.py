"""Annotations: named values that clients keep at a mailbox or at the account (RFC 5464).

An entry's name is a path such as `/private/comment`; its case means nothing. The mailbox 0 is the
account itself. A value is octets; an entry without one does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping

from postillon.account.changes import Kind, record
from postillon.account.counters import next_modseq, require_mailbox
from postillon.account.errors import TooManyAnnotations
from postillon.account.ids import AccountId, MailboxId
from postillon.store.operation import Steps, Tx

ACCOUNT = MailboxId(0)
MAX_ANNOTATIONS = 200  # at one mailbox; ours
MAX_VALUE = 64 * 1024  # octets; ours


def every(account: AccountId, mailbox: MailboxId) -> Steps[dict[str, bytes]]:
    """All entries of a mailbox, sorted by name."""
    rows = yield (
        "SELECT entry, value FROM annotation WHERE account = ? AND mailbox = ? ORDER BY entry",
        (account, mailbox),
    )
    return dict(rows)


def all_of(account: AccountId) -> Steps[dict[MailboxId, dict[str, bytes]]]:
    """The entries of all mailboxes that have any, ACCOUNT among them."""
    rows = yield (
        "SELECT mailbox, entry, value FROM annotation WHERE account = ? ORDER BY mailbox, entry",
        (account,),
    )
    found: dict[MailboxId, dict[str, bytes]] = {}
    for mailbox, entry, value in rows:
        found.setdefault(MailboxId(mailbox), {})[entry] = value
    return found


def store(
    tx: Tx, account: AccountId, mailbox: MailboxId, values: Mapping[str, bytes | None]
) -> Steps[None]:
    """Set entries, or remove those whose value is None: all or nothing.

    values: names in lower case. Raises MailboxNotFound or TooManyAnnotations.
    """
    if mailbox != ACCOUNT:
        yield from require_mailbox(account, mailbox)
    for entry, value in values.items():
        if value is None:
            yield (
                "DELETE FROM annotation WHERE account = ? AND mailbox = ? AND entry = ?",
                (account, mailbox, entry),
            )
            continue
        yield (
            "INSERT INTO annotation (account, mailbox, entry, value) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (account, mailbox, entry) DO UPDATE SET value = excluded.value",
            (account, mailbox, entry, value),
        )
    rows = yield (
        "SELECT count(*) FROM annotation WHERE account = ? AND mailbox = ?",
        (account, mailbox),
    )
    if rows[0][0] > MAX_ANNOTATIONS:
        raise TooManyAnnotations(rows[0][0], MAX_ANNOTATIONS)
    modseq, _ = yield from next_modseq(account)
    yield from record(tx, account, modseq, [(Kind.ANNOTATED, mailbox, 0, mailbox)])


def is_shared(entry: str) -> bool:
    return entry.startswith("/shared/")
