"""Rules against the real server with two workers: made over HTTP, carried out on what comes by SMTP."""

from __future__ import annotations

import asyncio
import base64
import smtplib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from support.server import PASSWORD, Server

ADA, BOB = "ada@example.org", "bob@example.net"
MAIL, RULES = "urn:ietf:params:jmap:mail", "urn:x-postillon:jmap:rules"
TRACE = "urn:x-postillon:jmap:trace"
MESSAGES = 8  # connections come to either worker
WAIT_S = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"auth": "argon2_memory = 64\nargon2_passes = 1"}
    folder: Path = tmp_path_factory.mktemp("rules")
    with Server(folder, workers=2, settings=settings) as running:
        yield running


class Client:
    def __init__(self, server: Server, login: str, http: aiohttp.ClientSession) -> None:
        words = base64.b64encode(f"{login}:{PASSWORD}".encode()).decode()
        self.base = f"http://{server.host}:{server.port('http')}"
        self.headers = {"Authorization": f"Basic {words}"}
        self.http = http
        self.account = ""

    async def __call__(self, method: str, **arguments: Any) -> Any:
        if not self.account:
            url = f"{self.base}/.well-known/jmap"
            async with self.http.get(url, headers=self.headers) as answer:
                self.account = (await answer.json())["primaryAccounts"][RULES]
        call = [method, {"accountId": self.account, **arguments}, "c"]
        body = {"using": ["urn:ietf:params:jmap:core", MAIL, RULES, TRACE], "methodCalls": [call]}
        url = f"{self.base}/jmap/api"
        async with self.http.post(url, json=body, headers=self.headers) as answer:
            [[name, found, _]] = (await answer.json())["methodResponses"]
        assert name == method, found
        return found


def send(server: Server, subject: str) -> None:
    """Each with a connection of its own."""
    with smtplib.SMTP(server.host, server.port("smtp"), timeout=WAIT_S) as smtp:
        text = f"From: far@far.example\r\nTo: {ADA}\r\nSubject: {subject}\r\n\r\nHello\r\n"
        smtp.sendmail("far@far.example", [ADA], text)


async def test_a_rule_holds_on_all_workers_and_a_copy_reaches_another_account(
    server: Server,
) -> None:
    timeout = aiohttp.ClientTimeout(total=WAIT_S)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        ada, bob = Client(server, ADA, http), Client(server, BOB, http)
        made = await ada("Mailbox/set", create={"n": {"name": "Orders"}})
        box = made["created"]["n"]["id"]
        for number in range(2):  # so that both workers know that there is no rule
            await asyncio.to_thread(send, server, f"before {number}")
        rule = {
            "name": "Orders", "fileInto": box, "forwardTo": [BOB],
            "conditions": [{"type": "subject", "comparison": "contains", "value": "ORDER"}],
        }  # fmt: skip
        done = await ada("Rule/set", create={"n": rule})
        assert done["notCreated"] is None
        async with asyncio.timeout(WAIT_S):
            while True:  # the other worker hears of it a moment later
                await asyncio.to_thread(send, server, "order 0")
                if await filed(ada, box) >= MESSAGES:
                    break
        found = await ada("Email/query", filter={"inMailbox": box}, limit=1)
        [story] = (await ada("MessageTrace/get", ids=found["ids"]))["list"]
        [said] = story["arrival"]["placed"][0]["rules"]
        assert (said["name"], said["mailboxId"], said["forwardedTo"]) == ("Orders", box, [BOB])
        copies = await bob("Email/query", calculateTotal=True)
        assert copies["total"] == await filed(ada, box)
        [copy] = (
            await bob(
                "Email/get", ids=copies["ids"][:1],
                properties=["header:Return-Path", "header:Delivered-To:all"],
            )
        )["list"]  # fmt: skip
        assert copy["header:Return-Path"].strip() == f"<{ADA}>"
        assert [one.strip() for one in copy["header:Delivered-To:all"]] == [BOB, ADA]


async def filed(ada: Client, box: str) -> int:
    found = await ada("Email/query", filter={"inMailbox": box}, calculateTotal=True, limit=1)
    total: int = found["total"]
    return total
