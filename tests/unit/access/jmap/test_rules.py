"""Rules over HTTP: kept, changed, told of, and run over what is there already."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postillon.access.jmap import rule_runs, rules, traces
from postillon.account.ids import MailboxId
from postillon.account.rights import Right
from postillon.account.roles import INBOX_ID
from postillon.mail.address import parse_address
from postillon.mail.envelope import Envelope, Recipient
from postillon.queue.acceptance import Submission
from postillon.queue.config import QueueConfig
from postillon.queue.ids import new_queue_id
from postillon.queue.submit import Submitter
from postillon.route.config import RouteConfig
from postillon.route.recipient import Recipients
from support.accounts import append
from support.jmap import ADA, BOB, CORE, Caller, caller

USING = [CORE, "urn:ietf:params:jmap:mail", rules.CAPABILITY, traces.CAPABILITY]
TEA = [{"type": "subject", "comparison": "contains", "value": "tea"}]
FULL: dict[str, Any] = {
    "name": "All about tea", "isEnabled": True, "sortOrder": 7, "matchAll": False,
    "conditions": [
        *TEA,
        {"type": "from", "comparison": "is", "value": "ada@example.org"},
        {"type": "to", "comparison": "isNot", "value": "bob@example.org"},
        {"type": "header", "comparison": "notContains", "value": "x", "header": "X-Mark"},
        {"type": "list", "comparison": "is", "value": "tea.example"},
        {"type": "size", "comparison": "over", "value": 1000},
        {"type": "attachment", "comparison": "isNot"},
    ],
    "fileInto": None, "fileIntoRole": "trash", "markSeen": True, "markFlagged": True,
    "addKeywords": ["blue"], "forwardTo": ["friend@remote.example"], "stop": False,
}  # fmt: skip


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Caller]:
    async with caller(tmp_path) as found:
        yield found


async def number(ada: Caller, login: str = ADA) -> int:
    found = await ada.at.directory.by_login(login)
    assert found is not None
    return found.id


async def ask(ada: Caller, name: str, **arguments: Any) -> Any:
    whole = {"accountId": f"a{await number(ada)}", **arguments}
    [[said, answer, _]] = await ada.call([name, whole, "0"], using=USING)
    return answer if said == name else {"error": answer["type"], **answer}


async def make(ada: Caller, **what: Any) -> str:
    done = await ask(
        ada, "Rule/set", create={"n": {"name": "Tea", "conditions": TEA, "stop": True, **what}}
    )
    assert done["notCreated"] is None, done
    return str(done["created"]["n"]["id"])


async def kept(ada: Caller) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await ask(ada, "Rule/get", ids=None))["list"]
    return found


async def test_a_rule_comes_back_as_it_was_given(ada: Caller) -> None:
    done = await ask(ada, "Rule/set", create={"n": FULL})
    assert set(done["created"]["n"]) == {"id"}
    [item] = await kept(ada)
    assert item == {"id": done["created"]["n"]["id"], **FULL}
    least = {"name": "  Least ", "conditions": TEA, "markSeen": True}
    done = await ask(ada, "Rule/set", create={"n": least})
    made = done["created"]["n"]
    assert (made["name"], made["sortOrder"], made["stop"]) == ("Least", 8, True)
    assert [item["name"] for item in await kept(ada)] == ["All about tea", "Least"]


async def test_order_and_switches_are_patched_and_all_is_told(ada: Caller) -> None:
    one, two = await make(ada, name="One"), await make(ada, name="Two")
    state = (await ask(ada, "Rule/get", ids=[]))["state"]
    done = await ask(
        ada, "Rule/set",
        update={one: {"sortOrder": 9, "isEnabled": False}, two: {"conditions/0/value": "x"}},
    )  # fmt: skip
    assert done["notUpdated"][two]["type"] == "invalidPatch"  # no way into a list
    assert done["updated"] == {one: None}
    assert [item["id"] for item in await kept(ada)] == [two, one]
    three = await make(ada, name="Three")
    done = await ask(ada, "Rule/set", destroy=[two, "R999", "x"])
    assert (done["destroyed"], set(done["notDestroyed"])) == ([two], {"R999", "x"})
    told = await ask(ada, "Rule/changes", sinceState=state)
    assert (told["created"], told["updated"], told["destroyed"]) == ([three], [one], [two])


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"isEnabled": 1}, "isEnabled"),
        ({"sortOrder": -1}, "sortOrder"),
        ({"conditions": []}, "conditions"),
        ({"conditions": TEA * 21}, "conditions"),
        ({"conditions": [{"type": "body", "comparison": "is", "value": "x"}]}, "conditions/0/type"),
        ({"conditions": [*TEA, {**TEA[0], "comparison": "over"}]}, "conditions/1/comparison"),
        ({"conditions": [{**TEA[0], "value": " "}]}, "conditions/0/value"),
        ({"conditions": [{**TEA[0], "value": "x" * 501}]}, "conditions/0/value"),
        ({"conditions": [{**TEA[0], "header": "X"}]}, "conditions/0/header"),
        ({"conditions": [{**TEA[0], "type": "header", "header": "a:b"}]}, "conditions/0/header"),
        (
            {"conditions": [{"type": "size", "comparison": "over", "value": "9"}]},
            "conditions/0/value",
        ),
        (
            {"conditions": [{"type": "attachment", "comparison": "is", "value": "x"}]},
            "conditions/0/value",
        ),
        ({"conditions": [{**TEA[0], "more": 1}]}, "more"),
        ({"fileInto": "F999"}, "fileInto"),
        ({"fileInto": 5}, "fileInto"),
        ({"fileInto": "#none"}, "fileInto"),
        ({"fileIntoRole": "sent"}, "fileIntoRole"),
        ({"fileInto": "F1", "fileIntoRole": "junk"}, "fileIntoRole"),
        ({"addKeywords": ["$seen"]}, "addKeywords"),
        ({"addKeywords": ["a b"]}, "addKeywords"),
        ({"addKeywords": [f"k{n}" for n in range(11)]}, "addKeywords"),
        ({"forwardTo": ["nobody"]}, "forwardTo"),
        ({"forwardTo": [ADA]}, "forwardTo"),
        ({"forwardTo": [f"x{n}@remote.example" for n in range(5)]}, "forwardTo"),
        ({"stop": False}, "stop"),  # it would do nothing
        ({"id": "R5"}, "id"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_is_wrong_is_said_and_where(
    ada: Caller, wrong: dict[str, Any], where: str
) -> None:
    value = {"name": "x", "conditions": TEA, "stop": True, **wrong}
    done = await ask(ada, "Rule/set", create={"n": value})
    error = done["notCreated"]["n"]
    assert error["type"] == "invalidProperties"
    assert where in error["properties"]
    assert error["description"]
    assert await kept(ada) == []


async def test_a_rule_may_stay_whose_mailbox_is_gone_and_names_one_made_with_it(
    ada: Caller,
) -> None:
    box = {"create": {"box": {"name": "Tea"}}, "accountId": f"a{await number(ada)}"}
    rule = {"name": "Tea", "conditions": TEA, "fileInto": "#box"}
    answers = await ada.call(
        ["Mailbox/set", box, "0"],
        ["Rule/set", {"accountId": box["accountId"], "create": {"n": rule}}, "1"],
        using=USING,
    )
    made = answers[1][1]["created"]["n"]
    [item] = await kept(ada)
    assert item["fileInto"] == made["fileInto"]
    number_of = MailboxId(int(made["fileInto"][1:]))
    await ada.at.accounts.open(await number(ada)).delete(number_of)
    done = await ask(ada, "Rule/set", update={item["id"]: {"isEnabled": False}})
    assert done["updated"] == {item["id"]: None}
    done = await ask(ada, "Rule/set", update={item["id"]: {"name": None}})
    assert done["notUpdated"][item["id"]]["type"] == "invalidProperties"


async def test_rules_are_their_owners_alone(ada: Caller) -> None:
    owner = ada.at.accounts.open(await number(ada))
    await owner.share(INBOX_ID, {await number(ada, BOB): Right.LOOKUP | Right.READ})
    ada.login = BOB
    assert (await ask(ada, "Rule/get", ids=None))["error"] == "accountNotSupportedByMethod"
    assert (await ask(ada, "Rule/match", mailboxId="F1", rule={"conditions": TEA}))["error"]
    session = await ada.session()
    found = session["accounts"][f"a{await number(ada)}"]["accountCapabilities"]
    assert rules.CAPABILITY not in found
    own = session["accounts"][f"a{await number(ada, BOB)}"]["accountCapabilities"]
    assert own[rules.CAPABILITY]["maxRules"] == 100


async def fill(ada: Caller, *subjects: str) -> None:
    account = ada.at.accounts.open(await number(ada))
    for subject in subjects:
        await append(account, f"From: a@b.example\r\nSubject: {subject}\r\n\r\nx\r\n".encode())


async def test_what_a_draft_would_match_is_told_piece_by_piece(
    ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_runs, "PIECE", 3)
    await fill(ada, "tea 1", "milk", "Tea 2", "x", "tea 3")
    draft = {"conditions": TEA, "matchAll": True}
    first = await ask(ada, "Rule/match", mailboxId="F1", rule=draft)
    assert (first["examined"], len(first["matched"])) == (3, 2)
    rest = await ask(ada, "Rule/match", mailboxId="F1", rule=draft, position=first["position"])
    assert (rest["examined"], len(rest["matched"]), rest["position"]) == (2, 1, None)
    for wrong in (
        {"mailboxId": "F99"},
        {"position": "x"},
        {"rule": {"conditions": []}},
        {"rule": {"conditions": TEA, "matchAll": 1}},
    ):
        arguments = {"mailboxId": "F1", "rule": draft, **wrong}
        assert (await ask(ada, "Rule/match", **arguments))["error"] == "invalidArguments"


async def test_rules_are_applied_to_what_is_there_and_a_lost_mailbox_moves_nothing(
    ada: Caller,
) -> None:
    await fill(ada, "tea 1", "milk", "tea 2", "coffee")
    account = ada.at.accounts.open(await number(ada))
    box = (await account.create(("Tea",))).id
    lost = (await account.create(("Lost",))).id
    one = await make(ada, fileInto=f"F{box}", markSeen=True, addKeywords=["blue"])
    coffee = [{**TEA[0], "value": "coffee"}]
    await make(ada, conditions=coffee, fileInto=f"F{lost}", markFlagged=True)
    await account.delete(lost)
    done = await ask(ada, "Rule/apply", mailboxId="F1", ids=[one])
    assert (done["examined"], done["matched"], done["changed"]) == (4, 2, 2)
    rows = await account.emails(box, [(1, 99)])
    assert [(row.flags, row.keywords) for row in rows] == [(1, "blue")] * 2
    done = await ask(ada, "Rule/apply", mailboxId="F1")
    assert (done["examined"], done["matched"], done["changed"]) == (2, 1, 1)
    rows = await account.emails(INBOX_ID, [(1, 99)])
    assert [row.flags for row in rows] == [0, 4]
    done = await ask(ada, "Rule/apply", mailboxId="F1")
    assert (done["matched"], done["changed"]) == (1, 0)
    assert (await ask(ada, "Rule/apply", mailboxId="F1", ids=["R99"]))["error"]


async def test_the_story_of_a_message_names_the_rule(ada: Caller) -> None:
    one = await make(ada, name="All tea", fileIntoRole="trash", addKeywords=["blue"])
    envelope = Envelope(parse_address("x@remote.example"), (Recipient(parse_address(ADA)),))
    submitter = Submitter(
        ada.at.store, Recipients(ada.at.directory, RouteConfig()), QueueConfig(), clock=ada.at.time
    )
    await submitter.submit(
        Submission(
            envelope, b"Subject: tea\r\n\r\nx\r\n", b"", None, {}, new_queue_id(ada.at.time())
        )
    )
    trash = next(
        box.id
        for box in await ada.at.accounts.open(await number(ada)).mailboxes()
        if box.name == "Trash"
    )
    [email] = (await ask(ada, "Email/query", filter={"inMailbox": f"F{trash}"}))["ids"]
    story = await ask(ada, "MessageTrace/get", ids=[email])
    assert story["list"][0]["arrival"]["placed"][0]["rules"] == [
        {
            "ruleId": one, "name": "All tea", "mailboxId": f"F{trash}", "isMailboxGone": False,
            "keywords": ["blue"], "forwardedTo": [], "notForwardedTo": [], "hasFailed": False,
        }
    ]  # fmt: skip
