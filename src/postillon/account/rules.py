"""The rules of an account, in order, and what they make of a message that is about to be placed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from postillon.account import owned
from postillon.account.errors import AccountError
from postillon.account.filing import marks
from postillon.account.ids import AccountId, MailboxId
from postillon.account.keywords import MAX_KEYWORDS
from postillon.account.owned import Happened
from postillon.account.roles import INBOX_ID
from postillon.mail.rules import Rule
from postillon.store.operation import Row, Steps, Tx

TOPIC = "rules"  # announced with ":" and whose have changed
MAX_RULES = 100  # of one account
MAX_POSITION = 2**31 - 1


class TooManyRules(AccountError):
    def __init__(self) -> None:
        super().__init__(f"an account has at most {MAX_RULES} rules")


class Decision(msgspec.Struct, frozen=True):
    """What rules have made of a message. failed: they could not be asked; it goes its usual way."""

    matched: tuple[Rule, ...] = ()
    failed: bool = False
    flags: int = 0
    keywords: str | None = None  # account.keywords.join_keywords

    @property
    def forwards(self) -> tuple[str, ...]:
        """Where copies go to, each once."""
        return tuple(dict.fromkeys(address for rule in self.matched for address in rule.forward))

    @property
    def unwanted(self) -> bool:
        return any(rule.role is not None for rule in self.matched)


FAILED = Decision(failed=True)


def decided(matched: tuple[Rule, ...]) -> Decision:
    """Raises BadKeyword."""
    words = frozenset[str]().union(*(rule.words for rule in matched))
    if len(words) > MAX_KEYWORDS:
        words = frozenset(sorted(words)[:MAX_KEYWORDS])
    flags, keywords = marks(words)
    return Decision(matched, False, flags, keywords)


class Places(msgspec.Struct, frozen=True):
    """Where a message goes: one mailbox at least. gone: rules whose mailbox is not there any more."""

    into: tuple[MailboxId, ...]
    by_rule: dict[int, MailboxId] = {}
    gone: frozenset[int] = frozenset()


def places(account: AccountId, matched: Sequence[Rule], usual: MailboxId) -> Steps[Places]:
    """In the transaction that places it. What has lost its mailbox goes to the INBOX instead."""
    moving = [rule for rule in matched if rule.mailbox is not None or rule.role is not None]
    if not moving:
        return Places((usual,))
    rows = yield (
        "SELECT mailbox, role FROM mailbox WHERE account = ? AND kind = 0 AND parent >= 0",
        (account,),
    )
    there = {mailbox for mailbox, _ in rows}
    roles = {role: mailbox for mailbox, role in rows if role}
    by_rule, gone = {}, set()
    for rule in moving:
        wanted = roles.get(rule.role) if rule.mailbox is None else rule.mailbox
        if wanted is None or wanted not in there:
            gone.add(rule.id)
            wanted = INBOX_ID
        by_rule[rule.id] = MailboxId(wanted)
    return Places(tuple(dict.fromkeys(by_rule.values())), by_rule, frozenset(gone))


# Kept --------------------------------------------------------------------------------------------

_decode = msgspec.json.Decoder(Rule).decode
_encode = msgspec.json.Encoder().encode
_SELECT = "SELECT rule, position, enabled, content FROM mail_rule WHERE account = ?"


def every(account: AccountId) -> Steps[list[Rule]]:
    """In order."""
    rows = yield (f"{_SELECT} ORDER BY position, rule", (account,))
    return [_rule(row) for row in rows]


def enabled(account: AccountId) -> Steps[list[Rule]]:
    """Those that are asked, in order."""
    rows = yield (f"{_SELECT} AND enabled = 1 ORDER BY position, rule", (account,))
    return [_rule(row) for row in rows]


def asked(account: AccountId) -> Steps[bool]:
    """Whether there is an enabled one."""
    rows = yield "SELECT 1 FROM mail_rule WHERE account = ? AND enabled = 1 LIMIT 1", (account,)
    return bool(rows)


def one(account: AccountId, rule: int) -> Steps[Rule | None]:
    rows = yield (f"{_SELECT} AND rule = ?", (account, rule))
    return _rule(rows[0]) if rows else None


def create(tx: Tx, account: AccountId, made: Rule) -> Steps[int]:
    """With a new id. Raises TooManyRules or AccountNotFound."""
    rows = yield "SELECT COUNT(*) FROM mail_rule WHERE account = ?", (account,)
    if rows[0][0] >= MAX_RULES:
        raise TooManyRules
    number = yield from owned.new_id(account)
    yield (
        "INSERT INTO mail_rule (account, rule, position, enabled, content) VALUES (?,?,?,?,?)",
        (account, number, made.position, int(made.enabled), _encode(made).decode()),
    )
    yield from owned.happened(tx, account, Happened.RULE_CREATED, (number,))
    tx.announce(f"{TOPIC}:{account}")
    return number


def update(tx: Tx, account: AccountId, changed: Rule) -> Steps[bool]:
    """False where it is gone."""
    rows = yield (
        "UPDATE mail_rule SET position = ?, enabled = ?, content = ?"
        " WHERE account = ? AND rule = ? RETURNING rule",
        (
            changed.position, int(changed.enabled), _encode(changed).decode(), account, changed.id,
        ),
    )  # fmt: skip
    if rows:
        yield from owned.happened(tx, account, Happened.RULE_CHANGED, (changed.id,))
        tx.announce(f"{TOPIC}:{account}")
    return bool(rows)


def delete(tx: Tx, account: AccountId, rule: int) -> Steps[bool]:
    """False where it is gone."""
    rows = yield (
        "DELETE FROM mail_rule WHERE account = ? AND rule = ? RETURNING rule",
        (account, rule),
    )
    if rows:
        yield from owned.happened(tx, account, Happened.RULE_DELETED, (rule,))
        tx.announce(f"{TOPIC}:{account}")
    return bool(rows)


def _rule(row: Row) -> Rule:
    number, position, on, content = row
    return msgspec.structs.replace(_decode(content), id=number, position=position, enabled=bool(on))
