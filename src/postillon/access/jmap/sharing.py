"""With whom a mailbox is shared: the property shareWith (RFC 9670 section 4), over the grants of ACL.

It is there for requests that use the capability of principals. Only the owner sees and changes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postillon.access.jmap import names
from postillon.access.jmap.context import Context
from postillon.access.jmap.principals import CAPABILITY
from postillon.account import errors, grants
from postillon.account.ids import AccountId, MailboxId
from postillon.account.rights import NONE, Right
from postillon.directory.errors import PrincipalNotFound
from postillon.protocol.jmap import patch
from postillon.protocol.jmap.errors import SetError, invalid_properties

PROPERTY = "shareWith"
RIGHTS: Mapping[str, Right] = {
    "mayReadItems": Right.LOOKUP | Right.READ,
    "mayAddItems": Right.INSERT,
    "mayRemoveItems": Right.DELETE_MESSAGES | Right.EXPUNGE,
    "maySetSeen": Right.KEEP_SEEN,
    "maySetKeywords": Right.WRITE,
    "mayCreateChild": Right.CREATE,
    "mayRename": Right.DELETE_MAILBOX,
    "mayDelete": Right.DELETE_MAILBOX,
    "maySubmit": Right.POST,
    "mayShare": Right.ADMINISTER,
}
Shares = dict[str, dict[str, bool]]


def known(context: Context) -> bool:
    return CAPABILITY in context.using


async def add(context: Context, account: AccountId, listed: list[dict[str, Any]]) -> None:
    """Give each mailbox its property; null where the caller is not the owner."""
    own = account == context.identity.principal
    given = await context.services.store.query(grants.every(account)) if own else []
    found: dict[int, Shares] = {}
    for mailbox, grantee, rights in given:
        if grantee != grants.ANYONE:
            shares = found.setdefault(mailbox, {})
            shares[names.name(names.PRINCIPAL, grantee)] = as_json(rights)
    for item in listed:
        item[PROPERTY] = found.get(names.number(names.MAILBOX, item["id"]) or 0)


def as_json(rights: Right) -> dict[str, bool]:
    return {name: wanted & rights == wanted for name, wanted in RIGHTS.items()}


def split(context: Context, changed: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What of a patch is about something else, and what is about shares."""
    if not known(context):
        return changed, {}
    shares = {k: v for k, v in changed.items() if k.partition("/")[0] == PROPERTY}
    return {k: v for k, v in changed.items() if k not in shares}, shares


async def change(
    context: Context, account: AccountId, mailbox: MailboxId, changed: Mapping[str, Any]
) -> None:
    """All or nothing. Raises SetError."""
    if account != context.identity.principal:
        raise SetError("forbidden", "only the owner shares it")
    item: dict[str, Any] = {"id": names.name(names.MAILBOX, mailbox)}
    await add(context, account, [item])
    before: Shares = item[PROPERTY] or {}
    after = patch.apply({PROPERTY: before}, changed).get(PROPERTY) or {}
    if not isinstance(after, dict):
        raise invalid_properties("it is an object of rights by principal", PROPERTY)
    different = {
        name: after.get(name) for name in {*before, *after} if before.get(name) != after.get(name)
    }
    wanted = {_grantee(name): _rights(rights) for name, rights in different.items()}
    try:
        opened = context.accounts.open(account, context.identity.principal)
        await opened.share(mailbox, wanted)
    except (PrincipalNotFound, errors.OwnersRights) as error:
        raise invalid_properties(str(error), PROPERTY) from None
    except errors.TooManyGrants as error:
        raise SetError("overQuota", str(error)) from None


def _grantee(text: str) -> int:
    number = names.number(names.PRINCIPAL, text)
    if not number:
        raise invalid_properties(f"there is no principal {text}", PROPERTY)
    return number


def _rights(given: Any) -> Right:
    if given is None:
        return NONE
    if not isinstance(given, dict) or not {*given} <= {*RIGHTS}:
        raise invalid_properties(f"rights are {', '.join(RIGHTS)}", PROPERTY)
    if not all(isinstance(value, bool) for value in given.values()):
        raise invalid_properties("each right is true or false", PROPERTY)
    found = NONE
    for name, value in given.items():
        found |= RIGHTS[name] if value else NONE
    return found | Right.LOOKUP if found else found
