"""ShareNotification over HTTP: what somebody is told of rights (RFC 9670 section 3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postillon.account import notices
from postillon.account.flags import FlagMode
from postillon.account.ids import AccountId, MailboxId
from postillon.account.owned import Happened
from postillon.account.rights import Right
from support.jmap import ADA, BOB, CORE, Caller, caller

USING = [CORE, "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:principals"]
READ = {"mayReadItems": True}


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Caller]:
    async with caller(tmp_path) as found:
        yield found


async def number(ada: Caller, login: str) -> int:
    found = await ada.at.directory.by_login(login)
    assert found is not None
    return found.id


async def one(ada: Caller, name: str, **arguments: Any) -> Any:
    whole = {"accountId": f"a{await number(ada, ada.login)}", **arguments}
    [[said, answer, _]] = await ada.call([name, whole, "0"], using=USING)
    return answer if said == name else {"error": answer["type"], **answer}


async def share(ada: Caller, rights: dict[str, bool] | None, mailbox: str = "F1") -> None:
    ada.login = ADA
    change = {f"shareWith/P{await number(ada, BOB)}": rights}
    done = await one(ada, "Mailbox/set", update={mailbox: change})
    assert done["updated"] == {mailbox: None}
    ada.login = BOB


async def test_who_is_given_rights_is_told_by_whom_and_which(ada: Caller) -> None:
    await share(ada, READ)
    [item] = (await one(ada, "ShareNotification/get", ids=None))["list"]
    owner = await number(ada, ADA)
    assert item["changedBy"] == {"name": ADA, "email": ADA, "principalId": f"P{owner}"}
    assert (item["objectType"], item["objectAccountId"], item["objectId"], item["name"]) == (
        "Mailbox",
        f"a{owner}",
        "F1",
        "INBOX",
    )
    assert item["oldRights"] is None
    assert {name for name, may in item["newRights"].items() if may} == {"mayReadItems"}
    ada.login = ADA
    assert (await one(ada, "ShareNotification/get", ids=None))["list"] == []


async def test_a_further_change_takes_the_place_of_the_one_before(ada: Caller) -> None:
    await share(ada, READ)
    before = await one(ada, "ShareNotification/get", ids=None)
    [first] = before["list"]
    await share(ada, {**READ, "mayAddItems": True})
    [second] = (await one(ada, "ShareNotification/get", ids=None))["list"]
    assert second["id"] != first["id"]
    assert (second["oldRights"], second["newRights"]["mayAddItems"]) == (None, True)
    told = await one(ada, "ShareNotification/changes", sinceState=before["state"])
    assert (told["created"], told["destroyed"]) == ([second["id"]], [first["id"]])


async def test_nothing_is_told_of_what_has_become_as_it_was(ada: Caller) -> None:
    await share(ada, READ)
    await share(ada, None)
    assert (await one(ada, "ShareNotification/get", ids=None))["list"] == []


async def test_who_has_put_a_notice_away_is_told_when_rights_are_taken(ada: Caller) -> None:
    await share(ada, READ)
    [item] = (await one(ada, "ShareNotification/get", ids=None))["list"]
    done = await one(ada, "ShareNotification/set", destroy=[item["id"], "N999", "x"])
    assert done["destroyed"] == [item["id"]]
    assert [error["type"] for error in done["notDestroyed"].values()] == ["notFound"] * 2
    await share(ada, None)
    [later] = (await one(ada, "ShareNotification/get", ids=None))["list"]
    assert (later["oldRights"]["mayReadItems"], later["newRights"]) == (True, None)


async def test_notices_are_neither_made_nor_changed_by_clients(ada: Caller) -> None:
    await share(ada, READ)
    [item] = (await one(ada, "ShareNotification/get", ids=None))["list"]
    done = await one(
        ada,
        "ShareNotification/set",
        create={"k": {"name": "x"}},
        update={item["id"]: {"name": "x"}},
    )
    assert done["notCreated"]["k"]["type"] == "forbidden"
    assert done["notUpdated"][item["id"]]["type"] == "forbidden"
    assert done["oldState"] == done["newState"]


async def test_notices_are_found_by_time_type_and_account_and_in_both_orders(ada: Caller) -> None:
    owner = await number(ada, ADA)
    await share(ada, READ, "F1")
    ada.at.time.now += 60_000
    await share(ada, READ, "F2")
    by_mailbox = {
        item["objectId"]: item for item in (await one(ada, "ShareNotification/get"))["list"]
    }
    ids = [by_mailbox[name]["id"] for name in ("F1", "F2")]
    later = by_mailbox["F2"]["created"]

    async def found(**more: Any) -> Any:
        answer = await one(ada, "ShareNotification/query", **more)
        return answer.get("ids", answer.get("error"))

    created = {"property": "created"}
    assert await found(sort=[created]) == ids
    assert await found(sort=[{**created, "isAscending": False}]) == ids[::-1]
    assert await found(filter={"after": later}) == ids[1:]
    assert await found(filter={"before": later, "after": None}) == ids[:1]
    assert await found(filter={"objectType": "Mailbox", "objectAccountId": f"a{owner}"}) == ids
    assert await found(filter={"objectType": "Calendar"}) == []
    assert await found(filter={"operator": "NOT", "conditions": [{"after": later}]}) == ids[:1]
    assert await found(filter={"after": "soon"}) == "invalidArguments"
    assert await found(filter={"name": "INBOX"}) == "unsupportedFilter"
    assert await found(sort=[{"property": "name"}]) == "unsupportedSort"


async def test_a_query_is_followed_by_its_changes(ada: Caller) -> None:
    await share(ada, READ, "F1")
    before = await one(ada, "ShareNotification/query")
    assert before["canCalculateChanges"] is True
    await share(ada, READ, "F2")
    await one(ada, "ShareNotification/set", destroy=before["ids"])
    told = await one(ada, "ShareNotification/queryChanges", sinceQueryState=before["queryState"])
    now = await one(ada, "ShareNotification/query")
    assert told["removed"] == before["ids"]
    assert told["added"] == [{"id": now["ids"][0], "index": 0}]


async def test_a_new_notice_is_pushed(ada: Caller) -> None:
    ada.login = BOB
    path = "/jmap/eventsource/?types=ShareNotification&closeafter=state&ping=0"
    async with ada.client.get(path, headers=ada.headers({})) as answer:
        assert await answer.content.readline() == b": here\n"
        await share(ada, READ)
        async with asyncio.timeout(20):
            text = (await answer.content.read()).decode()
    assert "ShareNotification" in text
    assert f"a{await number(ada, BOB)}" in text


async def test_what_an_account_owns_beside_mail_is_told_to_its_owner_alone(ada: Caller) -> None:
    account = ada.at.accounts.open(await number(ada, ADA))
    bob = await number(ada, BOB)
    await account.grant_all(bob, Right.LOOKUP | Right.READ, FlagMode.REPLACE)
    seen = ada.at.accounts.open(await number(ada, ADA), bob)
    before = (await seen.news(None)).modseq
    ada.login = ADA
    name = "urn:ietf:params:jmap:submission"
    call = ["Identity/set", {"accountId": f"a{account.id}", "update": {"I0": {"name": "x"}}}, "0"]
    [[_, done, _]] = await ada.call(call, using=[CORE, name])
    assert done["updated"] == {"I0": None}
    assert (await account.news(before)).kinds == {Happened.IDENTITY_CHANGED}
    assert (await seen.news(before)).kinds == frozenset()


async def test_what_a_group_is_given_is_told_to_nobody(ada: Caller) -> None:
    group = await ada.at.directory.create_group("team@example.org", [BOB])
    account = ada.at.accounts.open(await number(ada, ADA))
    await account.grant(MailboxId(1), group.id, Right.LOOKUP)
    ada.login = BOB
    assert (await one(ada, "ShareNotification/get"))["list"] == []


async def test_notices_are_bounded_and_go_after_a_while(
    ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "MAX_NOTICES", 2)
    for mailbox in ("F1", "F2", "F3"):
        await share(ada, READ, mailbox)
        ada.at.time.now += 1_000
    found = await one(ada, "ShareNotification/get", properties=["objectId"])
    assert [item["objectId"] for item in found["list"]] == ["F2", "F3"]
    ada.at.time.now += notices.KEPT_MS
    told = await one(ada, "ShareNotification/changes", sinceState=found["state"])
    assert told["destroyed"] == [item["id"] for item in found["list"]]
    assert (await one(ada, "ShareNotification/get"))["list"] == []


async def test_notices_go_with_their_account_and_outlive_who_shared(ada: Caller) -> None:
    await share(ada, READ)
    await ada.at.accounts.remove(ADA)
    [item] = (await one(ada, "ShareNotification/get"))["list"]
    assert item["changedBy"] == {"name": ADA, "email": ADA, "principalId": None}
    bob = AccountId(await number(ada, BOB))
    await ada.at.accounts.remove(BOB)
    assert await ada.at.store.query(notices.every(bob)) == []
