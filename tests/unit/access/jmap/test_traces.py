"""MessageTrace/get: what the trace tells the owner of an email, and what it keeps to itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postillon.access.jmap import names, traces
from postillon.account.rights import Right
from postillon.mail.address import parse_address
from postillon.mail.envelope import Envelope, Recipient
from postillon.queue import trace
from postillon.queue.acceptance import Submission
from postillon.queue.config import QueueConfig
from postillon.queue.ids import format_queue_id, new_queue_id
from postillon.queue.submit import Submitter
from postillon.route.config import RouteConfig
from postillon.route.recipient import Recipients
from support.accounts import append
from support.jmap import ADA, BOB, CORE, Caller, caller

MAIL, SENDING = "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:submission"
USING = [CORE, MAIL, SENDING, traces.CAPABILITY]
FACTS = {
    "via": "smtp", "peer": "192.0.2.7", "hello": "mx.remote.example", "tls": "TLSv1.3 AES",
    "route": {"hidden@example.org": ["a step that is nobody's business"]},
}  # fmt: skip
LETTER = (
    b"From: far@remote.example\r\nSubject: Hello\r\nMessage-ID: <7@remote.example>\r\n\r\nHi\r\n"
)


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Caller]:
    async with caller(tmp_path) as found:
        yield found


async def account_of(one: Caller, login: str = "") -> int:
    owner = await one.at.directory.by_login(login or one.login)
    assert owner is not None
    return owner.id


async def ask(one: Caller, name: str, **arguments: Any) -> tuple[str, Any]:
    whole = {"accountId": names.name(names.ACCOUNT, await account_of(one)), **arguments}
    [found] = await one.call([name, whole, "0"], using=USING)
    return found[0], found[1]


async def arrive(one: Caller, *to: str) -> str:
    """A message from elsewhere. Returns its queue id."""
    at = one.at
    queue_id = new_queue_id(at.time())
    envelope = Envelope(
        parse_address("far@remote.example"),
        tuple(Recipient(parse_address(item)) for item in to),
    )
    submitter = Submitter(
        at.store, Recipients(at.directory, RouteConfig()), QueueConfig(), clock=at.time
    )
    await submitter.submit(Submission(envelope, LETTER, b"", None, FACTS, queue_id))
    return format_queue_id(queue_id)


async def newest(one: Caller) -> str:
    _, found = await ask(
        one, "Email/query", sort=[{"property": "receivedAt", "isAscending": False}]
    )
    return str(found["ids"][0])


async def story(one: Caller, email: str) -> Any:
    name, found = await ask(one, "MessageTrace/get", ids=[email])
    assert name == "MessageTrace/get", found
    assert found["notFound"] == []
    return found["list"][0]


async def test_the_owner_is_told_from_whom_it_came_and_where_it_was_put(ada: Caller) -> None:
    queue_id = await arrive(ada, ADA)
    email = await newest(ada)
    found = await story(ada, email)
    assert found["sendings"] == []
    arrival = found["arrival"]
    assert arrival["queueId"] == queue_id
    assert (arrival["via"], arrival["peer"], arrival["hello"], arrival["tls"]) == (
        "smtp", "192.0.2.7", "mx.remote.example", "TLSv1.3 AES",
    )  # fmt: skip
    assert arrival["returnPath"] == "far@remote.example"
    assert arrival["addresses"] == [ADA]
    [placed] = arrival["placed"]
    assert (placed["address"], placed["mailboxId"]) == (ADA, "F1")
    assert placed["at"] == arrival["acceptedAt"]


async def test_other_recipients_and_the_way_of_addresses_are_not_told(ada: Caller) -> None:
    await ada.at.directory.create_alias("sales@example.org", [ADA])
    await ada.at.directory.create_alias("hidden@example.org", [BOB])
    await arrive(ada, "sales@example.org", BOB, "hidden@example.org")
    found = await story(ada, await newest(ada))
    assert found["arrival"]["addresses"] == ["sales@example.org"]
    assert [item["address"] for item in found["arrival"]["placed"]] == [ADA]
    said = json.dumps(found)
    assert "bob@" not in said
    assert "hidden" not in said
    assert "route" not in found["arrival"]


async def test_an_email_that_was_put_there_has_no_arrival_and_without_a_trace_its_id(
    ada: Caller,
) -> None:
    queue_id = await arrive(ada, ADA)
    email = await newest(ada)
    store = ada.at.store
    await store.write(lambda tx: trace.forget(tx, ada.at.time() + 1))
    arrival = (await story(ada, email))["arrival"]
    assert (arrival["queueId"], arrival["isKept"], arrival["placed"]) == (queue_id, False, [])
    assert (arrival["returnPath"], arrival["peer"]) == (None, None)
    ada.at.time.now += 1_000
    await append(ada.at.accounts.open(await account_of(ada)), LETTER)
    assert (await story(ada, await newest(ada)))["arrival"] is None


async def test_the_account_of_somebody_else_is_asked_in_vain(ada: Caller) -> None:
    await arrive(ada, BOB)
    ada.login = BOB
    email = await newest(ada)
    bob = names.name(names.ACCOUNT, await account_of(ada))
    shared = ada.at.accounts.open(await account_of(ada))
    inbox = (await shared.mailboxes())[0]
    ada.login = ADA
    name, found = await ask(ada, "MessageTrace/get", ids=[email], accountId=bob)
    assert (name, found["type"]) == ("error", "accountNotFound")
    await shared.grant(inbox.id, await account_of(ada), Right.LOOKUP | Right.READ)
    _, seen = await ask(ada, "Email/get", ids=[email], properties=["id"], accountId=bob)
    assert seen["list"]
    name, found = await ask(ada, "MessageTrace/get", ids=[email], accountId=bob)
    assert (name, found["type"]) == ("error", "accountNotSupportedByMethod")
    accounts = (await ada.session())["accounts"]
    assert traces.CAPABILITY not in accounts[bob]["accountCapabilities"]


async def test_a_copy_of_what_somebody_shares_tells_nothing_of_them(ada: Caller) -> None:
    await arrive(ada, BOB, ADA)
    bob = names.name(names.ACCOUNT, await account_of(ada, BOB))
    shared = ada.at.accounts.open(await account_of(ada, BOB))
    inbox = (await shared.mailboxes())[0]
    await shared.grant(inbox.id, await account_of(ada), Right.LOOKUP | Right.READ)
    [email] = (await ask(ada, "Email/query", accountId=bob))[1]["ids"]
    _, copied = await ask(
        ada, "Email/copy", fromAccountId=bob, create={"c": {"id": email, "mailboxIds": {"F1": True}}},
    )  # fmt: skip
    found = await story(ada, copied["created"]["c"]["id"])
    assert "bob@" not in json.dumps(found)


async def test_what_was_sent_is_told_by_the_address_it_was_sent_to(ada: Caller) -> None:
    await ada.at.directory.create_alias("all@example.org", [BOB, "secret@remote.example"])
    value = {
        "mailboxIds": {"F1": True}, "from": [{"email": ADA}], "to": [{"email": BOB}],
        "bodyStructure": {"type": "text/plain", "partId": "1"},
        "bodyValues": {"1": {"value": "Hello"}},
    }  # fmt: skip
    made = (await ask(ada, "Email/set", create={"e": value}))[1]
    email = made["created"]["e"]["id"]
    way = {
        "mailFrom": {"email": ADA},
        "rcptTo": [
            {"email": "all@example.org"},
            {"email": "far@remote.example"},
            {"email": ADA},
        ],
    }
    wanted = {"s": {"identityId": "I0", "emailId": email, "envelope": way}}
    sent = (await ask(ada, "EmailSubmission/set", create=wanted))[1]["created"]["s"]
    [number] = await ada.at.store.query(_queue_ids())
    facts: dict[str, object] = {
        "to": "far@remote.example", "status": "2.0.0 done", "host": "mx.remote.example",
        "reply": "250 2.0.0 queued as 77",
    }  # fmt: skip
    secret = {**facts, "to": "secret@remote.example"}
    await ada.at.store.write(lambda tx: trace.event(number, tx.now, "relayed", facts))
    await ada.at.store.write(lambda tx: trace.event(number, tx.now, "relayed", secret))
    found = await story(ada, email)
    assert found["arrival"] is None
    [sending] = found["sendings"]
    assert sending["submissionId"] == sent["id"]
    told = [(item["kind"], item["address"], item["reply"]) for item in sending["events"]]
    assert told == [
        ("delivered", ADA, None),
        ("relayed", "far@remote.example", "250 2.0.0 queued as 77"),
        ("relayed", "all@example.org", None),
    ]
    assert "secret" not in json.dumps(found)
    assert "bob@" not in json.dumps(found)


async def test_emails_are_named_and_unknown_ones_are_said(ada: Caller) -> None:
    name, found = await ask(ada, "MessageTrace/get", ids=None)
    assert (name, found["type"]) == ("error", "requestTooLarge")
    _, found = await ask(ada, "MessageTrace/get", ids=["M999", "x"])
    assert (found["list"], found["notFound"]) == ([], ["M999", "x"])


def _queue_ids():  # type: ignore[no-untyped-def]
    rows = yield "SELECT queue_id FROM submission", ()
    return [number for (number,) in rows]
