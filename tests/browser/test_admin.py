"""Administration in a real browser over a real server: every page and act, first steps, phones."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from postillon.directory.totp import code_of, step_at
from support.administration import ADMIN, PERSON, Administration, Api, ask, signed_in
from support.browser import AXE
from support.server import PASSWORD, Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest.importorskip("playwright.sync_api")

PAGES = (
    "overview", "health", "domains", "domains/example.org", "accounts", f"accounts/{PERSON}",
    "aliases", "groups", "queue", f"trace/{PERSON}", "audit", "keys", "settings", "welcome",
)  # fmt: skip


def test_only_an_administrator_comes_in(own_browser: Browser, admin_server: Server) -> None:
    opened = Administration(own_browser, admin_server, PERSON)
    opened.page.get_by_text("this account is no administrator").wait_for()
    assert not opened.page.locator(".admin").count()
    opened.page.get_by_role("button", name="Another account").click()
    opened.sign_in(ADMIN)
    opened.page.locator(".admin").wait_for()
    opened.page.get_by_role("link", name="Mail", exact=True).click()
    opened.page.get_by_role("navigation", name="Mailboxes").wait_for()
    opened.context.close()


def test_an_administrator_with_two_steps_is_asked_for_the_second(
    own_browser: Browser, admin_server: Server
) -> None:
    api, login = Api(admin_server), "careful@example.org"
    api("POST", "/accounts", {"login": login, "password": PASSWORD, "admin": True})
    token = str(signed_in(admin_server, login)["access_token"])
    secret = str(ask(admin_server, "POST", "/auth/totp", {"password": PASSWORD}, token)["secret"])
    now = step_at(int(time.time() * 1000))
    body = {"code": code_of(secret, now - 1)}
    assert ask(admin_server, "POST", "/auth/totp/confirm", body, token).status == 200
    opened = Administration(own_browser, admin_server, login)
    opened.page.get_by_label("Code").fill("000000")
    opened.page.get_by_role("button", name="Sign in").click()
    opened.page.get_by_role("alert").get_by_text("not right").wait_for()
    opened.page.get_by_label("Code").fill(code_of(secret, now))
    opened.page.get_by_role("button", name="Sign in").click()
    opened.page.locator(".admin").wait_for()
    opened.context.close()
    api("DELETE", f"/accounts/{login}")


def test_a_message_is_followed_by_a_part_of_an_address(admin: Administration) -> None:
    page = admin.open("welcome")
    page.get_by_label("Address").fill(PERSON)
    page.get_by_role("button", name="Send").click()
    admin.said("The test message is on its way")
    page = admin.open("trace")
    page.get_by_label("Address, Message-ID or id").fill(PERSON.partition("@")[0])
    page.keyboard.press("Enter")
    story = page.locator(".story").filter(has_text=PERSON).first
    story.get_by_text("delivered", exact=True).first.wait_for()
    if story.get_attribute("open") is None:
        story.locator("summary").click()
    story.get_by_text("delivered here").wait_for()


def test_what_nobody_knows_is_no_fault(admin: Administration) -> None:
    admin.open("trace/nobody-of-that-name").get_by_text("Nothing is known of").wait_for()
    assert not admin.page.get_by_role("alert").count()
    admin.open("accounts/nobody@example.org").get_by_text("there is no account").wait_for()
    admin.page.get_by_role("heading", name="nobody@example.org", level=1).wait_for()


def test_what_is_wrong_comes_with_its_remedy(admin: Administration) -> None:
    page = admin.open("overview")
    page.locator(".banner").first.click()
    page.get_by_role("heading", name="Health", level=1).wait_for()
    wrong = page.get_by_role("listitem").filter(has_text="example.org. has no MX record")
    wrong.get_by_text("publish: example.org. MX 10").wait_for()
    page.get_by_role("button", name="Look again").click()
    wrong.get_by_role("link", name="example.org").click()
    page.get_by_role("heading", name="example.org", exact=True, level=1).wait_for()


def test_charts_show_the_time_that_is_chosen(admin: Administration) -> None:
    page = admin.open("overview")
    chart = page.get_by_role("figure").filter(has=page.get_by_role("heading", name="Sign-ins"))
    chart.wait_for()
    with page.expect_response(lambda answer: "minutes=1440" in answer.url):
        page.get_by_text("Day", exact=True).click()
    chart.get_by_text("Signed in").wait_for()


def test_a_setting_is_found_by_what_it_is_for(admin: Administration) -> None:
    page = admin.open("settings")
    page.get_by_label("Find").fill("smart")
    page.get_by_role("row").filter(has_text="route.smarthost").wait_for()
    page.get_by_role("row").filter(has_text="server.hostname").wait_for(state="detached")


def test_what_was_done_is_in_the_log(admin: Administration) -> None:
    command_page = admin.open("audit")
    command_page.get_by_role("row").filter(has_text="Account changed").first.wait_for()
    command_page.get_by_label("Who, what or to whom").fill("domain.")
    command_page.keyboard.press("Enter")
    command_page.get_by_role("row").filter(has_text="Account changed").first.wait_for(
        state="detached"
    )


def test_language_and_appearance_are_chosen(admin: Administration) -> None:
    admin.page.get_by_role("button", name="Appearance and language").click()
    admin.page.get_by_role("menuitemcheckbox", name="Deutsch").click()
    admin.page.get_by_role("heading", name="Überblick").wait_for()
    admin.open("domains/example.org").get_by_text("Post für die Domain kommt hierher").wait_for()
    admin.page.get_by_role("button", name="Aussehen und Sprache").click()
    admin.page.get_by_role("menuitemcheckbox", name="Dunkel").click()
    admin.page.locator("html[data-theme=dark]").wait_for()
    admin.page.reload()
    admin.page.locator("html[data-theme=dark]").wait_for()
    admin.page.get_by_role("heading", name="example.org", level=1).wait_for()


def test_signing_out_ends_it(admin: Administration) -> None:
    admin.page.get_by_role("button", name="Sign out").click()
    admin.page.get_by_label("Password").wait_for()
    admin.page.reload()
    admin.page.get_by_label("Password").wait_for()


def test_the_first_administrator_is_made_in_the_browser(
    own_browser: Browser, tmp_path: Path
) -> None:
    with Server(tmp_path, logins=(), protocols=("http",), populate=False) as server:
        opened = Administration(own_browser, server, "")
        page = opened.page
        page.get_by_label("Code").fill("not-this-one")
        page.get_by_label("Your domain").fill("example.net")
        page.get_by_label("Your name there").fill("root")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Set up").click()
        page.get_by_role("alert").get_by_text("The code is wrong").wait_for()
        page.get_by_label("Code").fill((server.data / "run" / "setup-code").read_text().strip())
        page.get_by_role("button", name="Set up").click()
        page.get_by_role("heading", name="Your server runs").wait_for()
        page.get_by_text("example.net. MX 10").first.wait_for()
        assert not (server.data / "run" / "setup-code").exists()
        assert opened.faults == []
        opened.context.close()


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(
    own_browser: Browser, admin_server: Server, scheme: Any
) -> None:
    from browser.test_accessible import findings

    opened = Administration(own_browser, admin_server, color_scheme=scheme)
    opened.page.locator(".admin").wait_for()
    for path in PAGES:
        page = opened.open(path)
        page.locator(".spinner").first.wait_for(state="detached")
        assert findings(page) == [], path
    opened.context.close()


def test_nothing_lies_outside_a_phone(own_browser: Browser, admin_server: Server) -> None:
    opened = Administration(own_browser, admin_server, viewport={"width": 390, "height": 844})
    opened.page.locator(".admin").wait_for()
    for path in PAGES:
        page = opened.open(path)
        page.locator(".spinner").first.wait_for(state="detached")
        wide = page.evaluate("document.querySelector('.admin-page').scrollWidth")
        assert wide <= 390, path
    opened.page.get_by_role("button", name="Administration").click()
    opened.page.get_by_role("navigation").get_by_role("link", name="Queue").click()
    opened.page.get_by_role("heading", name="Queue", level=1).wait_for()
    opened.context.close()
