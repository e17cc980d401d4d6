"""OAuth 2.1 over a real port: codes, tokens, devices, registration (RFC 6749, 7009, 7591, 8628)."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest

from postillon.access.signin.provider import ms
from postillon.directory.config import OAuthConfig
from support.accounts import QUICK
from support.signin import CLIENT, LOGIN, PASSWORD, REDIRECT, Answer, Porch, pkce, porch

HOUR = 3_600_000


async def code_of(door: Porch, **more: str) -> tuple[str, str]:
    """A code and its verifier."""
    verifier, challenge = pkce()
    browser = door.browser()
    path = door.asking(challenge, **more)
    back = (await browser.allow(path, await browser.sign_in(path))).back
    return back["code"], verifier


async def redeem(door: Porch, code: str, verifier: str, **more: str) -> Answer:
    form = {"redirect_uri": REDIRECT, **more}
    return await door.token(
        grant_type="authorization_code", code=code, code_verifier=verifier, **form
    )


async def who(door: Porch, token: str) -> Answer:
    return await door.browser().get("/auth/session", token)


async def test_a_code_becomes_tokens_that_say_who_it_is(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        given = await door.tokens()
        assert given["token_type"] == "Bearer"
        assert given["expires_in"] == 3600
        assert given["scope"] == "mail send"
        answer = await who(door, given["access_token"])
        assert answer.json["account"]["login"] == LOGIN


async def test_the_answer_carries_state_and_issuer(tmp_path: Path) -> None:
    # RFC 6749 section 4.1.2, RFC 9207.
    async with porch(tmp_path) as door:
        browser = door.browser()
        path = door.asking(pkce()[1])
        answer = await browser.allow(path, await browser.sign_in(path))
        assert answer.status == 303
        assert answer.headers["Location"].startswith(REDIRECT + "?code=")
        assert answer.back["state"] == "st/1 &2"
        assert answer.back["iss"] == door.base
        known = await browser.get("/.well-known/oauth-authorization-server")
        assert known.json["issuer"] == answer.back["iss"]


async def test_who_refuses_sends_the_client_away(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser = door.browser()
        path = door.asking(pkce()[1])
        answer = await browser.allow(path, await browser.sign_in(path), "refuse")
        assert answer.back["error"] == "access_denied"
        assert "code" not in answer.back


@pytest.mark.parametrize(
    "change",
    [
        {"code_verifier": "x" * 43},
        {"redirect_uri": "http://127.0.0.1/other"},
        {"client_id": "site"},
        {"code": "nothing"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_code_is_good_for_its_client_redirect_and_verifier(
    tmp_path: Path, change: dict[str, str]
) -> None:
    async with porch(tmp_path) as door:
        code, verifier = await code_of(door)
        form = {"code": code, "code_verifier": verifier, "redirect_uri": REDIRECT, **change}
        answer = await door.token(grant_type="authorization_code", **form)
        assert (answer.status, answer.json["error"]) == (400, "invalid_grant")


async def test_a_code_is_good_for_two_minutes(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        code, verifier = await code_of(door)
        door.home.time.now += 120_000
        assert (await redeem(door, code, verifier)).json["error"] == "invalid_grant"


@pytest.mark.usefixtures("database")
async def test_a_code_that_comes_twice_ends_what_was_made_of_it(tmp_path: Path) -> None:
    # RFC 6749 section 4.1.2
    async with porch(tmp_path) as door:
        code, verifier = await code_of(door)
        first = (await redeem(door, code, verifier)).json
        assert (await who(door, first["access_token"])).status == 200
        assert (await redeem(door, code, verifier)).json["error"] == "invalid_grant"
        assert (await who(door, first["access_token"])).status == 401
        again = await door.token(grant_type="refresh_token", refresh_token=first["refresh_token"])
        assert again.json["error"] == "invalid_grant"


async def test_a_redirect_uri_need_not_be_said_again(tmp_path: Path) -> None:
    # OAuth 2.1 has dropped it from the token request.
    async with porch(tmp_path) as door:
        code, verifier = await code_of(door)
        answer = await door.token(
            grant_type="authorization_code", code=code, code_verifier=verifier
        )
        assert answer.status == 200


async def test_access_tokens_expire_and_refresh_tokens_are_replaced(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        first = await door.tokens()
        door.home.time.now += HOUR - 1
        assert (await who(door, first["access_token"])).status == 200
        door.home.time.now += 1
        assert (await who(door, first["access_token"])).status == 401
        second = await door.token(grant_type="refresh_token", refresh_token=first["refresh_token"])
        assert second.json["refresh_token"] != first["refresh_token"]
        assert second.json["scope"] == "mail send"
        assert (await who(door, second.json["access_token"])).status == 200


@pytest.mark.usefixtures("database")
async def test_a_refresh_token_that_comes_again_ends_the_session_for_both(tmp_path: Path) -> None:
    # RFC 9700 section 4.14.2
    async with porch(tmp_path) as door:
        tokens = [await door.tokens()]
        for _ in range(3):
            answer = await door.token(
                grant_type="refresh_token", refresh_token=tokens[-1]["refresh_token"]
            )
            tokens.append(answer.json)
        stolen = tokens[1]["refresh_token"]  # two generations old
        answer = await door.token(grant_type="refresh_token", refresh_token=stolen)
        assert answer.json["error"] == "invalid_grant"
        answer = await door.token(
            grant_type="refresh_token", refresh_token=tokens[-1]["refresh_token"]
        )
        assert answer.json["error"] == "invalid_grant"
        assert (await who(door, tokens[-1]["access_token"])).status == 401


async def test_a_stranger_cannot_end_a_session_by_guessing(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        given = await door.tokens()
        family = given["refresh_token"].partition(".")[0]
        for wrong in (family[:-1] + "x.y", "pr_x", family[:-2]):
            answer = await door.token(grant_type="refresh_token", refresh_token=wrong)
            assert answer.json["error"] == "invalid_grant"
        answer = await door.token(grant_type="refresh_token", refresh_token=given["refresh_token"])
        assert answer.status == 200


async def test_a_refresh_token_belongs_to_its_client(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        given = await door.tokens()
        answer = await door.token(
            grant_type="refresh_token", refresh_token=given["refresh_token"], client_id="site"
        )
        assert answer.json["error"] == "invalid_grant"
        cookie = (await door.session()).headers["Set-Cookie"].partition(";")[0].partition("=")[2]
        for client in (CLIENT, "", "site"):  # what the web client has is not for others
            answer = await door.token(
                grant_type="refresh_token", refresh_token=cookie, client_id=client
            )
            assert answer.status == 400


async def test_a_client_that_is_not_used_loses_its_access(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        given = await door.tokens()
        life = ms(door.provider.config.refresh_time)
        door.home.time.now += life - 1
        second = await door.token(grant_type="refresh_token", refresh_token=given["refresh_token"])
        assert second.status == 200
        door.home.time.now += life
        third = await door.token(
            grant_type="refresh_token", refresh_token=second.json["refresh_token"]
        )
        assert third.json["error"] == "invalid_grant"


async def test_revoking_a_refresh_token_ends_its_session(tmp_path: Path) -> None:
    # RFC 7009
    async with porch(tmp_path) as door:
        given, browser = await door.tokens(), door.browser()
        answer = await browser.ask("POST", "/oauth/revoke", data={"token": "nothing known"})
        assert answer.status == 200
        form = {"token": given["refresh_token"], "client_id": "site"}
        assert (await browser.ask("POST", "/oauth/revoke", data=form)).status == 200
        assert (await who(door, given["access_token"])).status == 200  # it was another's
        form["client_id"] = CLIENT
        assert (await browser.ask("POST", "/oauth/revoke", data=form)).status == 200
        assert (await who(door, given["access_token"])).status == 401


@pytest.mark.usefixtures("database")
async def test_revoking_an_access_token_leaves_the_rest(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        given, browser = await door.tokens(), door.browser()
        form = {"token": given["access_token"], "client_id": CLIENT}
        await browser.ask("POST", "/oauth/revoke", data=form)
        assert (await who(door, given["access_token"])).status == 401
        answer = await door.token(grant_type="refresh_token", refresh_token=given["refresh_token"])
        assert answer.status == 200


async def test_a_disabled_account_has_no_tokens(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        given = await door.tokens()
        await door.home.directory.update(LOGIN, enabled=False)
        assert (await who(door, given["access_token"])).status == 401
        answer = await door.token(grant_type="refresh_token", refresh_token=given["refresh_token"])
        assert answer.json["error"] == "invalid_grant"


async def test_scopes_bound_what_a_token_may_do(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        token = (await door.tokens("mail"))["access_token"]
        answer = await door.browser().get("/auth/sessions", token)
        assert answer.status == 403
        token = (await door.tokens("mail account"))["access_token"]
        assert (await door.browser().get("/auth/sessions", token)).status == 200


async def test_scopes_that_are_not_known_are_left_out(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        scope = "openid urn:ietf:params:oauth:scope:mail offline_access email"
        given = await door.tokens(scope)
        assert given["scope"] == "urn:ietf:params:oauth:scope:mail offline_access"
        browser = door.browser()
        answer = await browser.get(door.asking(pkce()[1], scope="openid email"))
        assert answer.back["error"] == "invalid_scope"


# What must not be answered to the client, and what must


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "nobody"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": "http://127.0.0.1:8000/other"},
        {"redirect_uri": "http://127.0.0.2/callback"},
        {"redirect_uri": "http://localhost/callback"},
        {"redirect_uri": "http://127.0.0.1@evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1:8000\\@evil.example/callback"},
        {"redirect_uri": REDIRECT + "#x"},
        {"redirect_uri": "com.example.reader:/back/"},
        {"redirect_uri": "https://site.example/back?a=b&c=d", "client_id": "site"},
        {"redirect_uri": ""},
    ],
    ids=lambda change: str(change),
)
async def test_nobody_is_sent_to_where_a_client_has_not_registered(
    tmp_path: Path, change: dict[str, str]
) -> None:
    async with porch(tmp_path) as door:
        answer = await door.browser().get(door.asking(pkce()[1], **change))
        assert answer.status == 400
        assert "Location" not in answer.headers
        assert "<form" not in answer.text


@pytest.mark.parametrize("port", ["", ":1", ":49152"])
async def test_on_loopback_any_port_will_do(tmp_path: Path, port: str) -> None:
    # RFC 8252 section 7.3
    async with porch(tmp_path) as door:
        redirect = f"http://127.0.0.1{port}/callback"
        code, verifier = await code_of(door, redirect_uri=redirect)
        answer = await redeem(door, code, verifier, redirect_uri=redirect)
        assert answer.status == 200


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"prompt": "none"}, "interaction_required"),
    ],
    ids=lambda value: str(value),
)
async def test_what_else_is_wrong_is_told_to_the_client(
    tmp_path: Path, change: dict[str, str], error: str
) -> None:
    async with porch(tmp_path) as door:
        answer = await door.browser().get(door.asking(pkce()[1], **change))
        assert answer.status == 303
        assert answer.back["error"] == error
        assert answer.back["state"] == "st/1 &2"


async def test_a_site_that_nobody_knows_is_no_place_to_be_sent_to_by_an_error(
    tmp_path: Path,
) -> None:
    # RFC 9700 section 4.11.2: or a link to this server would lead to any site.
    async with porch(tmp_path) as door:
        redirect = "https://evil.example/cb"
        made = await register(door, redirect_uris=[redirect, "http://127.0.0.1/cb"])
        more = {"client_id": made.json["client_id"], "response_type": "token"}
        browser = door.browser()
        answer = await browser.get(door.asking(pkce()[1], redirect_uri=redirect, **more))
        assert answer.status == 400
        assert "Location" not in answer.headers
        answer = await browser.get(
            door.asking(pkce()[1], redirect_uri="http://127.0.0.1/cb", **more)
        )
        assert answer.back["error"] == "unsupported_response_type"


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("client", ["\0", "x" * 2_000, "a\nb", "\u202e"])
async def test_a_client_that_can_be_none_is_none(tmp_path: Path, client: str) -> None:
    async with porch(tmp_path) as door:
        answer = await door.browser().get(door.asking(pkce()[1], client_id=client))
        assert answer.status == 400
        answer = await door.token(grant_type="authorization_code", code="x", client_id=client)
        assert answer.json["error"] == "invalid_client"


async def test_a_parameter_that_comes_twice_is_refused(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        path = door.asking(pkce()[1]) + "&scope=mail"
        answer = await door.browser().get(path)
        assert answer.status == 400
        assert "Location" not in answer.headers
        body = "grant_type=refresh_token&grant_type=refresh_token"
        answer = await door.browser().ask(
            "POST", "/oauth/token", data=body,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )  # fmt: skip
        assert answer.json["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        (
            {"grant_type": "password", "username": LOGIN, "password": PASSWORD},
            "unsupported_grant_type",
        ),
        ({"grant_type": "authorization_code"}, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "x"}, "invalid_request"),
        ({"grant_type": "authorization_code", "client_id": "?"}, "invalid_client"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}, "invalid_request"),
    ],
    ids=lambda value: str(value),
)
async def test_the_token_endpoint_says_what_is_wrong(
    tmp_path: Path, form: dict[str, str], error: str
) -> None:
    async with porch(tmp_path) as door:
        answer = await door.token(**form)
        assert answer.status == 400
        assert answer.json["error"] == error
        assert answer.headers["Cache-Control"] == "no-store"


# Devices


async def begin_device(door: Porch) -> dict[str, str]:
    answer = await door.browser().ask(
        "POST", "/oauth/device_authorization", data={"client_id": CLIENT, "scope": "mail"}
    )
    assert answer.status == 200, answer.text
    return dict(answer.json)


async def poll(door: Porch, begun: dict[str, str]) -> Answer:
    return await door.token(
        grant_type="urn:ietf:params:oauth:grant-type:device_code", device_code=begun["device_code"]
    )


@pytest.mark.usefixtures("database")
async def test_a_device_is_let_in_by_its_code(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        begun = await begin_device(door)
        assert (await poll(door, begun)).json["error"] == "authorization_pending"
        browser = door.browser()
        code_page = await browser.sign_in("/oauth/device")
        typed = begun["user_code"].lower().replace("-", " ")
        path = f"/oauth/device?{urlencode({'user_code': typed})}"
        assert "user_code" in code_page.fields
        consent = await browser.get(path)
        assert begun["user_code"] in consent.text
        done = await browser.allow(path, consent)
        assert (done.status, "The Reader" in done.text) == (200, True)
        door.home.time.now += 5_000
        answer = await poll(door, begun)
        assert answer.json["scope"] == "mail"
        assert (await who(door, answer.json["access_token"])).status == 200
        assert (await poll(door, begun)).json["error"] == "invalid_grant"  # once


@pytest.mark.usefixtures("database")
async def test_a_hasty_device_is_slowed_down(tmp_path: Path) -> None:
    # RFC 8628 section 3.5: five seconds more each time.
    async with porch(tmp_path) as door:
        begun = await begin_device(door)
        assert (await poll(door, begun)).json["error"] == "authorization_pending"
        door.home.time.now += 4_999
        assert (await poll(door, begun)).json["error"] == "slow_down"
        door.home.time.now += 9_999
        assert (await poll(door, begun)).json["error"] == "slow_down"
        door.home.time.now += 15_000
        assert (await poll(door, begun)).json["error"] == "authorization_pending"


async def test_a_device_that_is_refused_or_late_gets_nothing(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        begun, browser = await begin_device(door), door.browser()
        path = f"/oauth/device?user_code={begun['user_code']}"
        await browser.allow(path, await browser.sign_in(path), "refuse")
        assert (await poll(door, begun)).json["error"] == "access_denied"
        late = await begin_device(door)
        door.home.time.now += 15 * 60_000
        assert (await poll(door, late)).json["error"] == "expired_token"


async def test_a_device_code_belongs_to_its_client(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        begun = await begin_device(door)
        answer = await door.token(
            grant_type="urn:ietf:params:oauth:grant-type:device_code",
            device_code=begun["device_code"],
            client_id="site",
        )
        assert answer.json["error"] == "invalid_grant"


async def test_user_codes_cannot_be_tried_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(delay: float) -> None:
        waited.append(delay)

    async with porch(tmp_path, remote="203.0.113.9") as door:
        begun, browser = await begin_device(door), door.browser()
        await browser.sign_in("/oauth/device")
        monkeypatch.setattr(
            "postillon.access.signin.authorize.asyncio", SimpleNamespace(sleep=sleep)
        )
        for _ in range(QUICK.refuse_after):
            answer = await browser.get("/oauth/device?user_code=BCDF-GHJK")
            assert answer.status == 404
        assert waited[:6] == [0, 0, 0, 0, 1, 2]
        assert max(waited) == 30
        right = await browser.get(f"/oauth/device?user_code={begun['user_code']}")
        assert "answer" not in right.text  # not even looked at


# Registration


async def register(door: Porch, **metadata: object) -> Answer:
    said = {"redirect_uris": ["http://[::1]/cb", "com.example.app:/cb"], "client_name": "Mine"}
    return await door.browser().post("/oauth/register", {**said, **metadata})


async def test_a_client_that_has_registered_can_ask(tmp_path: Path) -> None:
    # RFC 7591
    async with porch(tmp_path) as door:
        made = await register(door, token_endpoint_auth_method="none")
        assert made.status == 201
        assert made.json["token_endpoint_auth_method"] == "none"
        assert "client_secret" not in made.json
        client = made.json["client_id"]
        redirect = "http://[::1]:8123/cb"
        verifier, challenge = pkce()
        browser = door.browser()
        path = door.asking(challenge, client_id=client, redirect_uri=redirect)
        consent = await browser.sign_in(path)
        assert "name cannot be checked" in consent.text
        back = (await browser.allow(path, consent)).back
        answer = await redeem(door, back["code"], verifier, client_id=client, redirect_uri=redirect)
        assert answer.status == 200


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": "http://127.0.0.1/"}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://example.org/"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["app:/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://u:p@example.org/"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://example.org/#x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://example.org/\r\nX: y"]}, "invalid_redirect_uri"),
        (
            {"redirect_uris": [f"https://example.org/{n}" for n in range(11)]},
            "invalid_redirect_uri",
        ),
        ({"client_name": "x" * 81}, "invalid_client_metadata"),
        ({"client_name": "a\u202eb"}, "invalid_client_metadata"),
        ({"client_name": 5}, "invalid_client_metadata"),
        ({"grant_types": ["password"]}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
    ],
    ids=lambda value: str(value)[:50],
)
async def test_metadata_that_could_do_harm_is_not_registered(
    tmp_path: Path, metadata: dict[str, object], error: str
) -> None:
    async with porch(tmp_path) as door:
        answer = await register(door, **metadata)
        assert (answer.status, answer.json["error"]) == (400, error)


@pytest.mark.usefixtures("database")
async def test_the_room_for_clients_is_bounded(tmp_path: Path) -> None:
    async with porch(tmp_path, OAuthConfig(most_clients=2)) as door:
        first = (await register(door)).json["client_id"]
        door.home.time.now += 1
        assert (await register(door)).status == 201
        assert (await register(door)).json["error"] == "temporarily_unavailable"
        door.home.time.now += 86_400_001
        assert (await register(door)).status == 201  # the one unused for longest gave way
        rows = await door.home.rows("SELECT client FROM oauth_client")
        assert len(rows) == 2
        assert (first,) not in rows


async def test_one_network_registers_a_few_clients_in_an_hour(tmp_path: Path) -> None:
    async with porch(tmp_path, remote="203.0.113.9") as door:
        found = [(await register(door)).status for _ in range(21)]
        assert found == [201] * 20 + [429]
        door.home.time.now += HOUR
        assert (await register(door)).status == 201


async def test_registration_and_all_of_oauth_can_be_switched_off(tmp_path: Path) -> None:
    async with porch(tmp_path / "a", OAuthConfig(registration=False)) as door:
        assert (await register(door)).status == 403
        known = await door.browser().get("/.well-known/oauth-authorization-server")
        assert "registration_endpoint" not in known.json
    async with porch(tmp_path / "b", OAuthConfig(enabled=False)) as door:
        assert (await door.browser().get("/oauth/authorize")).status == 404
        assert (await door.session()).status == 200


async def test_a_resource_says_who_gives_tokens_for_it(tmp_path: Path) -> None:
    # RFC 9728: the resource is the address that was asked about.
    async with porch(tmp_path) as door:
        browser = door.browser()
        for path in ("", "/jmap/session"):
            known = await browser.get(f"/.well-known/oauth-protected-resource{path}")
            assert known.json["resource"] == door.base + path
            assert known.json["authorization_servers"] == [door.base]
        refused = await browser.get("/auth/session")
        assert (
            f'resource_metadata="{door.base}/.well-known/oauth-protected-resource"'
            in (refused.headers["WWW-Authenticate"])
        )


async def test_pages_of_other_sites_may_ask_for_tokens_and_no_more(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser = door.browser(Origin="https://client.example")
        for path in ("token", "revoke", "register", "device_authorization"):
            answer = await browser.ask("OPTIONS", f"/oauth/{path}")
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
        for path in ("/auth/session", "/oauth/authorize"):
            answer = await browser.get(path)
            assert "Access-Control-Allow-Origin" not in answer.headers
