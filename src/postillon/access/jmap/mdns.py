"""MDN/send and MDN/parse: read receipts (RFC 9007)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from postillon.access.jmap import email_set, envelopes, names
from postillon.access.jmap.blobs import BlobNotFound, Blobs
from postillon.access.jmap.context import Context, Method
from postillon.access.jmap.mail import REFUSALS, set_error
from postillon.account import identities
from postillon.account.account import Account
from postillon.directory.scopes import SEND
from postillon.mail import disposition
from postillon.mail.address import Address, AddressError, parse_address
from postillon.mail.addresses import parse_mailboxes
from postillon.mail.compose import new_boundary
from postillon.mail.disposition import ACTIONS, SENDINGS, TYPES, Mdn, NotAnMdn
from postillon.mail.envelope import Body, Envelope, Notify, Recipient
from postillon.mail.header import MAX_HEADER, header_end, unfolded
from postillon.mail.mime import scan
from postillon.mail.trace import new_message_id, received_here
from postillon.mail.words import decode_words
from postillon.protocol.jmap import standard
from postillon.protocol.jmap.errors import MethodError, SetError, invalid_properties
from postillon.protocol.jmap.kinds import identifier, list_of, map_of, optional, record, reference
from postillon.queue.ids import format_queue_id, new_queue_id
from postillon.queue.submit import Submission, SubmissionRefused

CAPABILITY = "urn:ietf:params:jmap:mdn"
SENT = "$mdnsent"  # RFC 3503
MAX_TEXT = 64 * 1024  # characters
GIVEN = frozenset((
    "forEmailId", "subject", "textBody", "includeOriginalMessage", "reportingUA", "disposition",
    "mdnGateway", "originalRecipient", "finalRecipient", "originalMessageId", "error",
    "extensionFields",
))  # fmt: skip
ACTION = {"actionMode": ACTIONS, "sendingMode": SENDINGS, "type": TYPES}


async def send(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    taken = standard.Arguments(arguments)
    account_id = taken.take("accountId", identifier)
    identity_id = taken.take("identityId", reference)
    wanted = taken.take("send", map_of(record, identifier))
    changes = taken.take("onSuccessUpdateEmail", optional(map_of(record, reference)), None)
    taken.end()
    if len(wanted) > context.limits.max_objects_in_set:
        raise MethodError("requestTooLarge")
    account = await context.own_account(account_id)
    number = names.number(names.IDENTITY, context.id_of(identity_id) or "")
    store = context.services.store
    identity = None if number is None else await store.query(identities.one(account.id, number))
    if identity is None:
        raise MethodError("invalidArguments", "there is no such identity", arguments=["identityId"])
    sent: dict[str, Any] = {}
    refused: dict[str, Any] = {}
    emails: dict[str, str] = {}
    for key, value in wanted.items():
        try:
            sent[key], emails[f"#{key}"] = await _send(context, account, identity, value)
        except (*REFUSALS, SetError) as error:
            refused[key] = set_error(error).as_json()
    await _mark(context, account_id, emails, changes)
    return {"accountId": account_id, "sent": sent or None, "notSent": refused or None}


async def _mark(
    context: Context,
    account_id: str,
    emails: Mapping[str, str],
    changes: Mapping[str, dict[str, Any]] | None,
) -> None:
    """What the client wants, and that the receipt was sent in any case."""
    updates: dict[str, dict[str, Any]] = {
        email: {f"keywords/{SENT}": True} for email in emails.values()
    }
    for given, changed in (changes or {}).items():
        if given in emails:
            updates[emails[given]] = {**updates[emails[given]], **changed}
    if not updates:
        return
    edit = standard.SetArguments(account_id, None, {}, updates, [], {})
    try:
        context.add("Email/set", await email_set.perform(context, edit))
    except MethodError as error:
        context.add("error", error.as_json())


async def _send(
    context: Context, account: Account, identity: identities.Identity, value: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    """What the server has set, and the email's id. Raises SetError."""
    if SEND not in context.identity.scopes:
        raise SetError("forbidden", "this credential was not made for sending")
    unknown = sorted(set(value) - GIVEN)
    if unknown:
        raise invalid_properties("these are not known", *unknown)
    given = value.get("forEmailId")
    known = context.id_of(given) if isinstance(given, str) else None
    number = names.number(names.EMAIL, known or "")
    originals = context.accounts.originals(account.id, context.identity.principal)
    original = None if number is None else await originals.find(number)
    if number is None or original is None:
        raise SetError("notFound", "there is no such email")
    block = await originals.read(original, 0, MAX_HEADER)
    block = block[: header_end(block, 0, len(block))]
    fields = dict(reversed(list(unfolded(block))))
    if SENT in await originals.keywords(number):
        raise SetError("mdnAlreadySent")
    to = _wanted_by(fields)
    services, now = context.services, context.services.clock()
    sender = parse_address(identity.email)
    if not await services.directory.owns(account.id, sender):
        raise SetError("forbiddenFrom", "the account may not send as this address")
    mdn = _mdn(value, sender, fields, services.hostname)
    subject = value.get("subject") or "Read: " + decode_words(fields.get(b"subject", b""))
    text = value.get("textBody") or "This is a receipt for a message that you have sent."
    if not isinstance(subject, str) or not isinstance(text, str) or len(text) > MAX_TEXT:
        raise invalid_properties("these are texts", "subject", "textBody")
    try:
        content = disposition.compose(
            mdn, sender=sender, name=identity.name, to=to, text=text, now=now,
            subject="".join(c if c.isprintable() else " " for c in subject)[:500],
            original=block if value.get("includeOriginalMessage") else None,
            message_id=new_message_id(services.hostname, os.urandom(15)),
            boundary=new_boundary(os.urandom(18)),
        )  # fmt: skip
    except ValueError as error:
        raise SetError("invalidProperties", str(error)) from None
    await _submit(context, account, sender, to, content, now)
    return {"finalRecipient": mdn.final_recipient, "originalMessageId": mdn.original_message_id}, (
        known or ""
    )


def _wanted_by(fields: Mapping[bytes, bytes]) -> Address:
    """Who asked for the receipt. Raises SetError noRecipients."""
    for item in parse_mailboxes(fields.get(b"disposition-notification-to", b"")):
        if item.local and item.domain:
            try:
                return parse_address(f"{item.local.decode()}@{item.domain.decode()}")
            except (AddressError, UnicodeDecodeError):
                break
    raise SetError("noRecipients", "the email asks for no receipt")


def _mdn(
    value: Mapping[str, Any], sender: Address, fields: Mapping[bytes, bytes], host: str
) -> Mdn:
    given = value.get("disposition")
    if not isinstance(given, dict) or any(given.get(k) not in known for k, known in ACTION.items()):
        raise invalid_properties("it has an actionMode, a sendingMode and a type", "disposition")
    extension = value.get("extensionFields") or {}
    errors = value.get("error") or []
    agent = value.get("reportingUA")
    if not isinstance(extension, dict) or not isinstance(errors, list):
        raise invalid_properties("these are objects and arrays", "extensionFields", "error")
    if not all(isinstance(one, str) for one in (*extension.values(), *errors, agent or "")):
        raise invalid_properties("these are texts", "extensionFields", "error", "reportingUA")
    final = f"rfc822; {sender}" if sender.ascii else f"utf-8; {sender}"
    asked = value.get("finalRecipient")
    if asked is not None and asked != final:
        raise invalid_properties(f"it is {final}", "finalRecipient")
    message_id = fields.get(b"message-id", b"").decode("ascii", "replace").strip()
    original = fields.get(b"original-recipient", b"").decode("ascii", "replace").strip()
    return Mdn(
        final, given["actionMode"], given["sendingMode"], given["type"],
        message_id if message_id.isprintable() else "", original,
        agent or f"{host}; Postillon", "", tuple(errors), extension,
    )  # fmt: skip


async def _submit(
    context: Context, account: Account, sender: Address, to: Address, content: bytes, now: int
) -> None:
    """With the null reverse-path (RFC 8098 section 3). Raises SetError."""
    services, queue_id = context.services, new_queue_id(now)
    if (await services.submitter.lookup(to)).refusal is not None:
        raise envelopes.invalid_recipients([str(to)])
    body = Body.SEVEN_BIT if content.isascii() else Body.EIGHT_BIT
    envelope = Envelope(None, (Recipient(to, Notify.NEVER),), body, not (to.ascii and sender.ascii))
    submission = Submission(
        envelope, content, received_here(services.hostname, format_queue_id(queue_id), now),
        account.id, {"via": "jmap", "login": context.identity.login}, queue_id,
    )  # fmt: skip
    try:
        await services.submitter.submit(submission)
    except SubmissionRefused as refused:
        raise SetError("forbidden", refused.status.text) from None


async def parse(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    taken = standard.Arguments(arguments)
    account_id = taken.take("accountId", identifier)
    ids = taken.take("blobIds", list_of(identifier))
    taken.end()
    if len(ids) > context.limits.max_objects_in_get:
        raise MethodError("requestTooLarge")
    account = await context.account(account_id)
    blobs = Blobs(context.accounts, account, context.identity.principal)
    parsed: dict[str, Any] = {}
    missing: list[str] = []
    others: list[str] = []
    for one in dict.fromkeys(ids):
        try:
            octets = await blobs.read(await blobs.open(one))
            subject = decode_words(scan(octets).digest.subject)
            parsed[one] = {**_as_json(*disposition.read(octets)), "subject": subject}
        except BlobNotFound:
            missing.append(one)
        except NotAnMdn:
            others.append(one)
    return {
        "accountId": account_id,
        "parsed": parsed or None,
        "notParsable": others or None,
        "notFound": missing or None,
    }


def _as_json(mdn: Mdn, text: str | None, returned: bool) -> dict[str, Any]:
    return {
        "forEmailId": None,
        "subject": None,
        "textBody": text,
        "includeOriginalMessage": returned,
        "reportingUA": mdn.reporting_ua or None,
        "disposition": {
            "actionMode": mdn.action, "sendingMode": mdn.sending, "type": mdn.type,
        },
        "mdnGateway": mdn.gateway or None,
        "originalRecipient": mdn.original_recipient or None,
        "finalRecipient": mdn.final_recipient,
        "originalMessageId": mdn.original_message_id or None,
        "error": list(mdn.errors) or None,
        "extensionFields": dict(mdn.extension) or None,
    }  # fmt: skip


METHODS: Mapping[str, Method] = {"MDN/send": send, "MDN/parse": parse}
