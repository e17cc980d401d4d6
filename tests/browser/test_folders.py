"""What the side bar offers: folders, what is done to them, and the mail of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.browser import imap, put, text_letter
from support.letters import Letter

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from browser.conftest import Open
    from support.server import Server

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
CAROL, DORA = "carol@example.org", "dora@example.org"
ROUNDS = 200


def names(server: Server) -> set[str]:
    """Carol's mailboxes, as another client sees them."""
    with imap(server, CAROL) as client:
        lines = [line.decode() for line in client.list()[1] if isinstance(line, bytes)]
    return {line.rpartition('"/" ')[2].strip('"') for line in lines}


def unread(server: Server, mailbox: str) -> int:
    with imap(server, CAROL) as client:
        client.select(mailbox, readonly=True)
        return len(client.search(None, "UNSEEN")[1][0].split())


def fill(server: Server, mailbox: str, *subjects: str) -> None:
    with imap(server, CAROL) as client:
        client.create(mailbox)
        for subject in subjects:
            letter = text_letter(subject)
            put(client, Letter(mailbox, letter.octets, seen=False, at=letter.at))


def act(page: Page, folder: str, what: str) -> None:
    page.get_by_role("link", name=folder).first.hover()
    page.get_by_role("button", name=f"Actions for {folder}").click()
    page.get_by_role("menuitem", name=what, exact=True).click()


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


def test_a_folder_is_made_in_another_renamed_moved_and_deleted_with_its_mail(
    open_page: Open, server: Server
) -> None:
    fill(server, "Harbour")
    fill(server, "Ships")
    page = open_page(CAROL)
    act(page, "Harbour", "New folder in it")
    dialog(page).get_by_label("Name").fill("Sloops")
    dialog(page).get_by_role("button", name="Create").click()
    expect(page.get_by_role("link", name="Sloops")).to_be_visible()
    assert "Harbour/Sloops" in names(server)
    act(page, "Sloops", "Rename")
    dialog(page).get_by_label("Name").fill("Cutters")
    dialog(page).get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="Cutters")).to_be_visible()
    assert "Harbour/Cutters" in names(server)
    act(page, "Cutters", "Move folder")
    dialog(page).get_by_label("Find a folder").fill("ship")
    dialog(page).get_by_role("option", name="Ships").click()
    expect(dialog(page)).to_have_count(0)
    expect(page.locator(".depth-1", has_text="Cutters")).to_be_visible()
    assert {"Ships/Cutters"} <= names(server)
    act(page, "Cutters", "Move folder")
    assert dialog(page).get_by_role("option", name="Cutters").count() == 0  # not into itself
    dialog(page).get_by_role("option", name="At the top").click()
    expect(page.locator(".depth-0", has_text="Cutters")).to_be_visible()
    assert "Cutters" in names(server)
    fill(server, "Cutters", "On the slip")
    page.reload()
    act(page, "Cutters", "Delete folder")
    expect(dialog(page)).to_contain_text("one message, which is deleted with it")
    dialog(page).get_by_role("button", name="Cancel").click()
    assert "Cutters" in names(server)
    act(page, "Cutters", "Delete folder")
    dialog(page).get_by_role("button", name="Delete folder").click()
    expect(page.get_by_role("link", name="Cutters")).to_have_count(0)
    assert "Cutters" not in names(server)


def test_a_name_that_is_taken_is_refused_and_said(open_page: Open, server: Server) -> None:
    fill(server, "Twice")
    page = open_page(CAROL)
    page.get_by_role("button", name="New folder", exact=True).click()
    dialog(page).get_by_label("Name").fill("Twice")
    dialog(page).get_by_role("button", name="Create").click()
    expect(page.get_by_role("status").filter(has_text="folder")).to_be_visible()
    expect(page.get_by_role("link", name="Twice")).to_have_count(1)


def test_all_in_a_folder_is_marked_as_read(open_page: Open, server: Server) -> None:
    fill(server, "Gazette", "Monday", "Tuesday", "Wednesday")
    page = open_page(CAROL)
    expect(page.locator(".mailbox", has_text="Gazette").locator(".count")).to_contain_text("3")
    act(page, "Gazette", "Mark all as read")
    expect(page.get_by_role("status").filter(has_text="3 marked as read")).to_be_visible()
    expect(page.locator(".mailbox", has_text="Gazette").locator(".count")).to_have_count(0)
    assert unread(server, "Gazette") == 0


@pytest.mark.parametrize("mailbox", ["Trash", "Junk"])
def test_trash_and_junk_are_emptied_for_good(open_page: Open, server: Server, mailbox: str) -> None:
    fill(server, mailbox, "One of two", "Two of two")
    page = open_page(CAROL)
    page.get_by_role("link", name=mailbox).click()
    expect(page.get_by_role("row")).to_have_count(2)
    act(page, mailbox, "Empty")
    expect(dialog(page)).to_contain_text("2 messages will be deleted for good")
    dialog(page).get_by_role("button", name="Empty").click()
    expect(page.get_by_role("status").filter(has_text=f"{mailbox} is empty")).to_be_visible()
    expect(page.get_by_text("Nothing in here")).to_be_visible()
    with imap(server, CAROL) as client:
        assert client.select(mailbox, readonly=True)[1] == [b"0"]


def test_what_was_folded_stays_folded(open_page: Open, server: Server) -> None:
    fill(server, "Trunk")
    fill(server, "Trunk/Branch")
    page = open_page(CAROL)
    page.get_by_role("button", name="Fold Trunk").click()
    expect(page.get_by_role("link", name="Branch")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("button", name="Unfold Trunk")).to_be_visible()
    expect(page.get_by_role("link", name="Branch")).to_have_count(0)
    page.get_by_role("button", name="Unfold Trunk").click()
    expect(page.get_by_role("link", name="Branch")).to_be_visible()


def test_mail_that_others_share_is_read_and_changed_as_far_as_they_allow(
    open_page: Open, server: Server
) -> None:
    fill(server, "Board", "Minutes of Monday")
    with imap(server, CAROL) as client:
        assert client.setacl("Board", DORA, "lr")[0] == "OK"
    page = open_page(DORA)
    page.get_by_role("combobox", name="Whose mail").select_option(label=f"Shared by {CAROL}")
    page.get_by_role("link", name="Board").click()
    page.get_by_role("row").filter(has_text="Minutes of Monday").click()
    expect(page.get_by_role("heading", level=1, name="Minutes of Monday")).to_be_visible()
    assert unread(server, "Board") == 1  # reading is allowed, marking is not
    with imap(server, CAROL) as client:
        assert client.setacl("Board", DORA, "lrswite")[0] == "OK"
    page.reload()
    page.get_by_role("combobox", name="Whose mail").select_option(label=f"Shared by {CAROL}")
    page.get_by_role("link", name="Board").click()
    act(page, "Board", "Mark all as read")
    expect(page.get_by_role("status").filter(has_text="Marked as read")).to_be_visible()
    assert unread(server, "Board") == 0
    page.get_by_role("combobox", name="Whose mail").select_option("")
    expect(page.get_by_role("link", name="Board")).to_have_count(0)
    with imap(server, CAROL) as client:
        assert client.deleteacl("Board", DORA)[0] == "OK"
    page.reload()
    expect(page.get_by_role("link", name="Inbox", exact=True)).to_be_visible()
    expect(page.get_by_role("combobox", name="Whose mail")).to_have_count(0)
