"""What is being written is not lost: two devices, a lost network, a closed tab, a session that ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from browser.test_writing import arrived, begin
from support.browser import imap
from support.server import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from browser.conftest import Open
    from support.server import Server

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
ADA, BOB, CAROL, DORA, EVE = (
    "ada@example.org", "bob@example.net", "carol@example.org", "dora@example.org", "eve@example.org",
)  # fmt: skip


def paper(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Text of the message")


def saved(page: Page) -> None:
    expect(page.locator(".composer-saved")).to_have_text("Saved")


def drafts(server: Server, login: str, subject: str) -> list[bytes]:
    """The texts of all drafts with this subject."""
    with imap(server, login) as client:
        client.select("Drafts")
        numbers = client.search(None, f'SUBJECT "{subject}"')[1][0].split()
        return [client.fetch(n.decode(), "(BODY.PEEK[])")[1][0][1] for n in numbers]


def open_draft(page: Page, subject: str) -> None:
    page.get_by_role("link", name="Drafts").click()
    page.get_by_role("row").filter(has_text=subject).click()
    paper(page).wait_for()


def test_a_draft_follows_what_another_device_writes_and_stays_one(
    open_page: Open, server: Server
) -> None:
    first, second = open_page(CAROL), open_page(CAROL)
    begin(first, subject="Two desks")
    paper(first).click()
    first.keyboard.type("From the office.")
    saved(first)
    open_draft(second, "Two desks")
    expect(paper(second)).to_contain_text("From the office.")
    paper(second).click()
    second.keyboard.press("Control+End")
    second.keyboard.type(" From the train.")
    saved(second)
    expect(paper(first)).to_contain_text("From the office. From the train.")
    paper(first).click()
    first.keyboard.press("Control+End")
    first.keyboard.type(" And home.")
    saved(first)
    expect(paper(second)).to_contain_text("From the office. From the train. And home.")
    [draft] = drafts(server, CAROL, "Two desks")
    assert b"And home." in draft
    # Sent here: the other device does not offer it for sending again.
    first.get_by_role("button", name="Send", exact=True).click()
    expect(first.get_by_text("Message sent")).to_be_visible()
    expect(second.get_by_text("sent from another device")).to_be_visible()
    expect(second.get_by_role("dialog", name="New message")).to_have_count(0)


def test_two_who_type_into_one_draft_at_once_both_keep_their_words(
    open_page: Open, server: Server
) -> None:
    first, second = open_page(CAROL), open_page(CAROL)
    begin(first, subject="Both at once")
    paper(first).click()
    first.keyboard.type("Ours.")
    saved(first)
    open_draft(second, "Both at once")
    second.context.set_offline(True)
    for page, words in ((second, " Hers"), (first, " His")):
        paper(page).click()
        page.keyboard.press("Control+End")
        page.keyboard.type(words)
    saved(first)
    expect(second.locator(".composer-saved")).to_have_text("Kept on this device")
    second.context.set_offline(False)
    expect(second.get_by_text("Both versions are kept")).to_be_visible()
    saved(second)
    found = b"".join(drafts(server, CAROL, "Both at once"))
    assert b"His" in found
    assert b"Hers" in found
    assert len(drafts(server, CAROL, "Both at once")) == 2


def test_a_tab_that_is_closed_while_one_types_loses_nothing(
    open_page: Open, server: Server
) -> None:
    page = open_page(DORA)
    begin(page, subject="Half a sentence")
    paper(page).click()
    page.context.set_offline(True)
    page.keyboard.type("Nobody has this but")
    page.keyboard.type(" me")
    page.get_by_role("combobox", name="To", exact=True).fill("half-an-addr")
    page.close(run_before_unload=False)
    again = page.context.new_page()
    page.context.set_offline(False)
    again.goto(page.url)
    expect(again.get_by_text("What you were writing is here again.")).to_be_visible()
    expect(paper(again)).to_contain_text("Nobody has this but me")
    expect(again.get_by_role("combobox", name="To", exact=True)).to_have_value("half-an-addr")
    expect(again.locator(".recipient")).to_contain_text(BOB)
    saved(again)
    [draft] = drafts(server, DORA, "Half a sentence")
    assert b"Nobody has this but me" in draft


def test_two_tabs_do_not_take_up_the_same_draft(open_page: Open, server: Server) -> None:
    page = open_page(DORA)
    begin(page, subject="Only here")
    paper(page).click()
    page.route("**/jmap/api", lambda route: route.abort())
    page.keyboard.type("One tab")
    expect(page.locator(".composer-saved")).to_have_text("Kept on this device")
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("grid", name="Messages").or_(other.locator(".empty")).first.wait_for()
    other.get_by_role("button", name="New message").first.click()  # after what it began with
    expect(paper(other)).not_to_contain_text("One tab")
    page.unroute("**/jmap/api")
    paper(page).click()
    page.keyboard.type(".")
    saved(page)
    assert len(drafts(server, DORA, "Only here")) == 1


def test_a_session_that_ends_while_one_writes_leaves_the_text(
    open_page: Open, server: Server
) -> None:
    page = open_page(EVE)
    begin(page, subject="Interrupted")
    paper(page).click()
    page.keyboard.type("Before")
    saved(page)
    page.route("**/jmap/api", lambda route: route.fulfill(status=401))
    page.route("**/auth/session/refresh", lambda route: route.fulfill(status=204))
    page.keyboard.type(" and after")
    expect(page.get_by_text("Your session has ended.")).to_be_visible()
    page.unroute_all()
    expect(page.get_by_label("Address")).to_have_value(EVE)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(paper(page)).to_contain_text("Before and after")
    saved(page)
    [draft] = drafts(server, EVE, "Interrupted")
    assert b"Before and after" in draft


def test_what_somebody_else_wrote_is_not_shown_after_signing_out(open_page: Open) -> None:
    page = open_page(EVE)
    begin(page, subject="Mine alone")
    paper(page).click()
    page.keyboard.type("Secret")
    page.get_by_role("button", name="Account").click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.get_by_label("Address").fill(DORA)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("grid", name="Messages").or_(page.locator(".empty")).first.wait_for()
    expect(page.get_by_role("dialog", name="New message")).to_have_count(0)


def test_a_message_sent_without_a_network_goes_when_it_is_back(
    open_page: Open, server: Server
) -> None:
    page = open_page(DORA)
    begin(page, subject="From the tunnel")
    paper(page).click()
    page.keyboard.type("Written below ground")
    page.context.set_offline(True)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("The message is sent as soon as there is one.")).to_be_visible()
    expect(page.get_by_text("1 message waits to be sent")).to_be_visible()
    page.close(run_before_unload=False)
    again = page.context.new_page()
    page.context.set_offline(False)
    again.goto(page.url)
    expect(again.get_by_text("Message sent")).to_be_visible()
    again.get_by_role("button", name="Undo").wait_for()
    expect(again.get_by_text("waits to be sent")).to_have_count(0)
    assert arrived(server, DORA, "Sent", "From the tunnel") is not None
    assert drafts(server, DORA, "From the tunnel") == []


def test_an_answer_that_is_lost_sends_nothing_twice(open_page: Open, server: Server) -> None:
    page = open_page(DORA)
    begin(page, subject="Once only")
    paper(page).click()
    page.keyboard.type("Once")
    saved(page)
    lost: list[str] = []

    def lose(route: playwright.Route) -> None:
        if "EmailSubmission/set" in (route.request.post_data or "") and not lost:
            route.fetch()
            lost.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    page.route("**/jmap/api", lose)
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="Send", exact=True).click()
    page.evaluate("dispatchEvent(new Event('offline')); dispatchEvent(new Event('online'))")
    expect(page.get_by_text("Message sent")).to_be_visible()
    expect(page.get_by_text("waits to be sent")).to_have_count(0)
    with imap(server, DORA) as client:
        client.select("Sent")
        assert len(client.search(None, 'SUBJECT "Once only"')[1][0].split()) == 1


def test_a_new_message_does_not_take_the_place_of_one_that_could_not_be_saved(
    open_page: Open, server: Server
) -> None:
    page = open_page(EVE)
    begin(page, subject="The first of two")
    paper(page).click()
    page.keyboard.type("Still here")
    page.context.set_offline(True)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("c")
    expect(page.get_by_label("Subject")).to_have_value("")
    page.context.set_offline(False)
    assert arrived(server, EVE, "Drafts", "The first of two") is not None


def test_an_address_that_is_still_being_typed_counts_and_a_wrong_one_is_named(page: Page) -> None:
    begin(page, subject="To both")
    field = page.get_by_role("combobox", name="To", exact=True)
    field.fill("nobody@")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("This is no address: nobody@")
    field.fill(DORA)
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".recipient")).to_have_count(2)
    page.get_by_role("button", name="Discard").click()


def test_plain_and_back_is_as_it_was(page: Page) -> None:
    begin(page, subject="To and fro")
    paper(page).click()
    page.keyboard.type("Some ")
    page.keyboard.press("Control+b")
    page.keyboard.type("bold")
    page.keyboard.press("Control+b")
    window = page.get_by_role("dialog", name="New message")
    for name in ("Write plain text", "Write rich text"):
        window.get_by_role("button", name="More", exact=True).click()
        page.get_by_role("menuitem", name=name).click()
    expect(page.locator(".editor-text b")).to_have_text("bold")
    window.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Write plain text").click()
    paper(page).fill("Mine\n\n> theirs\n>> older\n\n-- \nAda")
    window.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Write rich text").click()
    expect(page.locator(".editor-text blockquote blockquote")).to_have_text("older")
    expect(page.locator(".editor-text .signature")).to_contain_text("Ada")
    saved(page)
    page.get_by_role("button", name="Discard").click()


def test_why_a_message_is_refused_is_said_in_words(page: Page) -> None:
    begin(page, to="nobody@example.net", subject="To nobody")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text(
        "Nobody can be reached there: nobody@example.net"
    )
    page.get_by_role("button", name="Discard").click()


def test_what_could_not_be_saved_waits_for_its_writer_to_sign_in_again(
    open_page: Open, server: Server
) -> None:
    page = open_page(EVE)

    def sign_out() -> None:
        page.get_by_role("button", name="Account").click()
        page.get_by_role("menuitem", name="Sign out").click()

    def sign_in(login: str) -> None:
        page.get_by_label("Address").fill(login)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="New message").first.wait_for()

    begin(page, subject="For later days")
    paper(page).click()
    page.route("**/jmap/api", lambda route: route.abort())
    page.keyboard.type("Unsaved words")
    expect(page.locator(".composer-saved")).to_have_text("Kept on this device")
    sign_out()
    page.unroute_all()
    sign_in(DORA)
    expect(page.get_by_role("dialog", name="New message")).to_have_count(0)
    sign_out()
    sign_in(EVE)
    made = arrived(server, EVE, "Drafts", "For later days")
    assert made is not None
    plain = made.get_body(("plain",))
    assert plain is not None
    assert "Unsaved words" in plain.get_content()


def test_the_way_back_on_a_phone_leads_out_of_what_is_written_first(
    open_page: Open, server: Server
) -> None:
    page = open_page(DORA, width=390, height=844)
    page.get_by_role("button", name="New message").first.click()
    paper(page).wait_for()
    page.get_by_label("Subject").fill("On the way")
    page.go_back()
    expect(page.get_by_text("Draft saved")).to_be_visible()
    expect(page.get_by_role("dialog", name="New message")).to_have_count(0)
    expect(page.get_by_role("heading", name="Inbox", exact=True)).to_be_visible()
    assert len(drafts(server, DORA, "On the way")) == 1
    page.get_by_role("button", name="New message").first.click()
    paper(page).wait_for()
    page.get_by_role("button", name="Close and keep the draft").first.click()
    expect(page.get_by_role("heading", name="Inbox", exact=True)).to_be_visible()
