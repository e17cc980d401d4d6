"""EmailSubmission (RFC 8621 section 7): sending, taking back, and what became of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from postillon.access.jmap import email_set, envelopes, names, owned, submission_query
from postillon.access.jmap import sending as told
from postillon.access.jmap.blobs import of_email
from postillon.access.jmap.context import Context, Method
from postillon.access.jmap.sending import CAPABILITY, MAX_SIZE
from postillon.account import identities
from postillon.account.account import Account
from postillon.account.owned import SUBMISSIONS
from postillon.directory.scopes import SEND
from postillon.mail import trace
from postillon.mail.address import Address, AddressError, parse_address
from postillon.mail.dates import format_moment
from postillon.mail.envelope import Envelope
from postillon.mail.header import header_end
from postillon.mail.strip import drop_bcc
from postillon.protocol.jmap import patch, standard
from postillon.protocol.jmap.errors import MethodError, SetError, invalid_properties
from postillon.protocol.jmap.kinds import list_of, map_of, optional, record, reference
from postillon.queue import submissions
from postillon.queue.acceptance import Accepted, Plan
from postillon.queue.ids import QueueId, format_queue_id, new_queue_id
from postillon.queue.submissions import CANCELED, CannotUnsend, Sent
from postillon.queue.submit import Submission, SubmissionRefused
from postillon.store.operation import Steps, Tx

__all__ = ["CAPABILITY", "METHODS"]

PROPERTIES = (
    "id", "identityId", "emailId", "threadId", "envelope", "sendAt", "undoStatus",
    "deliveryStatus", "dsnBlobIds", "mdnBlobIds",
)  # fmt: skip
CREATED = frozenset(("identityId", "emailId", "envelope"))
HOLD_SLACK = 300_000  # ms; the clock of a client may be behind ours
_OURS = (
    b"return-path",
    b"delivered-to",
)  # what a copy in a mailbox has, and no message that travels


async def get(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.GetArguments.parse(arguments, context.limits)
    account = await context.own_account(wanted.account_id)
    await refresh(context, account)
    state = await owned.state_of(context, account.id)
    store = context.services.store
    found = {}
    if wanted.ids is None:
        some = await store.query(submissions.every(account.id))
    else:
        numbers = {names.number(names.SUBMISSION, context.id_of(one) or "") for one in wanted.ids}
        some = []
        for number in numbers - {None}:
            item = await store.query(submissions.one(account.id, number or 0))
            some += [] if item is None else [item]
    for item in some:
        found[names.name(names.SUBMISSION, item.id)] = as_json(item)
    return owned.listed(wanted, context, state, found, PROPERTIES)


def as_json(item: Sent) -> dict[str, Any]:
    return {
        "id": names.name(names.SUBMISSION, item.id),
        "identityId": names.name(names.IDENTITY, item.identity),
        "emailId": names.name(names.EMAIL, item.email),
        "threadId": names.name(names.THREAD, item.thread),
        "envelope": item.envelope,
        "sendAt": format_moment(item.send_at),
        "undoStatus": item.undo,
        "deliveryStatus": {
            leg.address: {
                "smtpReply": leg.reply,
                "delivered": leg.delivered,
                "displayed": "yes" if leg.displayed else "unknown",
            }
            for leg in item.delivery
        },
        "dsnBlobIds": [str(of_email(email)) for email in item.dsns],
        "mdnBlobIds": [str(of_email(email)) for email in item.mdns],
    }


async def refresh(context: Context, account: Account) -> None:
    """Write down what has become of messages since the last look."""
    store = context.services.store
    if await store.query(submissions.news(account.id)):
        await store.write(lambda tx: submissions.note(tx, account.id))


async def changes(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    account = await context.own_account(standard.account_of(arguments))
    await refresh(context, account)
    return await owned.changes(context, account.id, SUBMISSIONS, names.SUBMISSION, arguments)


async def query(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.QueryArguments.parse(arguments)
    account = await context.own_account(wanted.account_id)
    await refresh(context, account)
    every = await context.services.store.query(submissions.every(account.id))
    ids = submission_query.matching(every, wanted.filter, wanted.sort)
    state = await owned.state_of(context, account.id)
    return standard.query_response(wanted, state, ids, can_calculate=True)


async def query_changes(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.QueryChangesArguments.parse(arguments)
    account = await context.own_account(wanted.account_id)
    await refresh(context, account)
    every = await context.services.store.query(submissions.every(account.id))
    ids = submission_query.matching(every, wanted.filter, wanted.sort)
    return await owned.query_changes(
        context, account.id, SUBMISSIONS, names.SUBMISSION, wanted, ids
    )


# Sending -----------------------------------------------------------------------------------------


async def set_(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    more: standard.More = {
        "onSuccessUpdateEmail": (optional(map_of(record, reference)), None),
        "onSuccessDestroyEmail": (optional(list_of(reference)), None),
    }
    wanted = standard.SetArguments.parse(arguments, context.limits, more)
    account = await context.own_account(wanted.account_id)
    store = context.services.store
    emails: dict[str, int] = {}  # of the submissions that were done, by their ids

    async def create(key: str, value: dict[str, Any]) -> dict[str, Any]:
        made = await _send(context, account, value)
        shown = as_json(made)
        emails[shown["id"]] = made.email
        return {name: item for name, item in shown.items() if value.get(name, _MISSING) != item}

    async def update(found: str, changed: dict[str, Any]) -> None:
        number = names.number(names.SUBMISSION, found)
        old = None if number is None else await store.query(submissions.one(account.id, number))
        if old is None:
            raise SetError("notFound")
        before = as_json(old)
        new = patch.apply(before, changed)
        different = {name for name in {*before, *new} if before.get(name) != new.get(name)}
        if different - {"undoStatus"}:
            what = "only undoStatus can be changed"
            raise invalid_properties(what, *sorted(different - {"undoStatus"}))
        if different:
            if new.get("undoStatus") != CANCELED:
                raise invalid_properties("it can only become canceled", "undoStatus")
            try:
                await store.write(lambda tx: submissions.cancel(tx, account.id, old.id))
            except CannotUnsend as error:
                raise SetError("cannotUnsend", str(error)) from None
        emails[found] = old.email

    async def destroy(found: str) -> None:
        number = names.number(names.SUBMISSION, found)
        old = None if number is None else await store.query(submissions.one(account.id, number))
        if old is None or not await store.write(
            lambda tx: submissions.delete(tx, account.id, old.id)
        ):
            raise SetError("notFound")
        emails[found] = old.email

    answer = await owned.carry_out(context, account.id, wanted, create, update, destroy)
    await _afterwards(context, wanted, emails)
    return answer


_MISSING = object()


async def _afterwards(
    context: Context, wanted: standard.SetArguments, emails: Mapping[str, int]
) -> None:
    """onSuccessUpdateEmail and onSuccessDestroyEmail: one implicit Email/set."""
    updates: dict[str, dict[str, Any]] = {}
    for given, changed in (wanted.more["onSuccessUpdateEmail"] or {}).items():
        if (email := emails.get(context.id_of(given) or "")) is not None:
            updates[names.name(names.EMAIL, email)] = changed
    doomed = [
        names.name(names.EMAIL, emails[found])
        for given in wanted.more["onSuccessDestroyEmail"] or []
        if (found := context.id_of(given) or "") in emails
    ]
    if not updates and not doomed:
        return
    edit = standard.SetArguments(wanted.account_id, None, {}, updates, doomed, {})
    try:
        context.add("Email/set", await email_set.perform(context, edit))
    except MethodError as error:
        context.add("error", error.as_json())


@dataclass(frozen=True, slots=True)
class _Ready:
    """A message that has been checked. header: the lines it lacked."""

    envelope: Envelope
    shown: dict[str, Any]
    content: bytes
    header: bytes


async def _send(context: Context, account: Account, value: dict[str, Any]) -> Sent:
    """Submit; durable when this returns. Raises SetError."""
    owned.only(value, CREATED, "these are not the client's to give")
    if SEND not in context.identity.scopes:
        raise SetError("forbiddenToSend", "this credential was not made for sending")
    identity = await _identity(context, account, value.get("identityId"))
    email = value.get("emailId")
    known = context.id_of(email) if isinstance(email, str) else None
    number = names.number(names.EMAIL, known) if known is not None else None
    originals = context.accounts.originals(account.id, context.identity.principal)
    original = None if number is None else await originals.find(number)
    if number is None or original is None:
        raise invalid_properties("there is no such email", "emailId")
    if original.size > MAX_SIZE:
        raise SetError("tooLarge", maxSize=MAX_SIZE)
    services = context.services
    now = services.clock()
    queue_id = new_queue_id(now)
    content = await originals.read(original)
    ready = await _ready(context, account, value, content, identity, queue_id, now)
    made = Sent(0, identity.id, number, 0, queue_id, ready.shown, now, "", ())
    kept: list[int] = []

    def beside(tx: Tx, plan: Plan, accepted: Accepted) -> Steps[None]:
        kept.append((yield from submissions.write(tx, account.id, plan, accepted, made)))

    submission = Submission(
        ready.envelope, ready.content, ready.header, account.id,
        {"via": "jmap", "login": context.identity.login}, queue_id,
        release_at=_release_at(ready.envelope, now),
    )  # fmt: skip
    try:
        await services.submitter.submit(submission, beside)
    except SubmissionRefused as refused:
        raise SetError("forbiddenToSend", refused.status.text) from None
    found = await services.store.query(submissions.one(account.id, kept[-1]))
    if found is None:  # destroyed by another request in the same moment
        raise SetError("notFound")
    return found


async def _identity(context: Context, account: Account, given: Any) -> identities.Identity:
    known = context.id_of(given) if isinstance(given, str) else None
    number = names.number(names.IDENTITY, known) if known is not None else None
    found = None
    if number is not None:
        found = await context.services.store.query(identities.one(account.id, number))
    if found is None:
        raise invalid_properties("there is no such identity", "identityId")
    return found


async def _ready(
    context: Context,
    account: Account,
    value: Mapping[str, Any],
    content: bytes,
    identity: identities.Identity,
    queue_id: QueueId,
    now: int,
) -> _Ready:
    """Check who writes to whom; complete the message. Raises SetError."""
    services = context.services
    header = envelopes.header_of(content)  # with its Bcc
    content = _travelling(content)
    if len(header.froms) != 1 or not header.froms[0]:
        raise SetError("invalidEmail", "it has one From with an address", properties=["from"])
    for author in (*header.froms[0], *([header.sender] if header.sender else [])):
        if not await _owns(context, account, author):
            raise SetError("forbiddenFrom", f"the account may not send as {author}")
    if value.get("envelope") is None:
        shown = envelopes.from_header(header, identity.email)
    else:
        shown = envelopes.checked(value["envelope"])
    path = shown["mailFrom"]["email"]
    if path and not await _owns(context, account, path):
        raise SetError("forbiddenMailFrom", f"the account may not send as {path}")
    config = services.submitter.config
    least = int(config.least_deliver_by.total_seconds())
    envelope = envelopes.read(shown, content, told.longest_hold(services), least)
    release_at = _release_at(envelope, now)
    if release_at - now > told.longest_hold(services) * 1000 + HOLD_SLACK:
        raise invalid_properties("it may not wait for so long", "envelope")
    if envelope.by is not None and release_at > now + envelope.by.seconds * 1000:
        raise invalid_properties("its time would be over when it is released", "envelope")
    wrong = [
        str(recipient.forward_path)
        for recipient in envelope.recipients
        if (await services.submitter.lookup(recipient.forward_path)).refusal is not None
    ]
    if wrong:
        raise envelopes.invalid_recipients(wrong)
    lines = trace.received_here(services.hostname, format_queue_id(queue_id), now)
    if not header.identified:
        lines += trace.message_id(services.hostname, os.urandom(15))
    if not header.dated:
        lines += trace.date(now)
    return _Ready(envelope, shown, content, lines)


def _travelling(content: bytes) -> bytes:
    """Without Bcc, and without what only a copy in a mailbox has."""
    end = header_end(content, 0, len(content))
    first = content.split(b":", 1)[0].strip().lower()
    if first in _OURS:
        kept = [
            line
            for field in _fields(content[:end])
            if (line := field).split(b":", 1)[0].strip().lower() not in _OURS
        ]
        content = b"".join(kept) + content[end:]
    return bytes(drop_bcc(content))


def _fields(block: bytes) -> list[bytes]:
    """Each with its continuation lines."""
    found: list[bytes] = []
    for line in block.splitlines(keepends=True):
        if line[:1] in b" \t" and found and line.strip():
            found[-1] += line
        else:
            found.append(line)
    return found


async def _owns(context: Context, account: Account, text: str) -> bool:
    try:
        address: Address = parse_address(text)
    except AddressError:
        return False
    return await context.services.directory.owns(account.id, address)


def _release_at(envelope: Envelope, now: int) -> int:
    if envelope.hold_for is not None:
        return now + envelope.hold_for * 1000
    until = envelope.hold_until or 0
    return until if until > now else 0


METHODS: Mapping[str, Method] = {
    "EmailSubmission/get": get,
    "EmailSubmission/changes": changes,
    "EmailSubmission/query": query,
    "EmailSubmission/queryChanges": query_changes,
    "EmailSubmission/set": set_,
}
