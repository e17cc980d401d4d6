"""Mailbox access keys (RFC 4467 section 2): what proves that somebody has handed out an IMAP URL.

Each who reads a mailbox has a key of their own for it. Without one, none of their URLs is good.
"""

from __future__ import annotations

from postillon.account.counters import require_mailbox
from postillon.account.ids import AccountId, MailboxId
from postillon.store.operation import Steps

KEY_SIZE = 32  # octets


def find(account: AccountId, mailbox: MailboxId, holder: int) -> Steps[bytes | None]:
    rows = yield (
        "SELECT key FROM url_key WHERE account = ? AND mailbox = ? AND holder = ?",
        (account, mailbox, holder),
    )
    return bytes(rows[0][0]) if rows else None


def find_or_keep(account: AccountId, mailbox: MailboxId, holder: int, fresh: bytes) -> Steps[bytes]:
    """The key there is, or the fresh one from now on. Raises MailboxNotFound."""
    yield from require_mailbox(account, mailbox)
    yield (
        "INSERT INTO url_key (account, mailbox, holder, key) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (account, mailbox, holder) DO NOTHING",
        (account, mailbox, holder, fresh),
    )
    found = yield from find(account, mailbox, holder)
    assert found is not None
    return found


def forget(account: AccountId, mailbox: MailboxId | None, holder: int) -> Steps[None]:
    """Void all URLs that somebody has handed out: of a mailbox, or (None) of the whole account."""
    if mailbox is None:
        yield "DELETE FROM url_key WHERE account = ? AND holder = ?", (account, holder)
        return
    yield (
        "DELETE FROM url_key WHERE account = ? AND mailbox = ? AND holder = ?",
        (account, mailbox, holder),
    )
