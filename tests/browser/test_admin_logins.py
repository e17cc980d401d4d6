"""Logins and limits: what fails is seen, slowed down and turned away, and let in again by a click."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from browser.conftest import command, launched
from browser.test_accessible import PHONE, WIDE, findings
from support.administration import ADMIN, PERSON, ROUNDS, WAIT_S, Administration
from support.browser import AXE
from support.server import PASSWORD, Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FAR, OTHER = "203.0.113.7", "2001:db8:1:2::9"
TYPED = "S3cret!in-the-wrong-field"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Behind a proxy that is trusted: the tests say from where a request comes. Two workers."""
    made = Server(
        tmp_path_factory.mktemp("guarded"),
        logins=(ADMIN, PERSON),
        protocols=("smtp", "imap", "http"),
        workers=2,
        settings={
            "auth": "argon2_memory = 64\nargon2_passes = 1\nrefuse_after = 6\nlongest_delay = '0s'",
            "http": "trusted_proxies = ['127.0.0.0/8']",
        },
    )
    command(made, "account", "set", ADMIN, "--admin")
    command(made, "account", "set", PERSON, "--quota", "1 MB")
    with made:
        yield made


@pytest.fixture(scope="module")
def other_browser(guarded: Server) -> Iterator[Browser]:
    yield from launched()


@pytest.fixture
def admin(other_browser: Browser, guarded: Server) -> Iterator[Administration]:
    opened = Administration(other_browser, guarded)
    opened.page.locator(".admin").wait_for()
    yield opened
    opened.context.close()
    assert opened.faults == []


def tries(server: Server, login: str, password: str, address: str = FAR) -> int:
    """The status of a sign-in as somebody at this address has it."""
    request = Request(
        f"http://{server.host}:{server.port('http')}/auth/session",
        json.dumps({"login": login, "password": password}).encode(),
        {
            "Content-Type": "application/json",
            "X-Forwarded-For": address,
            "X-Forwarded-Proto": "https",
        },
    )
    try:
        with urlopen(request, timeout=WAIT_S) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code


def turned_away(server: Server) -> None:
    """Both workers have heard: a run of requests meets none that still looks at passwords."""
    for _ in range(ROUNDS):
        if all(tries(server, PERSON, "a guess") == 429 for _ in range(6)):
            return
    pytest.fail("the network is not turned away by every worker")


def rows(page: Any, name: str) -> Any:
    return page.get_by_role("region", name=name).get_by_role("row")


def test_who_guesses_is_seen_turned_away_and_let_in_again(
    admin: Administration, guarded: Server
) -> None:
    for _ in range(7):
        tries(guarded, PERSON, "a guess")
    tries(guarded, TYPED, "a guess", OTHER)
    turned_away(guarded)
    page = admin.open("logins")

    record = rows(page, "Sign-ins")
    record.filter(has_text=PERSON).filter(has_text="wrong password").first.wait_for()
    record.filter(has_text=FAR).filter(has_text="turned away").first.wait_for()
    record.filter(has_text=OTHER).filter(has_text="no address of a domain here").first.wait_for()
    record.filter(has_text=ADMIN).filter(has_text="signed in").first.wait_for()
    assert TYPED not in page.content()

    page.get_by_label("Only failures").check()
    record.filter(has_text="signed in").first.wait_for(state="detached")
    page.get_by_label("Only failures").uncheck()

    kept = rows(page, "Slowed down or turned away")
    line = kept.filter(has_text=FAR)
    line.get_by_text("turned away").wait_for()
    line.get_by_role("button", name="Let in again").click()
    admin.dialog().get_by_text(f"All failures from {FAR} are forgotten").wait_for()
    admin.dialog().get_by_role("button", name="Cancel").click()
    assert tries(guarded, PERSON, PASSWORD) == 429  # nothing was done yet

    line.get_by_role("button", name="Let in again").click()
    admin.dialog().get_by_text("turned away").wait_for()
    admin.agree("Let in again")
    admin.said(f"{FAR} is let in again")
    line.wait_for(state="detached")
    for _ in range(ROUNDS):
        if tries(guarded, PERSON, PASSWORD) == 200:
            break
    assert {tries(guarded, PERSON, PASSWORD) for _ in range(6)} == {200}

    admin.open("audit")
    rows(page, "Audit log").filter(has_text="Let in again").filter(has_text=FAR).first.wait_for()


def test_sign_ins_are_found_by_login_and_address(admin: Administration, guarded: Server) -> None:
    tries(guarded, "nobody@example.org", "x", "198.51.100.23")
    page = admin.open("logins")
    record = rows(page, "Sign-ins")
    record.filter(has_text="198.51.100.23").first.wait_for()
    page.get_by_label("Part of a login or address").fill("NOBODY@")
    page.keyboard.press("Enter")
    record.filter(has_text=ADMIN).first.wait_for(state="detached")
    record.filter(has_text="no such login").first.wait_for()
    page.get_by_role("button", name="Show all").click()
    record.filter(has_text=ADMIN).first.wait_for()
    record.filter(has_text=ADMIN).first.get_by_role("link", name=ADMIN).click()
    page.get_by_role("heading", level=1, name=ADMIN).wait_for()


def test_each_limit_leads_to_its_setting(admin: Administration) -> None:
    page = admin.open("logins")
    line = rows(page, "Limits").filter(has_text="Failures after which a network is turned away")
    line.get_by_role("cell", name="6").first.wait_for()
    line.get_by_text("changed").wait_for()
    line.get_by_role("link", name="auth.refuse_after").click()
    page.get_by_role("heading", level=1, name="Settings").wait_for()
    shown = rows(page, "Settings")
    shown.filter(has_text="auth.refuse_after").wait_for()
    assert shown.count() == 2  # the head and the one


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_view_is_accessible(
    other_browser: Browser, guarded: Server, size: dict[str, int], scheme: str
) -> None:
    for number in range(7):
        tries(guarded, f"user{number}@example.org", "x", "198.51.100.99")
    opened = Administration(other_browser, guarded, viewport=size, color_scheme=scheme)
    opened.page.locator(".admin").wait_for()
    page = opened.open("logins")
    line = rows(page, "Slowed down or turned away").filter(has_text="198.51.100.99")
    line.wait_for()
    rows(page, "Limits").first.wait_for(state="attached")
    assert findings(page) == []
    line.get_by_role("button", name="Let in again").click()
    opened.dialog().get_by_text("are forgotten at once").wait_for()
    assert findings(page) == []
    opened.context.close()
    assert opened.faults == []
