"""Emails over JMAP: RFC 8621 section 4, method by method."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from postillon.access.jmap.blobs import of_upload
from postillon.account.accounts import Accounts
from postillon.account.indexing import Indexer, SearchConfig
from postillon.account.keywords import DELETED
from postillon.account.roles import INBOX_ID
from postillon.store.sqlite import SqliteStore
from postillon.store.textindexes import TextIndexes
from support.accounts import append, message
from support.jmap_mail import MailClient, mail_client, refused
from support.stores import KINDS, using

INBOX, TRASH, ARCHIVE = "F1", "F5", "F6"


@pytest.fixture(params=KINDS, autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[None]:
    with using(request.param):
        yield


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[MailClient]:
    async with mail_client(tmp_path) as found:
        yield found


async def several(client: MailClient, *subjects: str, **more: Any) -> list[str]:
    """Emails that come a second after one another."""
    found = []
    for subject in subjects:
        client.house.time.now += 1_000
        found.append(await client.email(subject=subject, **more))
    return found


# Email/get


async def test_all_default_properties_are_given(client: MailClient) -> None:
    email = await client.email(
        subject="Hello", to=[{"name": "A", "email": "a@b"}], keywords={"$seen": True, "FOO": True},
        bodyValues={"1": {"value": "text"}}, textBody=[{"partId": "1", "type": "text/plain"}],
    )  # fmt: skip
    found = await client.one(email)
    assert set(found) == {
        "id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt", "messageId",
        "inReplyTo", "references", "sender", "from", "to", "cc", "bcc", "replyTo", "subject",
        "sentAt", "hasAttachment", "preview", "bodyValues", "textBody", "htmlBody", "attachments",
    }  # fmt: skip
    assert found["keywords"] == {"$seen": True, "foo": True}
    assert found["mailboxIds"] == {INBOX: True}
    assert found["from"] is None
    assert found["bodyValues"] == {}
    assert found["receivedAt"] == "2026-09-21T14:13:20Z"
    assert found["preview"] == "text"


async def test_what_is_no_property_is_refused(client: MailClient) -> None:
    assert await refused(client, "Email/get", ids=[], properties=["x"]) == "invalidArguments"
    wrong = ["header:Subject:asAddresses"]
    assert await refused(client, "Email/get", ids=[], properties=wrong) == "invalidArguments"
    assert await refused(client, "Email/get", ids=[], bodyProperties=["x"]) == "invalidArguments"
    assert await refused(client, "Email/get", ids=[], fetchSome=True) == "invalidArguments"


async def test_ids_that_are_none_are_not_found(client: MailClient) -> None:
    found = await client("Email/get", ids=["M999", "x", "F1"], properties=["id"])
    assert found["list"] == []
    assert found["notFound"] == ["M999", "x", "F1"]


async def test_body_values_are_fetched_as_they_are_asked_for(client: MailClient) -> None:
    email = await client.email(
        bodyValues={"1": {"value": "plain"}, "2": {"value": "<b>html</b>"}},
        textBody=[{"partId": "1", "type": "text/plain"}],
        htmlBody=[{"partId": "2", "type": "text/html"}],
    )
    for argument, parts in (
        ("fetchTextBodyValues", {"1"}),
        ("fetchHTMLBodyValues", {"2"}),
        ("fetchAllBodyValues", {"1", "2"}),
    ):
        found = await client.one(email, "bodyValues", **{argument: True})
        assert set(found["bodyValues"]) == parts
    found = await client.one(email, "bodyValues", fetchTextBodyValues=True, maxBodyValueBytes=3)
    assert found["bodyValues"]["1"] == {
        "value": "pla", "isTruncated": True, "isEncodingProblem": False,
    }  # fmt: skip


async def test_what_is_deleted_over_imap_is_not_there(client: MailClient) -> None:
    placed = await append(client.account, flags=DELETED)
    email = f"M{placed.email}"
    assert (await client("Email/get", ids=[email]))["notFound"] == [email]
    assert (await client("Email/query"))["ids"] == []
    assert (await client("Mailbox/get", ids=[INBOX]))["list"][0]["totalEmails"] == 0
    assert (await client("Email/set", destroy=[email]))["notDestroyed"][email]["type"] == "notFound"


# Email/set


async def test_a_new_email_refers_to_a_new_mailbox(client: MailClient) -> None:
    found = await client.calls(
        ("Mailbox/set", {"accountId": client.id, "create": {"m": {"name": "New"}}}, "0"),
        ("Email/set", {"accountId": client.id, "create": {"e": {"mailboxIds": {"#m": True}}}}, "1"),
    )
    mailbox = found[0][1]["created"]["m"]["id"]
    email = found[1][1]["created"]["e"]["id"]
    assert (await client.one(email, "mailboxIds"))["mailboxIds"] == {mailbox: True}
    assert set(found[1][1]["created"]["e"]) == {"id", "blobId", "threadId", "size"}


async def test_an_email_that_cannot_be_is_refused(client: MailClient) -> None:
    cases: list[tuple[dict[str, Any], str, list[str] | None]] = [
        ({}, "invalidProperties", ["mailboxIds"]),
        ({"mailboxIds": {}}, "invalidProperties", ["mailboxIds"]),
        ({"mailboxIds": {"F1": False}}, "invalidProperties", ["mailboxIds"]),
        ({"mailboxIds": {"F99": True}}, "invalidProperties", ["mailboxIds"]),
        (
            {"mailboxIds": {"F1": True}, "keywords": {"a b": True}},
            "invalidProperties",
            ["keywords"],
        ),
        ({"mailboxIds": {"F1": True}, "keywords": {"a": 1}}, "invalidProperties", ["keywords"]),
        ({"mailboxIds": {"F1": True}, "id": "M1"}, "invalidProperties", ["id"]),
        ({"mailboxIds": {"F1": True}, "receivedAt": "today"}, "invalidProperties", ["receivedAt"]),
        (
            {"mailboxIds": {"F1": True}, "attachments": [{"blobId": "B1", "type": "a/b"}]},
            "blobNotFound",
            None,
        ),
    ]
    for email, kind, properties in cases:
        found = await client("Email/set", create={"e": email})
        error = found["notCreated"]["e"]
        assert error["type"] == kind
        assert error.get("properties") == properties
        assert found["created"] is None
        assert found["oldState"] == found["newState"]


async def test_a_change_that_cannot_be_is_refused(client: MailClient) -> None:
    email = await client.email(subject="old")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"subject": "new"}, "invalidProperties"),
        ({"keywords/$seen": False}, "invalidProperties"),
        ({"keywords": {"a": True}, "keywords/b": True}, "invalidPatch"),
        ({"keywords/a/b": True}, "invalidPatch"),
        ({"mailboxIds/F1": None}, "invalidProperties"),
        ({"mailboxIds": {}}, "invalidProperties"),
        ({"mailboxIds/F99": True}, "invalidProperties"),
        ({"nonsense": True}, "invalidProperties"),
    ]
    for patch, kind in cases:
        found = await client("Email/set", update={email: patch})
        assert found["notUpdated"][email]["type"] == kind
        assert found["updated"] is None


async def test_what_does_not_change_may_be_given(client: MailClient) -> None:
    email = await client.email(subject="old")
    found = await client("Email/set", update={email: {"subject": "old", "keywords/$seen": True}})
    assert found["updated"] == {email: None}


async def test_set_minds_the_state_and_what_is_about_to_go(client: MailClient) -> None:
    email = await client.email()
    assert await refused(client, "Email/set", ifInState="1.1", destroy=[email]) == "stateMismatch"
    found = await client("Email/set", update={email: {"keywords/$seen": True}}, destroy=[email])
    assert found["notUpdated"][email]["type"] == "willDestroy"
    assert found["destroyed"] == [email]
    found = await client("Email/set", update={email: {"keywords/$seen": True}})
    assert found["notUpdated"][email]["type"] == "notFound"


async def test_keywords_hold_in_every_mailbox_for_imap_too(client: MailClient) -> None:
    email = await client.email(INBOX, ARCHIVE)
    await client("Email/set", update={email: {"keywords/$flagged": True, "keywords/Foo": True}})
    for mailbox in (1, 6):
        [placed] = await client.account.placements(mailbox, [(1, 9)])  # type: ignore[arg-type]
        assert (placed.flags, placed.keywords) == (4, "foo")
    await client.account.store_flags(INBOX_ID, [(1, 1)], "remove", 4)
    assert (await client.one(email, "keywords"))["keywords"] == {"foo": True}


# Email/query


async def test_pages_by_position_and_by_anchor(client: MailClient) -> None:
    ids = (await several(client, *"abcdef"))[::-1]
    for arguments, position, expected in (
        ({}, 0, ids),
        ({"position": 2, "limit": 2}, 2, ids[2:4]),
        ({"position": -2}, 4, ids[4:]),
        ({"position": -99, "limit": 1}, 0, ids[:1]),
        ({"position": 99}, 99, []),
        ({"limit": 0}, 0, []),
        ({"anchor": ids[3], "limit": 2}, 3, ids[3:5]),
        ({"anchor": ids[3], "anchorOffset": -2, "limit": 2}, 1, ids[1:3]),
        ({"anchor": ids[1], "anchorOffset": -5, "limit": 2}, 0, ids[:2]),
        ({"anchor": ids[1], "anchorOffset": 2, "position": 5}, 3, ids[3:]),
    ):
        found = await client("Email/query", **arguments)
        assert (found["position"], found["ids"]) == (position, expected), arguments
    assert await refused(client, "Email/query", anchor="M999") == "anchorNotFound"
    assert await refused(client, "Email/query", position="1") == "invalidArguments"


async def test_each_property_orders(client: MailClient) -> None:
    first, second, third = await several(client, "Re: b", "a", "C")
    await client("Email/set", update={second: {"keywords/$flagged": True}})
    flagged = {"property": "hasKeyword", "keyword": "$flagged", "isAscending": False}
    for sort, expected in (
        ([{"property": "receivedAt"}], [first, second, third]),
        ([{"property": "subject"}], [second, first, third]),
        ([{"property": "subject", "isAscending": False}], [third, first, second]),
        ([{"property": "subject", "collation": "i;octet"}], [third, second, first]),
        ([flagged, {"property": "receivedAt"}], [second, first, third]),
        ([flagged], [second, third, first]),
    ):
        assert (await client("Email/query", sort=sort))["ids"] == expected, sort
    for sort, error in (
        ([{"property": "x"}], "unsupportedSort"),
        ([{"property": "subject", "collation": "x"}], "unsupportedSort"),
        ([{"property": "hasKeyword"}], "invalidArguments"),
        ([{"property": "subject", "keyword": "x"}], "invalidArguments"),
    ):
        assert await refused(client, "Email/query", sort=sort) == error, sort


async def test_each_condition_finds(client: MailClient) -> None:
    plain = await client.email(
        INBOX, subject="Quarterly figures", keywords={"$seen": True},
        bodyValues={"1": {"value": "the weekly meeting"}},
        textBody=[{"partId": "1", "type": "text/plain"}], to=[{"name": "Bob", "email": "b@c.example"}],
        **{"from": [{"name": "Änne", "email": "a@b.example"}], "header:X-Kind:asText": "odd one"},
    )  # fmt: skip
    client.house.time.now += 10_000
    large = await client.email(
        INBOX, ARCHIVE, subject="Big", cc=[{"email": "cc@d.example"}], keywords={"x": True},
        bodyValues={"1": {"value": "x" * 3_000}},
        bodyStructure={"type": "multipart/mixed", "subParts": [
            {"partId": "1", "type": "text/plain"},
            {"partId": "1", "type": "text/csv", "disposition": "attachment"},
        ]},
    )  # fmt: skip
    both = {plain, large}
    for condition, expected in (
        ({}, both),
        ({"inMailbox": INBOX}, both),
        ({"inMailbox": ARCHIVE}, {large}),
        ({"inMailbox": "F99"}, set()),
        ({"inMailboxOtherThan": [INBOX]}, {large}),
        ({"inMailboxOtherThan": [INBOX, ARCHIVE]}, set()),
        ({"before": "2026-09-21T14:13:25Z"}, {plain}),
        ({"after": "2026-09-21T14:13:30Z"}, {large}),
        ({"minSize": 3_000}, {large}),
        ({"maxSize": 3_000}, {plain}),
        ({"hasKeyword": "$SEEN"}, {plain}),
        ({"hasKeyword": "x"}, {large}),
        ({"notKeyword": "$seen"}, {large}),
        ({"allInThreadHaveKeyword": "$seen"}, {plain}),
        ({"someInThreadHaveKeyword": "x"}, {large}),
        ({"noneInThreadHaveKeyword": "x"}, {plain}),
        ({"hasAttachment": True}, {large}),
        ({"hasAttachment": False}, {plain}),
        ({"text": "figures"}, {plain}),
        ({"text": "figures quarterly"}, {plain}),  # words apart
        ({"text": '"figures quarterly"'}, set()),  # and a phrase
        ({"text": "figures nobody"}, set()),
        ({"from": "anne"}, {plain}),
        ({"from": "b.example"}, {plain}),
        ({"to": "bob"}, {plain}),
        ({"cc": "cc@d"}, {large}),
        ({"bcc": "x"}, set()),
        ({"subject": "BIG"}, {large}),
        ({"body": "meeting"}, {plain}),
        ({"body": "figures"}, set()),
        ({"header": ["x-kind"]}, {plain}),
        ({"header": ["X-Kind", "odd"]}, {plain}),
        ({"header": ["X-Kind", "even"]}, set()),
        ({"operator": "NOT", "conditions": [{"subject": "big"}]}, {plain}),
        ({"operator": "OR", "conditions": [{"subject": "big"}, {"body": "meeting"}]}, both),
        (
            {"operator": "AND", "conditions": [{"inMailbox": INBOX}, {"hasAttachment": True}]},
            {large},
        ),
        ({"operator": "NOT", "conditions": []}, both),
        ({"operator": "OR", "conditions": []}, set()),
        ({"subject": "big", "hasKeyword": "$seen"}, set()),
    ):
        for _ in range(2):  # what was found out about an email may be remembered
            found = await client("Email/query", filter=condition, calculateTotal=True)
            assert set(found["ids"]) == expected, condition
            assert found["total"] == len(expected)
    for condition, error in (
        ({"x": 1}, "unsupportedFilter"),
        ({"inMailbox": 1}, "invalidArguments"),
        ({"before": "yesterday"}, "invalidArguments"),
        ({"minSize": -1}, "invalidArguments"),
        ({"header": []}, "invalidArguments"),
        ({"operator": "XOR", "conditions": []}, "invalidArguments"),
    ):
        assert await refused(client, "Email/query", filter=condition) == error, condition


async def test_threads_are_collapsed_to_their_first(client: MailClient) -> None:
    first, other, second = [
        (await several(client, "same", inReplyTo=reply))[0] for reply in (["a@b"], ["x@y"], ["a@b"])
    ]
    found = await client("Email/query", collapseThreads=True, calculateTotal=True)
    assert (found["ids"], found["total"]) == ([second, other], 2)
    found = await client(
        "Email/query", collapseThreads=True, sort=[{"property": "receivedAt"}], limit=1
    )
    assert found["ids"] == [first]
    found = await client(
        "Email/query",
        collapseThreads=True,
        filter={"inMailbox": INBOX},
        calculateTotal=True,
        limit=1,
    )
    assert (found["ids"], found["total"]) == ([second], 2)
    thread = (await client.one(first, "threadId"))["threadId"]
    threads = await client("Thread/get", ids=[thread, "T999"])
    assert threads["list"] == [{"id": thread, "emailIds": [first, second]}]
    assert threads["notFound"] == ["T999"]


# Import, copy, parse, snippets


async def test_a_blob_becomes_an_email_and_is_parsed(client: MailClient) -> None:
    inner = message("inner", From="a@b.example")
    outer = (
        b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--\r\n"
    )
    uploads = client.house.accounts.uploads(client.account.id, None, 1_000_000)
    blob = str(of_upload((await uploads.add(outer, "message/rfc822")).id))
    found = await client(
        "Email/import",
        emails={
            "e": {
                "blobId": blob,
                "mailboxIds": {INBOX: True},
                "receivedAt": "2020-01-01T00:00:00Z",
            },
            "x": {"blobId": "Bu1", "mailboxIds": {INBOX: True}},
        },
    )
    assert found["notCreated"]["x"]["properties"] == ["blobId"]
    email = found["created"]["e"]["id"]
    shown = await client.one(email, "subject", "receivedAt", "attachments", "blobId")
    assert (shown["subject"], shown["receivedAt"]) == ("outer", "2020-01-01T00:00:00Z")
    attached = shown["attachments"][0]["blobId"]
    parsed = await client(
        "Email/parse",
        blobIds=[attached, shown["blobId"], "Bu1"],
        properties=["subject", "id", "from"],
    )
    assert parsed["parsed"][attached] == {
        "subject": "inner", "id": None, "from": [{"name": None, "email": "a@b.example"}],
    }  # fmt: skip
    assert parsed["parsed"][shown["blobId"]]["subject"] == "outer"
    assert parsed["notFound"] == ["Bu1"]
    text = (await client.one(email, "textBody"))["textBody"][0]["blobId"]
    assert (await client("Email/parse", blobIds=[text]))["notParsable"] == [text]


async def test_snippets_show_what_was_found(client: MailClient) -> None:
    email = await client.email(
        subject="Über <Straßen> & Plätze", bodyValues={"1": {"value": "eins zwei drei\n" * 40}},
        textBody=[{"partId": "1", "type": "text/plain"}],
    )  # fmt: skip
    found = await client(
        "SearchSnippet/get", emailIds=[email, "M999"],
        filter={"operator": "AND", "conditions": [{"text": "strassen"}, {"body": "drei"}]},
    )  # fmt: skip
    assert found["notFound"] == ["M999"]
    [snippet] = found["list"]
    assert snippet["subject"] == "Über &lt;<mark>Straßen</mark>&gt; &amp; Plätze"
    assert "<mark>drei</mark>" in snippet["preview"]
    assert len(snippet["preview"].encode()) <= 255
    [nothing] = (await client("SearchSnippet/get", emailIds=[email], filter={"hasKeyword": "x"}))[
        "list"
    ]
    assert nothing == {"emailId": email, "subject": None, "preview": None}


async def test_the_text_index_and_what_it_does_not_know_yet_answer_together(
    client: MailClient, tmp_path: Path
) -> None:
    if not isinstance(client.house.store, SqliteStore):
        return  # it is SQLite's alone
    texts = TextIndexes(tmp_path / "data")
    indexer = Indexer(client.house.store, texts, SearchConfig(share=100))
    try:
        others = await several(client, *(f"other {n}" for n in range(12)))
        known = await client.email(subject="needle one")
        assert await indexer.round() == 13
        client.house.time.now += 1_000
        later = await client.email(subject="needle two")
        indexed = MailClient(
            client.house, client.account, accounts=Accounts(client.house.store, texts)
        )
        for condition, expected in (
            ({"text": "needle"}, [later, known]),
            ({"text": "eedl"}, [later, known]),
            ({"subject": "needle", "body": "nothing"}, []),
            ({"operator": "NOT", "conditions": [{"text": "other"}]}, [later, known]),
            ({"text": "other", "inMailbox": INBOX}, others[::-1]),
        ):
            found = await indexed("Email/query", filter=condition)
            assert found["ids"] == expected, condition
        await client("Email/set", destroy=[known])
        assert (await indexed("Email/query", filter={"text": "needle"}))["ids"] == [later]
    finally:
        await indexer.close()
        texts.close()
