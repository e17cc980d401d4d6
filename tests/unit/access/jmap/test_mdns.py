"""Read receipts over HTTP (RFC 9007, RFC 8098)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from postillon.access.jmap import names
from support.accounts import append
from support.jmap import BOB, CORE, Caller, caller

MAIL, MDN = "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:mdn"
DISPOSITION = {
    "actionMode": "manual-action",
    "sendingMode": "mdn-sent-manually",
    "type": "displayed",
}
ASKING = (
    b"From: Bob <bob@example.org>\r\nTo: ada@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Message-ID: <1@example.org>\r\nDisposition-Notification-To: bob@example.org\r\n\r\nHello\r\n"
)


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Caller]:
    async with caller(tmp_path) as found:
        yield found


async def account_of(ada: Caller) -> int:
    owner = await ada.at.directory.by_login(ada.login)
    assert owner is not None
    return owner.id


async def call(ada: Caller, name: str, **arguments: Any) -> Any:
    whole = {"accountId": names.name(names.ACCOUNT, await account_of(ada)), **arguments}
    return await ada.call([name, whole, "0"], using=[CORE, MAIL, MDN])


async def received(ada: Caller, content: bytes = ASKING) -> str:
    account = ada.at.accounts.open(await account_of(ada))
    await append(account, content)
    [found] = await call(ada, "Email/query", sort=[{"property": "receivedAt"}])
    return str(found[1]["ids"][-1])


async def test_a_receipt_goes_to_who_asked_and_only_once(ada: Caller) -> None:
    email = await received(ada)
    wanted = {"k": {
        "forEmailId": email, "disposition": DISPOSITION, "includeOriginalMessage": True,
        "extensionFields": {"X-Room": "7"},
    }}  # fmt: skip
    first = await call(ada, "MDN/send", identityId="I0", send=wanted)
    assert [item[0] for item in first] == ["MDN/send", "Email/set"]
    assert first[0][1]["sent"]["k"]["finalRecipient"] == "rfc822; ada@example.org"
    assert first[1][1]["updated"] == {email: None}
    again = await call(ada, "MDN/send", identityId="I0", send=wanted)
    assert again[0][1]["notSent"]["k"]["type"] == "mdnAlreadySent"
    bob = await ada.at.directory.by_login(BOB)
    assert bob is not None
    account = ada.at.accounts.open(bob.id)
    [row] = await account.emails((await account.mailboxes())[0].id, [(1, 9)])
    assert b"Return-Path: <>" in row.prefix
    content = await account.content(row)
    found = message_from_bytes(content, policy=policy.default)
    assert found.get_content_type() == "multipart/report"
    assert found["Subject"] == "Read: Grüße"
    assert found["In-Reply-To"] == "<1@example.org>"

    ada.login = BOB
    ids = (await call(ada, "Email/query"))[0][1]["ids"]
    parsed = (await call(ada, "MDN/parse", blobIds=[f"B{ids[0].lower()}", "Bm999", "Bu1"]))[0][1]
    [mdn] = parsed["parsed"].values()
    assert mdn["disposition"] == DISPOSITION
    assert mdn["originalMessageId"] == "<1@example.org>"
    assert mdn["includeOriginalMessage"]
    assert mdn["extensionFields"] == {"x-room": "7"}
    assert mdn["subject"] == "Read: Grüße"
    assert sorted(parsed["notFound"]) == ["Bm999", "Bu1"]


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({}, "notFound"),
        ({"forEmailId": 7}, "notFound"),
        ({"forEmailId": "M999"}, "notFound"),
        ({"disposition": {}}, "invalidProperties"),
        ({"extensionFields": {"X": "a\r\nBcc: x@example.com"}}, "invalidProperties"),
        ({"finalRecipient": "rfc822; bob@example.org"}, "invalidProperties"),
        ({"colour": "red"}, "invalidProperties"),
    ],
)
async def test_what_makes_no_receipt_is_refused(
    ada: Caller, value: dict[str, Any], error: str
) -> None:
    email = await received(ada)
    full = {"forEmailId": email, "disposition": DISPOSITION, **value} if value else {}
    answer = await call(ada, "MDN/send", identityId="I0", send={"k": full})
    assert answer[0][1]["notSent"]["k"]["type"] == error
    assert await ada.at.rows("SELECT * FROM trace") == []


async def test_nobody_is_told_who_did_not_ask(ada: Caller) -> None:
    email = await received(ada, ASKING.replace(b"Disposition-Notification-To", b"X-No"))
    send = {"k": {"forEmailId": email, "disposition": DISPOSITION}}
    answer = await call(ada, "MDN/send", identityId="I0", send=send)
    assert answer[0][1]["notSent"]["k"]["type"] == "noRecipients"
    plain = await call(ada, "MDN/parse", blobIds=[f"B{email.lower()}"])
    assert plain[0][1]["notParsable"] == [f"B{email.lower()}"]
