"""Mail over JMAP against the real server with two workers, and what IMAP then sees."""

from __future__ import annotations

import asyncio
import base64
import imaplib
import smtplib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest

from support.server import PASSWORD, Server

ADA, BOB = "ada@example.org", "bob@example.net"
USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]
BASIC = {"Authorization": "Basic " + base64.b64encode(f"{ADA}:{PASSWORD}".encode()).decode()}
WAIT_S = 60
ORIGINAL = (
    b"From: Bob <bob@example.net>\r\nTo: ada@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Message-ID: <first@example.net>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\nthe text\r\n--b\r\nContent-Type: image/png\r\n"
    b"Content-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b--\r\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"auth": "argon2_memory = 64\nargon2_passes = 1"}
    with Server(tmp_path_factory.mktemp("jmap"), workers=2, settings=settings) as running:
        yield running


class Client:
    """Calls methods over HTTP; connections may come to either worker."""

    def __init__(self, server: Server, http: aiohttp.ClientSession) -> None:
        self.http = http
        self.base = f"http://{server.host}:{server.port('http')}"
        self.account = ""

    async def start(self) -> None:
        async with self.http.get(f"{self.base}/.well-known/jmap", headers=BASIC) as answer:
            found = await answer.json()
        self.account = found["primaryAccounts"][USING[1]]
        told = found["accounts"][self.account]["accountCapabilities"][USING[1]]
        assert "receivedAt" in told["emailQuerySortOptions"]

    async def calls(self, *calls: Any) -> list[Any]:
        body = {"using": USING, "methodCalls": calls}
        async with self.http.post(f"{self.base}/jmap/api", json=body, headers=BASIC) as answer:
            assert answer.status == 200, await answer.text()
            found: list[Any] = (await answer.json())["methodResponses"]
            return found

    async def __call__(self, method: str, **arguments: Any) -> Any:
        [[name, answer, _]] = await self.calls(
            [method, {"accountId": self.account, **arguments}, "c"]
        )
        assert name == method, answer
        return answer


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    timeout = aiohttp.ClientTimeout(total=WAIT_S)
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        found = Client(server, http)
        await found.start()
        yield found


async def test_what_arrives_is_listed_shown_answered_and_put_away(
    server: Server, client: Client
) -> None:
    state = (await client("Email/get", ids=[]))["state"]
    with smtplib.SMTP(server.host, server.port("smtp"), timeout=WAIT_S) as smtp:
        smtp.sendmail(BOB, [ADA], ORIGINAL)
    ids = {"resultOf": "q", "name": "Email/query", "path": "/ids"}
    asked = {"accountId": client.account, "filter": {"from": "bob"}, "limit": 10}
    shown = {
        "accountId": client.account, "#ids": ids, "fetchTextBodyValues": True,
        "properties": [
            "subject", "bodyValues", "attachments", "mailboxIds", "messageId", "header:Received:asRaw",
        ],
    }  # fmt: skip
    found = await client.calls(["Email/query", asked, "q"], ["Email/get", shown, "g"])
    [email] = found[1][1]["list"]
    assert email["subject"] == "Grüße"
    assert email["bodyValues"]["1"]["value"] == "the text"
    assert email["header:Received:asRaw"].startswith(" from")
    assert (await client("Email/changes", sinceState=state))["created"] == [email["id"]]

    blob = email["attachments"][0]["blobId"]
    url = f"{client.base}/jmap/download/{client.account}/{blob}/a.png?accept=image/png"
    async with client.http.get(url, headers=BASIC) as answer:
        assert await answer.read() == b"\0\1\2"

    draft = {
        "mailboxIds": {"F2": True}, "keywords": {"$draft": True}, "subject": "Re: Grüße",
        "inReplyTo": email["messageId"], "references": email["messageId"],
        "textBody": [{"partId": "t", "type": "text/plain"}], "bodyValues": {"t": {"value": "täxt"}},
        "attachments": [{"blobId": blob, "type": "image/png", "name": "a.png"}],
    }  # fmt: skip
    made = (await client("Email/set", create={"d": draft}))["created"]["d"]
    [thread] = (await client("Thread/get", ids=[made["threadId"]]))["list"]
    assert thread["emailIds"] == [email["id"], made["id"]]
    await client(
        "Email/set",
        update={
            email["id"]: {"keywords/$seen": True, "mailboxIds/F6": True, "mailboxIds/F1": None}
        },
    )
    seen = await asyncio.to_thread(over_imap, server)
    assert seen == {"INBOX": [], "Drafts": [b"Re: Gr\xc3\xbc\xc3\x9fe"], "Archive": [b"Seen"]}


def over_imap(server: Server) -> dict[str, list[bytes]]:
    with imaplib.IMAP4(server.host, server.port("imap"), timeout=WAIT_S) as imap:
        imap.login(ADA, PASSWORD)
        found: dict[str, list[bytes]] = {}
        for name in ("INBOX", "Drafts", "Archive"):
            imap.select(name, readonly=True)
            _, [numbers] = imap.search(None, "ALL")
            found[name] = []
            for number in numbers.split():
                _, data = imap.fetch(number.decode(), "(FLAGS)")
                flags = imaplib.ParseFlags(data[0])
                found[name].append(b"Seen" if b"\\Seen" in flags else b"Re: " + "Grüße".encode())
        return found
