"""Rule/match and Rule/apply: rules and the emails that are there already, some at a time, newest first.

A client goes on with the `position` of the last answer until it is null; so no call takes long, and the
client can say how far it is, and stop. Copies are only sent of mail that arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from postillon.access.jmap import names, rule_json
from postillon.access.jmap.context import Context
from postillon.access.jmap.mail import open_objects
from postillon.account import mailboxes, rules
from postillon.account.errors import EmailGone, MailboxNotFound
from postillon.account.filing import Edit, Update
from postillon.account.ids import AccountId, MailboxId
from postillon.account.keywords import DELETED
from postillon.account.objects import EmailObject, Objects
from postillon.account.rules import places
from postillon.mail.header import MAX_HEADER, unfolded
from postillon.mail.part import Part, unpack
from postillon.mail.rules import TEXTS, Facts, Rule, fulfils, matched
from postillon.protocol.jmap.bodies import has_attachment
from postillon.protocol.jmap.errors import SetError, invalid_arguments
from postillon.protocol.jmap.kinds import identifier, list_of, map_of, optional, string
from postillon.protocol.jmap.standard import Arguments
from postillon.store.operation import BlobLost, Steps

PIECE = 250  # emails that one call looks at
BREATH = 25  # of them that are looked at before others of the worker have their turn
_FIRST = 2**62


@dataclass(frozen=True, slots=True)
class _Piece:
    """below: emails with lower UIDs are next, None where there are none."""

    account: AccountId
    mailbox: MailboxId
    objects: Objects
    emails: Sequence[EmailObject]
    below: int | None


async def match(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    """Which emails of a mailbox a rule would match that need not be kept. Raises MethodError."""
    wanted = Arguments(arguments)
    account_id = wanted.take("accountId", identifier)
    mailbox_id = wanted.take("mailboxId", identifier)
    draft = wanted.take("rule", map_of(_anything))
    position = wanted.take("position", optional(string), None)
    wanted.end()
    rule = _drafted(draft)
    piece = await _piece(context, account_id, mailbox_id, position)
    found = [
        names.name(names.EMAIL, item.email)
        async for item, facts in _looked_at(piece, [rule])
        if fulfils(rule, facts)
    ]
    return _answer(account_id, piece, {"matched": found})


async def apply(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    """Do with emails of a mailbox what rules say, in their order. Raises MethodError."""
    wanted = Arguments(arguments)
    account_id = wanted.take("accountId", identifier)
    mailbox_id = wanted.take("mailboxId", identifier)
    ids = wanted.take("ids", optional(list_of(identifier)), None)
    position = wanted.take("position", optional(string), None)
    wanted.end()
    piece = await _piece(context, account_id, mailbox_id, position)
    store = context.services.store
    asked = await store.query(rules.every(piece.account))
    if ids is not None:
        unknown = set(ids) - {names.name(names.RULE, rule.id) for rule in asked}
        if unknown:
            raise invalid_arguments(f"there is no rule {', '.join(sorted(unknown))}", ["ids"])
        asked = [rule for rule in asked if names.name(names.RULE, rule.id) in ids]
    updates = []
    hits = 0
    async for item, facts in _looked_at(piece, asked):
        held = matched(asked, facts)
        hits += bool(held)
        update = await _update(context, piece, item, held)
        if update is not None:
            updates.append(update)
    errors = await piece.objects.update(updates) if updates else []
    done = sum(error is None for error in errors)
    return _answer(account_id, piece, {"matched": hits, "changed": done})


def _anything(value: Any) -> Any:
    return value


def _drafted(value: dict[str, Any]) -> Rule:
    """The conditions of a rule that is being written; the rest of it does not matter."""
    every = value.get("matchAll", True)
    if not isinstance(every, bool):
        raise invalid_arguments("matchAll is true or false", ["rule"])
    try:
        return Rule(0, "", rule_json.conditions(value.get("conditions")), every=every)
    except SetError as error:
        raise invalid_arguments(str(error), ["rule"]) from None


async def _piece(
    context: Context, account_id: str, mailbox_id: str, position: str | None
) -> _Piece:
    account = await context.own_account(account_id)
    number = names.number(names.MAILBOX, mailbox_id)
    below = _FIRST
    if position is not None:
        if not (position.isascii() and position.isdigit() and len(position) < 19):
            raise invalid_arguments("this is no position that was given", ["position"])
        below = int(position)
    store = context.services.store
    try:
        mailbox = await store.query(mailboxes.one(account.id, MailboxId(number or 0)))
    except MailboxNotFound:
        raise invalid_arguments("there is no such mailbox", ["mailboxId"]) from None
    if not mailbox.selectable:
        raise invalid_arguments("it holds no emails", ["mailboxId"])
    rows = await store.query(_newest(account.id, mailbox.id, below))
    objects = await open_objects(context, account_id)
    found, _ = await objects.read([email for _, email in rows], whole=True)
    emails = [found[email] for _, email in rows if email in found]
    rest = rows[-1][0] if len(rows) == PIECE else None
    return _Piece(account.id, mailbox.id, objects, emails, rest)


def _newest(account: AccountId, mailbox: MailboxId, below: int) -> Steps[list[tuple[int, int]]]:
    rows = yield (
        "SELECT uid, email FROM placement WHERE account = ? AND mailbox = ? AND uid < ?"  # noqa: S608
        f" AND flags & {DELETED} = 0 ORDER BY uid DESC LIMIT {PIECE}",
        (account, mailbox, below),
    )
    return [(uid, email) for uid, email in rows]


async def _looked_at(
    piece: _Piece, asked: Sequence[Rule]
) -> AsyncIterator[tuple[EmailObject, Facts]]:
    """Each email with what rules look at. One that goes meanwhile, or cannot be read, is left out."""
    texts = any(one.kind in TEXTS for rule in asked for one in rule.conditions)
    for n, item in enumerate(piece.emails):
        if n % BREATH == BREATH - 1:
            await asyncio.sleep(0)
        root = unpack(item.structure)
        header = b""
        if texts:
            try:
                end = min(root.body_start, MAX_HEADER)
                header = item.prefix + await piece.objects.octets(item, 0, end)
            except (EmailGone, BlobLost):
                continue
        yield item, _facts(item, root, header)


def _facts(item: EmailObject, root: Part, header: bytes) -> Facts:
    return Facts(lambda: unfolded(header), item.size, lambda: has_attachment(root))


async def _update(
    context: Context, piece: _Piece, item: EmailObject, held: tuple[Rule, ...]
) -> Update | None:
    """None where there is nothing to change."""
    if not held:
        return None
    words = frozenset[str]().union(*(rule.words for rule in held))
    goes = await context.services.store.query(places(piece.account, held, piece.mailbox))
    into = frozenset(mailbox for rule, mailbox in goes.by_rule.items() if rule not in goes.gone)
    away = frozenset([piece.mailbox]) - into if into else frozenset[int]()
    if words <= item.words and not into - set(item.mailboxes) and not away:
        return None
    return Update(item.email, Edit(more=words), Edit(more=into, less=away))


def _answer(account_id: str, piece: _Piece, found: dict[str, Any]) -> dict[str, Any]:
    return {
        "accountId": account_id,
        "examined": len(piece.emails),
        **found,
        "position": None if piece.below is None else str(piece.below),
    }
