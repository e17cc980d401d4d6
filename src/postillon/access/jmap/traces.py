"""MessageTrace/get: what this server knows of how an email came, and of what became of one sent.

A capability of ours (RFC 8620 section 1.8), named so that it meets no registered one. The object has
the id of its email. Of the caller's own account only; see `queue.telling` for what is not told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postillon.access.jmap import names, owned
from postillon.access.jmap.capability import Capability
from postillon.access.jmap.context import Context, Method
from postillon.account.account import Account
from postillon.mail.dates import format_moment
from postillon.protocol.jmap import standard
from postillon.protocol.jmap.errors import MethodError
from postillon.queue import telling
from postillon.queue.ids import format_queue_id
from postillon.queue.telling import Arrival, Ruled, Sending

CAPABILITY = "urn:x-postillon:jmap:trace"
CAPABILITIES = (Capability(CAPABILITY, account=lambda services, own: {} if own else None),)
PROPERTIES = ("id", "arrival", "sendings")
STATE = "0"  # nobody can ask what has changed


async def get(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    """`ids` is needed: no list of all emails. Raises MethodError."""
    wanted = standard.GetArguments.parse(arguments, context.limits)
    account = await context.own_account(wanted.account_id)
    if wanted.ids is None:
        raise MethodError("requestTooLarge", "name the emails")
    found: dict[str, dict[str, Any]] = {}
    for given in dict.fromkeys(wanted.ids):
        real = context.id_of(given) or given
        item = await _one(context, account, real)
        if item is not None:
            found[real] = item
    return owned.listed(wanted, context, STATE, found, PROPERTIES)


async def _one(context: Context, account: Account, given: str) -> dict[str, Any] | None:
    number = names.number(names.EMAIL, given)
    originals = context.accounts.originals(account.id, context.identity.principal)
    if number is None or await originals.find(number) is None:
        return None
    store = context.services.store
    came = await store.query(telling.arrival(account.id, number))
    sent = await store.query(telling.sendings(account.id, number))
    return {
        "id": given,
        "arrival": None if came is None else _arrival(came),
        "sendings": [_sending(item) for item in sent],
    }


def _arrival(found: Arrival) -> dict[str, Any]:
    return {
        "queueId": format_queue_id(found.queue_id),
        "acceptedAt": format_moment(found.at),
        "isKept": found.traced,
        "returnPath": found.reverse_path if found.traced else None,
        "addresses": list(found.addresses),
        "via": found.peer.get("via"),
        "peer": found.peer.get("peer"),
        "hello": found.peer.get("hello"),
        "tls": found.peer.get("tls"),
        "placed": [
            {
                "at": format_moment(item.at),
                "address": item.address,
                "mailboxId": names.name(names.MAILBOX, item.mailbox),
                "rules": [_ruled(ruled) for ruled in item.rules],
            }
            for item in found.placed
        ],
    }


def _ruled(found: Ruled) -> dict[str, Any]:
    return {
        "ruleId": names.name(names.RULE, found.rule) if found.rule else None,
        "name": found.name,
        "mailboxId": None if found.mailbox is None else names.name(names.MAILBOX, found.mailbox),
        "isMailboxGone": found.gone,
        "keywords": list(found.keywords),
        "forwardedTo": list(found.forwarded),
        "notForwardedTo": list(found.withheld),
        "hasFailed": found.failed,
    }


def _sending(found: Sending) -> dict[str, Any]:
    return {
        "submissionId": names.name(names.SUBMISSION, found.submission),
        "queueId": format_queue_id(found.queue_id),
        "acceptedAt": format_moment(found.at),
        "events": [
            {
                "at": format_moment(step.at),
                "kind": step.kind,
                "address": step.address,
                "reply": step.reply or None,
                "host": step.host or None,
                "nextTryAt": None if step.next_try is None else format_moment(step.next_try),
            }
            for step in found.steps
        ],
    }


METHODS: Mapping[str, Method] = {"MessageTrace/get": get}
