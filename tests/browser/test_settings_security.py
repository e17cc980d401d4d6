"""Signing in from the settings: codes, app passwords for one purpose, single devices, the way in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from browser.test_settings import settings
from postillon.directory.totp import code_of, step_at
from support.administration import ask, imap_lets_in, signed_in
from support.server import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from browser.conftest import Open
    from support.server import Server

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
BOB, CAROL = "bob@example.net", "carol@example.org"


def with_code(server: Server, login: str, code: str) -> int:
    body = {"login": login, "password": PASSWORD, "code": code}
    return ask(server, "POST", "/auth/session", body).status


def test_recovery_codes_are_renewed_copied_and_each_is_good_once(
    open_page: Open, server: Server
) -> None:
    page = open_page(CAROL, permissions=["clipboard-read", "clipboard-write"])
    settings(page, "Password and sign-in")
    card = page.locator("section.card", has_text="Two-step sign-in")
    card.get_by_label("Current password").fill("not the password")
    card.get_by_role("button", name="Set up").click()
    expect(card.get_by_role("alert")).to_contain_text("wrong")
    card.get_by_label("Current password").fill(PASSWORD)
    card.get_by_role("button", name="Set up").click()
    card.get_by_role("button", name="Cancel").click()
    assert signed_in(server, CAROL).status == 200  # nothing is on yet
    card.get_by_label("Current password").fill(PASSWORD)
    card.get_by_role("button", name="Set up").click()
    secret = card.locator(".secret").inner_text().replace(" ", "")
    card.get_by_label("Code", exact=True).fill("000000")
    card.get_by_role("button", name="Turn on").click()
    expect(card.get_by_role("alert")).to_contain_text("not right")
    now = int(page.evaluate("Date.now()"))
    card.get_by_label("Code", exact=True).fill(code_of(secret, step_at(now)))
    card.get_by_role("button", name="Turn on").click()
    first = kept(page)
    assert signed_in(server, CAROL).status == 401
    assert with_code(server, CAROL, first[0]) == 200
    assert with_code(server, CAROL, first[0]) == 401
    page.reload()
    expect(card).to_contain_text(f"{len(first) - 1} recovery codes left")
    card.get_by_label("Current password").fill(PASSWORD)
    card.get_by_role("button", name="New recovery codes").click()
    second = kept(page)
    assert not set(first) & set(second)
    assert with_code(server, CAROL, first[1]) == 401
    assert with_code(server, CAROL, second[0]) == 200
    card.get_by_label("Current password").fill(PASSWORD)
    card.get_by_role("button", name="Turn off").click()
    expect(card.get_by_role("button", name="Set up")).to_be_visible()
    assert signed_in(server, CAROL).status == 200


def kept(page: Page) -> list[str]:
    """The recovery codes that are shown, after they were copied and put away."""
    card = page.locator("section.card", has_text="Two-step sign-in")
    expect(card.locator(".recovery code").nth(7)).to_be_visible()
    codes = [text.strip() for text in card.locator(".recovery code").all_inner_texts()]
    card.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").split() == codes
    card.get_by_role("button", name="I have kept them").click()
    return codes


def test_an_app_password_is_good_for_what_was_chosen_alone(open_page: Open, server: Server) -> None:
    page = open_page(CAROL, permissions=["clipboard-read", "clipboard-write"])
    settings(page, "App passwords")
    for name, box in (("Reader", "IMAP"), ("Page", "JMAP")):
        page.get_by_label("Name").fill(name)
        page.get_by_label(box).check()
        page.get_by_role("button", name="Create").click()
        made = page.locator(".made")
        expect(made).to_contain_text(name)
        secret = made.locator(".secret").inner_text()
        made.get_by_role("button", name="Copy").click()
        expect(page.get_by_text("Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == secret
        assert imap_lets_in(server, CAROL, secret) is (box == "IMAP")
        made.get_by_role("button", name="Close").click()
        expect(made).to_have_count(0)
        line = page.locator(".card.line", has_text=name)
        expect(line).to_contain_text(box)
        if box == "IMAP":
            page.reload()
            expect(line).not_to_contain_text("never used")
        line.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(line).to_have_count(0)


def test_one_device_is_signed_out_and_the_others_stay(open_page: Open, server: Server) -> None:
    page = open_page(BOB)
    settings(page, "Devices")
    lines = page.locator(".card.line")
    expect(lines.first).to_be_visible()
    if lines.count() > 1:  # of other tests
        page.get_by_role("button", name="Sign out everywhere else").click()
        expect(lines).to_have_count(1)
    lost, kept_one = open_page(BOB), open_page(BOB)
    page.reload()
    expect(lines.filter(has_text="this one")).to_have_count(1)
    expect(lines).to_have_count(3)
    lines.filter(has_not_text="this one").last.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("Signed out there")).to_be_visible()
    expect(lines).to_have_count(2)
    lost.reload()
    kept_one.reload()
    signed_out = [one for one in (lost, kept_one) if away(one)]
    assert len(signed_out) == 1


def away(page: Page) -> bool:
    page.get_by_label("Password").or_(page.get_by_role("grid", name="Messages")).or_(
        page.locator(".empty")
    ).first.wait_for()
    return page.get_by_label("Password").count() == 1


def test_who_does_not_stay_is_out_when_the_browser_ends(open_page: Open) -> None:
    page = open_page("")
    page.get_by_label("Address").fill(BOB)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Stay signed in").uncheck()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Account")).to_be_visible()
    [cookie] = [
        one for one in page.context.cookies() if "refresh" in one["name"].lower() or one["httpOnly"]
    ]
    assert cookie["expires"] == -1  # goes with the browser
    page.get_by_role("button", name="Account").click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.get_by_label("Address").fill(BOB)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Stay signed in").check()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Account")).to_be_visible()
    [cookie] = [one for one in page.context.cookies() if one["httpOnly"]]
    assert cookie["expires"] > 0


def test_the_language_is_chosen_before_signing_in_and_kept(open_page: Open) -> None:
    page = open_page("")
    page.get_by_role("button", name="Deutsch").click()
    expect(page.get_by_role("button", name="Anmelden")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Anmelden")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "de"
