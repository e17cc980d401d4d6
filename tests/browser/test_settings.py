"""Every page of the settings does what it says."""

from __future__ import annotations

import imaplib
import re
from typing import TYPE_CHECKING

import pytest

from postillon.directory.totp import code_of, step_at
from support.browser import imap
from support.server import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from browser.conftest import Open
    from support.server import Server

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
DORA, EVE = "dora@example.org", "eve@example.org"


def settings(page: Page, name: str) -> None:
    page.get_by_role("button", name="Account").click()
    page.get_by_role("menuitem", name="Settings").click()
    page.get_by_role("navigation", name="Settings").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()


@pytest.mark.parametrize(
    ("language", "inbox", "compose"),
    [("de", "Posteingang", "Neue Nachricht"), ("fr", "Boîte de réception", "Nouveau message")],
)
def test_all_of_it_speaks_the_chosen_language(
    open_page: Open, language: str, inbox: str, compose: str
) -> None:
    page = open_page(DORA)
    settings(page, "General")
    page.get_by_label("Language").select_option(language)
    expect(page.get_by_role("link", name=inbox).first).to_be_visible()
    expect(page.get_by_role("button", name=compose).first).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == language
    page.reload()
    expect(page.get_by_role("link", name=inbox).first).to_be_visible()


def test_dark_and_light_can_be_chosen(open_page: Open) -> None:
    page = open_page(DORA, color_scheme="light")
    settings(page, "General")
    page.get_by_text("Dark", exact=True).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_text("As the system").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_an_app_password_lets_a_mail_program_in_until_it_is_deleted(
    open_page: Open, server: Server
) -> None:
    page = open_page(DORA)
    settings(page, "App passwords")
    page.get_by_label("Name").fill("Old laptop")
    page.get_by_label("IMAP").check()
    page.get_by_role("button", name="Create").click()
    secret = page.locator(".made .secret").inner_text()
    client = imaplib.IMAP4(server.host, server.port("imap"))
    assert client.login(DORA, secret)[0] == "OK"
    client.logout()
    page.locator(".card.line", has_text="Old laptop").get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".card.line", has_text="Old laptop")).to_have_count(0)
    client = imaplib.IMAP4(server.host, server.port("imap"))
    with pytest.raises(imaplib.IMAP4.error):
        client.login(DORA, secret)
    client.shutdown()


def test_the_password_is_changed_only_with_the_old_one(open_page: Open, server: Server) -> None:
    page = open_page(EVE)
    settings(page, "Password and sign-in")
    form = page.locator("form", has_text="New password again")

    def change(old: str, new: str, again: str) -> None:
        form.get_by_label("Current password").fill(old)
        form.get_by_label("New password", exact=True).fill(new)
        form.get_by_label("New password again").fill(again)
        form.get_by_role("button", name="Change password").click()

    change("wrong wrong wrong", "another horse battery", "another horse battery")
    expect(form.get_by_role("alert")).to_contain_text("wrong")
    change(PASSWORD, "another horse battery", "something else here")
    expect(form.get_by_role("alert")).to_contain_text("differ")
    change(PASSWORD, "another horse battery", "another horse battery")
    expect(page.get_by_text("Password changed")).to_be_visible()
    with pytest.raises(imaplib.IMAP4.error), imap(server, EVE):
        pass
    change("another horse battery", PASSWORD, PASSWORD)
    expect(form.get_by_label("Current password")).to_have_value("")
    with imap(server, EVE):
        pass


def test_a_second_factor_is_set_up_asked_for_and_turned_off(open_page: Open) -> None:
    page = open_page(EVE)
    settings(page, "Password and sign-in")
    card = page.locator("section.card", has_text="Two-step sign-in")
    card.get_by_label("Current password").fill(PASSWORD)
    card.get_by_role("button", name="Set up").click()
    expect(card.get_by_role("img", name=re.compile("QR code"))).to_be_visible()
    secret = card.locator(".secret").inner_text().replace(" ", "")
    now = int(page.evaluate("Date.now()"))
    card.get_by_label("Code", exact=True).fill(code_of(secret, step_at(now)))
    card.get_by_role("button", name="Turn on").click()
    expect(card.locator(".recovery code").nth(7)).to_be_visible()
    recovery = card.locator(".recovery code").all_inner_texts()
    assert len(recovery) >= 8
    card.get_by_role("button", name="I have kept them").click()

    other = open_page("")
    other.get_by_label("Address").fill(EVE)
    other.get_by_label("Password").fill(PASSWORD)
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("heading", name="One more step")).to_be_visible()
    other.get_by_label("Code").fill("000000")
    other.get_by_role("button", name="Continue").click()
    expect(other.get_by_role("alert")).to_contain_text("not right")
    other.get_by_label("Code").fill(recovery[0])
    other.get_by_role("button", name="Continue").click()
    expect(other.get_by_role("button", name="Account")).to_be_visible()

    card.get_by_label("Current password").fill(PASSWORD)
    card.get_by_role("button", name="Turn off").click()
    expect(card.get_by_role("button", name="Set up")).to_be_visible()


def test_another_device_is_signed_out_from_here(open_page: Open) -> None:
    other = open_page(DORA)
    page = open_page(DORA)
    settings(page, "Devices")
    page.get_by_role("button", name="Sign out everywhere else").click()
    expect(page.locator(".card.line")).to_have_count(1)
    other.reload()
    expect(other.get_by_label("Password")).to_be_visible()


def test_an_absence_is_noted_and_kept(open_page: Open) -> None:
    page = open_page(DORA)
    settings(page, "Out of office")
    page.get_by_label("Answer while I am away").check()
    page.get_by_label("First day").fill("2027-01-04")
    page.get_by_label("Last day").fill("2027-01-02")
    expect(page.get_by_role("alert")).to_contain_text("before the first")
    page.get_by_label("Last day").fill("2027-01-08")
    page.get_by_label("Message").fill("Back on the eleventh.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The notice is on")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Answer while I am away")).to_be_checked()
    expect(page.get_by_label("First day")).to_have_value("2027-01-04")
    expect(page.get_by_label("Last day")).to_have_value("2027-01-08")
    expect(page.get_by_label("Message")).to_have_value("Back on the eleventh.")


def test_a_signature_stands_under_new_messages(open_page: Open) -> None:
    page = open_page(DORA)
    settings(page, "Names and signatures")
    page.get_by_role("button", name="Edit").first.click()
    page.get_by_label("Your name").fill("Dora D.")
    page.get_by_label("Signature").fill("Dora\nOn the hill")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved")).to_be_visible()
    page.get_by_role("button", name="New message").first.click()
    expect(page.get_by_role("textbox", name="Text of the message")).to_contain_text("On the hill")


def test_the_storage_page_tells_of_the_quota(open_page: Open) -> None:
    page = open_page(DORA)
    settings(page, "Storage")
    expect(page.locator(".settings-page .card")).to_contain_text(re.compile(r"limit|of "))
