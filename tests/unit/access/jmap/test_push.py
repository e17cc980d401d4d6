"""Push: server-sent events and the WebSocket (RFC 8620 section 7, RFC 8887)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import (
    ClientResponse,
    ClientWebSocketResponse,
    WSMsgType,
    WSServerHandshakeError,
)

from postillon.account.account import Account
from postillon.account.flags import FlagMode
from postillon.account.grants import ANYONE
from postillon.account.rights import Right
from postillon.account.roles import INBOX_ID
from support.accounts import append
from support.jmap import ADA, BOB, CORE, Caller, caller

ENDS = (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR)


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Caller]:
    async with caller(tmp_path) as found:
        yield found


async def account(caller: Caller, login: str = ADA) -> Account:
    owner = await caller.at.directory.by_login(login)
    assert owner is not None
    return caller.at.accounts.open(owner.id)


class Events:
    """A client of the event stream."""

    def __init__(self, answer: ClientResponse) -> None:
        self.answer = answer

    async def next(self) -> dict[str, Any]:
        """The next event that is one: its fields, with data decoded."""
        found: dict[str, Any] = {}
        while True:
            async with asyncio.timeout(10):
                line = (await self.answer.content.readline()).decode()
            if not line:
                raise EOFError
            if line == "\n":
                if found:
                    return found
                continue
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                found[name] = json.loads(value) if name == "data" else value


async def listen(
    caller: Caller, query: str = "types=*&closeafter=no&ping=0", last: str = ""
) -> Events:
    answer = await caller.client.get(
        f"/jmap/eventsource/?{query}",
        headers=caller.headers({"Last-Event-ID": last} if last else {}),
    )
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    await answer.content.readline()
    return Events(answer)


async def test_a_new_email_is_told_with_its_types(ada: Caller) -> None:
    own = await account(ada)
    events = await listen(ada)

    await append(own)
    event = await events.next()

    changed = event["data"]["changed"][f"a{own.id}"]
    assert event["event"] == "state"
    assert event["data"]["@type"] == "StateChange"
    assert set(changed) == {"Email", "Mailbox", "Thread", "EmailDelivery"}
    facts = await own.facts()
    assert changed["Email"] == f"{facts.epoch}.{facts.modseq}"


async def test_only_what_is_asked_for_is_told(ada: Caller) -> None:
    own = await account(ada)
    events = await listen(ada, "types=Mailbox,Nothing&closeafter=no&ping=0")

    await own.create(("Work",))
    assert set((await events.next())["data"]["changed"][f"a{own.id}"]) == {"Mailbox"}
    quiet = await listen(ada, "types=Thread&closeafter=state&ping=0")
    await own.create(("Play",))
    await append(own)
    assert set((await quiet.next())["data"]["changed"][f"a{own.id}"]) == {"Thread"}
    with pytest.raises(EOFError):
        await quiet.next()


async def test_what_was_missed_is_told_first(ada: Caller) -> None:
    own = await account(ada)
    events = await listen(ada)
    await append(own)
    last = (await events.next())["id"]
    await own.create(("Work",))

    again = await listen(ada, last=last)

    assert set((await again.next())["data"]["changed"][f"a{own.id}"]) == {"Mailbox"}


@pytest.mark.parametrize("last", ["nonsense", "a:b.c", "1:2.3_" * 3, "9" * 500])
async def test_an_id_that_is_none_of_ours_does_no_harm(ada: Caller, last: str) -> None:
    own = await account(ada)
    events = await listen(ada, last=last)
    await append(own)
    assert (await events.next())["event"] == "state"


async def test_of_a_shared_account_is_told_what_may_be_seen(ada: Caller) -> None:
    bob = await account(ada, BOB)
    await bob.grant(INBOX_ID, ANYONE, Right.LOOKUP | Right.READ, FlagMode.REPLACE)
    hidden = await bob.create(("Hidden",))
    await bob.grant(hidden.id, ANYONE, Right(0), FlagMode.REPLACE)
    events = await listen(ada)

    await append(bob, b"Subject: x\r\n\r\n", hidden.id)
    await append(bob, b"Subject: y\r\n\r\n")

    facts = await bob.facts()
    told = (await events.next())["data"]["changed"]
    assert list(told) == [f"a{bob.id}"]
    assert told[f"a{bob.id}"]["Email"] == f"{facts.epoch}.{facts.modseq}"


@pytest.mark.parametrize("query", ["closeafter=now", "ping=-1", "ping=x", "ping=1e3"])
async def test_what_cannot_be_meant_is_refused(ada: Caller, query: str) -> None:
    async with ada.client.get(f"/jmap/eventsource/?{query}", headers=ada.headers({})) as answer:
        assert answer.status == 400


async def test_one_caller_has_a_bounded_number_of_streams(ada: Caller) -> None:
    streams = [await listen(ada) for _ in range(30)]
    async with ada.client.get("/jmap/eventsource/", headers=ada.headers({})) as answer:
        assert answer.status == 429
    for stream in streams:
        stream.answer.close()


# The WebSocket -------------------------------------------------------------------------------------


async def connect(caller: Caller) -> ClientWebSocketResponse:
    return await caller.client.ws_connect(
        "/jmap/ws", headers=caller.headers({}), protocols=("jmap",)
    )


@pytest.mark.parametrize(
    "said",
    [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}],
)
async def test_a_page_of_another_site_opens_no_talk(ada: Caller, said: dict[str, str]) -> None:
    """A browser would add to it what its user has once typed into its own window."""
    with pytest.raises(WSServerHandshakeError) as refused:
        await ada.client.ws_connect("/jmap/ws", headers=ada.headers(said), protocols=("jmap",))
    assert refused.value.status == 403


async def told(socket: ClientWebSocketResponse) -> Any:
    return await socket.receive_json(timeout=10)


async def test_requests_are_answered_with_their_ids(ada: Caller) -> None:
    socket = await connect(ada)
    assert socket.protocol == "jmap"

    await socket.send_json(
        {
            "@type": "Request",
            "id": "r1",
            "using": [CORE],
            "methodCalls": [["Core/echo", {"a": 1}, "c"]],
        }
    )
    answer = await told(socket)

    assert (answer["@type"], answer["requestId"]) == ("Response", "r1")
    assert answer["methodResponses"] == [["Core/echo", {"a": 1}, "c"]]
    assert answer["sessionState"] == (await ada.session())["state"]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("{", "notJSON"),
        ("[]", "notRequest"),
        ('{"@type": "Other", "id": "r"}', "notRequest"),
        (
            '{"@type": "Request", "id": "r", "using": ["urn:x"], "methodCalls": []}',
            "unknownCapability",
        ),
        ('{"@type": "Request", "id": "r", "using": []}', "notRequest"),
        ('{"@type": "WebSocketPushEnable", "id": "r", "dataTypes": "Email"}', "notRequest"),
    ],
)
async def test_a_faulty_message_is_answered_and_the_talk_goes_on(
    ada: Caller, message: str, kind: str
) -> None:
    socket = await connect(ada)
    await socket.send_str(message)

    answer = await told(socket)

    assert answer["@type"] == "RequestError"
    assert answer["type"] == f"urn:ietf:params:jmap:error:{kind}"
    assert answer.get("requestId") == ("r" if '"id"' in message else None)
    await socket.send_json({"@type": "Request", "using": [CORE], "methodCalls": []})
    assert (await told(socket))["@type"] == "Response"


async def test_binary_is_not_taken(ada: Caller) -> None:
    socket = await connect(ada)
    await socket.send_bytes(b"{}")
    assert (await told(socket))["type"].endswith("notJSON")


async def test_push_is_turned_on_and_off(ada: Caller) -> None:
    own = await account(ada)
    socket = await connect(ada)
    await socket.send_json({"@type": "WebSocketPushEnable", "dataTypes": ["Email"]})
    await socket.send_json({"@type": "Request", "using": [CORE], "methodCalls": []})
    await told(socket)

    await append(own)
    change = await told(socket)

    assert change["@type"] == "StateChange"
    assert set(change["changed"][f"a{own.id}"]) == {"Email"}
    await socket.send_json({"@type": "WebSocketPushDisable"})
    await socket.send_json({"@type": "Request", "using": [CORE], "methodCalls": []})
    await told(socket)
    await append(own)
    await socket.send_json({"@type": "WebSocketPushEnable", "pushState": change["pushState"]})
    missed = await told(socket)
    assert "Email" in missed["changed"][f"a{own.id}"]


async def test_what_was_missed_since_a_push_state_is_told_at_once(ada: Caller) -> None:
    own = await account(ada)
    first = await connect(ada)
    await first.send_json({"@type": "WebSocketPushEnable", "dataTypes": None})
    await first.send_json({"@type": "Request", "using": [CORE], "methodCalls": []})
    await told(first)
    await append(own)
    known = (await told(first))["pushState"]
    await first.close()
    await append(own)
    second = await connect(ada)
    await second.send_json({"@type": "WebSocketPushEnable", "dataTypes": None, "pushState": known})
    change = await told(second)
    assert set(change["changed"][f"a{own.id}"]) == {"Email", "EmailDelivery", "Mailbox", "Thread"}
    assert change["pushState"] != known


async def test_another_protocol_is_not_spoken(ada: Caller) -> None:
    async with ada.client.get(
        "/jmap/ws",
        headers=ada.headers(
            {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "chat"}
        ),
    ) as answer:  # fmt: skip
        assert answer.status == 400


async def test_a_message_that_is_too_large_ends_the_talk(ada: Caller) -> None:
    socket = await connect(ada)
    with suppress(ConnectionError):  # it may be cut while it is sent
        await socket.send_str('"' + "x" * (10 * 1024 * 1024) + '"')
    assert (await socket.receive(timeout=10)).type in ENDS


async def gone(ada: Caller) -> None:
    """Ada's password is another one."""
    ada.at.time.now += 1
    await ada.at.credentials.set_password(ADA, "another one")


async def test_events_end_when_the_credential_is_gone(ada: Caller) -> None:
    own = await account(ada)
    events = await listen(ada, "types=*&closeafter=no&ping=0")
    await append(own)
    await events.next()
    await gone(ada)
    with pytest.raises(EOFError):
        await events.next()


async def test_a_talk_ends_when_the_credential_is_gone(ada: Caller) -> None:
    socket = await connect(ada)
    await socket.send_json({"@type": "Request", "using": [CORE], "methodCalls": []})
    await told(socket)
    await gone(ada)
    assert (await socket.receive(timeout=10)).type in ENDS


async def test_what_is_pushed_over_a_talk_ends_when_the_credential_is_gone(ada: Caller) -> None:
    socket = await connect(ada)
    await socket.send_json({"@type": "WebSocketPushEnable", "dataTypes": None})
    await socket.send_json({"@type": "Request", "using": [CORE], "methodCalls": []})
    await told(socket)
    await gone(ada)
    assert (await socket.receive(timeout=10)).type in ENDS
