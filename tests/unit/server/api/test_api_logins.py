"""Who signs in and who is kept from it, over the administration API."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from postillon.directory.signin import SignIns
from postillon.directory.throttle import Throttle
from postillon.server.api.registry import PREFIX
from support.accounts import QUICK, House, house
from support.api import ADMIN, PASSWORD, PERSON, api_of

FAR, NEAR = "203.0.113.9", "198.51.100.7"


class Api:
    """A caller, beside a worker where others try to sign in."""

    def __init__(self, client: TestClient[web.Request, web.Application], at: House) -> None:
        self.client, self.house = client, at
        self.sign_ins = SignIns(at.credentials, Throttle(QUICK, at.time))

    async def __call__(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        more: dict[str, Any] = {} if body is None else {"json": body}
        basic = base64.b64encode(f"{ADMIN}:{PASSWORD}".encode()).decode()
        async with self.client.request(
            method, PREFIX + path, params=query, headers={"Authorization": f"Basic {basic}"}, **more
        ) as answer:
            assert answer.status in (200, 422), await answer.text()
            return await answer.json()

    async def tries(self, login: str, password: str = "wrong", address: str = FAR) -> Any:
        attempt = self.sign_ins.begin("imap", address)
        answer = await attempt.password(login.encode(), password.encode())
        await self.sign_ins.ledger.write()
        return answer


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with house(tmp_path, "example.org") as at:
        application = web.Application()
        application.add_routes((await api_of(at)).routes())
        async with TestClient(TestServer(application)) as client:
            yield Api(client, at)


async def test_sign_ins_are_listed_and_found(api: Api) -> None:
    await api.tries(PERSON)
    await api.tries(PERSON, PASSWORD, NEAR)

    good, bad = await api("GET", "/logins")
    assert (good["outcome"], good["login"], good["address"]) == ("ok", PERSON, NEAR)
    assert (bad["outcome"], bad["protocol"], bad["attempts"]) == ("wrong_password", "imap", 1)
    assert await api("GET", "/logins", failed="true") == [bad]
    assert await api("GET", "/logins", about="198.51") == [good]
    assert await api("GET", "/logins", before=str(good["entry"])) == [bad]
