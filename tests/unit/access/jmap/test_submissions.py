"""Identities and submissions over HTTP, on a real store with the real queue (RFC 8621 6 and 7)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postillon.access.jmap import names
from postillon.queue import spool, trace
from postillon.queue.rows import Lane
from support.jmap import BOB, CORE, Caller, caller

MAIL, SUBMISSION = "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:submission"
USING = [CORE, MAIL, SUBMISSION]
FAR = "far@remote.example"


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Caller]:
    async with caller(tmp_path) as found:
        yield found


async def one(ada: Caller, name: str, **arguments: Any) -> Any:
    found = await ada.call(
        [name, {"accountId": await account_of(ada), **arguments}, "0"], using=USING
    )
    said, answer, _ = found[0]
    return answer if said == name else {"error": answer["type"], **answer}


async def account_of(ada: Caller) -> str:
    owner = await ada.at.directory.by_login(ada.login)
    assert owner is not None
    return names.name(names.ACCOUNT, owner.id)


async def draft(ada: Caller, to: str = BOB, **more: Any) -> str:
    value = {
        "mailboxIds": {"F1": True}, "keywords": {"$draft": True}, "subject": "Hello",
        "from": [{"email": "ada@example.org"}], "to": [{"email": to}],
        "bcc": [{"email": "hidden@remote.example"}],
        "bodyStructure": {"type": "text/plain", "partId": "1"},
        "bodyValues": {"1": {"value": "Hello Bob"}}, **more,
    }  # fmt: skip
    made = await one(ada, "Email/set", create={"e": value})
    assert made["created"], made
    return str(made["created"]["e"]["id"])


async def send(ada: Caller, email: str, **more: Any) -> Any:
    """What was created, or the error."""
    value = {"identityId": "I0", "emailId": email, **more}
    found = await one(ada, "EmailSubmission/set", create={"s": value})
    return (found["created"] or found["notCreated"])["s"]


def envelope(*to: str, sender: str = "ada@example.org", **parameters: str) -> dict[str, Any]:
    return {
        "mailFrom": {"email": sender, "parameters": parameters or None},
        "rcptTo": [{"email": one} for one in to],
    }


# Identity ----------------------------------------------------------------------------------------


async def test_an_identity_is_always_there_and_stays(ada: Caller) -> None:
    [found] = (await one(ada, "Identity/get", ids=None))["list"]
    assert (found["id"], found["email"], found["mayDelete"]) == ("I0", "ada@example.org", False)
    refused = await one(ada, "Identity/set", destroy=["I0"])
    assert refused["notDestroyed"]["I0"]["type"] == "forbidden"


async def test_identities_are_made_changed_and_told_of(ada: Caller) -> None:
    await ada.at.directory.create_alias("sales@example.org", ["ada@example.org"])
    before = (await one(ada, "Identity/get", ids=[]))["state"]
    made = await one(ada, "Identity/set", create={
        "k": {"email": "sales@example.org", "name": "Sales", "htmlSignature": "<b>S</b>"},
        "no": {"email": "bob@example.org"},
        "bad": {"email": "sales@example.org", "mayDelete": False},
    }, update={
        "I0": {"textSignature": "-- \nAda", "replyTo": [{"email": "a@example.net"}]},
    })  # fmt: skip
    number = made["created"]["k"]["id"]
    assert made["notCreated"]["no"]["type"] == "forbiddenFrom"
    assert made["notCreated"]["bad"]["properties"] == ["mayDelete"]
    assert made["updated"] == {"I0": None}
    told = await one(ada, "Identity/changes", sinceState=before)
    assert (told["created"], told["updated"], told["destroyed"]) == ([number], ["I0"], [])
    assert told["newState"] == made["newState"]
    found = {item["id"]: item for item in (await one(ada, "Identity/get"))["list"]}
    assert found[number]["htmlSignature"] == "<b>S</b>"
    assert found["I0"]["replyTo"] == [{"name": None, "email": "a@example.net"}]
    assert (await one(ada, "Identity/set", destroy=[number]))["destroyed"] == [number]
    gone = await one(ada, "Identity/changes", sinceState=made["newState"])
    assert gone["destroyed"] == [number]
    mails = await one(ada, "Mailbox/changes", sinceState=before)
    assert (mails["created"], mails["updated"], mails["destroyed"]) == ([], [], [])


async def test_an_address_of_an_identity_does_not_change(ada: Caller) -> None:
    refused = await one(ada, "Identity/set", update={"I0": {"email": "x@example.org"}})
    assert refused["notUpdated"]["I0"]["properties"] == ["email"]


# EmailSubmission/set -----------------------------------------------------------------------------


async def test_mail_to_a_neighbour_arrives_at_once_without_its_bcc(ada: Caller) -> None:
    sent = await send(ada, await draft(ada), envelope=envelope(BOB))
    assert sent["undoStatus"] == "final"
    assert sent["deliveryStatus"][BOB]["delivered"] == "yes"
    bob = await ada.at.directory.by_login(BOB)
    assert bob is not None
    account = ada.at.accounts.open(bob.id)
    [row] = await account.emails((await account.mailboxes())[0].id, [(1, 9)])
    content = await account.content(row)
    assert b"Hello Bob" in content
    assert b"bcc" not in content.lower()
    assert b"hidden" not in content
    assert b"with HTTP" in row.prefix


async def test_an_envelope_is_made_of_the_header(ada: Caller) -> None:
    sent = await send(ada, await draft(ada))
    assert [item["email"] for item in sent["envelope"]["rcptTo"]] == [BOB, "hidden@remote.example"]
    assert sent["envelope"]["mailFrom"]["email"] == "ada@example.org"
    assert sent["deliveryStatus"]["hidden@remote.example"]["delivered"] == "queued"
    assert sent["deliveryStatus"]["hidden@remote.example"]["smtpReply"].startswith("250 ")


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"envelope": envelope()}, "noRecipients"),
        ({"envelope": envelope("nobody@example.org", BOB)}, "invalidRecipients"),
        ({"envelope": envelope("no address", BOB)}, "invalidRecipients"),
        ({"envelope": envelope(*(f"u{n}@remote.example" for n in range(1001)))}, "tooManyRecipients"),
        ({"envelope": envelope(BOB, sender="bob@example.org")}, "forbiddenMailFrom"),
        ({"envelope": envelope(BOB, HOLDFOR="99999999")}, "invalidProperties"),
        ({"envelope": envelope(BOB, BY="9;R")}, "invalidProperties"),
        ({"envelope": envelope(BOB, NONSENSE="1")}, "invalidProperties"),
        ({"envelope": {"rcptTo": []}}, "invalidProperties"),
        ({"identityId": "I7"}, "invalidProperties"),
        ({"emailId": "M999"}, "invalidProperties"),
        ({"undoStatus": "final"}, "invalidProperties"),
    ],
)  # fmt: skip
async def test_what_cannot_be_sent_is_refused_with_its_reason(
    ada: Caller, more: dict[str, Any], error: str
) -> None:
    refused = await send(ada, await draft(ada), **more)
    assert refused["type"] == error
    assert (await one(ada, "EmailSubmission/get"))["list"] == []
    assert await ada.at.rows("SELECT * FROM trace") == []


async def test_the_recipients_that_are_wrong_are_named(ada: Caller) -> None:
    refused = await send(ada, await draft(ada), envelope=envelope("nobody@example.org", BOB))
    assert refused["invalidRecipients"] == ["nobody@example.org"]


async def test_nobody_sends_as_somebody_else(ada: Caller) -> None:
    email = await draft(ada, **{"from": [{"email": "bob@example.org"}]})
    assert (await send(ada, email))["type"] == "forbiddenFrom"
    email = await draft(ada, **{"from": None})
    assert (await send(ada, email))["type"] == "invalidEmail"


async def test_success_changes_and_destroys_the_email_by_creation_ids(ada: Caller) -> None:
    account = await account_of(ada)
    first, second = await draft(ada), await draft(ada)
    found = await ada.call(["EmailSubmission/set", {
        "accountId": account,
        "create": {
            "a": {"identityId": "I0", "emailId": first},
            "b": {"identityId": "I0", "emailId": second},
            "c": {"identityId": "I0", "emailId": "M999"},
        },
        "onSuccessUpdateEmail": {"#a": {"keywords/$draft": None}, "#c": {"keywords/$seen": True}},
        "onSuccessDestroyEmail": ["#b"],
    }, "x"], using=USING)  # fmt: skip
    assert [item[0] for item in found] == ["EmailSubmission/set", "Email/set"]
    assert [item[2] for item in found] == ["x", "x"]
    assert found[1][1]["updated"] == {first: None}
    assert found[1][1]["destroyed"] == [second]
    [kept] = (await one(ada, "Email/get", ids=[first, second], properties=["keywords"]))["list"]
    assert kept["keywords"] == {}


async def test_a_message_that_waits_is_taken_back(ada: Caller) -> None:
    sent = await send(ada, await draft(ada), envelope=envelope(BOB, FAR, HOLDFOR="3600"))
    assert sent["undoStatus"] == "pending"
    assert sent["sendAt"] == "2026-09-21T15:13:20Z"
    waiting = await one(ada, "EmailSubmission/query", filter={"undoStatus": "pending"})
    assert waiting["ids"] == [sent["id"]]
    bad = await one(ada, "EmailSubmission/set", update={sent["id"]: {"undoStatus": "final"}})
    assert bad["notUpdated"][sent["id"]]["properties"] == ["undoStatus"]
    done = await one(ada, "EmailSubmission/set", update={sent["id"]: {"undoStatus": "canceled"}})
    assert done["updated"] == {sent["id"]: None}
    assert await ada.at.rows("SELECT * FROM queue_recipient") == []
    [found] = (await one(ada, "EmailSubmission/get"))["list"]
    assert found["undoStatus"] == "canceled"


async def test_a_message_in_hand_cannot_be_taken_back_and_the_state_tells(ada: Caller) -> None:
    sent = await send(ada, await draft(ada), envelope=envelope(FAR, HOLDFOR="3600"))
    state = (await one(ada, "EmailSubmission/get"))["state"]
    ada.at.time.now += 3_600_000
    await ada.at.do(lambda tx: spool.claim_due(tx, "w0@one", 60_000, [(Lane.INTERACTIVE, 1)]))
    refused = await one(ada, "EmailSubmission/set", update={sent["id"]: {"undoStatus": "canceled"}})
    assert refused["notUpdated"][sent["id"]]["type"] == "cannotUnsend"
    told = await one(ada, "EmailSubmission/changes", sinceState=state)
    assert told["updated"] == [sent["id"]]
    since = await one(
        ada, "EmailSubmission/queryChanges", sinceQueryState=state, filter={"undoStatus": "final"}
    )
    assert since["added"] == [{"id": sent["id"], "index": 0}]
    assert len(await ada.at.rows("SELECT * FROM queue_recipient")) == 1


def report(kind: str, fields: str, message_id: str, *, returned: bool = True) -> bytes:
    """A report as other programs write them. kind: of its second part."""
    header = f"Content-Type: text/rfc822-headers\r\n\r\nSubject: x\r\nMessage-ID: {message_id}\r\n"
    parts = [f"Content-Type: message/{kind}\r\n\r\n{fields}\r\n", header if returned else ""]
    body = "".join(f"--b\r\n{part}\r\n" for part in ("\r\nHello\r\n", *parts) if part)
    return (
        "From: bob@example.org\r\nTo: ada@example.org\r\nSubject: Report\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: multipart/report; boundary=b; report-type={kind}\r\n\r\n{body}--b--\r\n"
    ).encode()


SEEN = (
    "Final-Recipient: rfc822; Bob@example.org\r\nOriginal-Message-ID: <1@ada>\r\n"
    "Disposition: manual-action/mdn-sent-manually; displayed\r\n"
)
FAILED = (
    "Reporting-MTA: dns; x.example\r\n\r\nFinal-Recipient: rfc822; bob@example.org\r\n"
    "Action: failed\r\nStatus: 5.1.1\r\n"
)


async def answered(ada: Caller, content: bytes) -> None:
    """Bob sends these octets to Ada."""
    ada.login = BOB
    account = await account_of(ada)
    _, blob = await ada.upload(account, content, "message/rfc822")
    emails = {"e": {"blobId": blob["blobId"], "mailboxIds": {"F1": True}}}
    made = await one(ada, "Email/import", emails=emails)
    sent = await send(ada, made["created"]["e"]["id"])
    assert sent["undoStatus"] == "final", sent
    ada.login = "ada@example.org"


async def outcome(ada: Caller) -> tuple[list[str], list[str], list[str]]:
    [found] = (await one(ada, "EmailSubmission/get"))["list"]
    displayed = [leg["displayed"] for leg in found["deliveryStatus"].values()]
    return found["dsnBlobIds"], found["mdnBlobIds"], displayed


async def test_a_read_receipt_finds_its_submission_and_the_state_tells(ada: Caller) -> None:
    email = await draft(ada, messageId=["1@ada"], bcc=[{"email": FAR}])
    await send(ada, email)
    assert await outcome(ada) == ([], [], ["unknown"] * 2)
    before = await one(ada, "EmailSubmission/get")
    await answered(ada, report("disposition-notification", SEEN, "<1@ada>"))
    dsns, [mdn], displayed = await outcome(ada)
    assert (dsns, displayed) == ([], ["yes", "unknown"])
    told = await one(ada, "EmailSubmission/changes", sinceState=before["state"])
    assert told["updated"] == [before["list"][0]["id"]]
    status, octets, _ = await ada.download(await account_of(ada), mdn)
    assert status == 200
    assert b"Original-Message-ID: <1@ada>" in octets


async def test_a_receipt_that_tells_of_no_reading_says_nothing_of_it(ada: Caller) -> None:
    await send(ada, await draft(ada, messageId=["1@ada"]))
    deleted = SEEN.replace("; displayed", "; deleted")
    await answered(ada, report("disposition-notification", deleted, "<1@ada>"))
    dsns, mdns, displayed = await outcome(ada)
    assert (dsns, len(mdns), displayed) == ([], 1, ["unknown"] * 2)


async def test_a_delivery_report_is_named_wherever_it_is_moved(ada: Caller) -> None:
    await send(ada, await draft(ada, messageId=["1@ada"]))
    await answered(ada, report("delivery-status", FAILED, "<1@ada>"))
    [blob], mdns, displayed = await outcome(ada)
    assert (mdns, displayed) == ([], ["unknown"] * 2)
    email = blob.removeprefix("B").upper()
    moved = await one(ada, "Email/set", update={email: {"mailboxIds": {"F3": True}}})
    assert moved["updated"] == {email: None}
    assert (await outcome(ada))[0] == [blob]


async def relayed(ada: Caller) -> None:
    """To another server; the queue has handed it over."""
    await send(ada, await draft(ada, FAR, messageId=["1@ada"], bcc=None))
    [(queue_id,)] = await ada.at.rows("SELECT queue_id FROM submission")
    facts = {"to": FAR, "reply": "250 2.0.0 taken"}
    await ada.at.store.write(lambda tx: trace.event(queue_id, tx.now, "relayed", facts))
    await ada.at.store.write(lambda tx: spool.remove(queue_id))
    found = await delivered(ada)
    assert found == [("unknown", "250 2.0.0 taken")]


async def delivered(ada: Caller) -> list[tuple[str, str]]:
    [found] = (await one(ada, "EmailSubmission/get"))["list"]
    return [(leg["delivered"], leg["smtpReply"]) for leg in found["deliveryStatus"].values()]


@pytest.mark.parametrize(
    ("action", "reply", "outcome"),
    [
        ("failed", "smtp; 550 5.1.1\r\n  nobody here", ("no", "550 5.1.1 nobody here")),
        ("Delivered", "x-unix; 250", ("yes", "250 2.0.0 taken")),
        ("delayed", "smtp; 450 later", ("unknown", "250 2.0.0 taken")),
    ],
)
async def test_a_report_from_elsewhere_says_how_it_ended(
    ada: Caller, action: str, reply: str, outcome: tuple[str, str]
) -> None:
    await relayed(ada)
    fields = (
        f"Reporting-MTA: dns; x.example\r\n\r\nFinal-Recipient: rfc822; {FAR}\r\n"
        f"Action: {action}\r\nStatus: 5.1.1\r\nDiagnostic-Code: {reply}\r\n"
    )
    await answered(ada, report("delivery-status", fields, "<1@ada>"))
    assert await delivered(ada) == [outcome]


@pytest.mark.parametrize(
    "content",
    [
        report("delivery-status", FAILED, "<2@ada>"),
        report("delivery-status", FAILED, "", returned=False),
        report("disposition-notification", SEEN.replace("1@ada", "2@ada"), "<1@ada>"),
        report("disposition-notification", "Disposition: displayed\r\n", "<1@ada>"),
        report("something", SEEN, "<1@ada>"),
    ],
)
async def test_reports_about_nothing_that_was_sent_are_mail_like_any_other(
    ada: Caller, content: bytes
) -> None:
    await send(ada, await draft(ada, messageId=["1@ada"]))
    await answered(ada, content)
    assert await outcome(ada) == ([], [], ["unknown"] * 2)
    found = await one(ada, "Email/query", filter={"subject": "Report"})
    assert len(found["ids"]) == 1


async def test_submissions_are_filtered_sorted_and_forgotten(ada: Caller) -> None:
    email = await draft(ada)
    first = await send(ada, email, envelope=envelope(BOB))
    ada.at.time.now += 60_000
    second = await send(ada, email, envelope=envelope(BOB))
    found = await one(
        ada, "EmailSubmission/query", filter={"emailIds": [email]},
        sort=[{"property": "sentAt", "isAscending": False}], calculateTotal=True,
    )  # fmt: skip
    assert (found["ids"], found["total"]) == ([second["id"], first["id"]], 2)
    wrong = await one(ada, "EmailSubmission/query", sort=[{"property": "size"}])
    assert wrong["error"] == "unsupportedSort"
    gone = await one(ada, "EmailSubmission/set", destroy=[first["id"], "S999"])
    assert gone["destroyed"] == [first["id"]]
    assert gone["notDestroyed"]["S999"]["type"] == "notFound"


async def test_another_account_cannot_be_sent_from(ada: Caller) -> None:
    bob = await ada.at.directory.by_login(BOB)
    assert bob is not None
    found = await one(ada, "Identity/get", accountId=names.name(names.ACCOUNT, bob.id))
    assert found["error"] == "accountNotFound"


async def test_the_session_tells_of_holds(ada: Caller) -> None:
    session = await ada.session()
    told = session["accounts"][await account_of(ada)]["accountCapabilities"][SUBMISSION]
    assert told["maxDelayedSend"] == 60 * 86_400
    assert told["submissionExtensions"]["FUTURERELEASE"][0] == str(60 * 86_400)
