"""Rules of RFC 8621 and RFC 8620 section 5 one by one, as a suite for other servers would ask them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from postillon.access.jmap.blobs import of_upload
from postillon.account.keywords import DELETED
from postillon.account.rights import Right
from postillon.account.roles import INBOX_ID
from postillon.mail.mime import scan
from postillon.protocol.jmap.request import Limits
from support.jmap_mail import MailClient, mail_client, refused

INBOX, DRAFTS, TRASH, ARCHIVE = "F1", "F2", "F5", "F6"
TEXT = {"bodyValues": {"t": {"value": "text"}}, "textBody": [{"partId": "t"}]}


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[MailClient]:
    async with mail_client(tmp_path) as found:
        yield found


async def upload(client: MailClient, octets: bytes) -> str:
    uploads = client.house.accounts.uploads(client.account.id, None, 1_000_000)
    return str(of_upload((await uploads.add(octets, "message/rfc822")).id))


async def imported(client: MailClient, octets: bytes, **more: Any) -> str:
    value = {"blobId": await upload(client, octets), "mailboxIds": {INBOX: True}, **more}
    made = await client("Email/import", emails={"e": value})
    assert made["notCreated"] is None, made
    return str(made["created"]["e"]["id"])


async def bob_of(client: MailClient, *rights: tuple[int, Right]) -> MailClient:
    other = await client.house.account("bob@example.org")
    for mailbox, wanted in rights:
        await client.account.grant(mailbox, other.id, wanted)  # type: ignore[arg-type]
    return MailClient(client.house, other)


# What all types of data have in common: RFC 8620 section 5


@pytest.mark.parametrize("kind", ["Email", "Mailbox", "Thread"])
async def test_ids_of_a_get(client: MailClient, kind: str) -> None:
    email = await client.one(await client.email(), "threadId")
    there = {"Email": email["id"], "Mailbox": INBOX, "Thread": email["threadId"]}[kind]
    found = await client(f"{kind}/get", ids=[there, "nobody", there, "nobody"])
    assert [item["id"] for item in found["list"]] == [there]
    assert found["notFound"] == ["nobody"]
    found = await client(f"{kind}/get", ids=[])
    assert (found["list"], found["notFound"]) == ([], [])
    found = await client(f"{kind}/get", ids=[there], properties=[])
    assert found["list"] == [{"id": there}]
    wrongs: list[dict[str, Any]] = [
        {"ids": "x"}, {"ids": [1]}, {"ids": [], "properties": ["nothing"]}, {"idz": []},
    ]  # fmt: skip
    for wrong in wrongs:
        assert await refused(client, f"{kind}/get", **wrong) == "invalidArguments"
    small = MailClient(client.house, client.account, Limits(max_objects_in_get=1))
    assert await refused(small, f"{kind}/get", ids=["a", "b"]) == "requestTooLarge"


@pytest.mark.parametrize("kind", ["Email", "Mailbox"])
async def test_what_a_set_answers(client: MailClient, kind: str) -> None:
    found = await client(f"{kind}/set")
    assert found["oldState"] == found["newState"]
    parts = ("created", "updated", "destroyed", "notCreated", "notUpdated", "notDestroyed")
    assert all(found[name] is None for name in parts)
    found = await client(f"{kind}/set", update={"nobody": {}}, destroy=["nothing", "nothing"])
    assert found["notUpdated"] == {"nobody": {"type": "notFound"}}
    assert found["notDestroyed"] == {"nothing": {"type": "notFound"}}
    assert await refused(client, f"{kind}/set", ifInState="nonsense") == "stateMismatch"
    assert await refused(client, f"{kind}/set", create=[]) == "invalidArguments"
    small = MailClient(client.house, client.account, Limits(max_objects_in_set=1))
    many = {"create": {"a": {}}, "destroy": ["x"]}
    assert await refused(small, f"{kind}/set", **many) == "requestTooLarge"


@pytest.mark.parametrize("kind", ["Email", "Mailbox", "Thread"])
async def test_changes_come_in_pieces(client: MailClient, kind: str) -> None:
    state = (await client(f"{kind}/get", ids=[]))["state"]
    found = await client(f"{kind}/changes", sinceState=state)
    assert found == {
        "accountId": client.id, "oldState": state, "newState": state, "hasMoreChanges": False,
        "created": [], "updated": [], "destroyed": [],
        **({"updatedProperties": None} if kind == "Mailbox" else {}),
    }  # fmt: skip
    for name in "abc":
        await client.email(await client.mailbox(name))
    seen: list[str] = []
    while True:
        found = await client(f"{kind}/changes", sinceState=state, maxChanges=1)
        seen += [*found["created"], *found["updated"], *found["destroyed"]]
        state = found["newState"]
        if not found["hasMoreChanges"]:
            break
    assert len(seen) == len(set(seen)) == 3
    assert await refused(client, f"{kind}/changes", sinceState=state, maxChanges=0) == (
        "invalidArguments"
    )
    assert await refused(client, f"{kind}/changes", sinceState="x") == "cannotCalculateChanges"
    assert await refused(client, f"{kind}/changes") == "invalidArguments"


async def test_what_nobody_was_shown_is_not_missed_when_it_is_expunged(client: MailClient) -> None:
    content = b"Message-ID: <%d@x>\r\nReferences: <thread@x>\r\nSubject: one\r\n\r\n"
    await client.account.append(INBOX_ID, content % 1, scan(content % 1), DELETED)
    state = (await client("Email/get", ids=[]))["state"]
    await client.account.expunge(INBOX_ID)
    await client.account.append(INBOX_ID, content % 2, scan(content % 2))
    email = (await client("Email/query"))["ids"]
    thread = (await client.one(email[0], "threadId"))["threadId"]
    for kind, created in (("Email", email), ("Thread", [thread])):
        found = await client(f"{kind}/changes", sinceState=state)
        assert (found["created"], found["updated"], found["destroyed"]) == (created, [], [])


@pytest.mark.parametrize("method", ["Email/query", "Mailbox/query"])
async def test_filters_and_sorts_that_are_not_known(client: MailClient, method: str) -> None:
    for arguments, error in (
        ({"filter": {"nothing": 1}}, "unsupportedFilter"),
        ({"filter": {"operator": "AND", "conditions": [{"nothing": 1}]}}, "unsupportedFilter"),
        ({"filter": {"operator": "and", "conditions": []}}, "invalidArguments"),
        ({"filter": {"operator": "AND"}}, "invalidArguments"),
        ({"filter": []}, "invalidArguments"),
        ({"sort": [{"property": "nothing"}]}, "unsupportedSort"),
        ({"sort": [{"isAscending": True}]}, "invalidArguments"),
        ({"sort": [{"property": "id", "collation": "i;nothing"}]}, "unsupportedSort"),
        ({"sort": {"property": "name"}}, "invalidArguments"),
        ({"limit": -1}, "invalidArguments"),
        ({"position": 1.5}, "invalidArguments"),
        ({"anchor": "nobody"}, "anchorNotFound"),
        ({"anchor": "nobody", "position": 3}, "anchorNotFound"),
        ({"nothing": 1}, "invalidArguments"),
    ):
        assert await refused(client, method, **arguments) == error, arguments
    nothings: list[dict[str, Any]] = [
        {"filter": None, "sort": None, "anchor": None, "limit": None}, {"filter": {}},
    ]  # fmt: skip
    for nothing in nothings:
        assert "total" not in await client(method, **nothing)


# Mailboxes: section 2


async def test_a_sibling_has_another_name(client: MailClient) -> None:
    there = await client.mailbox("name")
    below = await client.mailbox("name", parentId=there)
    other = await client.mailbox("other")
    found = await client(
        "Mailbox/set", create={"m": {"name": "name"}}, update={other: {"name": "name"}}
    )
    for error in (found["notCreated"]["m"], found["notUpdated"][other]):
        assert (error["type"], error["existingId"]) == ("alreadyExists", there)
    found = await client("Mailbox/set", update={below: {"parentId": None}})
    assert found["notUpdated"][below]["existingId"] == there
    found = await client("Mailbox/set", create={"m": {"name": "inbox"}})
    assert found["notCreated"]["m"]["existingId"] == INBOX


async def test_what_a_mailbox_cannot_be(client: MailClient) -> None:
    mailbox = await client.mailbox("name")
    below = await client.mailbox("below", parentId=mailbox)
    for change, properties in (
        ({"parentId": mailbox}, ["parentId"]),
        ({"parentId": below}, ["parentId"]),
        ({"parentId": "F99"}, ["parentId"]),
        ({"name": None}, ["name"]),
        ({"name": "x" * 1_000}, ["name"]),
        ({"role": "inbox"}, ["role"]),
        ({"role": "Archive"}, ["role"]),
        ({"sortOrder": 2**31}, ["sortOrder"]),
        ({"sortOrder": "1"}, ["sortOrder"]),
        ({"isSubscribed": "yes"}, ["isSubscribed"]),
        ({"id": "F99"}, ["id"]),
        ({"unreadThreads": 7}, ["unreadThreads"]),
        ({"myRights/mayDelete": False}, ["myRights"]),
        ({"nothing": True}, ["nothing"]),
    ):
        found = await client("Mailbox/set", update={mailbox: change})
        error = found["notUpdated"][mailbox]
        assert (error["type"], error["properties"]) == ("invalidProperties", properties), change
    found = await client("Mailbox/set", update={mailbox: {"nothing/at/all": True}})
    assert found["notUpdated"][mailbox]["type"] == "invalidPatch"
    whole = (await client("Mailbox/get", ids=[mailbox]))["list"][0]
    found = await client("Mailbox/set", update={mailbox: {**whole, "sortOrder": 4}})
    assert found["updated"] == {mailbox: None}


async def test_a_role_goes_from_one_mailbox_to_another(client: MailClient) -> None:
    mailbox = await client.mailbox("Old")
    found = await client("Mailbox/set", update={mailbox: {"role": "archive"}})
    assert found["notUpdated"][mailbox]["properties"] == ["role"]
    found = await client(
        "Mailbox/set", update={ARCHIVE: {"role": None}, mailbox: {"role": "archive"}}
    )
    assert found["notUpdated"] is None
    assert (await client("Mailbox/query", filter={"role": "archive"}))["ids"] == [mailbox]


async def test_a_mailbox_with_children_stays_and_so_do_its_emails(client: MailClient) -> None:
    mailbox = await client.mailbox("name")
    below = await client.mailbox("below", parentId=mailbox)
    email = await client.email(mailbox)
    found = await client("Mailbox/set", destroy=[mailbox], onDestroyRemoveEmails=True)
    assert found["notDestroyed"][mailbox]["type"] == "mailboxHasChild"
    assert (await client.one(email, "mailboxIds"))["mailboxIds"] == {mailbox: True}
    found = await client("Mailbox/set", destroy=[mailbox, below])
    assert found["destroyed"] == [below]
    assert found["notDestroyed"][mailbox]["type"] == "mailboxHasEmail"


async def test_a_tree_is_filtered_and_sorted(client: MailClient) -> None:
    b = await client.mailbox("b", isSubscribed=True)
    ba = await client.mailbox("aa", parentId=b, isSubscribed=True)
    bb = await client.mailbox("c", parentId=b)
    bba = await client.mailbox("d", parentId=bb, isSubscribed=True)
    a = await client.mailbox("AB", sortOrder=5, isSubscribed=True)
    no_role = {"operator": "AND", "conditions": [{"hasAnyRole": False}]}
    mine = {"operator": "AND", "conditions": [no_role, {"isSubscribed": True}]}
    by_name = [{"property": "name"}]
    for arguments, expected in (
        ({"filter": no_role, "sort": by_name}, [ba, a, b, bb, bba]),
        ({"filter": no_role, "sort": by_name, "sortAsTree": True}, [a, b, ba, bb, bba]),
        ({"filter": mine, "sort": by_name}, [ba, a, b, bba]),
        ({"filter": mine, "sort": by_name, "filterAsTree": True}, [ba, a, b]),
        ({"filter": no_role, "sort": [{"property": "sortOrder", "isAscending": False}, *by_name]},
         [a, ba, b, bb, bba]),
        ({"filter": {"parentId": b}, "sort": by_name}, [ba, bb]),
        ({"filter": {"name": "D", "hasAnyRole": False}}, [bba]),
        ({"filter": {"role": None, "parentId": None}, "sort": by_name}, [a, b]),
        ({"filter": no_role, "sort": by_name, "anchor": b, "anchorOffset": -1, "limit": 2}, [a, b]),
        ({"filter": no_role, "sort": by_name, "position": -2}, [bb, bba]),
    ):  # fmt: skip
        found = await client("Mailbox/query", calculateTotal=True, **arguments)
        assert found["ids"] == expected, arguments


async def test_a_child_is_told_of_when_its_parent_gives_way_to_a_name(client: MailClient) -> None:
    mailbox = await client.mailbox("name")
    below = await client.mailbox("below", parentId=mailbox)
    state = (await client("Mailbox/get", ids=[]))["state"]
    await client.account.delete(int(mailbox[1:]))  # type: ignore[arg-type]
    found = await client("Mailbox/changes", sinceState=state)
    [holder] = found["created"]
    assert (found["updated"], found["destroyed"]) == ([below], [mailbox])
    assert found["updatedProperties"] is None
    [shown] = (await client("Mailbox/get", ids=[below]))["list"]
    assert shown["parentId"] == holder


# Reading emails: sections 4.1 and 4.2

HEADER = (
    b"X-Empty:\r\n"
    b'From: =?utf-8?q?J=C3=B6rg?= <j@a.example>, "b, c" <b@c.example>\r\n'
    b"To: Team: x@y.example, Z <z@y.example>;, solo@y.example\r\n"
    b"Cc: undisclosed-recipients:;\r\n"
    b"Subject: =?iso-8859-1?q?gr=FC=DFe?=\r\n folded\r\n"
    b"Date: Thu, 26 Nov 2026 10:11:12 +0130\r\n"
    b"Message-ID: <one@a.example>\r\n"
    b"References: <two@a.example>\r\n <three@a.example>\r\n"
    b"List-Unsubscribe: <mailto:x@a.example>, <https://a.example/u>\r\n"
    b"X-Twice: first\r\n"
    b"X-Twice: <second@a.example>\r\n"
)


async def test_header_fields_in_every_form(client: MailClient) -> None:
    email = await imported(client, HEADER + b"\r\nbody\r\n")
    jorg, comma = {"name": "Jörg", "email": "j@a.example"}, {"name": "b, c", "email": "b@c.example"}
    team = [{"name": None, "email": "x@y.example"}, {"name": "Z", "email": "z@y.example"}]
    solo = {"name": None, "email": "solo@y.example"}
    wanted = {
        "from": [jorg, comma],
        "to": [*team, solo],
        "cc": [],
        "bcc": None,
        "subject": "grüße folded",
        "sentAt": "2026-11-26T10:11:12+01:30",
        "messageId": ["one@a.example"],
        "references": ["two@a.example", "three@a.example"],
        "inReplyTo": None,
        "header:From:asAddresses": [jorg, comma],
        "header:TO:asGroupedAddresses": [
            {"name": "Team", "addresses": team}, {"name": None, "addresses": [solo]},
        ],
        "header:Cc:asGroupedAddresses": [{"name": "undisclosed-recipients", "addresses": []}],
        "header:Subject": " =?iso-8859-1?q?gr=FC=DFe?=\r\n folded",
        "header:subject:asText": "grüße folded",
        "header:Date:asDate": "2026-11-26T10:11:12+01:30",
        "header:References:asMessageIds": ["two@a.example", "three@a.example"],
        "header:List-Unsubscribe:asURLs": ["mailto:x@a.example", "https://a.example/u"],
        "header:X-Twice": " <second@a.example>",
        "header:X-Twice:all": [" first", " <second@a.example>"],
        "header:X-Twice:asText:all": ["first", "<second@a.example>"],
        "header:X-Twice:asMessageIds:all": [None, ["second@a.example"]],
        "header:X-Twice:asDate": None,
        "header:X-Twice:asURLs:all": [None, ["second@a.example"]],
        "header:X-Nobody": None,
        "header:X-Nobody:asAddresses": None,
        "header:X-Nobody:asText:all": [],
        "header:X-Empty": "",
        "header:X-Empty:asText": "",
        "header:X-Empty:asAddresses": [],
    }  # fmt: skip
    assert await client.one(email, *wanted) == {"id": email, **wanted}
    for wrong in (
        "header:", "header:From:asText", "header:Subject:asAddresses", "header:Date:asURLs",
        "header:From:asaddresses", "header:From:all:asAddresses", "header:a b", "header:List-Id:asX",
        "header:Received:asText", "Header:From", "header:From:asAddresses:all:all",
    ):  # fmt: skip
        assert await refused(client, "Email/get", ids=[], properties=[wrong]) == "invalidArguments"


async def test_a_subject_that_is_empty_is_none_that_is_missing(client: MailClient) -> None:
    for header, subject in ((b"Subject:\r\n", ""), (b"Subject: \r\n", ""), (b"", None)):
        email = await imported(client, b"From: a@b.example\r\n" + header + b"\r\nbody\r\n")
        assert (await client.one(email, "subject"))["subject"] == subject
        assert (await client.one(email))["subject"] == subject


MIXED = (
    b"MIME-Version: 1.0\r\nSubject: parts\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n"
    b"--m\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n"
    b"--a\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Language: de, en\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n"
    b"--a\r\nContent-Type: multipart/related; boundary=r\r\n\r\n"
    b"--r\r\nContent-Type: text/html\r\nContent-Location: http://a.example/\r\n\r\n<b>Hi</b>\r\n"
    b"--r\r\nContent-Type: image/png\r\nContent-ID: <pic@a>\r\nContent-Disposition: inline\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--r--\r\n--a--\r\n"
    b"--m\r\nContent-Type: application/xml; charset=utf-16\r\nX-Part: yes\r\n"
    b"Content-Disposition: attachment; filename*=utf-8''%c3%bc.xml\r\n\r\n<x/>\r\n"
    b"--m\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner\r\n"
    b"--m--\r\n"
)


async def test_parts_are_described(client: MailClient) -> None:
    email = await imported(client, MIXED)
    found = await client.one(
        email, "bodyStructure", "textBody", "htmlBody", "attachments", "hasAttachment", "preview",
        bodyProperties=["partId", "type", "subParts"],
    )  # fmt: skip
    structure = found["bodyStructure"]
    assert (structure["partId"], structure["type"]) == (None, "multipart/mixed")
    alternative, xml, message = structure["subParts"]
    assert (xml["subParts"], message["subParts"]) == (None, None)
    plain, related = alternative["subParts"]
    html, image = related["subParts"]
    ids = [part["partId"] for part in (plain, html, image, xml, message)]
    assert len(set(ids)) == 5
    assert [part["partId"] for part in found["textBody"]] == [plain["partId"]]
    assert [part["partId"] for part in found["htmlBody"]] == [html["partId"]]
    assert [part["partId"] for part in found["attachments"]] == ids[2:]
    assert found["hasAttachment"] is True
    assert found["preview"].startswith("Grüße")
    whole = await client.one(
        email, "textBody", "attachments", "htmlBody",
        bodyProperties=[
            "blobId", "size", "name", "type", "charset", "disposition", "cid", "language", "location",
            "header:X-Part:asText",
        ],
    )  # fmt: skip
    [text], [page], (png, file, _) = whole["textBody"], whole["htmlBody"], whole["attachments"]
    assert (text["charset"], text["language"], text["size"]) == ("utf-8", ["de", "en"], 7)
    assert (page["charset"], page["location"]) == ("us-ascii", "http://a.example/")
    assert (png["charset"], png["cid"], png["disposition"], png["size"]) == (
        None, "pic@a", "inline", 3,
    )  # fmt: skip
    assert (file["charset"], file["name"], file["disposition"]) == ("utf-16", "ü.xml", "attachment")
    assert file["header:X-Part:asText"] == "yes"


async def test_values_are_decoded_and_cut_between_characters(client: MailClient) -> None:
    email = await imported(client, MIXED)
    found = await client.one(email, "bodyValues", "textBody", fetchTextBodyValues=True)
    part = found["textBody"][0]["partId"]
    for most, value in ((0, "Grüße"), (7, "Grüße"), (6, "Grüß"), (5, "Grü"), (4, "Grü"), (3, "Gr")):
        found = await client.one(
            email, "bodyValues", fetchTextBodyValues=True, maxBodyValueBytes=most
        )
        assert found["bodyValues"] == {
            part: {"value": value, "isTruncated": value != "Grüße", "isEncodingProblem": False}
        }
    found = await client.one(email, "bodyValues", fetchAllBodyValues=True)
    assert len(found["bodyValues"]) == 2  # of text alone
    wrong = {"maxBodyValueBytes": -1}
    assert await refused(client, "Email/get", ids=[email], **wrong) == "invalidArguments"


@pytest.mark.parametrize(
    ("fields", "body", "value", "problem"),
    [
        (b"Content-Type: text/plain; charset=iso-8859-1\r\n", b"\xfc", "ü", False),
        (b"Content-Type: text/plain; charset=utf-8\r\n", b"\xfc", "ü", True),
        (b"Content-Type: text/plain; charset=nonsense\r\n", b"x", "x", True),
        (b"Content-Transfer-Encoding: nonsense\r\n", b"x", "x", True),
        (b"Content-Type: text/plain; charset=us-ascii\r\n", b"x\r\ny", "x\ny", False),
    ],
)
async def test_encoding_problems(
    client: MailClient, fields: bytes, body: bytes, value: str, problem: bool
) -> None:
    email = await imported(client, b"Subject: s\r\n" + fields + b"\r\n" + body)
    [found] = (await client.one(email, "bodyValues", fetchAllBodyValues=True))[
        "bodyValues"
    ].values()
    assert found == {"value": value, "isTruncated": False, "isEncodingProblem": problem}


# Creating emails: section 4.6


def part(**more: Any) -> dict[str, Any]:
    return {"bodyValues": {"t": {"value": "x"}}, "bodyStructure": {"partId": "t", **more}}


@pytest.mark.parametrize(
    ("email", "properties"),
    [
        ({**TEXT, "bodyStructure": {"partId": "t"}}, ["bodyStructure", "textBody"]),
        ({"textBody": [{"partId": "t"}]}, ["textBody/0/partId"]),
        ({**TEXT, "textBody": [{"partId": "t"}] * 2}, ["textBody"]),
        ({**TEXT, "textBody": [{"partId": "t", "type": "text/html"}]}, ["textBody"]),
        ({**TEXT, "htmlBody": [{"partId": "t", "type": "text/plain"}]}, ["htmlBody"]),
        (part(blobId="B1"), ["bodyStructure/partId", "bodyStructure/blobId"]),
        (part(charset="utf-8"), ["bodyStructure/charset"]),
        (part(size=1), ["bodyStructure/size"]),
        (part(headers=[]), ["bodyStructure/headers"]),
        (part(**{"header:Content-Transfer-Encoding": " 8bit"}),
         ["bodyStructure/header:Content-Transfer-Encoding"]),
        ({**part(**{"header:X-A:asText": "a"}), "header:x-a:asText": "b"},
         ["bodyStructure/X-A"]),
        ({"bodyStructure": {"type": "text/plain"}}, ["bodyStructure/partId", "bodyStructure/blobId"]),
        ({"bodyStructure": {"type": "multipart/mixed"}}, ["bodyStructure/subParts"]),
        ({**TEXT, "headers": []}, ["headers"]),
        ({**TEXT, "header:Content-Type": " text/html"}, ["header:Content-Type"]),
        ({**TEXT, "subject": "a", "header:Subject:asText": "b"}, ["subject", "header:Subject:asText"]),
        ({**TEXT, "header:Subject:asAddresses": []}, ["header:Subject:asAddresses"]),
        ({**TEXT, "subject": 1}, ["subject"]),
        ({**TEXT, "from": {"email": "a@b.example"}}, ["from"]),
        ({**TEXT, "from": [{"name": "A"}]}, ["from"]),
        ({**TEXT, "messageId": "a@b"}, ["messageId"]),
        ({**TEXT, "sentAt": "2026-11-26"}, ["sentAt"]),
        ({**TEXT, "threadId": "T1"}, ["threadId"]),
        ({**TEXT, "size": 1}, ["size"]),
        ({**TEXT, "preview": "x"}, ["preview"]),
        ({**TEXT, "hasAttachment": False}, ["hasAttachment"]),
        ({**TEXT, "nothing": 1}, ["nothing"]),
        ({**TEXT, "keywords": []}, ["keywords"]),
        ({**TEXT, "keywords": {"$seen": False}}, ["keywords"]),
        ({**TEXT, "keywords": {"ä": True}}, ["keywords"]),
        ({**TEXT, "keywords": {"": True}}, ["keywords"]),
        ({**TEXT, "keywords": {"x" * 256: True}}, ["keywords"]),
        ({**TEXT, "mailboxIds": None}, ["mailboxIds"]),
        ({**TEXT, "mailboxIds": {"#nobody": True}}, ["mailboxIds"]),
        ({**TEXT, "receivedAt": "2026-11-26T10:00:00+01:00"}, ["receivedAt"]),
        ({**TEXT, "attachments": [{"partId": "t", "type": "image/png"}]}, ["attachments/0/type"]),
        ({**TEXT, "bodyValues": {"t": {"value": "x", "isTruncated": True}}}, ["bodyValues/t"]),
    ],
)  # fmt: skip
async def test_what_makes_no_email(
    client: MailClient, email: dict[str, Any], properties: list[str]
) -> None:
    made = await client("Email/set", create={"e": {"mailboxIds": {INBOX: True}, **email}})
    assert made["created"] is None
    error = made["notCreated"]["e"]
    assert (error["type"], error["properties"]) == ("invalidProperties", properties)


async def test_what_is_created_is_what_was_given(client: MailClient) -> None:
    given = {
        "from": [{"name": "Jörg", "email": "j@a.example"}],
        "to": [{"name": None, "email": "x@y.example"}, {"name": "a, b", "email": "z@y.example"}],
        "replyTo": [{"name": None, "email": "r@y.example"}],
        "subject": "Grüße " * 30 + "!",
        "messageId": ["one@a.example"],
        "inReplyTo": ["two@a.example"],
        "references": ["two@a.example", "three@a.example"],
        "sentAt": "2026-11-26T10:11:12+01:30",
        "header:X-Raw": " as it is",
        "header:X-Text:asText": "Tür",
        "header:X-Date:asDate": "2026-11-26T10:11:12Z",
        "header:X-Urls:asURLs": ["https://a.example/"],
        "header:X-Many:asText:all": ["one", "two"],
        "header:X-Groups:asGroupedAddresses": [
            {"name": "G", "addresses": [{"name": None, "email": "g@y.example"}]},
        ],
        "receivedAt": "2020-01-02T03:04:05.000Z",
        "keywords": {"$Draft": True, "Work": True},
        "mailboxIds": {DRAFTS: True, ARCHIVE: True},
    }  # fmt: skip
    made = await client("Email/set", create={"e": {**given, **TEXT}})
    created = made["created"]["e"]
    assert set(created) == {"id", "blobId", "threadId", "size"}
    found = await client.one(created["id"], *given, "size", "blobId", "threadId")
    expected = {
        **given, "receivedAt": "2020-01-02T03:04:05Z", "keywords": {"$draft": True, "work": True},
    }  # fmt: skip
    assert found == {**expected, **created}


async def test_each_arrangement_of_bodies_is_read_as_it_was_written(client: MailClient) -> None:
    blob = await upload(client, b"octets")
    values = {"t": {"value": "text é\n"}, "h": {"value": "<p>html</p>"}}
    text, html = [{"partId": "t", "type": "text/plain"}], [{"partId": "h", "type": "text/html"}]
    inline = {"blobId": blob, "type": "image/png", "cid": "p@a", "disposition": "inline"}
    file = {"blobId": blob, "type": "application/pdf", "name": "é.pdf", "disposition": "attachment"}
    for with_text, with_html, with_file, with_inline in product((False, True), repeat=4):
        given = {
            "bodyValues": values,
            **({"textBody": text} if with_text else {}),
            **({"htmlBody": html} if with_html else {}),
            "attachments": [inline] * with_inline + [file] * with_file,
        }
        email = await client.email(**given)
        found = await client.one(
            email, "textBody", "htmlBody", "attachments", "bodyValues", "hasAttachment",
            fetchAllBodyValues=True, bodyProperties=["partId", "type", "name", "cid", "size"],
        )  # fmt: skip
        assert found["hasAttachment"] == with_file
        types = {item["type"]: item for item in [*found["htmlBody"], *found["attachments"]]}
        assert ("application/pdf" in types) == with_file
        if with_file:
            assert (types["application/pdf"]["name"], types["application/pdf"]["size"]) == (
                "é.pdf",
                6,
            )
        if with_inline:
            assert types["image/png"]["cid"] == "p@a"
        for wanted, list_, value in (
            (with_text, found["textBody"], "text é\n"), (with_html, found["htmlBody"], "<p>html</p>"),
        ):  # fmt: skip
            if wanted:
                assert found["bodyValues"][list_[0]["partId"]]["value"] == value


# Changing and copying


@pytest.mark.parametrize(
    ("change", "keywords", "mailboxes"),
    [
        ({"keywords/$seen": True}, {"$flagged", "$seen", "a"}, {INBOX}),
        ({"keywords/A": None, "keywords/none": None}, {"$flagged"}, {INBOX}),
        ({"keywords/b~1c": True}, {"$flagged", "a", "b/c"}, {INBOX}),
        ({"keywords": {"$answered": True}}, {"$answered"}, {INBOX}),
        ({"keywords": {}}, set(), {INBOX}),
        ({f"mailboxIds/{TRASH}": True}, {"$flagged", "a"}, {INBOX, TRASH}),
        ({f"mailboxIds/{TRASH}": True, f"mailboxIds/{INBOX}": None}, {"$flagged", "a"}, {TRASH}),
        ({"mailboxIds": {TRASH: True, ARCHIVE: True}}, {"$flagged", "a"}, {TRASH, ARCHIVE}),
        ({"mailboxIds": {TRASH: True}, "keywords/$seen": True}, {"$flagged", "$seen", "a"}, {TRASH}),
        ({}, {"$flagged", "a"}, {INBOX}),
    ],
)  # fmt: skip
async def test_patches(
    client: MailClient, change: dict[str, Any], keywords: set[str], mailboxes: set[str]
) -> None:
    email = await client.email(keywords={"$flagged": True, "a": True})
    found = await client("Email/set", update={email: change})
    assert (found["updated"], found["notUpdated"]) == ({email: None}, None)
    shown = await client.one(email, "keywords", "mailboxIds")
    assert shown["keywords"] == dict.fromkeys(keywords, True)
    assert shown["mailboxIds"] == dict.fromkeys(mailboxes, True)
    assert (found["oldState"] != found["newState"]) == bool(change)


async def test_copies_between_accounts(client: MailClient) -> None:
    may = Right.LOOKUP | Right.READ | Right.DELETE_MESSAGES | Right.EXPUNGE
    bob = await bob_of(client, (1, may))
    email = await client.email(keywords={"$flagged": True}, subject="s", **TEXT)
    mine = {"mailboxIds": {INBOX: True}}
    found = await bob(
        "Email/copy", fromAccountId=client.id, onSuccessDestroyOriginal=False,
        create={
            "a": {"id": email, **mine},
            "b": {"id": "M999", **mine},
            "c": {"id": email},
            "d": mine,
            "e": {"id": email, **mine, "subject": "other"},
            "f": {"id": email, "mailboxIds": {"F99": True}},
        },
    )  # fmt: skip
    assert set(found["created"]) == {"a"}
    assert set(found["created"]["a"]) == {"id", "blobId", "threadId", "size"}
    assert {key: error["type"] for key, error in found["notCreated"].items()} == {
        "b": "notFound", **dict.fromkeys("cdef", "invalidProperties"),
    }  # fmt: skip
    copy = await bob.one(found["created"]["a"]["id"], "keywords", "receivedAt", "subject")
    assert copy["keywords"] == {"$flagged": True}
    assert copy["receivedAt"] == (await client.one(email, "receivedAt"))["receivedAt"]
    for arguments, error in (
        ({"fromAccountId": bob.id}, "invalidArguments"),
        ({"fromAccountId": "a999"}, "fromAccountNotFound"),
        ({"fromAccountId": client.id, "accountId": "a999"}, "accountNotFound"),
        ({"fromAccountId": client.id, "ifFromInState": "x"}, "stateMismatch"),
        ({"fromAccountId": client.id, "ifInState": "x"}, "stateMismatch"),
    ):
        assert await refused(bob, "Email/copy", create={}, **arguments) == error
    arguments = {
        "accountId": bob.id, "fromAccountId": client.id, "onSuccessDestroyOriginal": True,
        "create": {"a": {"id": email, **mine}},
    }  # fmt: skip
    wrong = {**arguments, "destroyFromIfInState": "x"}
    answers = await bob.calls(("Email/copy", wrong, "1"))
    assert [name for name, _, _ in answers] == ["Email/copy", "error"]
    assert answers[1][1]["type"] == "stateMismatch"
    answers = await bob.calls(("Email/copy", arguments, "1"))
    assert [(name, call) for name, _, call in answers] == [("Email/copy", "1"), ("Email/set", "1")]
    assert answers[1][1]["destroyed"] == [email]
    assert answers[1][1]["accountId"] == client.id


async def test_imports_that_cannot_be(client: MailClient) -> None:
    blob = await upload(client, b"Subject: s\r\n\r\nbody\r\n")
    nothing = await upload(client, b"\x00\x01 no message")
    good = {"blobId": blob, "mailboxIds": {INBOX: True}}
    found = await client(
        "Email/import",
        emails={
            "good": good,
            "null": {**good, "keywords": None, "receivedAt": None},
            "blob": {**good, "blobId": "nobody"},
            "none": {"mailboxIds": {INBOX: True}},
            "box": {**good, "mailboxIds": {"F99": True}},
            "word": {**good, "keywords": {"a b": True}},
            "date": {**good, "receivedAt": "2026-11-26"},
            "more": {**good, "subject": "s"},
            "email": {**good, "blobId": nothing},
        },
    )
    assert set(found["created"]) == {"good", "null"}
    errors = {key: (one["type"], one.get("properties")) for key, one in found["notCreated"].items()}
    assert errors == {
        "blob": ("invalidProperties", ["blobId"]), "none": ("invalidProperties", ["blobId"]),
        "box": ("invalidProperties", ["mailboxIds"]), "word": ("invalidProperties", ["keywords"]),
        "date": ("invalidProperties", ["receivedAt"]), "more": ("invalidProperties", ["subject"]),
        "email": ("invalidEmail", None),
    }  # fmt: skip
    assert await refused(client, "Email/import", emails={}, ifInState="x") == "stateMismatch"
    assert await refused(client, "Email/import") == "invalidArguments"


async def test_what_is_parsed_has_no_metadata(client: MailClient) -> None:
    blob = await upload(client, HEADER + b"\r\nbody\r\n")
    found = await client("Email/parse", blobIds=[blob, blob])
    assert (found["notParsable"], found["notFound"]) == (None, None)
    assert "id" not in found["parsed"][blob]
    assert found["parsed"][blob]["subject"] == "grüße folded"
    names = ["id", "threadId", "mailboxIds", "keywords", "receivedAt"]
    found = await client("Email/parse", blobIds=[blob, "nobody"], properties=names)
    assert found["parsed"] == {blob: dict.fromkeys(names)}
    assert found["notFound"] == ["nobody"]
    found = await client("Email/parse", blobIds=[])
    assert (found["parsed"], found["notParsable"], found["notFound"]) == (None, None, None)
    assert await refused(client, "Email/parse", blobIds=[], properties=["x"]) == "invalidArguments"
    assert await refused(client, "Email/parse", blobIds=None) == "invalidArguments"


# Queries: section 4.4


async def _correspondence(client: MailClient) -> list[dict[str, Any]]:
    """Eleven emails in three threads, two mailboxes and no order."""
    made = []
    for n in range(11):
        client.house.time.now += 1_000 + n % 3
        words = {"$seen": n % 2 == 0, "$flagged": n % 3 == 0, "x": n in (1, 4)}
        email = await client.email(
            *((INBOX, ARCHIVE) if n % 5 == 0 else (INBOX,) if n % 4 else (ARCHIVE,)),
            subject="same", inReplyTo=[f"t{n % 3}@a"], to=[{"email": f"{n * 7 % 11:02}@a.example"}],
            keywords={word: True for word, has in words.items() if has},
            sentAt=f"2026-01-{1 + n * 5 % 11:02}T00:00:00Z",
            bodyValues={"t": {"value": "x" * (n * 3 % 11) * 10}}, textBody=[{"partId": "t"}],
        )  # fmt: skip
        properties = ("threadId", "keywords", "mailboxIds", "receivedAt", "sentAt", "size", "to")
        made.append({**await client.one(email, *properties), "n": n})
    return made


def _has(item: dict[str, Any], word: str) -> bool:
    return word in item["keywords"]


async def test_every_page_of_every_query_is_a_piece_of_the_same_list(client: MailClient) -> None:
    emails = await _correspondence(client)
    threads: dict[str, list[dict[str, Any]]] = {}
    for item in emails:
        threads.setdefault(item["threadId"], []).append(item)

    def together(item: dict[str, Any], how: Any, word: str) -> bool:
        return bool(how(_has(one, word) for one in threads[item["threadId"]]))

    filters: list[tuple[Any, Any]] = [
        (None, lambda item: True),
        ({"inMailbox": INBOX}, lambda item: INBOX in item["mailboxIds"]),
        ({"inMailboxOtherThan": [INBOX]}, lambda item: ARCHIVE in item["mailboxIds"]),
        ({"inMailbox": INBOX, "notKeyword": "$seen"},
         lambda item: INBOX in item["mailboxIds"] and not _has(item, "$seen")),
        ({"someInThreadHaveKeyword": "x"}, lambda item: together(item, any, "x")),
        ({"allInThreadHaveKeyword": "$flagged"}, lambda item: together(item, all, "$flagged")),
        ({"operator": "NOT", "conditions": [{"noneInThreadHaveKeyword": "x"}, {"hasKeyword": "$seen"}]},
         lambda item: together(item, any, "x") and not _has(item, "$seen")),
    ]  # fmt: skip
    sorts: list[tuple[Any, Any]] = [
        ([{"property": "receivedAt", "isAscending": False}], lambda item: -item["n"]),
        ([{"property": "receivedAt"}], lambda item: item["n"]),
        ([{"property": "sentAt"}], lambda item: item["sentAt"]),
        ([{"property": "size"}, {"property": "receivedAt"}], lambda item: (item["size"], item["n"])),
        ([{"property": "to"}], lambda item: item["to"][0]["email"]),
        ([{"property": "hasKeyword", "keyword": "$flagged", "isAscending": False},
          {"property": "receivedAt"}], lambda item: (not _has(item, "$flagged"), item["n"])),
        ([{"property": "someInThreadHaveKeyword", "keyword": "x"},
          {"property": "receivedAt"}], lambda item: (together(item, any, "x"), item["n"])),
        ([{"property": "allInThreadHaveKeyword", "keyword": "$flagged", "isAscending": False},
          {"property": "receivedAt"}],
         lambda item: (not together(item, all, "$flagged"), item["n"])),
    ]  # fmt: skip
    for (condition, matches), (sort, key), collapse in product(filters, sorts, (False, True)):
        expected: list[str] = []
        met: set[str] = set()
        for item in sorted(filter(matches, emails), key=key):
            if not collapse or item["threadId"] not in met:
                met.add(item["threadId"])
                expected.append(item["id"])
        query = {"filter": condition, "sort": sort, "collapseThreads": collapse}
        size = len(expected)
        for position, limit in ((0, None), (0, 2), (1, 3), (2, 0), (-2, None), (-2, 1), (size, 5)):
            found = await client("Email/query", position=position, limit=limit, **query)
            start = position if position >= 0 else max(0, size + position)
            stop = None if limit is None else start + limit
            assert (found["position"], found["ids"]) == (start, expected[start:stop]), query
        if not expected:
            continue
        anchor = size // 2
        for offset, limit in ((0, 2), (1, 2), (-1, 2), (-9, 2), (0, None)):
            found = await client(
                "Email/query", anchor=expected[anchor], anchorOffset=offset, limit=limit,
                calculateTotal=True, **query,
            )  # fmt: skip
            start = max(0, anchor + offset)
            stop = None if limit is None else start + limit
            assert (found["position"], found["ids"]) == (start, expected[start:stop]), query
            assert found["total"] == size
        hidden = next((item["id"] for item in emails if item["id"] not in expected), "M999")
        assert await refused(client, "Email/query", anchor=hidden, **query) == "anchorNotFound"


async def test_times_of_programs_in_javascript_are_understood(client: MailClient) -> None:
    email = await client.email(receivedAt="2026-01-02T00:00:00Z")
    for condition, expected in (
        ({"after": "2026-01-02T00:00:00.000Z"}, [email]),
        ({"before": "2026-01-02T00:00:00.000Z"}, []),
        ({"before": "2026-01-02T00:00:00.120Z"}, [email]),
        ({"minSize": 1.0}, [email]),
    ):
        assert (await client("Email/query", filter=condition))["ids"] == expected
    for wrong in ("2026-01-02T00:00:00+00:00", "2026-01-02", "2026-01-02t00:00:00z", "", 1, None):
        assert await refused(client, "Email/query", filter={"after": wrong}) == "invalidArguments"


async def test_changes_of_a_query_lead_from_the_old_list_to_the_new(client: MailClient) -> None:
    emails = [item["id"] for item in await _correspondence(client)]
    query = {
        "filter": {"inMailbox": INBOX}, "collapseThreads": True,
        "sort": [{"property": "hasKeyword", "keyword": "$flagged", "isAscending": False}],
    }  # fmt: skip
    before = await client("Email/query", **query)
    await client(
        "Email/set", destroy=[emails[0]],
        update={emails[1]: {"keywords/$flagged": True}, emails[2]: {"mailboxIds": {TRASH: True}}},
    )  # fmt: skip
    await client.email(subject="new")
    after = await client("Email/query", **query)
    state = before["queryState"]
    for more in ({}, {"upToId": before["ids"][-1]}, {"maxChanges": 500}):
        found = await client(
            "Email/queryChanges", sinceQueryState=state, calculateTotal=True, **query, **more
        )
        assert (found["oldQueryState"], found["newQueryState"]) == (state, after["queryState"])
        assert found["total"] == len(after["ids"])
        ids = [one for one in before["ids"] if one not in found["removed"]]
        assert [item["index"] for item in found["added"]] == sorted(
            item["index"] for item in found["added"]
        )
        for item in found["added"]:
            ids.insert(item["index"], item["id"])
        assert ids == after["ids"]
    for arguments, error in (
        ({"sinceQueryState": "x"}, "cannotCalculateChanges"),
        ({"sinceQueryState": state, "maxChanges": 1}, "tooManyChanges"),
        ({"sinceQueryState": state, "filter": {"x": 1}}, "unsupportedFilter"),
        ({}, "invalidArguments"),
    ):
        given = {**query, **arguments}
        assert await refused(client, "Email/queryChanges", **given) == error


async def test_snippets_mind_their_filter(client: MailClient) -> None:
    email = await client.email(subject="a <b> needle", **TEXT)
    found = await client("SearchSnippet/get", emailIds=[email], filter={"subject": "needle"})
    assert (found["list"], found["notFound"]) == (
        [{"emailId": email, "subject": "a &lt;b&gt; <mark>needle</mark>", "preview": None}], None,
    )  # fmt: skip
    found = await client("SearchSnippet/get", emailIds=[email, "x"], filter={"body": "text"})
    assert found["list"][0]["preview"] == "<mark>text</mark>"
    assert found["notFound"] == ["x"]
    for arguments, error in (
        ({"emailIds": [email], "filter": {"nothing": 1}}, "unsupportedFilter"),
        ({"emailIds": None}, "invalidArguments"),
        ({}, "invalidArguments"),
    ):
        assert await refused(client, "SearchSnippet/get", **arguments) == error
