"""Email/get, Email/changes and Email/parse (RFC 8621 sections 4.2, 4.3 and 4.9)."""

from __future__ import annotations

import asyncio
from typing import Any

from postillon.access.jmap import blobs, names
from postillon.access.jmap.blobs import BlobId, BlobNotFound, Blobs
from postillon.access.jmap.context import Context
from postillon.access.jmap.email_json import (
    DEFAULT,
    METADATA,
    MORE,
    PARSED,
    Source,
    Wishes,
    content_json,
    digest_of,
    is_property,
    mailbox_ids,
)
from postillon.access.jmap.mail import changes_response, open_objects, state_of
from postillon.account.errors import EmailGone
from postillon.account.objects import EmailObject, Objects
from postillon.mail.header import unfolded
from postillon.mail.mime import Scan, scan
from postillon.mail.part import unpack
from postillon.protocol.jmap import standard
from postillon.protocol.jmap.errors import MethodError
from postillon.protocol.jmap.headers import utc_text
from postillon.protocol.jmap.kinds import identifier, list_of, optional, string
from postillon.store.operation import BlobLost

HERE = 64 * 1024  # octets of a message that is looked through in the loop's thread
MAX_ALL = 500  # emails that ids: null gives; an account with more asks for some


async def get(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.GetArguments.parse(arguments, context.limits, MORE)
    objects = await open_objects(context, wanted.account_id)
    wishes = Wishes.of(wanted.properties, DEFAULT, wanted.more)
    if wanted.ids is None:
        ids = await _all(objects)
        given = {names.name(names.EMAIL, number): number for number in ids}
    else:
        given = {one: _number(context, one) for one in wanted.ids}
    found, state = await objects.read([n for n in given.values() if n], whole=wishes.whole)
    listed: list[dict[str, Any]] = []
    missing: list[str] = []
    for one, number in given.items():
        item = found.get(number)
        shown = None if item is None else await _shown(context, objects, item, wishes)
        if shown is None:
            missing.append(one)
        else:
            listed.append(shown)
    return standard.get_response(wanted.account_id, state_of(state), listed, missing)


async def _all(objects: Objects) -> list[int]:
    """Raises MethodError requestTooLarge (RFC 8620 section 5.1)."""
    ids = await objects.every_email(MAX_ALL + 1)
    if len(ids) > MAX_ALL:
        raise MethodError("requestTooLarge", f"there are more than {MAX_ALL} emails")
    return ids


def _number(context: Context, given: str) -> int:
    known = context.id_of(given)
    return (names.number(names.EMAIL, known) if known is not None else None) or 0


async def shown_as(
    context: Context, objects: Objects, email: int, properties: list[str]
) -> dict[str, Any] | None:
    """Those of these properties that there are; None without the email."""
    known = tuple(name for name in properties if is_property(name))
    wishes = Wishes(known, (), False, False, False, 0)
    found, _ = await objects.read([email], whole=wishes.whole)
    item = found.get(email)
    return None if item is None else await _shown(context, objects, item, wishes)


async def _shown(
    context: Context, objects: Objects, item: EmailObject, wishes: Wishes
) -> dict[str, Any] | None:
    """None: it went meanwhile, or its octets are damaged."""
    found = metadata(item, wishes)
    if not wishes.whole:
        return found
    root = unpack(item.structure)
    digest = digest_of(item.header)
    upto = wishes.octets(root, digest)
    try:
        octets = await objects.octets(item, 0, upto) if upto else b""
    except EmailGone:
        return None
    except BlobLost as error:
        context.services.log.error("blob_lost", error=repr(error), email=item.email)
        return None
    blob = blobs.of_email(item.email)
    source = Source(
        root, digest, item.preview, item.prefix, octets,
        lambda path: str(blob.part(path)),
    )  # fmt: skip
    if len(octets) > HERE:
        return found | await asyncio.to_thread(content_json, source, wishes)
    return found | content_json(source, wishes)


def metadata(item: EmailObject, wishes: Wishes) -> dict[str, Any]:
    """The id always, the others as they are wanted."""
    found: dict[str, Any] = {"id": names.name(names.EMAIL, item.email)}
    for name in wishes.properties:
        match name:
            case "blobId":
                found[name] = str(blobs.of_email(item.email))
            case "threadId":
                found[name] = names.name(names.THREAD, item.thread)
            case "mailboxIds":
                found[name] = mailbox_ids(item.mailboxes)
            case "keywords":
                found[name] = dict.fromkeys(sorted(item.words), True)
            case "size":
                found[name] = item.size
            case "receivedAt":
                found[name] = utc_text(item.received_at)
    return found


async def changes(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    return await changes_response(
        context, arguments, names.EMAIL, lambda objects: objects.email_changes
    )


async def parse(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    given = standard.Arguments(arguments)
    account_id = given.take("accountId", identifier)
    ids = given.take("blobIds", list_of(identifier))
    properties = given.take("properties", optional(list_of(string)), None)
    more = given.more(MORE)
    given.end()
    if len(ids) > context.limits.max_objects_in_get:
        raise MethodError("requestTooLarge", f"at most {context.limits.max_objects_in_get} blobs")
    account = await context.account(account_id)
    wishes = Wishes.of(properties, PARSED, more)
    opened = Blobs(context.accounts, account, context.identity.principal)
    parsed: dict[str, Any] = {}
    not_parsable: list[str] = []
    not_found: list[str] = []
    for one in dict.fromkeys(ids):
        try:
            blob = await opened.open(one)
            octets = await opened.read(blob)
        except (BlobNotFound, BlobLost):
            not_found.append(one)
            continue
        found = await asyncio.to_thread(scan, octets) if len(octets) > HERE else scan(octets)
        if not looks_like_message(octets, found):
            not_parsable.append(one)
            continue
        parsed[one] = await _parsed(blob.id, octets, found, wishes)
    return {
        "accountId": account_id,
        "parsed": parsed or None,
        "notParsable": not_parsable or None,
        "notFound": not_found or None,
    }


def looks_like_message(octets: bytes, found: Scan) -> bool:
    """Whether octets are a message: a header with a field that messages have."""
    header = octets[: found.structure.body_start]
    return any(name in _FIELDS for name, _ in unfolded(header[:65_536]))


_FIELDS = frozenset((
    b"from", b"to", b"cc", b"bcc", b"subject", b"date", b"message-id", b"received", b"sender",
    b"reply-to", b"return-path", b"mime-version", b"content-type", b"in-reply-to", b"references",
    b"delivered-to", b"resent-from",
))  # fmt: skip


async def _parsed(blob: BlobId, octets: bytes, found: Scan, wishes: Wishes) -> dict[str, Any]:
    source = Source(
        found.structure, found.digest, found.preview, b"", octets,
        lambda path: str(blob.part(path)),
    )  # fmt: skip
    if len(octets) > HERE:
        shown = await asyncio.to_thread(content_json, source, wishes)
    else:
        shown = content_json(source, wishes)
    # A message that is in no mailbox has no metadata but its size and its blob (section 4.9).
    for name in wishes.properties:
        if name in METADATA:
            shown[name] = {"blobId": str(blob), "size": len(octets)}.get(name)
    return shown
