"""Without a network: what was seen is there, what is done is told later; undo, push."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from browser.test_drafts import paper
from browser.test_writing import arrived, begin
from support.browser import html_letter, imap, put, text_letter

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from browser.conftest import Open
    from support.server import Server

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
BOB, CAROL = "bob@example.net", "carol@example.org"
WORKING = "async () => { await navigator.serviceWorker.ready; }"


def flags(server: Server, login: str, mailbox: str, subject: str) -> str | None:
    """Those of the message with this subject; None where there is none."""
    with imap(server, login) as client:
        client.select(mailbox, readonly=True)
        numbers = client.search(None, f'SUBJECT "{subject}"')[1][0].split()
        if not numbers:
            return None
        [found] = client.fetch(numbers[0].decode(), "(FLAGS)")[1]
        assert isinstance(found, bytes)
        return found.decode()


def installed(open_page: Open, login: str) -> Page:
    """A page whose service worker has seen everything that it will show without a network."""
    page = open_page(login, workers="allow")
    page.evaluate(WORKING)
    page.reload()
    page.get_by_role("grid", name="Messages").or_(page.locator(".empty")).first.wait_for()
    page.wait_for_function("navigator.serviceWorker.controller")
    page.reload()
    page.get_by_role("grid", name="Messages").or_(page.locator(".empty")).first.wait_for()
    return page


def row(page: Page, subject: str) -> playwright.Locator:
    return page.get_by_role("row").filter(has_text=subject)


def test_what_was_seen_is_read_and_searched_and_what_is_done_is_told_later(
    open_page: Open, server: Server
) -> None:
    with imap(server, CAROL) as client:
        client.create("Kept")
        put(client, html_letter("The lighthouse", "<p>Its lamp needs <b>paraffin</b>.</p>"))
        put(client, text_letter("The harbour", "Boats only."))
        put(client, text_letter("The market", "Fish only."))
    page = installed(open_page, CAROL)
    row(page, "The lighthouse").click()
    page.frame_locator("iframe.paper").get_by_text("paraffin").wait_for()
    page.context.set_offline(True)
    page.reload()
    expect(row(page, "The harbour")).to_be_visible()
    expect(page.frame_locator("iframe.paper").get_by_text("paraffin")).to_be_visible()
    expect(page.locator(".offline-mark")).to_contain_text("Offline")
    # Words of a text that was read are found, those of others by what the list shows.
    search = page.get_by_role("combobox", name="Search")
    search.fill("paraffin")
    search.press("Enter")
    expect(page.get_by_text("only messages that were seen on this device")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(1)
    expect(row(page, "The lighthouse")).to_be_visible()
    page.go_back()
    # Marked, moved and archived: shown at once, and still so after another start.
    page.get_by_role("link", name="Inbox").first.click()
    expect(row(page, "The harbour")).to_be_visible()
    row(page, "The harbour").get_by_role("button", name="Star").click()
    row(page, "The market").hover()
    row(page, "The market").get_by_role("button", name="Delete").click()
    expect(row(page, "The market")).to_have_count(0)
    expect(page.locator(".offline-mark")).to_contain_text("2 changes wait")
    page.reload()
    expect(row(page, "The harbour")).to_be_visible()
    expect(row(page, "The market")).to_have_count(0)
    assert "\\Flagged" not in (flags(server, CAROL, "INBOX", "The harbour") or "")
    # Written without a network, and sent when there is one.
    begin(page, to=BOB, subject="From the pier")
    paper(page).click()
    page.keyboard.type("No signal here")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("1 message waits to be sent")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_text("Message sent")).to_be_visible()
    expect(page.locator(".offline-mark")).to_have_count(0)
    assert arrived(server, CAROL, "Sent", "From the pier") is not None
    assert arrived(server, CAROL, "Trash", "The market") is not None
    assert "\\Flagged" in (flags(server, CAROL, "INBOX", "The harbour") or "")
    assert flags(server, CAROL, "INBOX", "The market") is None


def test_everything_is_undone_step_by_step(page: Page, server: Server) -> None:
    with imap(server, "ada@example.org") as client:
        for name in ("Step one", "Step two", "Step three"):
            put(client, text_letter(name, seen=True))
    row(page, "Step three").wait_for()
    for name, key in (("Step one", "e"), ("Step two", "#"), ("Step three", "!")):
        row(page, name).get_by_role("checkbox").click()
        page.keyboard.press(key)
        expect(row(page, name)).to_have_count(0)
    for name in ("Step three", "Step two", "Step one"):
        page.keyboard.press("z")
        expect(page.get_by_text("Undone", exact=True)).to_be_visible()
        expect(row(page, name)).to_have_count(1)
    row(page, "Step one").get_by_role("checkbox").click()
    page.keyboard.press("s")
    expect(row(page, "Step one").get_by_role("button", name="Star")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.keyboard.press("z")
    expect(row(page, "Step one").get_by_role("button", name="Star")).to_have_attribute(
        "aria-pressed", "false"
    )
    page.keyboard.press("I")
    page.keyboard.press("z")
    for name in ("Step one", "Step two", "Step three"):
        assert flags(server, "ada@example.org", "INBOX", name) is not None


def test_a_push_while_no_page_is_seen_becomes_a_notice(open_page: Open, server: Server) -> None:
    page = installed(open_page, CAROL)
    page.context.grant_permissions(["notifications"])
    devtools = page.context.new_cdp_session(page)
    found: list[dict[str, str]] = []
    devtools.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda said: found.extend(said["registrations"]),
    )
    devtools.send("ServiceWorker.enable")
    page.wait_for_function("navigator.serviceWorker.controller")
    page.goto("about:blank")  # no page of ours is seen
    other = page.context.new_page()
    other.goto("about:blank")
    watched = page.context.service_workers[0]
    devtools.send(
        "ServiceWorker.deliverPushMessage",
        {
            "origin": watched.url.rsplit("/", 1)[0],
            "registrationId": found[0]["registrationId"],
            "data": '{"@type": "StateChange", "changed": {"a1": {"EmailDelivery": "1"}}}',
        },
    )
    shown = watched.evaluate(
        """async () => {
        for (let n = 0; n < 200; n++) {
          const [notice] = await registration.getNotifications();
          if (notice) return notice.title;
          await new Promise((done) => setTimeout(done, 25));
        }
        return ""; }"""
    )
    assert shown == "New mail"
