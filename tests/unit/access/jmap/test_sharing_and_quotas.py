"""Vacation, quota and principals over HTTP (RFC 8621 section 8, RFC 9425, RFC 9670)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postillon.access.jmap import names
from support.jmap import ADA, BOB, CORE, Caller, caller

VACATION = "urn:ietf:params:jmap:vacationresponse"
QUOTA = "urn:ietf:params:jmap:quota"
PRINCIPALS = "urn:ietf:params:jmap:principals"


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Caller]:
    async with caller(tmp_path) as found:
        yield found


async def one(ada: Caller, using: str, name: str, **arguments: Any) -> Any:
    owner = await ada.at.directory.by_login(ada.login)
    assert owner is not None
    whole = {"accountId": names.name(names.ACCOUNT, owner.id), **arguments}
    [[said, answer, _]] = await ada.call([name, whole, "0"], using=[CORE, using])
    return answer if said == name else {"error": answer["type"], **answer}


async def test_a_vacation_is_one_object_that_is_always_there(ada: Caller) -> None:
    found = await one(ada, VACATION, "VacationResponse/get", ids=None)
    assert [(item["id"], item["isEnabled"]) for item in found["list"]] == [("singleton", False)]
    done = await one(ada, VACATION, "VacationResponse/set", ifInState=found["state"], update={
        "singleton": {"isEnabled": True, "fromDate": "2026-12-01T00:00:00Z", "textBody": "Away"},
    })  # fmt: skip
    assert done["updated"] == {"singleton": None}
    assert done["newState"] != found["state"]
    [item] = (await one(ada, VACATION, "VacationResponse/get"))["list"]
    assert (item["fromDate"], item["textBody"], item["toDate"]) == (
        "2026-12-01T00:00:00Z",
        "Away",
        None,
    )


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"isEnabled": 1}, ["isEnabled"]),
        ({"fromDate": "soon"}, ["fromDate"]),
        ({"subject": "a\nb"}, ["subject"]),
        ({"colour": "red"}, ["colour"]),
        (
            {"fromDate": "2026-12-02T00:00:00Z", "toDate": "2026-12-01T00:00:00Z"},
            ["fromDate", "toDate"],
        ),
    ],
)
async def test_what_makes_no_vacation_is_refused(
    ada: Caller, changed: dict[str, Any], wrong: list[str]
) -> None:
    done = await one(ada, VACATION, "VacationResponse/set", update={"singleton": changed})
    assert done["notUpdated"]["singleton"]["properties"] == wrong


async def test_a_vacation_is_neither_made_nor_destroyed(ada: Caller) -> None:
    done = await one(ada, VACATION, "VacationResponse/set", create={"k": {}}, destroy=["singleton"])
    assert done["notCreated"]["k"]["type"] == "singleton"
    assert done["notDestroyed"]["singleton"]["type"] == "singleton"


async def test_a_quota_is_told_with_its_changes(ada: Caller) -> None:
    none = await one(ada, QUOTA, "Quota/get", ids=None)
    assert none["list"] == []
    await ada.at.accounts.set_quota(ADA, 5_000)
    found = await one(ada, QUOTA, "Quota/get", ids=None)
    [quota] = found["list"]
    assert (quota["hardLimit"], quota["used"], quota["resourceType"]) == (5_000, 0, "octets")
    told = await one(ada, QUOTA, "Quota/changes", sinceState=none["state"])
    assert told["created"] == [quota["id"]]
    await ada.at.accounts.set_quota(ADA, 6_000)
    told = await one(ada, QUOTA, "Quota/changes", sinceState=found["state"])
    assert (told["updated"], told["updatedProperties"]) == ([quota["id"]], None)
    odd = await one(ada, QUOTA, "Quota/changes", sinceState="x")
    assert odd["error"] == "cannotCalculateChanges"
    by_name = await one(ada, QUOTA, "Quota/query", filter={"name": "storage", "type": "Mail"})
    assert by_name["ids"] == [quota["id"]]
    wrong = await one(ada, QUOTA, "Quota/query", filter={"size": 1})
    assert wrong["error"] == "unsupportedFilter"


async def test_people_of_ones_domain_are_found_and_others_are_not(ada: Caller) -> None:
    await ada.at.directory.create_domain("elsewhere.example")
    await ada.at.accounts.create("eve@elsewhere.example")
    found = await one(ada, PRINCIPALS, "Principal/query", sort=[{"property": "email"}])
    people = (await one(ada, PRINCIPALS, "Principal/get", ids=found["ids"]))["list"]
    assert [item["email"] for item in people] == [ADA, BOB]
    assert people[0]["accounts"] is not None
    assert people[1]["accounts"] is None
    some = await one(ada, PRINCIPALS, "Principal/query", filter={"text": "bob"})
    assert some["ids"] == [people[1]["id"]]
    done = await one(ada, PRINCIPALS, "Principal/set", destroy=[people[1]["id"]])
    assert done["notDestroyed"][people[1]["id"]]["type"] == "forbidden"


async def test_the_session_says_whose_account_is_whose(ada: Caller) -> None:
    session = await ada.session()
    own = session["primaryAccounts"][PRINCIPALS]
    told = session["accounts"][own]["accountCapabilities"]
    assert told[PRINCIPALS]["currentUserPrincipalId"] == f"P{own[1:]}"
    assert told[f"{PRINCIPALS}:owner"]["principalId"] == f"P{own[1:]}"


async def test_a_mailbox_is_shared_and_taken_back(ada: Caller) -> None:
    bob = await ada.at.directory.by_login(BOB)
    assert bob is not None
    person = f"P{bob.id}"

    async def mailboxes(name: str, **arguments: Any) -> Any:
        owner = await ada.at.directory.by_login(ADA)
        assert owner is not None
        whole = {"accountId": f"a{owner.id}", **arguments}
        using = [CORE, "urn:ietf:params:jmap:mail", PRINCIPALS]
        [[_, answer, _]] = await ada.call([name, whole, "0"], using=using)
        return answer

    async def shares() -> Any:
        return (await mailboxes("Mailbox/get", ids=["F1"]))["list"][0]["shareWith"]

    assert await shares() is None
    rights = {"mayReadItems": True, "mayAddItems": True}
    done = await mailboxes("Mailbox/set", update={"F1": {f"shareWith/{person}": rights}})
    assert done["updated"] == {"F1": None}
    found = await shares()
    assert {name for name, value in found[person].items() if value} == set(rights)
    change = {f"shareWith/{person}/mayAddItems": False}
    assert (await mailboxes("Mailbox/set", update={"F1": change}))["updated"] == {"F1": None}
    ada.login = BOB
    [seen] = (await mailboxes("Mailbox/get"))["list"]
    assert (seen["shareWith"], seen["myRights"]["mayAddItems"]) == (None, False)
    refused = await mailboxes("Mailbox/set", update={"F1": {"shareWith": None}})
    assert refused["notUpdated"]["F1"]["type"] == "forbidden"
    ada.login = ADA
    for bad in ({"P999": rights}, {"x": rights}, {person: {"mayFly": True}}, {person: 1}):
        refused = await mailboxes("Mailbox/set", update={"F1": {"shareWith": bad}})
        assert refused["notUpdated"]["F1"]["properties"] == ["shareWith"]
    assert list(await shares()) == [person]
    assert (await mailboxes("Mailbox/set", update={"F1": {"shareWith": None}}))["updated"]
    assert await shares() is None
