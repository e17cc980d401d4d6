"""Rules of RFC 8620 and of sending that hold for whoever keeps to them, each as a client meets it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postillon.access.jmap import names
from postillon.protocol.jmap.request import Limits
from support.jmap import BOB, CORE, Caller, caller

MAIL, SUBMISSION = "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:submission"
VACATION = "urn:ietf:params:jmap:vacationresponse"
USING = [CORE, MAIL, SUBMISSION, VACATION]
SMALL = Limits(max_objects_in_get=3, max_objects_in_set=3, max_size_request=20_000)


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Caller]:
    async with caller(tmp_path, SMALL) as found:
        yield found


async def account_of(ada: Caller) -> str:
    owner = await ada.at.directory.by_login(ada.login)
    assert owner is not None
    return names.name(names.ACCOUNT, owner.id)


async def one(ada: Caller, name: str, **arguments: Any) -> Any:
    call = [name, {"accountId": await account_of(ada), **arguments}, "0"]
    said, answer, _ = (await ada.call(call, using=USING))[0]
    return answer if said == name else {"error": answer["type"], **answer}


async def identity(ada: Caller, **more: Any) -> Any:
    return await one(ada, "Identity/set", create={"k": {"email": ada.login, **more}})


async def test_an_update_in_a_state_that_is_over_changes_nothing(ada: Caller) -> None:
    before = await one(ada, "Identity/get")
    await identity(ada)
    late = await one(
        ada, "Identity/set", ifInState=before["state"], update={"I0": {"name": "Late"}}
    )
    assert late["error"] == "stateMismatch"
    now = await one(ada, "Identity/get", ids=["I0"])
    assert now["list"][0]["name"] == ""
    done = await one(ada, "Identity/set", ifInState=now["state"], update={"I0": {"name": "Ada"}})
    assert done["updated"] == {"I0": None}
    assert (done["oldState"], done["newState"] != now["state"]) == (now["state"], True)


async def test_a_set_that_refuses_everything_leaves_the_state(ada: Caller) -> None:
    done = await one(
        ada,
        "Identity/set",
        create={"k": {"email": "not an address"}},
        update={"I99": {"name": "x"}},
        destroy=["I98"],
    )
    assert done["oldState"] == done["newState"]
    assert done["notCreated"]["k"]["type"] == "invalidProperties"
    assert done["notUpdated"]["I99"]["type"] == "notFound"
    assert done["notDestroyed"]["I98"]["type"] == "notFound"
    assert (done["created"], done["updated"], done["destroyed"]) == (None, None, None)


async def test_what_is_destroyed_in_the_same_call_is_not_updated(ada: Caller) -> None:
    number = (await identity(ada))["created"]["k"]["id"]
    done = await one(ada, "Identity/set", update={number: {"name": "x"}}, destroy=[number, number])
    assert done["notUpdated"][number]["type"] == "willDestroy"
    assert (done["destroyed"], done["notDestroyed"]) == ([number], None)


async def test_a_creation_id_stands_for_the_id_in_later_calls_and_in_the_same_one(
    ada: Caller,
) -> None:
    account = await account_of(ada)
    found = await ada.call(
        ["Identity/set", {
            "accountId": account, "create": {"k": {"email": ada.login, "name": "First"}},
            "update": {"#k": {"name": "Second"}},
        }, "0"],
        ["Identity/get", {"accountId": account, "ids": ["#k", "#none"]}, "1"],
        ["Identity/set", {"accountId": account, "destroy": ["#k"]}, "2"],
        using=USING,
    )  # fmt: skip
    [made, got, gone] = [item[1] for item in found]
    number = made["created"]["k"]["id"]
    assert made["updated"] == {number: None}
    assert [item["name"] for item in got["list"]] == ["Second"]
    assert got["notFound"] == ["#none"]
    assert gone["destroyed"] == [number]


async def test_creation_ids_go_on_from_one_request_to_the_next(ada: Caller) -> None:
    number = (await identity(ada))["created"]["k"]["id"]
    call = ["Identity/set", {"accountId": await account_of(ada), "destroy": ["#k"]}, "0"]
    body = {"using": USING, "methodCalls": [call], "createdIds": {"k": number}}
    status, found = await ada.post(json.dumps(body).encode())
    assert (status, found["createdIds"]) == (200, {"k": number})
    assert found["methodResponses"][0][1]["destroyed"] == [number]


async def test_too_many_objects_are_refused_before_any_is_looked_at(ada: Caller) -> None:
    too_many = {str(n): {"email": ada.login} for n in range(4)}
    refused = await one(ada, "Identity/set", create=too_many)
    assert refused["error"] == "requestTooLarge"
    for ids in (["I0"] * 4, [f"I{n}" for n in range(4)]):
        assert (await one(ada, "Identity/get", ids=ids))["error"] == "requestTooLarge"
    assert len((await one(ada, "Identity/get", ids=None))["list"]) == 1


async def test_all_there_are_is_refused_where_these_are_too_many(ada: Caller) -> None:
    for n in range(3):
        await identity(ada, name=str(n))
    assert (await one(ada, "Identity/get", ids=None))["error"] == "requestTooLarge"
    assert len((await one(ada, "Identity/get", ids=["I0"]))["list"]) == 1


async def test_a_request_beyond_its_size_names_the_limit(ada: Caller) -> None:
    call = ["Core/echo", {"x": "y" * 20_000}, "0"]
    status, found = await ada.post(json.dumps({"using": [CORE], "methodCalls": [call]}).encode())
    assert status == 400
    assert found["type"] == "urn:ietf:params:jmap:error:limit"
    assert found["limit"] == "maxSizeRequest"


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"replyTo/0/email": "x@example.org"}, "invalidPatch"),
        ({"nothing/here": 1}, "invalidPatch"),
        ({"bcc": None, "bcc/x": 1}, "invalidPatch"),
        ({"id": "I7"}, "invalidProperties"),
        ({"mayDelete": True}, "invalidProperties"),
        ({"email": BOB}, "invalidProperties"),
        ({"colour": "red"}, "invalidProperties"),
        ({"name": 7}, "invalidProperties"),
    ],
)
async def test_a_patch_that_cannot_be_is_refused_whole(
    ada: Caller, changes: dict[str, Any], kind: str
) -> None:
    await one(ada, "Identity/set", update={"I0": {"replyTo": [{"email": ada.login}]}})
    done = await one(ada, "Identity/set", update={"I0": {"textSignature": "x", **changes}})
    assert done["notUpdated"]["I0"]["type"] == kind
    assert (await one(ada, "Identity/get"))["list"][0]["textSignature"] == ""


async def test_what_a_patch_repeats_as_it_is_may_be_there(ada: Caller) -> None:
    [whole] = (await one(ada, "Identity/get"))["list"]
    done = await one(ada, "Identity/set", update={"I0": {**whole, "textSignature": "Bye"}})
    assert done["updated"] == {"I0": None}
    assert (await one(ada, "Identity/get"))["list"] == [{**whole, "textSignature": "Bye"}]
    done = await one(ada, "Identity/set", update={"I0": {"textSignature": None}})  # the default
    assert done["updated"] == {"I0": None}
    assert (await one(ada, "Identity/get"))["list"] == [whole]


@pytest.mark.parametrize(
    ("name", "arguments", "kind"),
    [
        ("Identity/get", {"properties": ["id", "colour"]}, "invalidArguments"),
        ("Identity/get", {"ids": "I0"}, "invalidArguments"),
        ("Identity/get", {"ids": ["not an id"]}, "invalidArguments"),
        ("Identity/get", {"colour": 1}, "invalidArguments"),
        ("Identity/changes", {}, "invalidArguments"),
        ("Identity/changes", {"sinceState": "x"}, "cannotCalculateChanges"),
        ("Identity/changes", {"sinceState": "1.1", "maxChanges": 0}, "invalidArguments"),
        ("Identity/changes", {"sinceState": "1.1", "maxChanges": -1}, "invalidArguments"),
        ("Identity/query", {}, "unknownMethod"),
        ("EmailSubmission/query", {"sort": [{"property": "colour"}]}, "unsupportedSort"),
        ("EmailSubmission/query", {"filter": {"colour": 1}}, "unsupportedFilter"),
        ("EmailSubmission/query", {"anchor": "S99"}, "anchorNotFound"),
        ("EmailSubmission/query", {"limit": -1}, "invalidArguments"),
        (
            "EmailSubmission/query",
            {"filter": {"operator": "XOR", "conditions": []}},
            "invalidArguments",
        ),
        ("EmailSubmission/queryChanges", {"sinceQueryState": "x"}, "cannotCalculateChanges"),
        ("VacationResponse/set", {"ifInState": "x"}, "stateMismatch"),
        ("Core/echo/more", {}, "unknownMethod"),
    ],
)
async def test_a_call_that_cannot_be_has_its_error(
    ada: Caller, name: str, arguments: dict[str, Any], kind: str
) -> None:
    assert (await one(ada, name, **arguments))["error"] == kind


@pytest.mark.parametrize(
    ("account", "kind"), [("a999", "accountNotFound"), ("x", "accountNotFound")]
)
async def test_an_account_that_is_not_there_is_told(ada: Caller, account: str, kind: str) -> None:
    for name in ("Identity/get", "EmailSubmission/get", "VacationResponse/get", "Email/get"):
        [[said, error, _]] = await ada.call([name, {"accountId": account}, "0"], using=USING)
        assert (said, error["type"]) == ("error", kind)


async def test_an_id_is_given_even_where_it_was_not_asked_for(ada: Caller) -> None:
    found = await one(ada, "Identity/get", properties=["email"], ids=["I0", "I0", "I99"])
    assert found["list"] == [{"id": "I0", "email": ada.login}]
    assert found["notFound"] == ["I99"]


async def test_changes_in_small_steps_lead_to_the_same_end(ada: Caller) -> None:
    since = (await one(ada, "Identity/get"))["state"]
    made = [(await identity(ada, name=str(n)))["created"]["k"]["id"] for n in range(3)]
    await one(ada, "Identity/set", update={made[0]: {"name": "x"}}, destroy=[made[1]])
    seen: dict[str, set[str]] = {"created": set(), "updated": set(), "destroyed": set()}
    while True:
        told = await one(ada, "Identity/changes", sinceState=since, maxChanges=1)
        assert len(told["created"] + told["updated"] + told["destroyed"]) <= 1
        for kind, ids in seen.items():
            ids.update(told[kind])
        since = told["newState"]
        if not told["hasMoreChanges"]:
            break
    assert seen["created"] - seen["destroyed"] == {made[0], made[2]}
    assert since == (await one(ada, "Identity/get"))["state"]


async def test_null_stands_for_what_is_left_out_in_a_sort(ada: Caller) -> None:
    """As clients made of data classes write it."""
    sort = [{"property": "receivedAt", "isAscending": False, "collation": None, "keyword": None}]
    assert (await one(ada, "Email/query", sort=sort, anchor=None, filter=None))["ids"] == []


async def test_a_result_that_was_an_error_cannot_be_referred_to(ada: Caller) -> None:
    account = await account_of(ada)
    reference = {"resultOf": "0", "name": "Email/query", "path": "/ids"}
    found = await ada.call(
        ["Email/query", {"accountId": account, "filter": {"colour": 1}}, "0"],
        ["Email/get", {"accountId": account, "#ids": reference}, "1"],
        ["Core/echo", {"still": "here"}, "2"],
        using=USING,
    )
    assert [item[1].get("type") for item in found[:2]] == [
        "unsupportedFilter",
        "invalidResultReference",
    ]
    assert found[2] == ["Core/echo", {"still": "here"}, "2"]


async def test_of_a_push_subscription_only_what_is_not_known_comes_back(ada: Caller) -> None:
    value = {
        "deviceClientId": "x", "url": "https://push.example.com/x", "types": ["Email"],
        "expires": "2026-09-22T00:00:00Z",
    }  # fmt: skip
    [[_, done, _]] = await ada.call(["PushSubscription/set", {"create": {"k": value}}, "0"])
    assert done["created"]["k"] == {"id": done["created"]["k"]["id"], "verificationCode": None}


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8"])
async def test_requests_are_json(ada: Caller, kind: str) -> None:
    status, _ = await ada.post(b'{"using": [], "methodCalls": []}', kind)
    assert status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/xml"])
async def test_other_types_are_no_requests(ada: Caller, kind: str) -> None:
    status, found = await ada.post(b'{"using": [], "methodCalls": []}', kind)
    assert (status, found["type"]) == (400, "urn:ietf:params:jmap:error:notJSON")


async def draft(ada: Caller, **more: Any) -> str:
    value = {
        "mailboxIds": {"F2": True}, "keywords": {"$draft": True}, "subject": "Hello",
        "from": [{"email": ada.login}], "to": [{"email": BOB}],
        "bodyStructure": {"type": "text/plain", "partId": "1"},
        "bodyValues": {"1": {"value": "Hello"}}, **more,
    }  # fmt: skip
    made = await one(ada, "Email/set", create={"e": value})
    return str(made["created"]["e"]["id"])


async def test_one_email_set_follows_with_what_success_brings(ada: Caller) -> None:
    good, bad = await draft(ada), await draft(ada, **{"from": [{"email": BOB}]})
    found = await ada.call(
        ["EmailSubmission/set", {
            "accountId": await account_of(ada),
            "create": {
                "good": {"identityId": "I0", "emailId": good},
                "bad": {"identityId": "I0", "emailId": bad},
            },
            "onSuccessUpdateEmail": {
                "#good": {"keywords/$draft": None, "mailboxIds": {"F3": True}},
                "#bad": {"keywords/$draft": None},
            },
        }, "0"],
        ["Email/get", {
            "accountId": await account_of(ada), "ids": [good, bad],
            "properties": ["mailboxIds", "keywords"],
        }, "1"],
        using=USING,
    )  # fmt: skip
    assert [(item[0], item[2]) for item in found] == [
        ("EmailSubmission/set", "0"),
        ("Email/set", "0"),
        ("Email/get", "1"),
    ]
    assert found[0][1]["notCreated"]["bad"]["type"] == "forbiddenFrom"
    assert found[1][1]["updated"] == {good: None}
    assert [(item["mailboxIds"], item["keywords"]) for item in found[2][1]["list"]] == [
        ({"F3": True}, {}),
        ({"F2": True}, {"$draft": True}),
    ]


async def test_where_nothing_succeeds_no_email_set_follows(ada: Caller) -> None:
    found = await ada.call(
        ["EmailSubmission/set", {
            "accountId": await account_of(ada),
            "create": {"s": {"identityId": "I0", "emailId": "M99"}},
            "onSuccessDestroyEmail": ["#s"],
        }, "0"],
        using=USING,
    )  # fmt: skip
    assert [item[0] for item in found] == ["EmailSubmission/set"]


async def test_an_email_that_is_destroyed_is_sent_all_the_same(ada: Caller) -> None:
    email = await draft(ada)
    await one(ada, "EmailSubmission/set", create={"s": {"identityId": "I0", "emailId": email}})
    await one(ada, "Email/set", destroy=[email])
    [sent] = (await one(ada, "EmailSubmission/get"))["list"]
    assert (sent["emailId"], sent["undoStatus"]) == (email, "final")
    ada.login = BOB
    assert len((await one(ada, "Email/query"))["ids"]) == 1


async def test_the_envelope_of_a_header_names_each_recipient_once(ada: Caller) -> None:
    email = await draft(ada, cc=[{"email": BOB}], bcc=[{"email": "far@remote.example"}])
    done = await one(
        ada, "EmailSubmission/set", create={"s": {"identityId": "I0", "emailId": email}}
    )
    assert done["created"]["s"]["envelope"] == {
        "mailFrom": {"email": ada.login, "parameters": None},
        "rcptTo": [
            {"email": BOB, "parameters": None},
            {"email": "far@remote.example", "parameters": None},
        ],
    }


async def test_the_limits_that_the_session_tells_are_those_that_hold(ada: Caller) -> None:
    told = (await ada.session())["capabilities"][CORE]
    assert told["maxObjectsInGet"] == SMALL.max_objects_in_get
    assert told["maxSizeRequest"] == SMALL.max_size_request
    calls = [["Core/echo", {}, str(n)] for n in range(told["maxCallsInRequest"] + 1)]
    status, found = await ada.post(json.dumps({"using": [CORE], "methodCalls": calls}).encode())
    assert (status, found["limit"]) == (400, "maxCallsInRequest")
