"""What an answer or a forwarded message takes over from the one it is about; long conversations."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from browser.test_drafts import paper
from browser.test_offline import row
from browser.test_writing import arrived, at_once, send
from support.browser import html_letter, imap, put
from support.letters import Letter

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from browser.conftest import Open
    from support.server import Server

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
ADA, BOB, EVE = "ada@example.org", "bob@example.net", "eve@example.org"


def letter(head: str, body: str, *, seen: bool = True) -> Letter:
    octets = f"To: {EVE}\nMIME-Version: 1.0\n{head}\n\n{body}\n".encode()
    return Letter("INBOX", octets, seen=seen, at=datetime.now(UTC))


def read(open_page: Open, server: Server, what: Letter, subject: str) -> Page:
    with imap(server, EVE) as client:
        put(client, what)
    page = open_page(EVE)
    at_once(page)
    row(page, subject).click()
    page.locator(".message-foot").wait_for()
    page.locator("iframe.paper").first.wait_for()
    return page


def to_bob(page: Page) -> None:
    field = page.get_by_role("combobox", name="To", exact=True)
    field.fill(BOB)
    field.press("Enter")
    send(page)


def test_an_answer_to_a_list_goes_to_its_address(open_page: Open, server: Server) -> None:
    what = letter(
        "From: Author <author@example.com>\nReply-To: Author at home <home@example.com>\n"
        "List-Id: <talk.lists.example>\nList-Post: <mailto:talk@lists.example>\n"
        "Subject: [talk] On looms\nContent-Type: text/plain",
        "What of them?",
    )
    page = read(open_page, server, what, "[talk] On looms")
    page.locator(".message-buttons").get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Reply to the list").click()
    expect(page.locator(".recipient")).to_have_text(["talk@lists.example"])
    page.get_by_role("button", name="Discard").click()
    page.locator(".message-foot").get_by_role("button", name="Reply", exact=True).click()
    expect(page.locator(".recipient")).to_have_text(["Author at home"])
    page.get_by_role("button", name="Discard").click()


def test_a_forwarded_message_that_is_longer_than_what_is_shown_goes_whole(
    open_page: Open, server: Server
) -> None:
    html = "<p>" + "So much to say. " * 60 + "</p>\n"
    what = letter(
        "From: Verbose <verbose@example.com>\nSubject: A whole book\nContent-Type: text/html",
        html * 1200 + "<p>The very last word</p>",
    )
    page = read(open_page, server, what, "A whole book")
    page.keyboard.press("f")
    expect(page.locator(".file")).to_contain_text("A whole book.eml")
    to_bob(page)
    made = arrived(server, BOB, "INBOX", "Fwd: A whole book")
    assert made is not None
    [book] = [part for part in made.walk() if part.get_content_type() == "message/rfc822"]
    assert "The very last word" in str(book.get_content())


def test_a_long_draft_is_whole_when_it_is_opened_again(open_page: Open, server: Server) -> None:
    text = "<p>" + "So much to say. " * 60 + "</p>\n"
    html = f"<html><body>{text * 1100}<p>The end of it</p></body></html>"
    head = f"From: {EVE}\nSubject: A long draft\nContent-Type: text/html"
    octets = letter(head, html).octets
    with imap(server, EVE) as client:
        status, _ = client.append(
            "Drafts", "(\\Draft \\Seen)", None, octets.replace(b"\n", b"\r\n")
        )  # type: ignore[arg-type]
        assert status == "OK"
    page = open_page(EVE)
    page.get_by_role("link", name="Drafts").click()
    row(page, "A long draft").click()
    expect(paper(page)).to_contain_text("The end of it")


def test_pictures_between_texts_are_forwarded_and_those_from_elsewhere_stay_in_a_draft(
    open_page: Open, server: Server
) -> None:
    what = letter(
        "From: Mac <mac@example.com>\nSubject: Between the lines\n"
        'Content-Type: multipart/mixed; boundary="b"',
        "--b\nContent-Type: text/plain\n\nBefore\n"
        '--b\nContent-Type: image/png; name="mid.png"\nContent-Disposition: inline\n'
        "Content-Transfer-Encoding: base64\n\niVBORw0KGgo=\n"
        "--b\nContent-Type: text/plain\n\nAfter\n--b--",
    )
    page = read(open_page, server, what, "Between the lines")
    page.keyboard.press("f")
    paper(page).wait_for()
    expect(page.locator(".file")).to_have_count(1)
    to_bob(page)
    made = arrived(server, BOB, "INBOX", "Fwd: Between the lines")
    assert made is not None
    assert "mid.png" in {part.get_filename() for part in made.walk()}
    draft = (
        f"From: {EVE}\r\nTo: {BOB}\r\nSubject: With a logo\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/html\r\n\r\n<p>Hello</p>"
        '<img src="https://example.com/logo.png" alt="Logo">\r\n'
    ).encode()
    with imap(server, EVE) as client:
        client.append("Drafts", "(\\Draft \\Seen)", None, draft)  # type: ignore[arg-type]
    page.get_by_role("link", name="Drafts").click()
    row(page, "With a logo").click()
    paper(page).click()
    page.keyboard.type("Still: ")
    send(page)
    made = arrived(server, BOB, "INBOX", "With a logo")
    assert made is not None
    html = made.get_body(("html",))
    assert html is not None
    assert 'src="https://example.com/logo.png"' in html.get_content()


def test_what_runs_from_right_to_left_says_so(open_page: Open, server: Server) -> None:
    what = html_letter("שלום", "<p>מה שלומך?</p>", sender="Dana <dana@example.com>")
    page = read(open_page, server, what, "שלום")
    page.keyboard.press("r")
    expect(paper(page)).to_be_focused()
    page.keyboard.type("תודה")
    page.locator(".recipient").get_by_role("button").click()
    to_bob(page)
    made = arrived(server, BOB, "INBOX", "Re:")
    assert made is not None
    html = made.get_body(("html",))
    assert html is not None
    assert re.search(r'<div[^>]*dir="auto"[^>]*>תודה', html.get_content())
    assert re.search(r'<blockquote[^>]*dir="auto"', html.get_content())


def test_a_long_conversation_opens_at_what_is_new(open_page: Open, server: Server) -> None:
    with imap(server, EVE) as client:
        for n in range(30):
            head = (
                f"From: Person {n} <p{n}@example.com>\nSubject: Endless\nMessage-ID: <e{n}@x>\n"
                + (f"References: <e0@x> <e{n - 1}@x>\n" if n else "")
                + "Content-Type: text/plain"
            )
            put(client, letter(head, f"Word number {n}.", seen=n < 29))
    page = open_page(EVE)
    row(page, "Endless").click()
    between = page.get_by_role("button", name="27 messages between")
    expect(between).to_be_visible()
    expect(page.locator("article.message")).to_have_count(3)
    between.click()
    expect(page.locator("article.message")).to_have_count(30)


def test_what_is_scheduled_is_listed_moved_and_taken_back(open_page: Open, server: Server) -> None:
    page = open_page(ADA)
    page.get_by_role("button", name="New message").first.click()
    paper(page).wait_for()
    field = page.get_by_role("combobox", name="To", exact=True)
    field.fill(BOB)
    field.press("Enter")
    page.get_by_label("Subject").fill("At its time")
    page.get_by_role("button", name="Send later").click()
    expect(page.get_by_role("dialog").last).to_contain_text("Time zone:")
    page.get_by_role("button", name="Tomorrow morning").click()
    page.get_by_role("button", name=re.compile("Scheduled")).click()
    listed = page.get_by_role("dialog", name="Scheduled").get_by_role("listitem")
    mine = listed.filter(has_text="At its time")
    expect(mine).to_contain_text("08:00")
    mine.get_by_role("button", name="Another time").click()
    page.get_by_role("button", name="In one hour").click()
    expect(mine).not_to_contain_text("08:00")
    mine.get_by_role("button", name="Take it back").click()
    expect(page.get_by_label("Subject")).to_have_value("At its time")
    with imap(server, BOB) as client:
        client.select("INBOX")
        assert client.search(None, 'SUBJECT "At its time"')[1] == [b""]
    page.get_by_role("button", name="Discard").click()
