"""What answers for an account while its owner is away (RFC 8621 section 8), and whom it did answer."""

from __future__ import annotations

import msgspec

from postillon.account import owned
from postillon.account.ids import AccountId
from postillon.account.owned import Happened
from postillon.store.operation import Steps, Tx

TOPIC = "vacation"  # announced when somebody's changes
AGAIN_MS = 7 * 24 * 3_600_000  # until a sender is answered again (RFC 3834 section 2, RFC 5230)
MAX_ANSWERED = (
    10_000  # senders of one account that are remembered; the one answered first is forgotten
)
SINGLETON = 0


class Vacation(msgspec.Struct, frozen=True):
    """Times in ms; None: no bound, or nothing of the owner's own."""

    enabled: bool = False
    from_at: int | None = None
    to_at: int | None = None
    subject: str | None = None
    plain: str | None = None
    html: str | None = None

    def holds(self, now: int) -> bool:
        begun = self.from_at is None or self.from_at <= now
        return self.enabled and begun and (self.to_at is None or now < self.to_at)


OFF = Vacation()


def get(account: AccountId) -> Steps[Vacation]:
    rows = yield (
        "SELECT enabled, from_at, to_at, subject, plain, html FROM vacation WHERE account = ?",
        (account,),
    )
    return Vacation(bool(rows[0][0]), *rows[0][1:]) if rows else OFF


def put(tx: Tx, account: AccountId, wanted: Vacation) -> Steps[None]:
    """Raises AccountNotFound. Who is away anew answers everybody anew."""
    before = yield from get(account)
    yield from owned.happened(tx, account, Happened.VACATION_CHANGED, (SINGLETON,))
    yield (
        "INSERT INTO vacation (account, enabled, from_at, to_at, subject, plain, html)"
        " VALUES (?,?,?,?,?,?,?) ON CONFLICT (account) DO UPDATE SET enabled = excluded.enabled,"
        " from_at = excluded.from_at, to_at = excluded.to_at, subject = excluded.subject,"
        " plain = excluded.plain, html = excluded.html",
        (
            account, int(wanted.enabled), wanted.from_at, wanted.to_at, wanted.subject,
            wanted.plain, wanted.html,
        ),
    )  # fmt: skip
    if wanted.enabled and not before.enabled:
        yield "DELETE FROM vacation_answer WHERE account = ?", (account,)
    tx.announce(TOPIC)


def enabled() -> Steps[list[AccountId]]:
    """Every account that has one, whether or not it holds now."""
    rows = yield "SELECT account FROM vacation WHERE enabled = 1", ()
    return [AccountId(account) for (account,) in rows]


def answered(account: AccountId, sender: str, now: int) -> Steps[bool]:
    """Whether a sender has had an answer lately."""
    rows = yield (
        "SELECT 1 FROM vacation_answer WHERE account = ? AND sender = ? AND at > ?",
        (account, sender, now - AGAIN_MS),
    )
    return bool(rows)


def answer(account: AccountId, sender: str, now: int) -> Steps[bool]:
    """Note that a sender gets an answer now. False: it has had one lately, or nobody is away."""
    if not (yield from get(account)).holds(now):
        return False
    rows = yield (
        "INSERT INTO vacation_answer (account, sender, at) VALUES (?,?,?)"
        " ON CONFLICT (account, sender) DO UPDATE SET at = excluded.at"
        " WHERE vacation_answer.at <= ? RETURNING at",
        (account, sender, now, now - AGAIN_MS),
    )
    if not rows:
        return False
    yield (
        "DELETE FROM vacation_answer WHERE account = ? AND at <= ?",
        (account, now - AGAIN_MS),
    )
    yield (
        "DELETE FROM vacation_answer WHERE account = ? AND sender IN (SELECT sender FROM"
        " vacation_answer WHERE account = ? ORDER BY at DESC LIMIT 1 OFFSET ?)",
        (account, account, MAX_ANSWERED),
    )
    return True
