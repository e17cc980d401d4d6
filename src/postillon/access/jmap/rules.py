"""Rule/get, /changes and /set, and what rules would do or do with emails that are there already.

A capability of ours (RFC 8620 section 1.8), named so that it meets no registered one; see docs/jmap.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postillon.access.jmap import names, owned, rule_json
from postillon.access.jmap.capability import Capability
from postillon.access.jmap.context import Context, Method
from postillon.access.jmap.rule_json import DEFAULTS, PROPERTIES, as_json, no_mailbox
from postillon.access.jmap.rule_runs import apply, match
from postillon.account import mailboxes, rules
from postillon.account.errors import MailboxNotFound
from postillon.account.ids import AccountId, MailboxId
from postillon.account.owned import RULES
from postillon.account.rules import MAX_POSITION, MAX_RULES, TooManyRules
from postillon.mail.address import parse_address
from postillon.mail.rules import MAX_CONDITIONS, MAX_FORWARDS, MAX_KEYWORDS, Rule
from postillon.protocol.jmap import patch, standard
from postillon.protocol.jmap.errors import SetError, invalid_properties

CAPABILITY = "urn:x-postillon:jmap:rules"
CAPABILITIES = (
    Capability(
        CAPABILITY,
        account=lambda services, own: (
            {
                "maxRules": MAX_RULES,
                "maxConditions": MAX_CONDITIONS,
                "maxKeywords": MAX_KEYWORDS,
                "maxForwards": MAX_FORWARDS,
            }
            if own
            else None
        ),
    ),
)
_GIVEN = frozenset(PROPERTIES) - {"id"}


async def get(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.GetArguments.parse(arguments, context.limits)
    account = await context.own_account(wanted.account_id)
    state = await owned.state_of(context, account.id)
    every = await context.services.store.query(rules.every(account.id))
    found = {names.name(names.RULE, item.id): as_json(item) for item in every}
    return owned.listed(wanted, context, state, found, PROPERTIES)


async def changes(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    account = await context.own_account(standard.account_of(arguments))
    return await owned.changes(context, account.id, RULES, names.RULE, arguments)


async def set_(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.SetArguments.parse(arguments, context.limits)
    account = await context.own_account(wanted.account_id)
    store = context.services.store

    async def create(key: str, value: dict[str, Any]) -> dict[str, Any]:
        owned.only(value, _GIVEN, "these are not the client's to give")
        for name in ("name", "conditions"):
            if name not in value:
                raise invalid_properties("a rule has one", name)
        full = {**DEFAULTS, **value}
        if "sortOrder" not in value:  # behind all others
            every = await store.query(rules.every(account.id))
            full["sortOrder"] = min(every[-1].position + 1, MAX_POSITION) if every else 1
        made = await _checked(context, account.id, None, full)
        try:
            number = await store.write(lambda tx: rules.create(tx, account.id, made))
        except TooManyRules as error:
            raise SetError("overQuota", str(error)) from None
        shown = {**as_json(made), "id": names.name(names.RULE, number)}
        return {name: item for name, item in shown.items() if value.get(name, _MISSING) != item}

    async def update(found: str, changed: dict[str, Any]) -> dict[str, Any] | None:
        number = names.number(names.RULE, found)
        old = None if number is None else await store.query(rules.one(account.id, number))
        if old is None:
            raise SetError("notFound")
        before = as_json(old)
        new = {"id": found, **DEFAULTS, **patch.apply(before, changed)}
        unknown = set(new) - set(PROPERTIES)
        if unknown or new["id"] != before["id"]:
            what = "these are not the client's to change"
            raise invalid_properties(what, *sorted(unknown or {"id"}))
        if "name" not in new or "conditions" not in new:
            raise invalid_properties("a rule has both", "name", "conditions")
        made = await _checked(context, account.id, old, new)
        if made != old and not await store.write(lambda tx: rules.update(tx, account.id, made)):
            raise SetError("notFound")
        shown = as_json(made)
        return {name: item for name, item in shown.items() if new[name] != item} or None

    async def destroy(found: str) -> None:
        number = names.number(names.RULE, found)
        if number is None or not await store.write(lambda tx: rules.delete(tx, account.id, number)):
            raise SetError("notFound")

    return await owned.carry_out(context, account.id, wanted, create, update, destroy)


_MISSING = object()


async def _checked(
    context: Context, account: AccountId, old: Rule | None, value: Mapping[str, Any]
) -> Rule:
    """old: what stands there may stay, though its mailbox is gone meanwhile. Raises SetError."""
    into = value["fileInto"]
    if isinstance(into, str) and into.startswith("#"):
        value = {**value, "fileInto": context.id_of(into)}
        if value["fileInto"] is None:
            raise no_mailbox()
    made = rule_json.read(0 if old is None else old.id, value)
    if made.mailbox is not None and (old is None or made.mailbox != old.mailbox):
        try:
            mailbox = await context.services.store.query(
                mailboxes.one(account, MailboxId(made.mailbox))
            )
        except MailboxNotFound:
            raise no_mailbox() from None
        if not mailbox.selectable:
            raise no_mailbox()
    for address in made.forward:
        if old is not None and address in old.forward:
            continue
        if await context.services.directory.owns(account, parse_address(address)):
            raise invalid_properties(f"{address} leads to this account itself", "forwardTo")
    return made


METHODS: Mapping[str, Method] = {
    "Rule/get": get,
    "Rule/changes": changes,
    "Rule/set": set_,
    "Rule/match": match,
    "Rule/apply": apply,
}
