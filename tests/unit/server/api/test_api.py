"""The administration API over HTTP on a real store: every operation, refusals, scopes, the document."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from postillon.net.dns import Mx
from postillon.server.api.operation import Scope
from postillon.server.api.registry import OPERATIONS, PREFIX
from support.accounts import House, house
from support.api import ADMIN, PASSWORD, PERSON, Zone, api_of


class Api:
    """A caller. Answers are decoded JSON, with their status."""

    def __init__(
        self, client: TestClient[web.Request, web.Application], zone: Zone, at: House
    ) -> None:
        self.client, self.zone, self.house = client, zone, at
        self.login = ADMIN

    async def __call__(
        self, method: str, path: str, body: Any = None, **query: Any
    ) -> tuple[int, Any]:
        basic = base64.b64encode(f"{self.login}:{PASSWORD}".encode()).decode()
        more: dict[str, Any] = {} if body is None else {"json": body}
        async with self.client.request(
            method, PREFIX + path, params=query, headers={"Authorization": f"Basic {basic}"}, **more
        ) as answer:
            octets = await answer.read()
            return answer.status, await answer.json(content_type=None) if octets else None


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with house(tmp_path, "example.org") as at:
        zone = Zone()
        application = web.Application()
        application.add_routes((await api_of(at, zone)).routes())
        async with TestClient(TestServer(application)) as client:
            yield Api(client, zone, at)


async def test_an_account_is_made_seen_changed_and_removed(api: Api) -> None:
    status, made = await api("POST", "/accounts", {"login": "bob@example.org", "generate": True})
    assert status == 201
    assert made["account"]["login"] == "bob@example.org"
    assert await api.house.credentials.verify("bob@example.org", made["password"], "imap")

    status, changed = await api("PATCH", "/accounts/bob@example.org", {"quota": 5_000_000})
    assert (status, changed["quota"]) == (200, 5_000_000)
    status, _ = await api(
        "POST", "/accounts/bob@example.org/addresses", {"address": "b@example.org"}
    )
    assert status == 201
    assert (await api("DELETE", "/accounts/bob@example.org/addresses/b@example.org"))[0] == 200

    status, gone = await api("DELETE", "/accounts/bob@example.org")
    assert (status, gone["addresses"]) == (200, ["bob@example.org"])
    assert (await api("GET", "/accounts/bob@example.org"))[0] == 404


async def test_a_password_is_set_and_one_that_was_made_is_shown_once(api: Api) -> None:
    status, answer = await api(
        "PUT", f"/accounts/{PERSON}/password", {"password": "battery staple"}
    )
    assert (status, answer["password"]) == (200, None)
    assert await api.house.credentials.verify(PERSON, "battery staple", "imap")

    status, answer = await api("PUT", f"/accounts/{PERSON}/password", {"generate": True})
    assert await api.house.credentials.verify(PERSON, answer["password"], "imap")
    assert (await api("PUT", f"/accounts/{PERSON}/password", {}))[0] == 422


async def test_accounts_come_in_pages_and_are_found_by_part(api: Api) -> None:
    for name in ("bob", "carl", "dora"):
        await api.house.accounts.create(f"{name}@example.org", name=f"{name.title()} Miller")

    async def logins(**query: Any) -> list[str]:
        return [view["login"] for view in (await api("GET", "/accounts", **query))[1]]

    assert await logins(limit=2) == [PERSON, "bob@example.org"]
    assert await logins(after="bob@example.org", limit=2) == [
        "carl@example.org",
        "dora@example.org",
    ]
    assert await logins(text="MILLER") == [
        "bob@example.org",
        "carl@example.org",
        "dora@example.org",
    ]
    assert await logins(text="r_l") == []
    assert (await api("GET", "/accounts", domain="elsewhere.example"))[0] == 404


async def test_domains_aliases_and_groups_are_kept(api: Api) -> None:
    assert (await api("POST", "/domains", {"name": "example.net"}))[0] == 201
    assert (await api("PATCH", "/domains/example.net", {"catch_all": PERSON}))[1]["catch_all"] == [
        PERSON
    ]
    assert (await api("DELETE", "/domains/example.net"))[0] == 409  # the catch-all is an address
    assert (await api("PATCH", "/domains/example.net", {"catch_all": ""}))[1]["catch_all"] == []
    assert (await api("DELETE", "/domains/example.net")) == (204, None)

    made = {"address": "info@example.org", "targets": [PERSON]}
    assert (await api("POST", "/aliases", made)) == (201, made)
    status, alias = await api(
        "PATCH", "/aliases/info@example.org", {"add": [ADMIN], "drop": [PERSON]}
    )
    assert (status, alias["targets"]) == (200, [ADMIN])
    assert (await api("DELETE", "/aliases/info@example.org"))[0] == 200

    assert (await api("POST", "/groups", {"address": "all@example.org", "members": [PERSON]}))[
        0
    ] == 201
    assert (await api("PATCH", "/groups/all@example.org", {"name": "All"}))[1]["name"] == "All"
    assert [group["address"] for group in (await api("GET", "/groups"))[1]] == ["all@example.org"]
    assert (await api("DELETE", "/groups/all@example.org"))[0] == 200


async def test_a_mailbox_is_shared(api: Api) -> None:
    status, shares = await api(
        "POST", f"/accounts/{PERSON}/shares", {"mailbox": "INBOX", "who": ADMIN, "rights": "read"}
    )
    assert (status, shares) == (200, [{"mailbox": "INBOX", "who": ADMIN, "rights": "lrs"}])
    assert (await api("GET", f"/accounts/{PERSON}/shares"))[1] == shares


async def test_the_queue_is_shown_and_ordered_with_a_look_before(api: Api) -> None:
    status, sent = await api("POST", "/server/test-message", {"to": "far@remote.example"})
    assert status == 202
    assert (await api("GET", "/queue"))[1]["messages"] == 1
    assert [item["name"] for item in (await api("GET", "/queue/destinations"))[1]["destinations"]]
    status, page = await api("GET", "/queue/messages", recipient="far@remote.example")
    assert [message["id"] for message in page["messages"]] == [sent["id"]]

    hold = {"verb": "hold", "ids": [sent["id"]]}
    status, answer = await api("POST", "/queue/orders", {**hold, "dry_run": True})
    assert (status, answer["preview"]["recipients"], answer["done"]) == (200, 1, None)
    status, answer = await api("POST", "/queue/orders", hold)
    assert answer["done"]["recipients"] == 1
    status, story = await api("GET", f"/queue/messages/{sent['id']}")
    assert story["message"]["recipients"][0]["state"] == "held"

    assert (await api("POST", "/queue/orders", {"verb": "drop"}))[0] == 422
    assert (await api("POST", "/queue/orders", {"verb": "drop", "all": True}))[0] == 200
    assert (await api("GET", f"/queue/messages/{sent['id']}"))[0] == 404
    assert (await api("GET", "/traces", about=sent["id"]))[1][0]["id"] == sent["id"]


async def test_how_a_message_would_travel_is_explained(api: Api) -> None:
    status, route = await api("GET", "/explain", **{"from": PERSON, "to": ADMIN})
    assert (status, route["deliverable"]) == (200, True)


async def test_what_is_published_is_compared_with_what_should_be(api: Api) -> None:
    api.zone.exchangers["example.org"] = [Mx(10, "mail.example.org")]
    api.zone.texts["example.org"] = [b"v=spf1 include:elsewhere.example -all", b"v=spf1 mx -all"]

    checked = {
        (item["name"], item["kind"]): item
        for item in (await api("GET", "/domains/example.org/dns"))[1]
    }

    assert checked["example.org.", "MX"]["verdict"] == "right"
    assert checked["example.org.", "TXT"]["verdict"] == "other"  # two policies are none (RFC 7208)
    assert checked["_dmarc.example.org.", "TXT"]["verdict"] == "missing"


async def test_the_doctor_names_what_is_wrong_and_what_to_do(api: Api) -> None:
    status, health = await api("GET", "/server/health")

    assert status == 200
    worst = health["complaints"][0]
    assert worst["severity"] == "error"
    found = [item for item in health["complaints"] if item["subject"] == "example.org"]
    assert any("publish: example.org. MX 10 mail.example.org." in item["remedy"] for item in found)


async def test_settings_are_shown_with_their_defaults(api: Api) -> None:
    found = {
        (item["section"], item["key"]): item for item in (await api("GET", "/server/settings"))[1]
    }

    assert found["server", "hostname"]["value"] == '"mail.example.org"'
    assert found["server", "hostname"]["changed"]
    assert not found["imap", "login_time"]["changed"]


async def test_acts_are_kept_with_who_did_them(api: Api) -> None:
    await api("POST", "/aliases", {"address": "info@example.org", "targets": [PERSON]})

    (act, *_) = (await api("GET", "/audit"))[1]

    assert (act["who"], act["via"], act["act"]) == (ADMIN, "api", "alias.create")


async def test_only_administrators_are_let_in(api: Api) -> None:
    api.login = PERSON
    for item in OPERATIONS:
        path = re.sub(r"{\w+}", "x", item.path)
        assert (await api(item.method, path))[0] == 403, item.name
    async with api.client.get(f"{PREFIX}/accounts") as answer:
        assert answer.status == 401
        assert answer.headers.getall("WWW-Authenticate")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/accounts", {"login": "x@x", "nmae": "X"}, 422, "nmae: there is no such field"),
        ("POST", "/accounts", {}, 422, "login: is missing"),
        ("POST", "/accounts", {"login": 5}, 422, "login: Expected `str`, got `int`"),
        ("POST", "/accounts", [], 422, "Expected `object`, got `array`"),
        ("POST", "/accounts", {"login": "x@elsewhere.example"}, 404, "is not a domain of this server"),
        ("POST", "/accounts", {"login": PERSON}, 409, "is already the address of an account"),
        ("GET", "/accounts?limit=0", None, 422, "limit: Expected `int` >= 1"),
        ("GET", "/accounts?limit=many", None, 422, "limit: Expected `int`, got `str`"),
        ("GET", "/accounts?colour=red", None, 422, "colour: there is no such parameter"),
        ("GET", "/explain?to=x@example.org", None, 422, "from: is missing"),
        ("GET", "/nothing", None, 404, "There is no /nothing"),
        ("PUT", "/accounts", None, 405, "PUT is not possible here"),
        ("POST", "/queue/orders", {"verb": "hold", "domain": "x", "older": "soon"}, 422, "duration"),
    ],
)  # fmt: skip
async def test_a_refusal_says_what_is_wrong(
    api: Api, method: str, path: str, body: Any, status: int, words: str
) -> None:
    found, problem = await api(method, path, body)

    assert (found, problem["status"]) == (status, status)
    assert words in problem["detail"]


async def test_what_is_no_json_and_what_is_too_large_is_refused(api: Api) -> None:
    basic = {"Authorization": "Basic " + base64.b64encode(f"{ADMIN}:{PASSWORD}".encode()).decode()}

    async def post(data: bytes, kind: str = "application/json") -> int:
        async with api.client.post(
            f"{PREFIX}/accounts", data=data, headers={**basic, "Content-Type": kind}
        ) as answer:
            return answer.status

    assert await post(b"{") == 422
    assert await post(b"[" * 100_000) == 422
    assert await post(b"{}", "text/plain") == 415
    assert await post(b" " * (1024 * 1024 + 1)) == 413


async def test_the_document_has_every_operation_with_its_scope(api: Api) -> None:
    status, found = await api("GET", "/openapi.json")

    assert status == 200
    assert found["openapi"] == "3.1.0"
    for item in OPERATIONS:
        described = found["paths"][item.path][item.method.lower()]
        assert described["operationId"] == item.name
        assert described["security"][0]["bearer"] == [item.scope.value]
        assert described["summary"]


def test_what_changes_something_needs_the_scope_for_it() -> None:
    assert all((item.scope is Scope.READ) == (item.method == "GET") for item in OPERATIONS)


def test_names_of_operations_are_used_once() -> None:
    assert len({item.name for item in OPERATIONS}) == len(OPERATIONS)


async def test_a_fault_of_ours_tells_nothing_of_its_inside(api: Api, monkeypatch: Any) -> None:
    item = next(item for item in OPERATIONS if item.name == "get_server")

    async def fails(self: Any, *args: Any) -> None:
        raise ValueError("a secret")

    monkeypatch.setattr(type(item), "run", fails)
    status, problem = await api("GET", "/server")

    assert status == 500
    assert "secret" not in str(problem)


def test_the_name_of_the_caller_says_by_which_key() -> None:
    from postillon.access.authority import Identity
    from postillon.server.api.web import _name

    identity = Identity(1, ADMIN, frozenset(), admin=True, credential="key:4")
    assert _name(identity) == f"{ADMIN} (key:4)"
    assert _name(replace(identity, credential="session:9")) == ADMIN


def test_the_manual_has_every_operation() -> None:
    page = (Path(__file__).parents[4] / "docs" / "api.md").read_text()

    for item in OPERATIONS:
        assert f"| {item.method} | `{item.path}` | `{item.name}` | {item.summary} |" in page


async def test_a_page_of_another_site_changes_nothing(api: Api) -> None:
    """With what its visitor's browser has been told once, and adds by itself."""
    basic = base64.b64encode(f"{ADMIN}:{PASSWORD}".encode()).decode()
    for said in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site"}):
        headers = {"Authorization": f"Basic {basic}", **said}
        path = f"{PREFIX}/accounts/{PERSON}/sign-out"
        async with api.client.post(path, headers=headers) as answer:
            assert answer.status == 403
        async with api.client.get(f"{PREFIX}/accounts", headers=headers) as answer:
            assert answer.status == 200


async def test_app_passwords_keys_and_sessions_are_made_and_ended(api: Api) -> None:
    base = f"/accounts/{PERSON}"
    body = {"name": "Phone", "protocols": ["imap"], "days": 3}
    status, made = await api("POST", f"{base}/app-passwords", body)
    assert status == 201
    assert await api.house.credentials.verify(PERSON, made["password"], "imap")
    await api.house.credentials.last_use.written()
    [listed] = (await api("GET", f"{base}/app-passwords"))[1]
    assert (listed["protocols"], listed["used_at"]) == (["imap"], api.house.time())
    path = f"{base}/app-passwords/{listed['id']}"
    assert [(await api("DELETE", path))[0] for _ in range(2)] == [204, 404]
    assert (await api("POST", f"{base}/app-passwords", {"name": "x", "days": 0}))[0] == 422
    assert (await api("GET", f"{base}/second-factor"))[1]["on"] is False
    assert (await api("POST", f"{base}/sign-out")) == (200, {"ended": 0})

    status, made = await api("POST", "/api-keys", {"name": "robot", "scopes": ["admin:read"]})
    assert status == 201
    assert (await api("POST", "/api-keys", {"name": "robot"}))[0] == 409
    headers = {"Authorization": f"Bearer {made['key']}"}
    for method, path, expected in (
        ("GET", "/accounts", 200), ("GET", "/api-keys", 200), ("DELETE", "/api-keys/robot", 403)
    ):  # fmt: skip
        async with api.client.request(method, PREFIX + path, headers=headers) as answer:
            assert answer.status == expected
    assert (await api("DELETE", "/api-keys/robot"))[0] == 200
    async with api.client.get(PREFIX + "/accounts", headers=headers) as answer:
        assert answer.status == 401
    acts = (await api("GET", "/audit"))[1]
    assert made["key"] not in str(acts)
    assert "api-key.add" in str(acts)
