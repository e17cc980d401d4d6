"""Email/set: drafts and other new emails, keywords, mailboxes, removal (RFC 8621 section 4.6)."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from postillon.access.jmap import blobs as blob_ids
from postillon.access.jmap import names
from postillon.access.jmap.blobs import BlobNotFound, Blobs
from postillon.access.jmap.context import Context
from postillon.access.jmap.email_get import shown_as
from postillon.access.jmap.email_json import METADATA
from postillon.access.jmap.mail import (
    REFUSALS,
    check_state,
    open_objects,
    set_error,
    state_of,
)
from postillon.account.filing import Edit, Update
from postillon.account.objects import Made, NewMessage, Objects
from postillon.mail.dates import format_date
from postillon.mail.mime import scan
from postillon.mail.octets import Octets
from postillon.protocol.jmap import composing, patch, standard
from postillon.protocol.jmap.errors import SetError, invalid_properties
from postillon.protocol.jmap.kinds import WrongType, utc_date
from postillon.store.operation import BlobLost

MAX_EMAIL = 50 * 1024 * 1024  # octets of all blobs of one new email: maxSizeAttachmentsPerEmail
HERE = 64 * 1024  # octets of a message that is scanned in the loop's thread
_GIVEN = frozenset(("mailboxIds", "keywords", "receivedAt"))  # metadata a client may give


async def set_(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.SetArguments.parse(arguments, context.limits)
    return await perform(context, wanted)


async def perform(context: Context, wanted: standard.SetArguments) -> dict[str, Any]:
    """For who has checked the arguments: EmailSubmission/set changes emails by it too."""
    objects = await open_objects(context, wanted.account_id)
    before = check_state(wanted.if_in_state, await objects.state())
    created: dict[str, Any] = {}
    not_created: dict[str, Any] = {}
    for key, value in wanted.create.items():
        try:
            created[key] = as_created(await _create(context, objects, wanted.account_id, value))
            context.created[key] = created[key]["id"]
        except REFUSALS as error:
            not_created[key] = set_error(error).as_json()
    going = {context.id_of(given) for given in wanted.destroy}
    updated, not_updated = await _update(context, objects, wanted.update, going)
    destroyed, not_destroyed = await destroy(context, objects, wanted.destroy)
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


def as_created(made: Made) -> dict[str, Any]:
    return {
        "id": names.name(names.EMAIL, made.email),
        "blobId": str(blob_ids.of_email(made.email)),
        "threadId": names.name(names.THREAD, made.thread),
        "size": made.size,
    }


# Creating --------------------------------------------------------------------------------------------


async def _create(
    context: Context, objects: Objects, account_id: str, value: Mapping[str, Any]
) -> Made:
    unknown = [name for name in value if name in METADATA and name not in _GIVEN]
    if unknown:
        raise invalid_properties("the server gives these", *unknown)
    mailboxes, keywords, received_at = filed_as(context, value)
    planned = composing.plan({name: item for name, item in value.items() if name not in _GIVEN})
    account = await context.account(account_id)
    found = await _blobs(
        Blobs(context.accounts, account, context.identity.principal), planned.blobs
    )
    now = context.services.clock()
    unique = f"<{secrets.token_hex(16)}@{context.services.hostname}>"
    missing = [("Date", format_date(now)), ("Message-ID", unique)]

    def written() -> NewMessage:
        octets = composing.write(planned, found, secrets.token_bytes, missing)
        return new_message(octets, mailboxes, keywords, received_at)

    large = sum(map(len, found.values())) > HERE
    message = await asyncio.to_thread(written) if large else written()
    return await objects.create(message)


def new_message(
    octets: Octets,
    mailboxes: frozenset[int],
    keywords: frozenset[str],
    received_at: int | None,
) -> NewMessage:
    return NewMessage(
        octets, scan(octets), hashlib.sha256(octets).digest(), mailboxes, keywords, received_at
    )


async def _blobs(blobs: Blobs, wanted: list[str]) -> dict[str, Octets]:
    """Raises SetError blobNotFound, with all that are missing, or tooLarge."""
    found: dict[str, Octets] = {}
    missing: list[str] = []
    octets = 0
    for one in wanted:
        try:
            found[one] = await blobs.read(await blobs.open(one))
        except (BlobNotFound, BlobLost):
            missing.append(one)
            continue
        octets += len(found[one])
        if octets > MAX_EMAIL:
            raise SetError("tooLarge", f"at most {MAX_EMAIL} octets of attachments")
    if missing:
        raise SetError("blobNotFound", notFound=missing)
    return found


def filed_as(
    context: Context, value: Mapping[str, Any]
) -> tuple[frozenset[int], frozenset[str], int | None]:
    """Mailboxes, keywords and the time of a new email. Raises SetError."""
    if "mailboxIds" not in value:
        raise invalid_properties("an email is in one mailbox at least", "mailboxIds")
    mailboxes = mailboxes_of(context, value["mailboxIds"])
    if not mailboxes:
        raise invalid_properties("an email is in one mailbox at least", "mailboxIds")
    words = value.get("keywords")
    keywords = keywords_of({} if words is None else words)
    given = value.get("receivedAt")
    return mailboxes, keywords, None if given is None else ms_of(given)


def ms_of(given: Any) -> int:
    try:
        text = utc_date(given)
        return round(datetime.fromisoformat(text.replace(":60", ":59")).timestamp() * 1000)
    except (WrongType, ValueError):
        raise invalid_properties("a UTCDate is wanted", "receivedAt") from None


def mailboxes_of(context: Context, given: Any) -> frozenset[int]:
    if not isinstance(given, dict) or any(item is not True for item in given.values()):
        raise invalid_properties("an object of Ids whose values are true", "mailboxIds")
    return frozenset(_mailbox(context, one) for one in given)


def _mailbox(context: Context, given: str) -> int:
    known = context.id_of(given)
    found = names.number(names.MAILBOX, known) if known is not None else None
    if not found:
        raise invalid_properties(f"there is no mailbox {given[:80]}", "mailboxIds")
    return found


def keywords_of(given: Any) -> frozenset[str]:
    if not isinstance(given, dict) or any(item is not True for item in given.values()):
        raise invalid_properties("an object of keywords whose values are true", "keywords")
    return frozenset(word.lower() for word in given)


# Changing --------------------------------------------------------------------------------------------


async def _update(
    context: Context,
    objects: Objects,
    wanted: Mapping[str, dict[str, Any]],
    going: set[str | None],
) -> tuple[dict[str, Any], dict[str, Any]]:
    refused: dict[str, Any] = {}
    updates: dict[str, Update] = {}
    for given, changes in wanted.items():
        try:
            identity = context.id_of(given)
            number = names.number(names.EMAIL, identity) if identity is not None else None
            if number is None:
                raise SetError("notFound")
            if identity in going:
                raise SetError("willDestroy")
            updates[given] = await _planned(context, objects, number, changes)
        except REFUSALS as error:
            refused[given] = set_error(error).as_json()
    updated: dict[str, Any] = {}
    if updates:
        outcome = await objects.update(list(updates.values()))
        for given, refusal in zip(updates, outcome, strict=True):
            if refusal is None:
                updated[context.id_of(given) or given] = None
            else:
                refused[given] = set_error(refusal).as_json()
    return updated, refused


async def _planned(
    context: Context, objects: Objects, email: int, changes: Mapping[str, Any]
) -> Update:
    """What a patch means, as long as it is about keywords and mailboxes alone. Raises SetError."""
    keywords: Edit[str] | None = None
    mailboxes: Edit[int] | None = None
    patch.apply({"keywords": {}, "mailboxIds": {}}, _bare(changes))  # no two paths may meet
    more_words: set[str] = set()
    less_words: set[str] = set()
    more_places: set[int] = set()
    less_places: set[int] = set()
    others: dict[str, Any] = {}
    for pointer, value in changes.items():
        path = patch.path_of(pointer)
        if path == ("keywords",):
            keywords = Edit(keywords_of({} if value is None else value))
        elif path == ("mailboxIds",):
            mailboxes = Edit(mailboxes_of(context, {} if value is None else value))
        elif len(path) == 2 and path[0] == "keywords":
            if value is not True and value is not None:
                raise invalid_properties("a keyword is true or null", pointer)
            (more_words if value else less_words).add(path[1].lower())
        elif len(path) == 2 and path[0] == "mailboxIds":
            if value is not True and value is not None:
                raise invalid_properties("a mailbox is true or null", pointer)
            (more_places if value else less_places).add(_place(context, path[1], bool(value)))
        else:
            others[pointer] = value
    if others:
        await _check_same(context, objects, email, others)
    if more_words or less_words:
        keywords = Edit(None, frozenset(more_words), frozenset(less_words))
    if more_places or less_places:
        mailboxes = Edit(None, frozenset(more_places), frozenset(less_places))
    return Update(email, keywords, mailboxes)


def _bare(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The pointers of a patch that begin with what can be changed."""
    roots = ("keywords", "mailboxIds")
    return {
        pointer: True if value is not None else None
        for pointer, value in changes.items()
        if pointer.partition("/")[0] in roots
    }


def _place(context: Context, given: str, wanted: bool) -> int:
    if wanted:
        return _mailbox(context, given)
    known = context.id_of(given)
    return (names.number(names.MAILBOX, known) if known is not None else None) or -1


async def _check_same(
    context: Context, objects: Objects, email: int, others: Mapping[str, Any]
) -> None:
    """What never changes may be given as it is. Raises SetError invalidProperties or notFound."""
    old = await shown_as(context, objects, email, [name for name in others if "/" not in name])
    if old is None:
        raise SetError("notFound")
    different = [name for name, value in others.items() if name not in old or old[name] != value]
    if different:
        raise invalid_properties("an email does not change but for these two", *different)


# Removing --------------------------------------------------------------------------------------------


async def destroy(
    context: Context, objects: Objects, wanted: list[str]
) -> tuple[list[str], dict[str, Any]]:
    refused: dict[str, Any] = {}
    numbers: dict[str, int] = {}
    for given in dict.fromkeys(wanted):
        identity = context.id_of(given)
        number = names.number(names.EMAIL, identity) if identity is not None else None
        if number is None:
            refused[given] = SetError("notFound").as_json()
        else:
            numbers[given] = number
    destroyed: list[str] = []
    if numbers:
        outcome = await objects.destroy(list(numbers.values()))
        for given, error in zip(numbers, outcome, strict=True):
            if error is None:
                destroyed.append(context.id_of(given) or given)
            else:
                refused[given] = set_error(error).as_json()
    return destroyed, refused
