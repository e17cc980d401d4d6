"""Who signs in and who is kept from it, over the administration API."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from postillon.directory import second_factor, totp
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


async def test_who_is_slowed_is_shown_and_let_in_again_after_a_preview(api: Api) -> None:
    for number in range(6):
        api.sign_ins.throttle.failed(FAR, PERSON if number % 2 else "bob@example.org")
    api.sign_ins.throttle.failed(NEAR, "just once")
    await api.sign_ins.ledger.write()

    found = await api("GET", "/logins/slowed")
    assert found["number"] == 1
    (one,) = found["slowed"]
    assert (one["kind"], one["network"], one["failures"]) == ("network", FAR, 6)
    assert (one["delay_s"], one["refused"]) == (4.0, False)
    assert one["until"] == api.house.time() + 30 * 60_000

    preview = await api("POST", "/logins/forgive", {"who": f" {FAR} ", "dry_run": True})
    assert preview["lifted"] == [one]
    assert (preview["together"], preview["stays"], preview["done"]) == (2, [], False)
    assert await api("GET", "/logins/slowed") == found

    assert (await api("POST", "/logins/forgive", {"who": FAR}))["done"]
    assert await api("GET", "/logins/slowed") == {"slowed": [], "number": 0}
    await api.sign_ins.ledger.read()
    assert api.sign_ins.throttle.check(FAR, PERSON).delay_s == 0.0
    (act, *_) = await api("GET", "/audit", about="login.forgive")
    assert (act["subject"], act["who"], act["facts"]) == (FAR, ADMIN, {"failures": 6})
    assert not (await api("POST", "/logins/forgive", {"who": FAR}))["done"]  # there is nothing left


async def test_letting_a_login_in_says_which_networks_stay_in_the_way(api: Api) -> None:
    for _ in range(100):
        api.sign_ins.throttle.failed("2001:db8:1:2::9", PERSON)
    await api.sign_ins.ledger.write()

    preview = await api("POST", "/logins/forgive", {"who": PERSON.upper(), "dry_run": True})
    (lifted,) = preview["lifted"]
    assert (lifted["kind"], lifted["login"], lifted["delay_s"]) == ("login", PERSON, 30.0)
    (stays,) = preview["stays"]
    assert (stays["network"], stays["refused"]) == ("2001:db8:1:2::/64", True)
    await api("POST", "/logins/forgive", {"who": "2001:db8:1:2::77"})
    assert [one["kind"] for one in (await api("GET", "/logins/slowed"))["slowed"]] == ["login"]


async def test_wrong_codes_are_forgiven_with_their_login(api: Api) -> None:
    owner = await api.house.directory.by_login(PERSON)
    assert owner is not None
    secret = await api.house.do(lambda tx: second_factor.begin(tx, owner.id))
    now = api.house.time()
    code = totp.code_of(secret, totp.step_at(now))
    await api.house.do(lambda tx: second_factor.confirm(tx, owner.id, code, now))
    for _ in range(second_factor.MAX_WRONG):
        await api.house.credentials.take_code(owner.id, "000000", known=False)

    (one,) = (await api("GET", "/logins/slowed"))["slowed"]
    assert (one["kind"], one["login"], one["refused"]) == ("code", PERSON, True)
    assert (await api("POST", "/logins/forgive", {"who": PERSON}))["done"]
    assert (await api("GET", "/logins/slowed"))["number"] == 0


@pytest.mark.parametrize("who", ["", "bob", "a b@c", "300.1.2.3", "example.org"])
async def test_what_is_neither_network_nor_login_is_refused(api: Api, who: str) -> None:
    answer = await api("POST", "/logins/forgive", {"who": who})
    assert answer["status"] == 422
    assert "2001:db8::/64" in answer["hint"]
