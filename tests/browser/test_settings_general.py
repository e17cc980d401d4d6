"""General settings, names, absence and storage: each has its effect on mail, and outlives the page."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest

from browser import test_writing
from browser.conftest import command
from browser.test_settings import settings
from support.browser import html_letter, imap, put, text_letter
from support.letters import Letter

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from browser.conftest import Open
    from support.server import Server

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
ADA, BOB, CAROL = "ada@example.org", "bob@example.net", "carol@example.org"


def arrived(server: Server, login: str, subject: str) -> EmailMessage:
    """A message in somebody's inbox, asked for until it is there."""
    made = test_writing.arrived(server, login, "INBOX", subject)
    assert made is not None, f"{subject} did not come"
    return made


def write(page: Page, to: str, subject: str) -> None:
    """Write and send at once, from wherever one is."""
    page.goto(page.url.split("#")[0])
    page.get_by_role("button", name="New message").first.click()
    page.get_by_role("textbox", name="Text of the message").wait_for()
    field = page.get_by_role("combobox", name="To", exact=True)
    field.fill(to)
    field.press("Enter")
    page.get_by_label("Subject").fill(subject)
    page.get_by_role("textbox", name="Text of the message").press_sequentially("Hello.")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("Message sent")).to_be_visible()


def undo_never(page: Page) -> None:
    settings(page, "General")
    page.get_by_label("Time to take a sent message back").select_option("0")


def test_rows_are_lower_where_that_is_wanted(open_page: Open) -> None:
    page = open_page(ADA)
    row = page.locator(".row").first
    before = row.bounding_box()
    settings(page, "General")
    page.get_by_text("Compact", exact=True).click()
    page.get_by_role("link", name="Back to mail").click()
    row.wait_for()
    page.reload()
    row.wait_for()
    after = row.bounding_box()
    assert before is not None
    assert after is not None
    assert after["height"] < before["height"]


def test_without_conversations_each_message_is_a_row(open_page: Open) -> None:
    page = open_page(ADA)
    rows = page.get_by_role("row").filter(has_text="Operation cards for the mill")
    expect(rows).to_have_count(1)
    settings(page, "General")
    page.get_by_label("Group messages into conversations").uncheck()
    page.goto(page.url.split("#")[0])
    page.reload()
    expect(rows).not_to_have_count(1)
    rows.first.click()
    expect(page.locator("article.message")).to_have_count(1)


def test_a_new_message_is_plain_and_leaves_at_once_where_that_is_chosen(
    open_page: Open, server: Server
) -> None:
    page = open_page(CAROL)
    undo_never(page)
    page.get_by_text("Plain text", exact=True).click()
    page.reload()
    expect(page.get_by_label("Time to take a sent message back")).to_have_value("0")
    write(page, BOB, "Plain and prompt")
    assert arrived(server, BOB, "Plain and prompt").get_content_type() == "text/plain"


def test_whose_images_are_shown_is_listed_and_taken_back(open_page: Open, server: Server) -> None:
    letter = html_letter(
        "With a mast head",
        '<p>News</p><img src="https://images.example.com/mast.png" width="40" height="40">',
        sender="Gazette <gazette@news.example>",
    )
    with imap(server, CAROL) as client:
        put(client, Letter("INBOX", letter.octets, seen=True, at=letter.at))
    page = open_page(CAROL)
    row = page.get_by_role("row").filter(has_text="With a mast head")
    row.click()
    blocked = page.get_by_text("An image from elsewhere is not shown")
    with page.expect_request(lambda request: "/webmail/image" in request.url):
        page.get_by_role("button", name="Always for this sender").click()
    expect(blocked).to_have_count(0)
    settings(page, "General")
    listed = page.get_by_role("listitem").filter(has_text="gazette@news.example")
    listed.get_by_role("button", name="Remove").click()
    expect(listed).to_have_count(0)
    page.goto(page.url.split("#")[0])
    page.reload()
    row.click()
    expect(blocked).to_be_visible()


def test_a_browser_that_allows_no_notices_is_told_of_and_one_that_does_keeps_it(
    open_page: Open,
) -> None:
    page = open_page(CAROL)
    settings(page, "General")
    box = page.get_by_label("Tell me of new mail")
    page.evaluate("Notification.requestPermission = async () => 'denied'")
    box.click()
    expect(page.get_by_text("Your browser does not allow it")).to_be_visible()
    expect(box).not_to_be_checked()
    page.context.grant_permissions(["notifications"])
    page.reload()
    box.click()
    expect(box).to_be_checked()
    page.reload()
    expect(box).to_be_checked()
    box.click()
    page.reload()
    expect(box).not_to_be_checked()


def test_a_second_name_writes_with_its_own_answers_copies_and_signature_until_it_is_deleted(
    open_page: Open, server: Server
) -> None:
    page = open_page(CAROL)
    undo_never(page)
    settings(page, "Names and signatures")
    page.get_by_role("button", name="Add a name or address").click()
    page.get_by_label("Your name").fill("The Treasurer")
    page.get_by_label("Address", exact=True).fill("carol@elsewhere.example")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_be_visible()  # not her own
    page.get_by_label("Address", exact=True).fill("carol+money@example.org")
    page.get_by_label("Answers go to").fill("not an address")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("not an address")
    page.get_by_label("Answers go to").fill("Office <ada@example.org>")
    page.get_by_label("Always send a blind copy to").fill("dora@example.org")
    page.get_by_label("Signature").fill("With care, the treasurer")
    page.get_by_label("Begin new messages with it").check()
    page.get_by_role("button", name="Save").click()
    card = page.locator(".card.line", has_text="carol+money@example.org")
    expect(card).to_contain_text("usual")
    write(page, BOB, "From the treasurer")
    made = arrived(server, BOB, "From the treasurer")
    assert made["From"] == "The Treasurer <carol+money@example.org>"
    assert made["Reply-To"] == "Office <ada@example.org>"
    body = made.get_body(("plain",))
    assert body is not None
    assert "With care, the treasurer" in body.get_content()
    assert arrived(server, "dora@example.org", "From the treasurer")["Bcc"] is None
    settings(page, "Names and signatures")
    card.get_by_role("button", name="Edit").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(card).to_have_count(0)
    page.reload()
    expect(page.locator(".card.line").first).to_be_visible()
    expect(card).to_have_count(0)
    write(page, BOB, "From carol again")
    assert "carol@example.org" in arrived(server, BOB, "From carol again")["From"]


def test_whoever_writes_is_answered_while_the_notice_is_on(open_page: Open, server: Server) -> None:
    page = open_page(CAROL)
    settings(page, "Out of office")
    page.get_by_label("Answer while I am away").check()
    page.get_by_label("Subject").fill("At sea")
    page.get_by_label("Message").fill("Back when the wind turns.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The notice is on")).to_be_visible()
    write_to_carol(server, "Are you there?")
    answer = arrived(server, BOB, "At sea")
    assert "Back when the wind turns." in answer.as_string()
    page.get_by_label("Answer while I am away").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The notice is off")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Answer while I am away")).not_to_be_checked()


def write_to_carol(server: Server, subject: str) -> None:
    with smtplib.SMTP(server.host, server.port("smtp")) as client:
        letter = f"From: {BOB}\r\nTo: {CAROL}\r\nSubject: {subject}\r\n\r\nHello.\r\n"
        client.sendmail(BOB, [CAROL], letter)


def test_storage_says_how_much_of_it_is_used(open_page: Open, server: Server) -> None:
    with imap(server, CAROL) as client:
        put(client, text_letter("Something to keep", "x" * 60_000))
    command(server, "account", "set", CAROL, "--quota", "1 MB")
    try:
        page = open_page(CAROL)
        settings(page, "Storage")
        expect(page.locator(".settings-page .card")).to_contain_text("of 1 MB")
        expect(page.locator(".settings-page progress")).to_have_attribute("aria-label", "Storage")
        expect(page.locator(".sidebar .quota")).to_contain_text("of 1 MB")
    finally:
        command(server, "account", "set", CAROL, "--quota", "none")
