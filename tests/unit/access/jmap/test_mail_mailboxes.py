"""Mailboxes over JMAP: RFC 8621 section 2."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from postillon.account.rights import Right
from support.jmap_mail import MailClient, Refused, mail_client
from support.stores import KINDS, using

INBOX, DRAFTS, TRASH = "F1", "F2", "F5"


@pytest.fixture(params=KINDS, autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[None]:
    with using(request.param):
        yield


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[MailClient]:
    async with mail_client(tmp_path) as found:
        yield found


async def one(client: MailClient, mailbox: str) -> Any:
    return (await client("Mailbox/get", ids=[mailbox]))["list"][0]


async def test_what_is_new_is_told(client: MailClient) -> None:
    found = await client("Mailbox/set", create={"m": {"name": "Work"}})
    created = found["created"]["m"]
    assert created["parentId"] is None
    assert created["sortOrder"] == created["totalEmails"] == 0
    assert created["isSubscribed"] is False
    assert all(created["myRights"].values())
    assert "name" not in created


async def test_a_tree_is_made_in_one_call_whatever_the_order(client: MailClient) -> None:
    found = await client(
        "Mailbox/set",
        create={
            "c": {"name": "c", "parentId": "#b"},
            "b": {"name": "b", "parentId": "#a"},
            "a": {"name": "a", "isSubscribed": True, "sortOrder": 3},
        },
    )
    assert found["notCreated"] is None
    ids = {key: item["id"] for key, item in found["created"].items()}
    assert (await one(client, ids["c"]))["parentId"] == ids["b"]
    found = await client("Mailbox/set", destroy=[ids["a"]])
    assert found["notDestroyed"][ids["a"]]["type"] == "mailboxHasChild"
    found = await client("Mailbox/set", destroy=[ids["a"], ids["b"], ids["c"]])
    assert set(found["destroyed"]) == set(ids.values())


async def test_what_cannot_be_is_refused(client: MailClient) -> None:
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["name"]),
        ({"name": ""}, ["name"]),
        ({"name": "a\u0001b"}, ["name"]),
        ({"name": "x", "parentId": "F99"}, ["parentId"]),
        ({"name": "x", "parentId": "nonsense"}, ["parentId"]),
        ({"name": "x", "parentId": "#nobody"}, ["parentId"]),
        ({"name": "x", "role": "trash"}, ["role"]),
        ({"name": "x", "role": "nonsense"}, ["role"]),
        ({"name": "x", "sortOrder": -1}, ["sortOrder"]),
        ({"name": "x", "isSubscribed": 1}, ["isSubscribed"]),
        ({"name": "x", "id": "F9"}, ["id"]),
        ({"name": "x", "totalEmails": 1}, ["totalEmails"]),
    ]
    for given, properties in cases:
        error = (await client("Mailbox/set", create={"m": given}))["notCreated"]["m"]
        assert (error["type"], error["properties"]) == ("invalidProperties", properties)


async def test_properties_change(client: MailClient) -> None:
    parent = await client.mailbox("parent")
    mailbox = await client.mailbox("old")
    change = {
        "name": "new",
        "parentId": parent,
        "sortOrder": 7,
        "isSubscribed": True,
        "role": "all",
    }
    found = await client("Mailbox/set", update={mailbox: change})
    assert found["updated"] == {mailbox: None}
    shown = await one(client, mailbox)
    assert {name: shown[name] for name in change} == change
    found = await client("Mailbox/set", update={mailbox: {"parentId": None, "role": None}})
    shown = await one(client, mailbox)
    assert (shown["parentId"], shown["role"], shown["name"]) == (None, None, "new")
    found = await client(
        "Mailbox/set", update={parent: {"parentId": mailbox}, mailbox: {"parentId": parent}}
    )
    assert len(found["updated"]) == 1  # one below the other, but not both
    found = await client("Mailbox/set", update={mailbox: {"totalEmails": 3, "name": "x"}})
    assert found["notUpdated"][mailbox]["properties"] == ["totalEmails"]
    assert (await one(client, mailbox))["name"] == "new"


async def test_the_inbox_stays(client: MailClient) -> None:
    for change in ({"name": "x"}, {"role": None}, {"parentId": TRASH}):
        found = await client("Mailbox/set", update={INBOX: change})
        assert found["notUpdated"][INBOX]["type"] == "forbidden"
    found = await client("Mailbox/set", update={INBOX: {"isSubscribed": False, "sortOrder": 1}})
    assert found["updated"] == {INBOX: None}
    assert (await client("Mailbox/set", destroy=[INBOX]))["notDestroyed"][INBOX][
        "type"
    ] == "forbidden"
    rights = (await one(client, INBOX))["myRights"]
    assert rights["mayRename"] is rights["mayDelete"] is False


async def test_emails_go_with_their_mailbox_only_if_that_is_wanted(client: MailClient) -> None:
    mailbox = await client.mailbox("full")
    alone, both = await client.email(mailbox), await client.email(mailbox, INBOX)
    found = await client("Mailbox/set", destroy=[mailbox])
    assert found["notDestroyed"][mailbox]["type"] == "mailboxHasEmail"
    state = found["newState"]
    found = await client("Mailbox/set", destroy=[mailbox], onDestroyRemoveEmails=True)
    assert found["destroyed"] == [mailbox]
    assert (await client("Email/get", ids=[alone]))["notFound"] == [alone]
    assert (await client.one(both, "mailboxIds"))["mailboxIds"] == {INBOX: True}
    changes = await client("Email/changes", sinceState=state)
    assert (changes["updated"], changes["destroyed"]) == ([both], [alone])


async def test_the_trash_is_a_world_of_its_own(client: MailClient) -> None:
    """RFC 8621 section 2, on unreadThreads."""
    thread = {"inReplyTo": ["a@b"], "subject": "s"}
    await client.email(INBOX, keywords={"$seen": True}, **thread)
    trashed = await client.email(TRASH, **thread)
    assert (await one(client, INBOX))["unreadThreads"] == 0
    assert (await one(client, TRASH))["unreadThreads"] == 1
    await client("Email/set", update={trashed: {f"mailboxIds/{DRAFTS}": True}})
    assert (await one(client, INBOX))["unreadThreads"] == 1
    await client("Email/set", update={trashed: {"keywords/$draft": True}})
    assert (await one(client, INBOX))["unreadThreads"] == 0


async def test_counts_alone_are_told_as_such(client: MailClient) -> None:
    state = (await client("Mailbox/get", ids=[]))["state"]
    await client.email(INBOX)
    found = await client("Mailbox/changes", sinceState=state)
    assert found["updated"] == [INBOX]
    assert found["updatedProperties"] == [
        "totalEmails", "unreadEmails", "totalThreads", "unreadThreads",
    ]  # fmt: skip
    await client("Mailbox/set", update={DRAFTS: {"sortOrder": 2}})
    found = await client("Mailbox/changes", sinceState=state)
    assert set(found["updated"]) == {INBOX, DRAFTS}
    assert found["updatedProperties"] is None
    for wrong in ("1.1", "nonsense", "", "1790000000.99", "1790000000.1.2.3.4"):
        with pytest.raises(Refused, match="cannotCalculateChanges"):
            await client("Mailbox/changes", sinceState=wrong)


async def test_queries_filter_and_sort(client: MailClient) -> None:
    b = await client.mailbox("b", sortOrder=1)
    a = await client.mailbox("A", parentId=b, isSubscribed=True)
    c = await client.mailbox("c", parentId=a)
    for arguments, expected in (
        ({"filter": {"parentId": b}}, [a]),
        ({"filter": {"name": "a", "hasAnyRole": False}}, [a]),
        ({"filter": {"role": "trash"}}, [TRASH]),
        ({"filter": {"isSubscribed": True, "hasAnyRole": False}}, [a]),
        ({"filter": {"hasAnyRole": False}, "sort": [{"property": "name"}]}, [a, b, c]),
        (
            {"filter": {"hasAnyRole": False}, "sort": [{"property": "name"}], "sortAsTree": True},
            [b, a, c],
        ),
        ({"filter": {"operator": "OR", "conditions": [{"parentId": a}]}, "filterAsTree": True}, []),
        (
            {"sort": [{"property": "sortOrder", "isAscending": False}], "limit": 1},
            [b],
        ),
    ):  # fmt: skip
        assert (await client("Mailbox/query", **arguments))["ids"] == expected, arguments
    with pytest.raises(Refused, match="unsupportedFilter"):
        await client("Mailbox/query", filter={"x": 1})
    with pytest.raises(Refused, match="unsupportedSort"):
        await client("Mailbox/query", sort=[{"property": "totalEmails"}])


async def test_a_query_is_followed(client: MailClient) -> None:
    query: dict[str, Any] = {"filter": {"hasAnyRole": False}, "sort": [{"property": "name"}]}
    b = await client.mailbox("b")
    state = (await client("Mailbox/query", **query))["queryState"]
    a = await client.mailbox("a")
    await client("Mailbox/set", update={b: {"name": "z"}})
    found = await client("Mailbox/queryChanges", sinceQueryState=state, **query)
    assert set(found["removed"]) == {a, b}
    assert found["added"] == [{"id": a, "index": 0}, {"id": b, "index": 1}]
    await client.email(INBOX)
    found = await client("Mailbox/queryChanges", sinceQueryState=found["newQueryState"], **query)
    assert found["removed"] == found["added"] == []


async def test_others_see_what_was_granted_to_them(client: MailClient) -> None:
    other = await client.house.account("bob@example.org")
    bob = MailClient(client.house, other)
    email = await client.email(INBOX, DRAFTS, subject="shared")
    await client.email(DRAFTS, subject="not shared")
    for method in ("Mailbox/get", "Email/query"):
        with pytest.raises(Refused, match="accountNotFound"):
            await bob(method, accountId=client.id)
    await client.account.grant(1, other.id, Right.LOOKUP | Right.READ)  # type: ignore[arg-type]
    [seen] = (await bob("Mailbox/get", accountId=client.id))["list"]
    assert (seen["id"], seen["role"], seen["totalEmails"]) == (INBOX, None, 1)
    assert [right for right, has in seen["myRights"].items() if has] == ["mayReadItems"]
    assert (await bob("Email/query", accountId=client.id))["ids"] == [email]
    found = await bob("Email/get", accountId=client.id, ids=[email], properties=["mailboxIds"])
    assert found["list"][0]["mailboxIds"] == {INBOX: True}
    for change in ({"keywords/$seen": True}, {"mailboxIds": {DRAFTS: True}}):
        found = await bob("Email/set", accountId=client.id, update={email: change})
        assert found["updated"] is None
    found = await bob("Email/set", accountId=client.id, destroy=[email])
    assert found["notDestroyed"][email]["type"] == "forbidden"
    copied = await bob(
        "Email/copy", fromAccountId=client.id,
        create={"c": {"id": email, "mailboxIds": {INBOX: True}, "keywords": {"$seen": True}}},
    )  # fmt: skip
    copy = copied["created"]["c"]["id"]
    assert (await bob.one(copy, "subject", "keywords")) == {
        "id": copy, "subject": "shared", "keywords": {"$seen": True},
    }  # fmt: skip


async def test_unread_mail_in_mailboxes_that_are_not_shared_counts_for_nobody_else(
    client: MailClient,
) -> None:
    other = await client.house.account("bob@example.org")
    bob = MailClient(client.house, other)
    thread = {"inReplyTo": ["a@b"], "subject": "s"}
    await client.email(INBOX, keywords={"$seen": True}, **thread)
    await client.account.grant(1, other.id, Right.LOOKUP | Right.READ)  # type: ignore[arg-type]

    async def counts(who: MailClient) -> tuple[int, ...]:
        [found] = (await who("Mailbox/get", accountId=client.id, ids=[INBOX]))["list"]
        return tuple(
            found[name] for name in ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")
        )

    assert await counts(client) == await counts(bob) == (1, 0, 1, 0)
    hidden = await client.email(DRAFTS, **thread)  # the counts that are kept are moved on
    assert await counts(client) == (1, 0, 1, 1)
    assert await counts(bob) == (1, 0, 1, 0)
    await client("Email/set", update={hidden: {f"mailboxIds/{INBOX}": True}})
    assert await counts(client) == await counts(bob) == (2, 1, 1, 1)
    await client("Email/set", update={hidden: {f"mailboxIds/{INBOX}": None}})
    assert await counts(bob) == (1, 0, 1, 0)
    await client.account.grant(2, other.id, Right.LOOKUP | Right.READ)  # type: ignore[arg-type]
    assert await counts(bob) == (1, 0, 1, 1)
