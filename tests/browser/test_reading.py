"""Reading mail in the browser, before the real server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.browser import imap, put, text_letter
from support.server import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from browser.conftest import Open
    from support.server import Server

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
ADA, BOB = "ada@example.org", "bob@example.net"


def row(page: Page, text: str):  # type: ignore[no-untyped-def]
    return page.get_by_role("row").filter(has_text=text)


def paper(page: Page):  # type: ignore[no-untyped-def]
    return page.frame_locator("iframe.paper >> nth=-1")


def test_a_wrong_password_is_said_and_nothing_is_shown(open_page: Open) -> None:
    page = open_page("")
    page.get_by_label("Address").fill(ADA)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    assert page.get_by_role("grid").count() == 0


def test_a_reload_stays_signed_in_and_signing_out_ends_it(open_page: Open) -> None:
    page = open_page()
    page.reload()
    expect(page.get_by_role("grid", name="Messages")).to_be_visible()
    page.get_by_role("button", name="Account").click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Password")).to_be_visible()


def test_the_mailboxes_and_the_newest_conversations_are_shown(page: Page) -> None:
    tree = page.get_by_role("navigation", name="Mailboxes")
    for name in ("Inbox", "Drafts", "Sent", "Archive", "Junk", "Trash", "Projects", "Engine"):
        expect(tree.get_by_role("link", name=name, exact=False).first).to_be_visible()
    expect(row(page, "Operation cards for the mill").locator(".row-count")).to_have_text("4")
    expect(row(page, "Photographs from the observatory")).to_contain_text("Mary Somerville")


def test_opening_a_message_marks_it_read_for_other_clients(page: Page, server: Server) -> None:
    with imap(server, ADA) as client:
        put(client, text_letter("Read me now"))
        row(page, "Read me now").click()
        expect(paper(page).locator("body")).to_contain_text("Just this.")
        expect(page.locator(".row.opened.unread")).to_have_count(0)
        client.select("INBOX")
        [found] = client.search(None, 'SUBJECT "Read me now"')[1]
        flags = str(client.fetch(found.decode(), "(FLAGS)")[1])
        assert "\\Seen" in flags


def test_a_conversation_shows_its_messages_and_folds_quotes(page: Page) -> None:
    row(page, "Operation cards for the mill").click()
    expect(page.locator("article.message")).to_have_count(4)
    page.locator("article.message.folded", has_text="Charles Babbage").last.locator(
        "button"
    ).click()
    third = page.frame_locator("iframe.paper >> nth=0")
    expect(third.locator("body")).to_contain_text("You are quite right")
    expect(third.locator("summary")).to_be_visible()
    expect(third.locator("blockquote").first).not_to_be_visible()
    third.locator("summary").click()
    expect(third.locator("blockquote").first).to_be_visible()


def test_new_mail_comes_without_asking(page: Page, server: Server) -> None:
    with imap(server, ADA) as client:
        put(client, text_letter("This came by itself"))
    expect(row(page, "This came by itself")).to_be_visible()
    expect(page).to_have_title(lambda_title := __import__("re").compile(r"^\(\d+\) Inbox"))
    assert lambda_title


def test_a_flag_set_elsewhere_is_seen_here(page: Page, server: Server) -> None:
    with imap(server, ADA) as client:
        put(client, text_letter("Flag me elsewhere", seen=True))
        star = row(page, "Flag me elsewhere").get_by_role("button", name="Star")
        expect(star).to_have_attribute("aria-pressed", "false")
        client.select("INBOX")
        [found] = client.search(None, 'SUBJECT "Flag me elsewhere"')[1]
        client.store(found.decode(), "+FLAGS", "(\\Flagged)")
        expect(star).to_have_attribute("aria-pressed", "true")


def test_archiving_can_be_undone(page: Page, server: Server) -> None:
    with imap(server, ADA) as client:
        put(client, text_letter("Archive me", seen=True))
    row(page, "Archive me").click()
    page.keyboard.press("e")
    expect(row(page, "Archive me")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row(page, "Archive me")).to_have_count(1)
    with imap(server, ADA) as client:
        client.select("INBOX")
        assert client.search(None, 'SUBJECT "Archive me"')[1][0].split()


def test_many_are_selected_and_moved_at_once(page: Page, server: Server) -> None:
    with imap(server, ADA) as client:
        for n in range(3):
            put(client, text_letter(f"Receipt number {n}", seen=True))
    expect(row(page, "Receipt number")).to_have_count(3)
    for n in range(3):
        row(page, f"Receipt number {n}").get_by_role("checkbox").click()
    expect(page.get_by_text("3 selected")).to_be_visible()
    page.keyboard.press("v")
    page.get_by_role("combobox", name="Find a folder").fill("rec")
    page.keyboard.press("Enter")
    expect(row(page, "Receipt number")).to_have_count(0)
    page.get_by_role("link", name="Receipts").click()
    expect(row(page, "Receipt number")).to_have_count(3)


def test_a_row_is_dragged_into_a_folder(page: Page, server: Server) -> None:
    with imap(server, ADA) as client:
        put(client, text_letter("Drag me", seen=True))
    target = page.get_by_role("link", name="Engine")
    row(page, "Drag me").drag_to(target)
    expect(row(page, "Drag me")).to_have_count(0)
    target.click()
    expect(row(page, "Drag me")).to_have_count(1)


def test_deleting_from_the_trash_asks_and_is_final(page: Page, server: Server) -> None:
    with imap(server, ADA) as client:
        put(client, text_letter("Away with it", seen=True))
    row(page, "Away with it").hover()
    row(page, "Away with it").get_by_role("button", name="Delete").click()
    page.get_by_role("link", name="Trash").click()
    row(page, "Away with it").click()
    page.keyboard.press("#")
    page.get_by_role("dialog").get_by_role("button", name="Delete for good").click()
    expect(row(page, "Away with it")).to_have_count(0)
    page.get_by_role("button", name="Close").last.click()
    with imap(server, ADA) as client:
        client.select("Trash")
        for _ in range(50):
            if not client.search(None, 'SUBJECT "Away with it"')[1][0]:
                break
            client.noop()
        assert client.search(None, 'SUBJECT "Away with it"')[1] == [b""]


@pytest.mark.parametrize(
    ("typed", "found", "not_found"),
    [
        ("comet", "Photographs from the observatory", "Invoice 2026-1143"),
        ("from:noether", "Symmetries, second draft", "Invoice 2026-1143"),
        ("subject:invoice", "Invoice 2026-1143", "Lunch?"),
        ("has:attachment from:mary", "Photographs from the observatory", "Dinner on Friday?"),
        ("is:flagged invoice", "Invoice 2026-1143", "Photographs"),
        ("in:junk prize", "You have WON", "Invoice"),
        ("rehearsal -from:choir", "Nothing was found", "Rehearsal moved"),
        ("subject:lunch after:2d", "Lunch?", "Invoice"),
        ("subject:lunch before:2000-01-01", "Nothing was found", "Invoice"),
    ],
)
def test_search_operators_narrow_the_list(
    page: Page, typed: str, found: str, not_found: str
) -> None:
    page.keyboard.press("/")
    page.keyboard.type(typed)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Search")).to_be_visible()
    expect(page.locator(".list-pane").get_by_text(found).first).to_be_visible()
    expect(page.locator(".row", has_text=not_found)).to_have_count(0)


def test_people_are_suggested_while_searching(page: Page) -> None:
    page.get_by_role("combobox", name="Search mail").fill("from:gra")
    page.get_by_role("option", name="Grace Hopper").click()
    page.keyboard.press("Enter")
    expect(row(page, "Compiler: first light").first).to_be_visible()


def test_attachments_are_previewed_and_downloaded(page: Page) -> None:
    row(page, "Photographs from the observatory").click()
    expect(page.get_by_role("heading", name="3 attachments")).to_be_visible()
    page.get_by_role("button", name="positions.txt").first.click()
    expect(page.get_by_role("dialog").locator("pre")).to_contain_text("Right ascension")
    with page.expect_download() as waiting:
        page.get_by_role("dialog").get_by_role("button", name="Download").click()
    assert waiting.value.suggested_filename == "positions.txt"
    page.keyboard.press("Escape")
    expect(paper(page).locator("img[data-cid]")).to_have_attribute(
        "src", __import__("re").compile("^blob:")
    )


def test_the_source_and_the_headers_are_shown(page: Page) -> None:
    row(page, "Lunch?").click()
    page.locator("article").get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Show source").click()
    expect(page.get_by_role("dialog").locator("pre")).to_contain_text("Subject: Lunch?")
    expect(page.get_by_role("dialog").locator("pre")).to_contain_text("I will bring the moth")
    page.keyboard.press("Escape")


def test_keys_move_open_and_show_their_help(page: Page) -> None:
    expect(page.locator("#row-2")).to_be_visible()  # a key moves among what has been loaded
    page.get_by_role("grid", name="Messages").focus()
    page.keyboard.press("j")
    expect(page.locator("#row-1.at")).to_have_count(1)
    page.keyboard.press("j")
    expect(page.locator("#row-2.at")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("#row-2.opened")).to_have_count(1)
    page.keyboard.press("k")
    expect(page.locator("#row-1.opened")).to_have_count(1)
    page.keyboard.press("u")
    expect(page.get_by_text("Nothing is open")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


def test_folders_are_made_renamed_and_deleted(page: Page, server: Server) -> None:
    page.get_by_role("button", name="New folder", exact=True).click()
    page.get_by_role("dialog").get_by_label("Name").fill("Voyages")
    page.get_by_role("button", name="Create").click()
    link = page.get_by_role("link", name="Voyages")
    expect(link).to_be_visible()
    link.hover()
    page.get_by_role("button", name="Actions for Voyages").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.get_by_role("dialog").get_by_label("Name").fill("Journeys")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="Journeys")).to_be_visible()
    with imap(server, ADA) as client:
        assert any(b"Journeys" in line for line in client.list()[1])  # type: ignore[operator]
    page.get_by_role("link", name="Journeys").hover()
    page.get_by_role("button", name="Actions for Journeys").click()
    page.get_by_role("menuitem", name="Delete folder").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete folder").click()
    expect(page.get_by_role("link", name="Journeys")).to_have_count(0)


def test_on_a_phone_there_is_one_pane_at_a_time(open_page: Open) -> None:
    page = open_page(width=390, height=844, has_touch=True, is_mobile=True)
    expect(page.get_by_role("navigation", name="Mailboxes")).to_have_count(0)
    row(page, "Invoice 2026-1143").click()
    expect(page.locator(".list-pane")).not_to_be_visible()
    expect(paper(page).locator("table")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("grid", name="Messages")).to_be_visible()
    page.get_by_role("button", name="Mailboxes").click()
    page.get_by_role("link", name="Archive").click()
    expect(page.get_by_role("heading", name="Archive")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_was_read_is_there_without_a_network(open_page: Open) -> None:
    page = open_page(workers="allow")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()  # from here the service worker sees the requests
    row(page, "Invoice 2026-1143").click()
    expect(paper(page).locator("table")).to_be_visible()
    page.context.set_offline(True)
    page.reload()
    expect(row(page, "Invoice 2026-1143")).to_be_visible()
    expect(paper(page).locator("table")).to_be_visible()
    expect(page.get_by_text("Offline", exact=True)).to_be_visible()
    page.context.set_offline(False)


@contextmanager
def cold(browser: Browser, address: str, locale: str) -> Iterator[Page]:
    """A browser that knows nothing but the cookie of a session; the page is not opened yet."""
    context = browser.new_context(locale=locale, service_workers="block")
    context.set_default_timeout(20_000)
    context.request.post(f"{address}/auth/session", data={"login": ADA, "password": PASSWORD})
    yield context.new_page()
    context.close()


def test_the_first_list_needs_no_request_twice(browser: Browser, address: str) -> None:
    with cold(browser, address, "en-GB") as page:
        asked: list[str] = []
        page.on(
            "request", lambda one: asked.append(f"{one.method} {one.url} {one.post_data or ''}")
        )
        page.goto(address)
        page.locator(".row:not(.loading)").first.wait_for()
        assert len([one for one in asked if "/auth/session/refresh" in one]) == 1
        assert len([one for one in asked if "Email/query" in one]) == 1  # all rows in one
        assert len(asked) == len(set(asked))


@pytest.mark.parametrize("locale", ["en-GB", "en-US", "de-DE", "fr-FR"])
def test_a_row_says_when_as_its_language_does(browser: Browser, address: str, locale: str) -> None:
    with cold(browser, address, locale) as page:
        page.goto(address)
        page.locator(".row:not(.loading) time").first.wait_for()
        said = page.evaluate(
            """(locale) => [...document.querySelectorAll(".row time")].map((one) => {
              const at = new Date(one.dateTime);
              const now = new Date();
              const how = at.toDateString() === now.toDateString() ? { timeStyle: "short" }
                : at.getFullYear() === now.getFullYear() ? { day: "numeric", month: "short" }
                : { day: "2-digit", month: "2-digit", year: "numeric" };
              return [one.textContent, new Intl.DateTimeFormat(locale, how).format(at)];
            })""",
            locale,
        )
        assert said
        for ours, theirs in said:
            assert ours.replace("\u202f", " ") == theirs.replace("\u202f", " ")
