"""Mailbox/get, /changes and /set (RFC 8621 section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postillon.access.jmap import mailbox_query, names, sharing
from postillon.access.jmap.context import Context, Method
from postillon.access.jmap.mail import (
    CAPABILITY,
    REFUSALS,
    changes_of,
    check_properties,
    check_state,
    open_objects,
    point_of,
    set_error,
    state_of,
    text_of,
)
from postillon.account import errors
from postillon.account.ids import MailboxId
from postillon.account.mailbox_edits import AS_IT_IS, MailboxEdit, Unchanged
from postillon.account.mailboxes import TOP
from postillon.account.objects import MailboxObject, Objects
from postillon.account.rights import Right
from postillon.account.roles import INBOX_ID, Role
from postillon.protocol.jmap import patch, standard
from postillon.protocol.jmap.errors import SetError, invalid_properties
from postillon.protocol.jmap.kinds import boolean

__all__ = ["CAPABILITY", "METHODS"]

COUNTS = ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")
PROPERTIES = ("id", "name", "parentId", "role", "sortOrder", *COUNTS, "myRights", "isSubscribed")
SETTABLE = frozenset(("name", "parentId", "role", "sortOrder", "isSubscribed"))
MAX_SORT_ORDER = 2**31 - 1  # RFC 8621 section 2
ROLES = {role.value: role for role in Role}


def as_json(item: MailboxObject, seen: frozenset[int]) -> dict[str, Any]:
    """seen: the mailboxes that are shown; a parent that is none of them is not named."""
    mailbox, counts = item.mailbox, item.counts
    return {
        "id": names.name(names.MAILBOX, mailbox.id),
        "name": mailbox.name,
        "parentId": names.name(names.MAILBOX, mailbox.parent) if mailbox.parent in seen else None,
        "role": mailbox.role.value if mailbox.role is not None else None,
        "sortOrder": item.position,
        "totalEmails": counts.emails,
        "unreadEmails": counts.unread,
        "totalThreads": counts.threads,
        "unreadThreads": counts.unread_threads,
        "myRights": _rights(item),
        "isSubscribed": mailbox.subscribed,
    }


def _rights(item: MailboxObject) -> dict[str, bool]:
    mailbox, rights = item.mailbox, item.mailbox.rights

    def may(*wanted: Right) -> bool:
        return all(right in rights for right in wanted)

    inbox = mailbox.id == INBOX_ID
    return {
        "mayReadItems": may(Right.READ),
        "mayAddItems": may(Right.INSERT) and mailbox.selectable,
        "mayRemoveItems": may(Right.DELETE_MESSAGES, Right.EXPUNGE),
        "maySetSeen": may(Right.KEEP_SEEN),
        "maySetKeywords": may(Right.WRITE),
        "mayCreateChild": may(Right.CREATE),
        "mayRename": may(Right.DELETE_MAILBOX) and not inbox,
        "mayDelete": may(Right.DELETE_MAILBOX) and not inbox,
        "maySubmit": may(Right.POST),
    }


async def shown(objects: Objects) -> tuple[dict[str, dict[str, Any]], str, int]:
    """All mailboxes as JSON by id, parents first, with the state and its epoch."""
    found, state = await objects.every_mailbox()
    seen = frozenset(item.mailbox.id for item in found)
    made = (as_json(item, seen) for item in found)
    return {item["id"]: item for item in made}, state_of(state), state.epoch


async def get(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.GetArguments.parse(arguments, context.limits)
    objects = await open_objects(context, wanted.account_id)
    properties = PROPERTIES if wanted.properties is None else ("id", *wanted.properties)
    there = {*PROPERTIES, *([sharing.PROPERTY] if sharing.known(context) else ())}
    check_properties(properties, there.__contains__, "properties")
    if wanted.properties is None and sharing.known(context):
        properties = (*properties, sharing.PROPERTY)
    found, state, _ = await shown(objects)
    missing: list[str] = []
    if wanted.ids is None:
        chosen = list(found.values())
    else:
        chosen = []
        for given in dict.fromkeys(wanted.ids):
            item = found.get(context.id_of(given) or "")
            if item is None:
                missing.append(given)
            else:
                chosen.append(item)
    if sharing.PROPERTY in properties:
        await sharing.add(context, objects.id, chosen)
    listed = [{name: item[name] for name in properties} for item in chosen]
    return standard.get_response(wanted.account_id, state, listed, missing)


async def changes(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.ChangesArguments.parse(arguments)
    objects = await open_objects(context, wanted.account_id)
    epoch = (await objects.state()).epoch
    since = point_of(wanted.since_state, epoch)
    found = await changes_of(objects.mailbox_changes, since, wanted.max_changes)

    def ids(numbers: list[int]) -> list[str]:
        return [names.name(names.MAILBOX, number) for number in numbers]

    answer = standard.changes_response(
        wanted.account_id, wanted.since_state, text_of(found.until, epoch),
        created=ids(found.created), updated=ids(found.updated), destroyed=ids(found.destroyed),
        has_more=found.more,
    )  # fmt: skip
    only_counts = bool(found.updated) and found.counts_only
    return {**answer, "updatedProperties": list(COUNTS) if only_counts else None}


async def set_(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    more: standard.More = {"onDestroyRemoveEmails": (boolean, False)}
    wanted = standard.SetArguments.parse(arguments, context.limits, more)
    objects = await open_objects(context, wanted.account_id)
    before = check_state(wanted.if_in_state, await objects.state())
    created, not_created = await _create_all(context, objects, wanted.create)
    updated: dict[str, Any] = {}
    not_updated: dict[str, Any] = {}
    for given, changed in wanted.update.items():
        try:
            await _update(context, objects, given, changed, wanted)
            updated[context.id_of(given) or given] = None
        except REFUSALS as error:
            not_updated[given] = _error(error).as_json()
    destroyed, not_destroyed = await _destroy_all(context, objects, wanted)
    return {
        "accountId": wanted.account_id,
        "oldState": before,
        "newState": state_of(await objects.state()),
        "created": created or None,
        "updated": updated or None,
        "destroyed": destroyed or None,
        "notCreated": not_created or None,
        "notUpdated": not_updated or None,
        "notDestroyed": not_destroyed or None,
    }


async def _create_all(
    context: Context, objects: Objects, wanted: Mapping[str, dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parents before children, whatever the order in which they were given."""
    created: dict[str, Any] = {}
    refused: dict[str, Any] = {}
    waiting = dict(wanted)
    while waiting:
        ready = {key: value for key, value in waiting.items() if not _waits(value, waiting)}
        for key, value in (ready or waiting).items():
            del waiting[key]
            try:
                created[key] = await _create(context, objects, value)
                context.created[key] = created[key]["id"]
            except REFUSALS as error:
                refused[key] = _error(error).as_json()
    return created, refused


def _waits(value: dict[str, Any], waiting: Mapping[str, Any]) -> bool:
    parent = value.get("parentId")
    return isinstance(parent, str) and parent.startswith("#") and parent[1:] in waiting


async def _create(context: Context, objects: Objects, value: dict[str, Any]) -> dict[str, Any]:
    unknown = [name for name in value if name not in SETTABLE]
    if unknown:
        raise invalid_properties("these are not the client's to give", *unknown)
    if "name" not in value:
        raise invalid_properties("a mailbox has a name", "name")
    edit = _edit(context, value)
    try:
        mailbox = await objects.create_mailbox(edit)
    except errors.MailboxNotFound:
        raise invalid_properties("there is no such mailbox", "parentId") from None
    except errors.MailboxExists as error:
        raise await _exists(objects, error) from None
    found, _, _ = await shown(objects)
    made = found[names.name(names.MAILBOX, mailbox)]
    return {name: item for name, item in made.items() if value.get(name, AS_IT_IS) != item}


async def _update(
    context: Context,
    objects: Objects,
    given: str,
    changed: dict[str, Any],
    wanted: standard.SetArguments,
) -> None:
    identity = context.id_of(given)
    if identity is None or identity in (context.id_of(item) for item in wanted.destroy):
        raise SetError("notFound" if identity is None else "willDestroy")
    found, _, _ = await shown(objects)
    old = found.get(identity)
    if old is None:
        raise SetError("notFound")
    changed, shares = sharing.split(context, changed)
    new = patch.apply(old, changed)
    for name, value in changed.items():
        if value is None and "/" not in name and name in old:
            new[name] = 0 if name == "sortOrder" else False if name == "isSubscribed" else None
    different = {name for name in {*old, *new} if old.get(name) != new.get(name, AS_IT_IS)}
    if different - SETTABLE:
        raise invalid_properties(
            "these are not the client's to change", *sorted(different - SETTABLE)
        )
    edit = _edit(context, {name: new[name] for name in different})
    mailbox = MailboxId(names.number(names.MAILBOX, identity) or 0)
    if shares:
        await sharing.change(context, objects.id, mailbox, shares)
    try:
        if different or not shares:
            await objects.edit_mailbox(mailbox, edit)
    except errors.MailboxNotFound:
        if edit.parent is None:
            raise
        raise invalid_properties("there is no such mailbox", "parentId") from None
    except errors.MailboxExists as error:
        raise await _exists(objects, error) from None


async def _exists(objects: Objects, error: errors.MailboxExists) -> SetError:
    """RFC 8620 section 5.4, which is meant here too."""
    there = await objects.find(error.path)
    more = {} if there is None else {"existingId": names.name(names.MAILBOX, there.id)}
    return SetError(
        "alreadyExists", "a mailbox beside it has this name", properties=["name"], **more
    )


def _edit(context: Context, value: Mapping[str, Any]) -> MailboxEdit:
    """Raises SetError invalidProperties."""
    name = value.get("name")
    if "name" in value and (not isinstance(name, str) or not name):
        raise invalid_properties("a name is a text", "name")
    parent: int | None = None
    if "parentId" in value:
        given = value["parentId"]
        parent = TOP
        if given is not None:
            known = context.id_of(given) if isinstance(given, str) else None
            parent = names.number(names.MAILBOX, known) if known is not None else None
            if not parent:
                raise invalid_properties("there is no such mailbox", "parentId")
    role: Role | Unchanged | None = AS_IT_IS
    if "role" in value:
        given = value["role"]
        if given is not None and (not isinstance(given, str) or given not in ROLES):
            raise invalid_properties("this role is not known", "role")
        role = None if given is None else ROLES[given]
    position = value.get("sortOrder")
    if "sortOrder" in value and (
        not isinstance(position, int)
        or isinstance(position, bool)
        or not 0 <= position <= MAX_SORT_ORDER
    ):
        raise invalid_properties("an order is a whole number", "sortOrder")
    subscribed = value.get("isSubscribed")
    if "isSubscribed" in value and not isinstance(subscribed, bool):
        raise invalid_properties("this is true or false", "isSubscribed")
    return MailboxEdit(name, parent, role, position, subscribed)


async def _destroy_all(
    context: Context, objects: Objects, wanted: standard.SetArguments
) -> tuple[list[str], dict[str, Any]]:
    """Children before parents."""
    if not wanted.destroy:
        return [], {}
    found, _, _ = await shown(objects)
    order = list(found)
    destroyed: list[str] = []
    refused: dict[str, Any] = {}
    ids = {given: context.id_of(given) or "" for given in wanted.destroy}
    for given in sorted(ids, key=lambda one: order.index(ids[one]) if ids[one] in found else -1)[
        ::-1
    ]:
        try:
            number = names.number(names.MAILBOX, ids[given])
            if number is None or ids[given] not in found:
                raise SetError("notFound")
            await objects.remove_mailbox(
                MailboxId(number), with_emails=wanted.more["onDestroyRemoveEmails"]
            )
            destroyed.append(ids[given])
        except REFUSALS as error:
            refused[given] = _error(error).as_json()
    return destroyed, refused


def _error(error: Exception) -> SetError:
    match error:
        case errors.MailboxNotFound():
            return SetError("notFound")
        case errors.BadMailboxName():
            wrong = "parentId" if "below" in error.problem or "path" in error.problem else "name"
            return invalid_properties(error.problem, wrong)
        case errors.RoleTaken():
            return invalid_properties("another mailbox has this role", "role")
        case errors.MailboxHasChildren():
            return SetError("mailboxHasChild")
        case errors.MailboxNotEmpty():
            return SetError("mailboxHasEmail")
        case errors.TooManyMailboxes():
            return SetError("overQuota", "there are too many mailboxes")
        case errors.MailboxProtected():
            return SetError("forbidden", "the inbox stays as it is")
    return set_error(error)


METHODS: Mapping[str, Method] = {
    "Mailbox/get": get,
    "Mailbox/changes": changes,
    "Mailbox/set": set_,
    "Mailbox/query": mailbox_query.query,
    "Mailbox/queryChanges": mailbox_query.query_changes,
}
