"""Sessions of the web client, and one's own settings of signing in."""

from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace

import pytest

from postillon.access.signin.own import COOKIE
from postillon.access.signin.provider import ms
from postillon.directory import second_factor
from postillon.directory.signin import Denied, Granted
from support.accounts import QUICK
from support.signin import AGENT, LOGIN, PASSWORD, Answer, Browser, Porch, porch

NEW = "an even better horse"
HOUR, DAY = 3_600_000, 86_400_000


async def signed_in(door: Porch, **more: object) -> tuple[Browser, str]:
    """A browser and its access token."""
    browser = door.browser()
    answer = await browser.post("/auth/session", {"login": LOGIN, "password": PASSWORD, **more})
    assert answer.status == 200, answer.text
    return browser, answer.json["access_token"]


async def refresh(browser: Browser, **headers: str) -> Answer:
    return await browser.post("/auth/session/refresh", headers=headers)


def basic(login: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()}


# The session


async def test_a_session_gives_a_token_and_keeps_another_from_scripts(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        answer = await door.session()
        assert answer.json["expires_in"] == 3600
        assert answer.json["account"] == {
            "id": "a1", "login": LOGIN, "name": "Ada", "language": "", "admin": False,
            "second_factor": False,
        }  # fmt: skip
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith(COOKIE + "=pr_")
        for word in ("HttpOnly", "SameSite=Strict", "Path=/auth"):
            assert word in cookie
        assert "Secure" not in cookie  # over loopback
        assert "Max-Age" not in cookie
        assert cookie.partition("=")[2].partition(";")[0] not in answer.text
    async with porch(tmp_path / "far", remote="203.0.113.9") as door:
        assert "Secure" in (await door.session()).headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("login", "password"),
    [(LOGIN, "wrong"), ("nobody@example.org", PASSWORD), ("", ""), ("\0", "\0"), (LOGIN, "")],
)
async def test_what_is_wrong_is_not_told(tmp_path: Path, login: str, password: str) -> None:
    async with porch(tmp_path) as door:
        answer = await door.browser().post("/auth/session", {"login": login, "password": password})
        assert (answer.status, answer.json) == (401, {"error": "wrong"})
        assert "Basic" not in answer.headers["WWW-Authenticate"]
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 415), (b"{", 400), (b"[]", 400), (b'{"login": 1}', 400), (b'{"login": "\\ud800"}', 400),
     (b'{"login": "' + b"x" * 400 + b'"}', 400), (b"[" * 9_000, 400), (b" " * 20_000, 413)],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
async def test_a_body_that_cannot_be_is_refused(tmp_path: Path, body: bytes, status: int) -> None:
    async with porch(tmp_path) as door:
        headers = {"Content-Type": "application/json"} if body else {}
        answer = await door.browser().ask("POST", "/auth/session", data=body, headers=headers)
        assert answer.status == status
        assert answer.status != 413 or "Set-Cookie" not in answer.headers


async def test_a_page_of_another_site_signs_nobody_in_or_out(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser, token = await signed_in(door)
        said = {"login": LOGIN, "password": PASSWORD}
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert (await browser.post("/auth/session", said, headers=headers)).status == 403
            assert (await refresh(browser, **headers)).status == 403
            assert (await browser.ask("DELETE", "/auth/session", headers=headers)).status == 403
        form = await browser.ask("POST", "/auth/session", data=said)
        assert form.status == 415
        assert (await browser.get("/auth/session", token)).status == 200


async def test_the_cookie_is_renewed_with_each_use(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser, first = await signed_in(door)
        door.home.time.now += HOUR
        assert (await browser.get("/auth/session", first)).status == 401
        answer = await refresh(browser)
        assert answer.status == 200
        assert (await browser.get("/auth/session", answer.json["access_token"])).status == 200
        again = await refresh(browser)
        assert again.json["session"] == answer.json["session"]


@pytest.mark.usefixtures("database")
async def test_two_tabs_may_refresh_at_the_same_moment(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser, _ = await signed_in(door)
        cookies = {item.key: item.value for item in browser.http.cookie_jar}
        old = {"Cookie": f"{COOKIE}={cookies[COOKIE]}"}
        assert (await refresh(browser)).status == 200
        tab = door.browser()
        door.home.time.now += 10_000
        second = await refresh(tab, **old)
        assert second.status == 200
        assert "Set-Cookie" not in second.headers  # the first tab has got the new one
        door.home.time.now += 1
        third = await refresh(tab, **old)  # too late: this one was stolen
        assert (third.status, third.json) == (401, {"error": "signed_out"})
        assert (await refresh(browser)).status == 401


async def test_who_wants_to_stay_signed_in_does(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        config = door.provider.config
        browser, _ = await signed_in(door)
        staying, _ = await signed_in(door, remember=True)
        for _ in range(3):
            door.home.time.now += ms(config.short_session_time) - 1
            assert (await refresh(browser)).status == 200
        door.home.time.now += ms(config.short_session_time)
        assert (await refresh(browser)).status == 401
        answer = await refresh(staying)
        assert answer.status == 200
        assert f"Max-Age={ms(config.session_time) // 1000}" in answer.headers["Set-Cookie"]
        door.home.time.now += ms(config.session_time) - 1
        assert (await refresh(staying)).status == 200


async def test_signing_out_ends_the_session(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser, token = await signed_in(door)
        answer = await browser.ask("DELETE", "/auth/session")
        assert answer.status == 204
        assert (await browser.get("/auth/session", token)).status == 401
        assert (await refresh(browser)).status == 204  # it has no cookie any more
        _, token = await signed_in(door)
        assert (await door.browser().ask("DELETE", "/auth/session", token)).status == 204
        assert (await browser.get("/auth/session", token)).status == 401


# The second factor


async def test_the_second_factor_is_asked_for_once_it_is_on(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser, token = await signed_in(door)
        begun = await browser.post("/auth/totp", {"password": PASSWORD}, token)
        assert begun.json["uri"].startswith("otpauth://totp/Postillon:ada@example.org?secret=")
        assert (await door.session()).status == 200  # begun is not on
        wrong = await browser.post("/auth/totp/confirm", {"code": "000000"}, token)
        assert (wrong.status, wrong.json) == (422, {"error": "wrong_code"})
        secret, recovery = await door.second_factor(browser, token)
        assert len(set(recovery)) == 10
        status = await browser.get("/auth/totp", token)
        assert status.json == {"on": True, "since": "2026-09-21T14:13:20Z", "recovery_codes": 10}
        assert (await door.session()).json == {"error": "code_required"}
        assert (await door.session(password="wrong")).json == {"error": "wrong"}
        assert (await door.session(code="123")).json == {"error": "wrong_code"}
        answer = await door.session(code=door.code(secret))
        assert answer.json["account"]["second_factor"] is True
        again = await browser.post("/auth/totp", {"password": PASSWORD}, token)
        assert again.status == 409


@pytest.mark.usefixtures("database")
async def test_a_code_is_good_once(tmp_path: Path) -> None:
    # FAULTS 41
    async with porch(tmp_path) as door:
        browser, token = await signed_in(door)
        secret, recovery = await door.second_factor(browser, token)
        code = door.code(secret)
        assert (await door.session(code=code)).status == 200
        assert (await door.session(code=code)).json == {"error": "wrong_code"}
        door.home.time.now += 30_000
        assert (await door.session(code=code)).json == {"error": "wrong_code"}
        assert (await door.session(code=door.code(secret))).status == 200
        assert (await door.session(code=recovery[3])).status == 200
        assert (await door.session(code=recovery[3])).json == {"error": "wrong_code"}
        assert (await browser.get("/auth/totp", token)).json["recovery_codes"] == 9


async def test_clocks_may_be_half_a_minute_wrong(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser, token = await signed_in(door)
        secret, _ = await door.second_factor(browser, token)
        for late, status in ((60_000, 401), (30_000, 200)):
            code = door.code(secret)
            door.home.time.now += late
            assert (await door.session(code=code)).status == status


@pytest.fixture
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that are delayed come at once: how long the delays are is proved elsewhere."""

    async def sleep(delay: float) -> None:
        return

    monkeypatch.setattr("postillon.directory.signin.asyncio", SimpleNamespace(sleep=sleep))


@pytest.mark.usefixtures("no_delay")
async def test_codes_cannot_be_tried_one_after_the_other(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser, token = await signed_in(door)
        secret, recovery = await door.second_factor(browser, token)
        stranger = door.sign_ins.begin("web", "203.0.113.9")
        principal = await door.home.directory.by_login(LOGIN)
        assert principal is not None
        for _ in range(10):
            await door.provider.write(
                lambda tx: second_factor.take(tx, principal.id, "000000", door.home.time())
            )
        assert await stranger.code(principal, door.code(secret)) is Denied.LATER
        assert await stranger.code(principal, recovery[0]) is Denied.LATER
        # From where the owner has signed in it goes on, ten times as long.
        for _ in range(95):
            await door.sign_ins.begin("web", "127.0.0.1").code(principal, "000000")
        assert (await door.session(code=door.code(secret))).json["error"] == "later"
        door.home.time.now += 15 * 60_000
        assert (await door.session(code=door.code(secret))).status == 200
        door.home.time.now += 30_000
        assert isinstance(await stranger.code(principal, door.code(secret)), Granted)


async def test_recovery_codes_are_renewed_and_the_factor_ends_with_the_password(
    tmp_path: Path,
) -> None:
    async with porch(tmp_path) as door:
        browser, token = await signed_in(door)
        _, old = await door.second_factor(browser, token)
        path = "/auth/totp/recovery-codes"
        assert (await browser.post(path, {"password": "wrong"}, token)).status == 422
        new = (await browser.post(path, {"password": PASSWORD}, token)).json["recovery_codes"]
        assert not set(new) & set(old)
        assert (await door.session(code=old[0])).status == 401
        assert (await door.session(code=new[0])).status == 200
        answer = await browser.ask("DELETE", "/auth/totp", token, json={"password": "wrong"})
        assert (answer.status, answer.json) == (422, {"error": "wrong"})
        answer = await browser.ask("DELETE", "/auth/totp", token, json={"password": PASSWORD})
        assert answer.status == 204
        assert (await door.session()).status == 200


# The password, sessions, app passwords


@pytest.mark.usefixtures("database")
async def test_another_password_ends_all_other_sessions(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser, token = await signed_in(door)
        other, other_token = await signed_in(door)
        client = await door.tokens()
        wrong = await browser.post("/auth/password", {"old": "wrong", "new": NEW}, token)
        assert (wrong.status, wrong.json) == (422, {"error": "wrong"})
        short = await browser.post("/auth/password", {"old": PASSWORD, "new": "short"}, token)
        assert short.status == 422
        answer = await browser.post("/auth/password", {"old": PASSWORD, "new": NEW}, token)
        assert answer.status == 204
        assert (await browser.get("/auth/session", token)).status == 200
        assert (await refresh(browser)).status == 200
        assert (await other.get("/auth/session", other_token)).status == 401
        assert (await refresh(other)).status == 401
        assert (await other.get("/auth/session", client["access_token"])).status == 401
        assert (await door.session()).status == 401
        assert (await door.session(password=NEW)).status == 200


@pytest.mark.usefixtures("database")
async def test_sessions_are_listed_with_their_devices_and_can_be_ended(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser, token = await signed_in(door)
        door.home.time.now += 1
        _, other = await signed_in(door)
        await door.tokens()
        found = (await browser.get("/auth/sessions", token)).json["sessions"]
        assert [item["current"] for item in found] == [False, False, True]
        assert {item["kind"] for item in found} == {"web", "client"}
        assert {item["device"] for item in found} == {"Firefox on Linux"}
        assert found[0]["name"] == "The Reader"
        assert found[0]["scopes"] == ["mail", "send"]
        path = f"/auth/sessions/{found[1]['id']}"
        assert (await browser.ask("DELETE", path, token)).status == 204
        assert (await browser.get("/auth/session", other)).status == 401
        assert (await browser.ask("DELETE", path, token)).status == 404
        assert (await browser.ask("DELETE", "/auth/sessions", token)).json == {"ended": 1}
        assert len((await browser.get("/auth/sessions", token)).json["sessions"]) == 1


@pytest.mark.parametrize("number", ["0", "-1", "x", "²", "9" * 40, "1"])
async def test_nobody_ends_what_is_not_theirs(tmp_path: Path, number: str) -> None:
    async with porch(tmp_path) as door:
        _, ada = await signed_in(door)  # session 1
        await door.home.account("bob@example.org")
        await door.home.credentials.set_password("bob@example.org", PASSWORD)
        bob = (await door.session(login="bob@example.org")).json["access_token"]
        browser = door.browser()
        for kind in ("sessions", "app-passwords"):
            answer = await browser.ask("DELETE", f"/auth/{kind}/{number}", bob)
            assert answer.status == 404
        assert (await browser.get("/auth/session", ada)).status == 200


@pytest.mark.usefixtures("database")
async def test_app_passwords_are_made_listed_and_revoked(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser, token = await signed_in(door)
        made = await browser.post(
            "/auth/app-passwords",
            {"name": "Phone", "protocols": ["jmap", "imap"], "expires_in_days": 2},
            token,
        )
        assert made.status == 201
        password = made.json.pop("password")
        assert [len(part) for part in password.split("-")] == [6, 6, 6, 6]
        found = (await browser.get("/auth/app-passwords", token)).json["app_passwords"]
        assert found == [made.json]
        assert found[0]["protocols"] == ["imap", "jmap"]
        assert found[0]["used_at"] is None
        # Typed as people type.
        spoken = basic(LOGIN, f" {password.upper().replace('-', ' ')} ")
        assert (await browser.get("/auth/session", headers=spoken)).status == 200
        await door.home.credentials.last_use.written()
        found = (await browser.get("/auth/app-passwords", token)).json["app_passwords"]
        assert found[0]["used_at"] == "2026-09-21T14:13:20Z"
        # It is for mail, not for settings.
        assert (await browser.get("/auth/app-passwords", headers=spoken)).status == 403
        door.home.time.now += 2 * DAY
        assert (await browser.get("/auth/session", headers=spoken)).status == 401


@pytest.mark.parametrize(
    "said",
    [{}, {"name": ""}, {"name": "a\nb"}, {"name": "a\0"}, {"name": "x" * 101},
     {"name": "x", "protocols": []},
     {"name": "x", "protocols": ["telnet"]}, {"name": "x", "protocols": "imap"},
     {"name": "x", "expires_in_days": 0}, {"name": "x", "expires_in_days": True},
     {"name": "x", "expires_in_days": 1.5}],
    ids=str,
)  # fmt: skip
async def test_an_app_password_that_cannot_be_is_not_made(
    tmp_path: Path, said: dict[str, object]
) -> None:
    async with porch(tmp_path) as door:
        browser, token = await signed_in(door)
        assert (await browser.post("/auth/app-passwords", said, token)).status == 422
        assert (await browser.get("/auth/app-passwords", token)).json["app_passwords"] == []


# Who may ask at all


async def test_the_password_over_basic_ends_with_the_second_factor(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser, token = await signed_in(door)
        spoken = basic(LOGIN, PASSWORD)
        assert (await browser.get("/auth/totp", headers=spoken)).status == 200
        await door.second_factor(browser, token)
        answer = await browser.get("/auth/totp", headers=spoken)
        assert answer.status == 401
        assert "app password" in answer.text


@pytest.mark.parametrize(
    "given",
    ["", "Basic", "Basic !", "Basic " + base64.b64encode(b"nocolon").decode(), "Bearer",
     "Bearer x", "Bearer pk_x", "Digest x", "Basic " + "A" * 9_000, "\x00"],
    ids=lambda value: value[:12] or "none",
)  # fmt: skip
async def test_who_is_nobody_is_told_how_to_sign_in(tmp_path: Path, given: str) -> None:
    async with porch(tmp_path) as door:
        headers = {"Authorization": given} if given.isprintable() and given else {}
        answer = await door.browser().get("/auth/session", headers=headers)
        assert answer.status in (400, 401)
        if answer.status == 401:
            assert "Bearer" in answer.headers["WWW-Authenticate"]
            assert answer.json["status"] == 401


async def test_a_script_is_not_told_of_basic(tmp_path: Path) -> None:
    # Or the browser would ask for a password in a window of its own.
    async with porch(tmp_path) as door:
        browser = door.browser()
        for headers in ({"Sec-Fetch-Dest": "empty"}, {"Authorization": "Bearer old"}):
            answer = await browser.get("/auth/session", headers=headers)
            kinds = [value.partition(" ")[0] for value in answer.headers.getall("WWW-Authenticate")]
            assert kinds == ["Bearer"]
        answer = await browser.get("/auth/session")
        assert len(answer.headers.getall("WWW-Authenticate")) == 2


@pytest.mark.usefixtures("no_delay")
async def test_a_network_that_guesses_is_turned_away_and_the_owner_is_not(tmp_path: Path) -> None:
    async with porch(tmp_path, remote="203.0.113.9") as door:
        browser, token = await signed_in(door)  # from this network
        for number in range(QUICK.refuse_after):
            door.sign_ins.throttle.failed("203.0.113.9", f"user{number}@example.org")
        assert (await door.session()).status == 200
        answer = await browser.post(
            "/auth/session", {"login": "bob@example.org", "password": PASSWORD}
        )
        assert (answer.status, answer.json["error"]) == (429, "later")
        assert answer.headers["Retry-After"] == "300"
        answer = await browser.get("/auth/session", headers=basic("bob@example.org", PASSWORD))
        assert answer.status == 429
        assert (await browser.get("/auth/session", token)).status == 200  # tokens do not count


async def test_no_secret_is_logged(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser, token = await signed_in(door)
        made = await browser.post("/auth/app-passwords", {"name": "Phone"}, token)
        secret, recovery = await door.second_factor(browser, token)
        await browser.post("/auth/session", {"login": LOGIN, "password": "so wrong"})
        code = door.code(secret)
        await door.session(code=code)
        log = b"\n".join(door.log).decode()
        secrets = (PASSWORD, "so wrong", token, made.json["password"], secret, recovery[0], code)
        for text in secrets:
            assert text not in log
        for event in ("logged_in", "login_failed", "app_password_made", "second_factor_on"):
            assert f'"event":"{event}"' in log
        assert AGENT not in log
