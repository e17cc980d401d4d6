"""The pages of signing in: safe from other sites and from what is put into them, in three languages."""

from __future__ import annotations

import re
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import pytest

from postillon.access.signin import devices
from postillon.access.signin.authorize import FORM, TICKET
from postillon.access.signin.words import ENGLISH, LANGUAGES, Words, chosen
from support.signin import LOGIN, PASSWORD, Answer, pkce, porch

STRANGE = "<script>alert(1)</script>\"'&{x}"


def policy_of(answer: Answer) -> dict[str, list[str]]:
    parts = [part.split() for part in answer.headers["Content-Security-Policy"].split(";")]
    return {part[0]: part[1:] for part in parts}


async def test_the_policy_allows_our_style_and_nothing_besides(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser = door.browser()
        page = await browser.get(door.asking(pkce()[1]))
        policy = policy_of(page)
        assert policy["default-src"] == ["'none'"]
        assert policy["style-src"] == ["'self'"]
        assert policy["form-action"] == ["'self'"]
        assert policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
        assert page.headers["X-Frame-Options"] == "DENY"
        assert page.headers["Cache-Control"] == "no-store"
        assert "<script" not in page.text
        assert "style=" not in page.text
        style = await browser.get("/oauth/style.css")
        assert (style.status, style.headers["Content-Type"]) == (200, "text/css; charset=utf-8")


@pytest.mark.parametrize(
    ("redirect", "source"),
    [
        ("http://127.0.0.1:4711/callback", "http://127.0.0.1:4711"),
        ("com.example.reader:/back", "com.example.reader:"),
    ],
)
async def test_a_form_may_lead_back_to_the_program_that_asks(
    tmp_path: Path, redirect: str, source: str
) -> None:
    # Browsers hold the redirect after a form to form-action too.
    async with porch(tmp_path) as door:
        browser = door.browser()
        path = door.asking(pkce()[1], redirect_uri=redirect)
        consent = await browser.sign_in(path)
        assert policy_of(consent)["form-action"] == ["'self'", source]
        assert (await browser.allow(path, consent)).headers["Location"].startswith(redirect)


async def test_what_others_say_cannot_break_out_of_a_page(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser = door.browser()
        path = door.asking(
            pkce()[1], client_id="site", redirect_uri="https://site.example/back?a=b",
            login_hint=STRANGE, state=STRANGE,
        )  # fmt: skip
        page = await browser.get(path)
        assert "<script" not in page.text
        assert page.fields["login"] == STRANGE
        consent = await browser.sign_in(path)
        assert "A &lt;b&gt;Site&lt;/b&gt;" in consent.text
        assert "<b>" not in consent.text
        answer = await browser.allow(path, consent)
        assert answer.headers["Location"].startswith("https://site.example/back?a=b&code=")
        assert answer.back["state"] == STRANGE


async def test_a_wrong_password_is_said_and_the_login_kept(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser = door.browser()
        page = await browser.sign_in(door.asking(pkce()[1]), password="wrong")
        assert page.status == 401
        assert 'role="alert"' in page.text
        assert page.fields["login"] == LOGIN
        assert "wrong" not in page.fields["password"]


async def test_an_app_password_opens_no_page(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser = door.browser()
        token = (await door.session()).json["access_token"]
        made = await browser.post("/auth/app-passwords", {"name": "Phone"}, token)
        page = await browser.sign_in(door.asking(pkce()[1]), password=made.json["password"])
        assert page.status == 401


async def test_a_form_of_another_site_is_not_taken(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        path, browser = door.asking(pkce()[1]), door.browser()
        page = await browser.get(path)
        form = {**page.fields, "login": LOGIN, "password": PASSWORD}
        for headers in (
            {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.example"}, {"Origin": "null"},
        ):  # fmt: skip
            answer = await browser.ask("POST", path, data=form, headers=headers)
            assert answer.status == 403, headers
        for forged in ({**form, "form": "x" * 32}, {**form, "form": ""}):
            assert (await browser.ask("POST", path, data=forged)).status == 403
        stranger = door.browser()  # whose cookie is another
        await stranger.get(path)
        assert (await stranger.ask("POST", path, data=form)).status == 403
        assert (await browser.ask("POST", path, data=form)).status == 303


async def test_consent_needs_somebody_signed_in(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        path, browser = door.asking(pkce()[1]), door.browser()
        page = await browser.get(path)
        form = {"form": page.fields["form"], "step": "consent", "answer": "allow"}
        answer = await browser.ask("POST", path, data=form)
        assert answer.headers["Location"].startswith("/oauth/authorize?")
        assert await door.home.rows("SELECT * FROM authorization_code") == []


@pytest.mark.usefixtures("database")
async def test_the_second_factor_is_a_step_of_its_own(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        token = (await door.session()).json["access_token"]
        secret, recovery = await door.second_factor(door.browser(), token)
        path, browser = door.asking(pkce()[1]), door.browser()
        page = await browser.sign_in(path)
        assert "one-time-code" in page.text
        # The password alone does not reach consent.
        form = {"form": page.fields["form"], "step": "consent", "answer": "allow"}
        answer = await browser.ask("POST", path, data=form)
        assert answer.headers["Location"].startswith("/oauth/authorize?")
        wrong = await browser.send(path, {**page.fields, "code": "000000"})
        assert wrong.status == 401
        consent = await browser.send(path, {**wrong.fields, "code": door.code(secret)})
        assert 'value="allow"' in consent.text
        other = door.browser()
        page = await other.sign_in(path)
        consent = await other.send(path, {**page.fields, "code": recovery[0].upper()})
        assert 'value="allow"' in consent.text


async def test_who_has_signed_in_decides_once(tmp_path: Path) -> None:
    # Who comes to the same browser later lets nothing else in.
    async with porch(tmp_path) as door:
        path, browser = door.asking(pkce()[1]), door.browser()
        consent = await browser.sign_in(path)
        assert (await browser.allow(path, consent)).back["code"]
        assert "password" in (await browser.get(path)).fields
        answer = await browser.allow(path, consent)
        assert answer.headers["Location"].startswith("/oauth/authorize?")


@pytest.mark.usefixtures("database")
async def test_who_leaves_is_asked_to_sign_in_again(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        path, browser = door.asking(pkce()[1]), door.browser()
        consent = await browser.sign_in(path)
        page = await browser.send(path, {"form": consent.fields["form"], "step": "leave"})
        assert "password" in page.fields
        assert await door.home.rows("SELECT * FROM signed_in") == []


async def test_a_ticket_is_good_for_ten_minutes_and_ends_with_the_password(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        path, browser = door.asking(pkce()[1]), door.browser()
        await browser.sign_in(path)
        door.home.time.now += 10 * 60_000
        assert "password" in (await browser.get(path)).fields
        consent = await browser.sign_in(path)
        assert "password" not in consent.fields
        await door.home.credentials.set_password(LOGIN, "another password")
        assert "password" in (await browser.get(path)).fields


async def test_nothing_is_typed_in_the_clear(tmp_path: Path) -> None:
    async with porch(tmp_path) as door:
        browser = door.browser()
        page = await browser.get(door.asking(pkce()[1]))
        set_cookie = page.headers["Set-Cookie"]
        assert "HttpOnly" in set_cookie
        assert "SameSite=Strict" in set_cookie
        assert "Secure" not in set_cookie  # over loopback
    async with porch(tmp_path / "far", remote="203.0.113.9") as door:
        page = await door.browser().get(door.asking(pkce()[1]))
        assert FORM in page.headers["Set-Cookie"]
        assert "Secure" in page.headers["Set-Cookie"]


async def test_the_ticket_comes_along_from_another_site_and_the_form_does_not(
    tmp_path: Path,
) -> None:
    # Lax for the visit that a client begins, Strict for what decides.
    async with porch(tmp_path) as door:
        path, browser = door.asking(pkce()[1]), door.browser()
        page = await browser.get(path)
        form = {**page.fields, "login": LOGIN, "password": PASSWORD}
        answer = await browser.ask("POST", path, data=form)
        assert re.search(rf"{TICKET}=[^;]+;.*SameSite=Lax", answer.headers["Set-Cookie"])


# Words


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("words", LANGUAGES.values(), ids=LANGUAGES.keys())
def test_every_language_says_the_same(words: Words) -> None:
    for name, text in asdict(words).items():
        assert text.strip(), name
        assert placeholders(text) == placeholders(asdict(ENGLISH)[name]), name


@pytest.mark.parametrize(
    ("accept", "wished", "language"),
    [
        ("", "", "en"),
        ("de-CH,de;q=0.9,en;q=0.8", "", "de"),
        ("it, fr;q=0.3, de;q=0.2", "", "fr"),
        ("it", "", "en"),
        ("en", "nl fr", "fr"),
        ("de;q=x, fr;q=0.1", "", "fr"),
        ("de;q=0", "", "en"),
        ("," * 1000 + "de", "", "en"),
    ],
)
def test_the_language_is_the_one_people_like_best(accept: str, wished: str, language: str) -> None:
    assert chosen(accept, wished) == language


@pytest.mark.parametrize("language", LANGUAGES)
async def test_pages_are_well_formed_and_labelled(tmp_path: Path, language: str) -> None:
    async with porch(tmp_path) as door:
        browser = door.browser(**{"Accept-Language": language})
        path = door.asking(pkce()[1])
        for page in (await browser.get(path), await browser.sign_in(path)):
            check = Wellformed()
            check.feed(page.text)
            assert check.open == []
            assert check.language == language
            assert check.inputs <= check.labels
            assert check.headings == 1


class Wellformed(HTMLParser):
    """Elements that are closed, and fields that have labels."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.language = ""
        self.labels: set[str] = set()
        self.inputs: set[str] = set()
        self.headings = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.headings += tag == "h1"
        if tag == "html":
            self.language = given["lang"]
        if tag == "label":
            self.labels.add(given["for"])
        if tag == "input" and given["type"] != "hidden":
            self.inputs.add(given["id"])
        if tag not in ("meta", "link", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
            " Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15"
            " (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.1",
         "Thunderbird on Linux"),
        ("curl/8.5.0", "curl"),
        ("", ""),
        ("<script>", ""),
    ],
    ids=lambda value: value[:20],
)  # fmt: skip
def test_devices_are_named_in_words(agent: str, words: str) -> None:
    assert devices.described(agent) == words
