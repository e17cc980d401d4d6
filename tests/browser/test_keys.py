"""Every key that the help names does what it says; dragging, links, a restarted server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from browser.test_drafts import drafts, paper, saved
from browser.test_offline import flags, row
from browser.test_writing import begin
from support.browser import imap, put, text_letter

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from browser.conftest import Open
    from support.server import Server

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
BOB = "bob@example.net"
NAMES = [f"Key {n}" for n in range(8)]


@pytest.fixture
def page(open_page: Open, server: Server) -> Page:
    """Bob's inbox with eight new messages, the last one first."""
    with imap(server, BOB) as client:
        if client.select("INBOX")[1] != [b"0"]:
            client.store("1:*", "+FLAGS", "\\Deleted")
            client.expunge()
        for name in NAMES:
            put(client, text_letter(name, f"This is {name}."))
    made = open_page(BOB)
    row(made, NAMES[-1]).wait_for()
    return made


def opened(page: Page, name: str) -> None:
    expect(page.locator(".reader-head h1")).to_have_text(name)


def test_keys_that_move(page: Page) -> None:
    page.keyboard.press("Enter")
    opened(page, "Key 7")
    page.keyboard.press("j")
    opened(page, "Key 6")
    page.keyboard.press("ArrowDown")
    opened(page, "Key 5")
    page.keyboard.press("k")
    page.keyboard.press("ArrowUp")
    opened(page, "Key 7")
    page.keyboard.press("u")
    expect(page.locator(".reader-head")).to_have_count(0)
    page.keyboard.press("o")
    opened(page, "Key 7")
    page.keyboard.press("Escape")
    expect(page.locator(".reader-head")).to_have_count(0)
    for keys, name in (("gs", "Sent"), ("gd", "Drafts"), ("ga", "Archive"), ("gi", "Inbox")):
        page.keyboard.press(keys[0])
        page.keyboard.press(keys[1])
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("f")
    page.get_by_role("dialog", name="Go to a folder").get_by_role("combobox").fill("tra")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Trash", exact=True)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Inbox", exact=True)).to_be_visible()
    page.go_forward()
    expect(page.get_by_role("heading", name="Trash", exact=True)).to_be_visible()


def test_keys_that_act(page: Page, server: Server) -> None:
    page.keyboard.press("Home")
    page.keyboard.press("e")
    expect(row(page, "Key 7")).to_have_count(0)
    page.keyboard.press("#")
    expect(row(page, "Key 6")).to_have_count(0)
    page.keyboard.press("Delete")
    expect(row(page, "Key 5")).to_have_count(0)
    page.keyboard.press("!")
    expect(row(page, "Key 4")).to_have_count(0)
    page.keyboard.press("s")
    expect(row(page, "Key 3").get_by_role("button", name="Star")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.keyboard.press("Shift+I")
    expect(page.locator(".row.unread")).to_have_count(3)
    page.keyboard.press("Shift+U")
    expect(page.locator(".row.unread")).to_have_count(4)
    page.keyboard.press("v")
    page.get_by_role("dialog", name="Move to").get_by_role("combobox").fill("arch")
    page.keyboard.press("Enter")
    expect(row(page, "Key 3")).to_have_count(0)
    page.keyboard.press("z")
    expect(row(page, "Key 3")).to_have_count(1)
    for name, place in (
        ("Key 7", "Archive"), ("Key 6", "Trash"), ("Key 5", "Trash"), ("Key 4", "Junk"),
    ):  # fmt: skip
        assert flags(server, BOB, place, name) is not None
    assert "\\Flagged" in (flags(server, BOB, "INBOX", "Key 3") or "")


def test_keys_that_select(page: Page) -> None:
    page.keyboard.press("x")
    expect(page.locator(".row.picked")).to_have_count(1)
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    expect(page.locator(".row.picked")).to_have_count(3)
    page.keyboard.press("*")
    page.keyboard.press("a")
    expect(page.locator(".row.picked")).to_have_count(8)
    page.keyboard.press("*")
    page.keyboard.press("n")
    expect(page.locator(".row.picked")).to_have_count(0)


def test_keys_that_write(page: Page) -> None:
    page.keyboard.press("Enter")
    page.frame_locator("iframe.paper").get_by_text("This is Key 7.").wait_for()
    for key, subject in (("r", "Re: Key 7"), ("a", "Re: Key 7"), ("f", "Fwd: Key 7"), ("c", "")):
        page.keyboard.press(key)
        paper(page).wait_for()
        expect(page.get_by_label("Subject")).to_have_value(subject)
        page.get_by_role("button", name="Discard").click()
    page.keyboard.press("/")
    expect(page.get_by_role("combobox", name="Search")).to_be_focused()
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name=re.compile("[Kk]ey"))).to_be_visible()
    page.keyboard.press("Escape")
    begin(page, to="ada@example.org", subject="By key")
    paper(page).click()
    page.keyboard.type("Sent by key")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Message sent")).to_be_visible()


def test_several_are_dragged_into_a_folder_and_a_link_opens_one(page: Page, server: Server) -> None:
    for name in ("Key 1", "Key 2", "Key 3"):
        row(page, name).get_by_role("checkbox").click()
    row(page, "Key 2").drag_to(page.get_by_role("link", name="Archive"))
    expect(page.get_by_text(re.compile("3 .*moved|[Mm]oved"))).to_be_visible()
    expect(row(page, "Key 2")).to_have_count(0)
    for name in ("Key 1", "Key 2", "Key 3"):
        assert flags(server, BOB, "Archive", name) is not None
    row(page, "Key 5").click()
    opened(page, "Key 5")
    other = page.context.new_page()
    other.goto(page.url)
    opened(other, "Key 5")
    # Two tabs: what one does the other shows.
    row(other, "Key 0").hover()
    row(other, "Key 0").get_by_role("button", name="Archive").click()
    expect(row(page, "Key 0")).to_have_count(0)


def test_a_server_that_is_started_again_while_one_writes_takes_what_was_written(
    page: Page, server: Server
) -> None:
    begin(page, subject="Through a restart")
    paper(page).click()
    page.keyboard.type("Before.")
    saved(page)
    server.stop()
    page.keyboard.type(" Meanwhile.")
    expect(page.locator(".composer-saved")).to_have_text("Kept on this device")
    server.start()
    saved(page)
    [draft] = drafts(server, BOB, "Through a restart")
    assert b"Before. Meanwhile." in draft
    page.get_by_role("button", name="Discard").click()


def test_what_is_typed_before_a_message_has_its_fields_is_for_it_and_no_command(page: Page) -> None:
    page.keyboard.press("Enter")
    opened(page, "Key 7")
    page.locator("iframe.paper").last.wait_for()
    page.keyboard.press("r")
    page.keyboard.type("seen, #1!")  # star, archive, delete, junk
    expect(paper(page)).to_contain_text("seen, #1!")
    expect(row(page, "Key 7")).to_be_visible()
    opened(page, "Key 7")
    page.keyboard.press("Escape")
    expect(page.locator(".composer")).to_have_count(0)
    page.keyboard.press("u")
    page.keyboard.press("c")
    page.keyboard.type("bob@example.net")
    expect(page.locator(".composer").get_by_role("combobox", name="To", exact=True)).to_have_value(
        "bob@example.net"
    )
