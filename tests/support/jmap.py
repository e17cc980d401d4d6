"""A client of JMAP and the server it talks to, over HTTP on a real store."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from postillon.access.authority import Authority
from postillon.access.jmap.context import Services
from postillon.access.jmap.pusher import Pusher
from postillon.access.jmap.web import JmapWeb
from postillon.directory.signin import SignIns
from postillon.directory.throttle import Throttle
from postillon.log import SILENT
from postillon.net.outward import Outward
from postillon.protocol.jmap.request import Limits
from postillon.queue.config import QueueConfig
from postillon.queue.submit import Submitter
from postillon.route.config import RouteConfig
from postillon.route.recipient import Recipients
from support.accounts import QUICK, House, house

PASSWORD = "correct horse"
ADA, BOB = "ada@example.org", "bob@example.org"
CORE = "urn:ietf:params:jmap:core"
LIMITS = Limits(max_size_upload=400_000, max_calls_in_request=4)


class Nowhere:
    """A resolver that knows no name."""

    async def addresses(self, name: str) -> tuple[str, ...]:
        return ()


class Caller:
    """Somebody with a client. `at` is the house; `login` may be changed."""

    def __init__(self, client: TestClient[web.Request, web.Application], at: House) -> None:
        self.client, self.at = client, at
        self.login = "ada@example.org"

    def headers(self, more: dict[str, str]) -> dict[str, str]:
        basic = base64.b64encode(f"{self.login}:{PASSWORD}".encode()).decode()
        return {"Authorization": f"Basic {basic}", **more}

    async def session(self) -> Any:
        async with self.client.get("/.well-known/jmap", headers=self.headers({})) as answer:
            assert answer.status == 200
            return await answer.json()

    async def post(self, body: bytes, kind: str = "application/json") -> tuple[int, Any]:
        async with self.client.post(
            "/jmap/api", data=body, headers=self.headers({"Content-Type": kind})
        ) as answer:
            return answer.status, await answer.json(content_type=None)

    async def call(self, *calls: Any, **more: Any) -> Any:
        status, found = await self.post(
            json.dumps({"using": [CORE], "methodCalls": calls, **more}).encode()
        )
        assert status == 200, found
        return found["methodResponses"]

    async def upload(
        self, account: str, octets: bytes, kind: str = "text/plain"
    ) -> tuple[int, Any]:
        async with self.client.post(
            f"/jmap/upload/{account}/", data=octets, headers=self.headers({"Content-Type": kind})
        ) as answer:
            return answer.status, await answer.json(content_type=None)

    async def download(
        self, account: str, blob: str, name: str = "x", **headers: str
    ) -> tuple[int, bytes, Any]:
        async with self.client.get(
            f"/jmap/download/{account}/{blob}/{name}", headers=self.headers(headers)
        ) as answer:
            return answer.status, await answer.read(), answer.headers


@asynccontextmanager
async def caller(
    folder: Path, limits: Limits = LIMITS, outward: Outward | None = None
) -> AsyncIterator[Caller]:
    """Ada, with a house in which Bob lives too. outward: by which push messages leave."""
    async with house(folder, "example.org") as at:
        for login in (ADA, BOB):
            await at.accounts.create(login, password=await at.credentials.prepare(PASSWORD))
        submitter = Submitter(
            at.store, Recipients(at.directory, RouteConfig()), QueueConfig(), clock=at.time
        )
        pusher = Pusher(
            at.store, at.accounts, outward or Outward(Nowhere(), agent="test"),
            hostname="mail.example.org", clock=at.time, gather_s=0.01, retries_s=(0.01, 0.01),
        )  # fmt: skip
        services = Services(
            at.store, at.accounts, at.directory, submitter, pusher, "mail.example.org", limits,
            at.time, SILENT,
        )  # fmt: skip

        def heard(changes: Sequence[tuple[int, int]], topics: Sequence[str]) -> None:
            at.accounts.hub.notify(changes)
            pusher.hear(topics)
            submitter.hear(topics)
            sign_ins.guests.hear(topics)

        sign_ins = SignIns(at.credentials, Throttle(QUICK, at.time))
        at.store.on_commit(heard)
        await pusher.start()
        authority = Authority(sign_ins)
        application = web.Application()
        spool = folder / "spool"
        spool.mkdir()
        application.add_routes(JmapWeb(services, authority, spool=spool).routes())
        try:
            async with TestClient(TestServer(application)) as client:
                yield Caller(client, at)
        finally:
            await pusher.stop()
