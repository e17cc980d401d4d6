"""Email/import and Email/copy (RFC 8621 sections 4.7 and 4.8)."""

from __future__ import annotations

import asyncio
from typing import Any

from postillon.access.jmap import names
from postillon.access.jmap.blobs import BlobNotFound, Blobs
from postillon.access.jmap.context import Context
from postillon.access.jmap.email_get import looks_like_message
from postillon.access.jmap.email_set import (
    HERE,
    as_created,
    destroy,
    filed_as,
    keywords_of,
    mailboxes_of,
    ms_of,
    new_message,
)
from postillon.access.jmap.mail import REFUSALS, check_state, open_objects, set_error, state_of
from postillon.account.objects import Made, NewMessage, Objects
from postillon.protocol.jmap import standard
from postillon.protocol.jmap.errors import MethodError, SetError, invalid_properties
from postillon.protocol.jmap.kinds import identifier, map_of, optional, record, string
from postillon.store.operation import BlobLost

_IMPORTED = frozenset(("blobId", "mailboxIds", "keywords", "receivedAt"))
_COPIED = frozenset(("id", "mailboxIds", "keywords", "receivedAt"))


async def import_(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    given = standard.Arguments(arguments)
    account_id = given.take("accountId", identifier)
    if_in_state = given.take("ifInState", optional(string), None)
    emails = given.take("emails", map_of(record, identifier))
    given.end()
    if len(emails) > context.limits.max_objects_in_set:
        raise MethodError("requestTooLarge")
    objects = await open_objects(context, account_id)
    before = check_state(if_in_state, await objects.state())
    account = await context.account(account_id)
    blobs = Blobs(context.accounts, account, context.identity.principal)
    created: dict[str, Any] = {}
    refused: dict[str, Any] = {}
    for key, value in emails.items():
        try:
            created[key] = as_created(await _import(context, objects, blobs, value))
            context.created[key] = created[key]["id"]
        except REFUSALS as error:
            refused[key] = set_error(error).as_json()
    return {
        "accountId": account_id,
        "oldState": before,
        "newState": state_of(await objects.state()),
        "created": created or None,
        "notCreated": refused or None,
    }


async def _import(context: Context, objects: Objects, blobs: Blobs, value: dict[str, Any]) -> Made:
    unknown = set(value) - _IMPORTED
    if unknown:
        raise invalid_properties("there is no such property", *sorted(unknown))
    mailboxes, keywords, received_at = filed_as(context, value)
    blob = value.get("blobId")
    if not isinstance(blob, str):
        raise invalid_properties("a blob is wanted", "blobId")
    try:
        octets = await blobs.read(await blobs.open(blob))
    except (BlobNotFound, BlobLost):
        raise invalid_properties("there is no such blob", "blobId") from None

    def made() -> NewMessage:
        return new_message(octets, mailboxes, keywords, received_at)

    message = await asyncio.to_thread(made) if len(octets) > HERE else made()
    if not looks_like_message(octets, message.scan):
        raise SetError("invalidEmail", "the blob is no message")
    return await objects.create(message)


async def copy(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.CopyArguments.parse(arguments, context.limits)
    try:
        source = await open_objects(context, wanted.from_account_id)
    except MethodError as error:
        raise MethodError("fromAccountNotFound") from error
    objects = await open_objects(context, wanted.account_id)
    check_state(wanted.if_from_in_state, await source.state())
    before = check_state(wanted.if_in_state, await objects.state())
    created: dict[str, Any] = {}
    refused: dict[str, Any] = {}
    done: list[str] = []
    for key, value in wanted.create.items():
        try:
            made = await _copy(context, source, objects, value)
        except REFUSALS as error:
            refused[key] = set_error(error).as_json()
            continue
        created[key] = as_created(made)
        context.created[key] = created[key]["id"]
        done.append(context.id_of(value["id"]) or "")
    if wanted.on_success_destroy_original and done:
        await _destroy_originals(context, source, wanted, done)
    return {
        "fromAccountId": wanted.from_account_id,
        "accountId": wanted.account_id,
        "oldState": before,
        "newState": state_of(await objects.state()),
        "created": created or None,
        "notCreated": refused or None,
    }


async def _copy(context: Context, source: Objects, objects: Objects, value: dict[str, Any]) -> Made:
    unknown = set(value) - _COPIED
    if unknown:
        raise invalid_properties("there is no such property", *sorted(unknown))
    given = value.get("id")
    if not isinstance(given, str):
        raise invalid_properties("the id of an email of the other account is wanted", "id")
    known = context.id_of(given)
    email = names.number(names.EMAIL, known) if known is not None else None
    if email is None:
        raise SetError("notFound")
    if "mailboxIds" not in value:
        raise invalid_properties("an email is in one mailbox at least", "mailboxIds")
    mailboxes = mailboxes_of(context, value["mailboxIds"])
    if not mailboxes:
        raise invalid_properties("an email is in one mailbox at least", "mailboxIds")
    keywords = keywords_of(value["keywords"]) if value.get("keywords") is not None else None
    received_at = ms_of(value["receivedAt"]) if value.get("receivedAt") is not None else None
    return await objects.copy(source, email, mailboxes, keywords, received_at)


async def _destroy_originals(
    context: Context, source: Objects, wanted: standard.CopyArguments, done: list[str]
) -> None:
    """Answers with a further response, as if Email/set had been called (RFC 8620 section 5.4)."""
    try:
        before = check_state(wanted.destroy_from_if_in_state, await source.state())
    except MethodError as error:
        context.add("error", error.as_json())
        return
    destroyed, refused = await destroy(context, source, done)
    context.add("Email/set", {
        "accountId": wanted.from_account_id,
        "oldState": before,
        "newState": state_of(await source.state()),
        "created": None,
        "updated": None,
        "destroyed": destroyed or None,
        "notCreated": None,
        "notUpdated": None,
        "notDestroyed": refused or None,
    })  # fmt: skip
