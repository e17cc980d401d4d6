"""Writing mail in the browser: what arrives is what was written."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.browser import html_letter, imap, put, text_letter
from support.letters import Letter

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from browser.conftest import Open
    from support.server import Server

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
ADA, BOB, DORA = "ada@example.org", "bob@example.net", "dora@example.org"
ROUNDS = 200


def arrived(server: Server, login: str, mailbox: str, subject: str) -> EmailMessage | None:
    """The newest message with this subject, asked for until it is there; None when it does not come."""
    with imap(server, login) as client:
        for _ in range(ROUNDS):
            client.select(mailbox)
            [found] = client.search(None, f'SUBJECT "{subject}"')[1]
            if found:
                octets = client.fetch(found.split()[-1].decode(), "(BODY.PEEK[])")[1][0][1]
                made = email.message_from_bytes(octets, policy=email.policy.default)
                assert isinstance(made, EmailMessage)
                return made
            client.noop()
    return None


def begin(page: Page, to: str = BOB, subject: str = "") -> None:
    page.get_by_role("button", name="New message").first.click()
    page.get_by_role("textbox", name="Text of the message").wait_for()
    field = page.get_by_role("combobox", name="To", exact=True)
    field.fill(to)
    field.press("Enter")
    page.get_by_label("Subject").fill(subject)


def send(page: Page) -> None:
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("Message sent")).to_be_visible()


def at_once(page: Page) -> None:
    """No waiting for those who want it back."""
    page.evaluate(
        """localStorage.setItem('postillon.preferences',
        JSON.stringify({undoSeconds: 0, language: 'en'}))"""
    )
    page.reload()
    page.get_by_role("grid", name="Messages").or_(page.locator(".empty")).first.wait_for()


def test_rich_text_arrives_with_its_plain_form(page: Page, server: Server) -> None:
    at_once(page)
    begin(page, subject="Rich enough")
    text = page.get_by_role("textbox", name="Text of the message")
    text.click()
    page.keyboard.type("Plain and ")
    page.keyboard.press("Control+b")
    page.keyboard.type("bold")
    page.keyboard.press("Control+b")
    page.keyboard.type(" words")
    send(page)
    made = arrived(server, BOB, "INBOX", "Rich enough")
    assert made is not None
    assert made.get_content_type() == "multipart/alternative"
    plain, html = made.get_body(("plain",)), made.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().strip() == "Plain and bold words"
    assert re.search(r"Plain and(\s|&nbsp;)<b>bold</b>(\s|&nbsp;)words", html.get_content())
    assert str(made["From"]).endswith("ada@example.org")
    assert made["Message-ID"]
    assert made["Date"]
    assert arrived(server, ADA, "Sent", "Rich enough") is not None


def test_a_draft_is_kept_while_it_is_written_and_goes_on_elsewhere(
    open_page: Open, server: Server
) -> None:
    page = open_page(DORA)
    begin(page, subject="A long letter")
    page.get_by_role("textbox", name="Text of the message").click()
    page.keyboard.type("It begins here")
    expect(page.locator(".composer-saved")).to_have_text("Saved")
    assert arrived(server, DORA, "Drafts", "A long letter") is not None
    page.keyboard.type(" and goes on")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Draft saved")).to_be_visible()
    other = open_page(DORA)
    other.get_by_role("link", name="Drafts").click()
    expect(other.get_by_role("row").filter(has_text="A long letter")).to_have_count(1)
    other.get_by_role("row").filter(has_text="A long letter").click()
    expect(other.get_by_role("textbox", name="Text of the message")).to_contain_text(
        "It begins here and goes on"
    )
    expect(other.locator(".recipient")).to_contain_text(BOB)


def test_a_sent_message_can_be_taken_back(page: Page, server: Server) -> None:
    begin(page, subject="Not yet")
    page.get_by_role("textbox", name="Text of the message").click()
    page.keyboard.type("Wait")
    send(page)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("dialog", name="New message")).to_be_visible()
    expect(page.get_by_role("textbox", name="Text of the message")).to_contain_text("Wait")
    with imap(server, BOB) as client:
        client.select("INBOX")
        assert client.search(None, 'SUBJECT "Not yet"')[1] == [b""]
    assert arrived(server, ADA, "Drafts", "Not yet") is not None


def test_files_are_attached_with_their_names_and_octets(
    page: Page, server: Server, tmp_path: Path
) -> None:
    at_once(page)
    octets = bytes(range(256)) * 400
    (tmp_path / "Größe 1.bin").write_bytes(octets)
    begin(page, subject="With a file")
    page.get_by_label("Attach files").set_input_files(tmp_path / "Größe 1.bin")
    expect(page.locator(".file", has_text="Größe 1.bin").locator("progress")).to_have_count(0)
    send(page)
    made = arrived(server, BOB, "INBOX", "With a file")
    assert made is not None
    [part] = list(made.iter_attachments())
    assert part.get_filename() == "Größe 1.bin"
    assert part.get_content() == octets


def test_a_dropped_file_is_attached_and_can_be_removed(page: Page) -> None:
    begin(page, subject="Dropped")
    data = page.evaluate_handle(
        """() => { const data = new DataTransfer();
        data.items.add(new File(["content"], "dropped.txt", {type: "text/plain"})); return data; }"""
    )
    page.dispatch_event(".composer", "drop", {"dataTransfer": data})
    expect(page.locator(".file")).to_contain_text("dropped.txt")
    page.get_by_role("button", name="Remove dropped.txt").click()
    expect(page.locator(".file")).to_have_count(0)


def test_a_pasted_picture_stands_in_the_text(page: Page, server: Server) -> None:
    at_once(page)
    begin(page, subject="A picture inside")
    page.get_by_role("textbox", name="Text of the message").click()
    page.evaluate(
        """async () => {
        const canvas = Object.assign(document.createElement("canvas"), {width: 40, height: 30});
        canvas.getContext("2d").fillRect(0, 0, 40, 30);
        const blob = await new Promise(done => canvas.toBlob(done, "image/png"));
        const data = new DataTransfer();
        data.items.add(new File([blob], "sketch.png", {type: "image/png"}));
        document.querySelector(".editor-text").dispatchEvent(
          new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
        }"""
    )
    expect(page.locator(".editor-text img[data-cid]")).to_have_count(1)
    send(page)
    made = arrived(server, BOB, "INBOX", "A picture inside")
    assert made is not None
    html = made.get_body(("html",))
    assert html is not None
    [cid] = re.findall(r'src="cid:([^"]+)"', html.get_content())
    images = [part for part in made.walk() if part.get_content_type() == "image/png"]
    assert [str(part["Content-ID"]) for part in images] == [f"<{cid}>"]
    assert images[0].get_content().startswith(b"\x89PNG")


def test_a_reply_quotes_and_belongs_to_the_conversation(page: Page, server: Server) -> None:
    at_once(page)
    with imap(server, ADA) as client:
        letter = html_letter(
            "Question of style", "<p>Is it <i>really</i> so?</p>", sender="Bob <bob@example.net>"
        )
        put(client, letter)
    page.get_by_role("row").filter(has_text="Question of style").click()
    page.frame_locator("iframe.paper").get_by_text("really").wait_for()
    page.keyboard.press("r")
    page.get_by_role("textbox", name="Text of the message").wait_for()
    page.keyboard.type("It is.")
    expect(page.get_by_label("Subject")).to_have_value("Re: Question of style")
    send(page)
    made = arrived(server, BOB, "INBOX", "Re: Question of style")
    assert made is not None
    original = email.message_from_bytes(letter.octets, policy=email.policy.default)
    assert str(made["In-Reply-To"]) == str(original["Message-ID"])
    assert str(original["Message-ID"]) in str(made["References"])
    plain, html = made.get_body(("plain",)), made.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().startswith("It is.")
    assert "> Is it really so?" in plain.get_content()
    assert re.search(r"<blockquote.*Is it <i>really</i> so\?", html.get_content(), re.DOTALL)
    with imap(server, ADA) as client:
        client.select("INBOX")
        assert client.search(None, 'ANSWERED SUBJECT "Question of style"')[1] != [b""]


def test_a_reply_to_all_leaves_oneself_out(page: Page, server: Server) -> None:
    with imap(server, ADA) as client:
        letter = text_letter("To everybody", seen=True)
        octets = letter.octets.replace(
            b"To: Ada Lovelace <ada@example.org>",
            b"To: Ada Lovelace <ada@example.org>, Bob <bob@example.net>\nCc: Dora <dora@example.org>",
        )
        put(client, type(letter)("INBOX", octets, seen=True, at=letter.at))
    page.get_by_role("row").filter(has_text="To everybody").click()
    page.frame_locator("iframe.paper").get_by_text("Just this").wait_for()
    page.keyboard.press("a")
    expect(page.locator(".recipient")).to_have_count(3)
    names = page.locator(".recipient").all_inner_texts()
    assert [name.strip() for name in names] == ["Somebody", "Bob", "Dora"]


def test_a_forwarded_message_keeps_its_attachments(page: Page, server: Server) -> None:
    at_once(page)
    page.get_by_role("row").filter(has_text="Photographs from the observatory").click()
    page.frame_locator("iframe.paper").locator("img").wait_for()
    page.keyboard.press("f")
    page.get_by_role("textbox", name="Text of the message").wait_for()
    expect(page.locator(".file")).to_have_count(3)
    field = page.get_by_role("combobox", name="To", exact=True)
    field.fill(BOB)
    field.press("Enter")
    send(page)
    made = arrived(server, BOB, "INBOX", "Fwd: Photographs from the observatory")
    assert made is not None
    names = {part.get_filename() for part in made.walk() if part.get_filename()}
    assert {"first-plate.png", "second-plate.png", "positions.txt", "comet.png"} <= names
    html = made.get_body(("html",))
    assert html is not None
    assert "cid:comet@example" in html.get_content()


def test_plain_text_is_sent_as_plain_text_only(page: Page, server: Server) -> None:
    at_once(page)
    begin(page, subject="Only text")
    page.get_by_role("dialog", name="New message").get_by_role(
        "button", name="More", exact=True
    ).click()
    page.get_by_role("menuitem", name="Write plain text").click()
    page.get_by_role("textbox", name="Text of the message").fill("One line\n\nand another <b>\n")
    send(page)
    made = arrived(server, BOB, "INBOX", "Only text")
    assert made is not None
    assert made.get_content_type() == "text/plain"
    assert made.get_content().replace("\r\n", "\n").strip() == "One line\n\nand another <b>"


def test_recipients_are_completed_from_past_mail(page: Page) -> None:
    page.get_by_role("button", name="New message").first.click()
    field = page.get_by_role("combobox", name="To", exact=True)
    field.press_sequentially("babb")
    expect(page.get_by_role("option", name="Charles Babbage")).to_be_visible()
    field.press("Enter")
    expect(page.locator(".recipient")).to_have_text("Charles Babbage")
    field.fill("Joan <joan@example.net>, not-an-address, max@example.com")
    field.press("Enter")
    expect(page.locator(".recipient")).to_have_count(3)
    expect(field).to_have_value("not-an-address")


def test_people_of_the_own_domain_are_offered_and_who_sends_junk_is_not(
    page: Page, server: Server
) -> None:
    junk = b"From: Dora <dora@lottery.example>\nTo: ada@example.org\nSubject: Prize\n\nNow!\n"
    with imap(server, ADA) as client:
        put(client, Letter("Junk", junk, seen=True))
    page.get_by_role("button", name="New message").first.click()
    page.get_by_role("combobox", name="To", exact=True).press_sequentially("dora")
    expect(page.get_by_role("option")).to_have_text([re.compile(r"dora@example\.org")])
    page.get_by_role("button", name="Discard").click()


def test_a_reply_stands_on_a_line_of_its_own_above_the_quote(page: Page) -> None:
    page.get_by_role("row").filter(has_text="Invoice 2026-1143").first.click()
    page.locator(".message-foot").get_by_role("button", name="Reply", exact=True).click()
    text = page.get_by_role("textbox", name="Text of the message")
    text.wait_for()
    expect(text).to_be_focused()
    page.keyboard.type("Paid today.")
    blocks = text.evaluate("one => [...one.children].map(child => child.innerText.trim())")
    assert blocks[0] == "Paid today."
    assert blocks[1] == ""
    assert blocks[2].endswith("wrote:")
    page.get_by_role("button", name="Discard").click()


def test_what_is_missing_is_said_before_sending(page: Page) -> None:
    page.get_by_role("button", name="New message").first.click()
    page.get_by_role("textbox", name="Text of the message").wait_for()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("To whom?")
    field = page.get_by_role("combobox", name="To", exact=True)
    field.fill(BOB)
    field.press("Enter")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("dialog", name="No subject")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_label("Subject").fill("Files")
    page.get_by_role("textbox", name="Text of the message").click()
    page.keyboard.type("The plan is attached.")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("dialog", name="No attachment")).to_be_visible()


def test_a_message_that_is_sent_later_waits_and_can_be_taken_back(
    page: Page, server: Server
) -> None:
    begin(page, subject="Tomorrow then")
    page.get_by_role("button", name="Send later").click()
    page.get_by_role("button", name="Tomorrow morning").click()
    expect(page.get_by_text("Will be sent").first).to_be_visible()
    page.get_by_role("link", name="Sent").click()
    page.get_by_role("row").filter(has_text="Tomorrow then").click()
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_role("dialog", name="New message")).to_be_visible()
    with imap(server, BOB) as client:
        client.select("INBOX")
        assert client.search(None, 'SUBJECT "Tomorrow then"')[1] == [b""]


def test_what_became_of_a_sent_message_is_told(page: Page, server: Server) -> None:
    at_once(page)
    begin(page, subject="Did it arrive")
    send(page)
    assert arrived(server, BOB, "INBOX", "Did it arrive") is not None
    page.get_by_role("link", name="Sent").click()
    page.get_by_role("row").filter(has_text="Did it arrive").click()
    expect(page.locator(".delivery summary")).to_contain_text("Delivered")
    page.locator(".delivery summary").click()
    expect(page.locator(".delivery li")).to_contain_text(BOB)
