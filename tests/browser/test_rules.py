"""Rules for arriving mail: made, ordered, applied, told of, and what they do to mail that arrives."""

from __future__ import annotations

import smtplib
from typing import TYPE_CHECKING

import pytest

from browser.test_accessible import findings
from support.browser import AXE, imap, put, text_letter
from support.server import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page, Route

    from browser.conftest import Open
    from support.server import Server

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
CAROL, EVE = "carol@example.org", "eve@example.org"
RULES = "urn:x-postillon:jmap:rules"


def send(server: Server, subject: str, *, sender: str = "shop@far.example", more: str = "") -> None:
    """To Eve, through the door like everybody's."""
    with smtplib.SMTP(server.host, server.port("smtp")) as client:
        client.ehlo("far.example")
        client.sendmail(
            sender, [EVE],
            f"From: Shop <{sender}>\r\nTo: {EVE}\r\nSubject: {subject}\r\n{more}\r\nHello.\r\n",
        )  # fmt: skip


@pytest.fixture
def eve(open_page: Open, server: Server) -> Iterator[Page]:
    """Two folders, and no rule from before or after."""
    with imap(server, EVE) as client:
        for name in ("Bills", "Reading"):
            client.create(name)
    page = open_page(EVE, height=900)
    settings(page)
    yield page
    clear(page)
    with imap(server, EVE) as client:
        for name in ("Bills", "Reading"):
            client.delete(name)


def settings(page: Page) -> None:
    page.goto(page.url.split("#")[0] + "#/settings/rules")
    page.get_by_role("heading", level=1, name="Rules").wait_for()


def clear(page: Page) -> None:
    page.reload()
    settings(page)
    expect(page.get_by_role("button", name="New rule")).to_be_visible()
    rows = page.locator(".rule")
    for left in range(rows.count(), 0, -1):
        expect(rows).to_have_count(left)
        menu(rows.first, "Delete")
    expect(page.locator(".rules-none")).to_be_visible()


def menu(row: Locator, item: str) -> None:
    row.get_by_role("button", name="More").click()
    row.get_by_role("menuitem", name=item).click()


def new_rule(page: Page, name: str, subject: str, folder: str = "") -> None:
    page.get_by_role("button", name="New rule").click()
    form = page.get_by_role("dialog", name="New rule")
    form.get_by_label("Name").fill(name)
    form.get_by_label("What is looked at").select_option("Subject")
    form.get_by_label("Value").fill(subject)
    if folder:
        form.get_by_label("Move it to").select_option(folder)
    form.get_by_role("button", name="Save").click()
    expect(form).to_have_count(0)
    expect(page.locator(".rule").filter(has_text=name)).to_be_visible()


def test_a_message_lands_live_in_the_folder_of_its_rule_and_says_why(
    eve: Page, server: Server
) -> None:
    page = eve
    page.get_by_role("button", name="New rule").click()
    form = page.get_by_role("dialog", name="New rule")
    expect(form.get_by_role("button", name="Save")).to_be_disabled()
    form.get_by_label("Value").fill("@far.example")
    form.get_by_role("button", name="Add a condition").click()
    second = form.locator(".condition").nth(1)
    second.get_by_label("What is looked at").select_option("Size")
    second.get_by_label("How it is compared").select_option("is smaller than")
    form.get_by_label("Move it to").select_option("Bills")
    form.get_by_label("Star it").check()
    form.get_by_role("button", name="Keywords and copies").click()
    form.get_by_label("Add keywords").fill("Paid, blue")
    form.get_by_role("button", name="Save").click()
    row = page.locator(".rule")
    expect(row).to_contain_text("From contains “@far.example” and Size is smaller than 5")
    expect(row).to_contain_text("move it to Bills, star it, add paid, blue, no further rules")
    folder = page.url.split("#")[0]
    page.goto(folder + "#/")
    page.get_by_role("grid", name="Messages").or_(page.locator(".empty")).first.wait_for()
    page.get_by_role("link", name="Bills").click()
    send(server, "Your bill of May")
    message = page.get_by_role("row").filter(has_text="Your bill of May")
    expect(message).to_be_visible()  # nobody has asked for it
    message.click()
    page.locator("article").last.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Why is this here?").click()
    story = page.get_by_role("dialog", name="Why is this here?")
    rule = "Your rule “From contains “@far.example””"
    expect(story).to_contain_text(f"{rule} moved it to Bills.")
    expect(story).to_contain_text(f"{rule} marked it: starred, blue, paid.")
    page.keyboard.press("Escape")


def test_rules_are_ordered_by_keys_menu_and_pointer_and_hold_in_that_order(
    eve: Page, server: Server
) -> None:
    page = eve
    new_rule(page, "First", "order", "Bills")
    new_rule(page, "Second", "order", "Reading")
    names = page.locator(".rule-name")
    expect(names).to_have_text(["First", "Second"])
    page.get_by_role("button", name="Move Second").press("ArrowUp")
    expect(names).to_have_text(["Second", "First"])
    expect(page.get_by_role("button", name="Move Second")).to_be_focused()
    send(server, "My order 1")
    with imap(server, EVE) as client:
        assert client.select("Reading")[1] == [b"1"]
    menu(page.locator(".rule").filter(has_text="Second"), "Move down")
    expect(names).to_have_text(["First", "Second"])
    page.locator(".grip").nth(1).drag_to(page.locator(".rule").nth(0))
    expect(names).to_have_text(["Second", "First"])
    page.reload()
    expect(names).to_have_text(["Second", "First"])
    page.get_by_role("switch", name="Use Second").uncheck()
    expect(page.locator(".rule.off")).to_have_count(1)
    page.reload()
    expect(page.get_by_role("switch", name="Use Second")).not_to_be_checked()
    send(server, "My order 2")
    with imap(server, EVE) as client:
        assert client.select("Bills")[1] == [b"1"]


def test_what_another_client_does_with_rules_is_seen_and_deleting_is_taken_back(
    eve: Page, open_page: Open
) -> None:
    page = eve
    other = open_page(EVE)
    settings(other)
    new_rule(page, "Shared", "tea", "Bills")
    expect(other.locator(".rule-name")).to_have_text(["Shared"])
    menu(other.locator(".rule"), "Delete")
    expect(page.locator(".rules-none")).to_be_visible()
    other.get_by_role("button", name="Undo").click()
    expect(page.locator(".rule-name")).to_have_text(["Shared"])


def test_a_rule_from_a_message_is_counted_and_applied_to_what_is_there(
    eve: Page, server: Server
) -> None:
    page = eve
    for n in range(3):
        send(
            server, f"Weekly {n}", sender=f"news{n}@far.example",
            more="List-Id: Good reads <reads.far.example>\r\n",
        )  # fmt: skip
    page.goto(page.url.split("#")[0] + "#/")
    page.get_by_role("row").filter(has_text="Weekly 1").click()
    page.locator("article").last.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Make a rule from this message").click()
    form = page.get_by_role("dialog", name="New rule")
    expect(form.get_by_label("Name")).to_have_value("Good reads")
    expect(form.get_by_label("What is looked at")).to_have_value("list")
    expect(form.get_by_label("Value")).to_have_value("reads.far.example")
    expect(form.get_by_role("status")).to_contain_text("3 of the")
    form.get_by_label("Move it to").select_option("Reading")
    form.get_by_label("Apply it to the messages").check()
    form.get_by_role("button", name="Save").click()
    expect(page.locator(".notice")).to_contain_text("3 messages in the inbox have been changed")
    expect(page.get_by_role("row").filter(has_text="Weekly")).to_have_count(0)
    with imap(server, EVE) as client:
        assert client.select("Reading")[1] == [b"3"]


def test_a_rule_is_applied_from_the_list_after_a_question(eve: Page, server: Server) -> None:
    page = eve
    with imap(server, EVE) as client:
        for n in range(2):
            put(client, text_letter(f"Heap {n}"))
    new_rule(page, "Heap", "heap", "Bills")
    menu(page.locator(".rule"), "Apply to the inbox now")
    question = page.get_by_role("dialog", name="Apply to the inbox now")
    expect(question).to_contain_text("2 messages in the inbox match.")
    question.get_by_role("button", name="Apply").click()
    expect(page.locator(".notice")).to_contain_text("2 messages in the inbox have been changed")
    with imap(server, EVE) as client:
        assert client.select("Bills")[1] == [b"2"]


def test_a_folder_is_made_while_its_rule_is(eve: Page, server: Server) -> None:
    page = eve
    page.get_by_role("button", name="New rule").click()
    form = page.get_by_role("dialog", name="New rule")
    form.get_by_label("Name").fill("Trains")
    form.get_by_label("Value").fill("trains@far.example")
    form.get_by_label("Move it to").select_option("New folder …")
    asked = page.get_by_role("dialog", name="New folder")
    expect(asked.get_by_label("Name")).to_have_value("Trains")
    asked.get_by_role("button", name="Create").click()
    expect(form.get_by_label("Move it to").locator("option:checked")).to_have_text("Trains")
    form.get_by_role("button", name="Save").click()
    expect(page.locator(".rule")).to_contain_text("move it to Trains")
    send(server, "To the coast", sender="trains@far.example")
    with imap(server, EVE) as client:
        assert client.select("Trains")[1] == [b"1"]
        client.close()
        client.delete("Trains")


def test_a_rule_that_has_lost_its_folder_asks_for_attention_and_loses_nothing(
    eve: Page, server: Server
) -> None:
    page = eve
    new_rule(page, "Lost", "lost", "Reading")
    with imap(server, EVE) as client:
        client.delete("Reading")
    expect(page.locator(".rule-lost")).to_contain_text("Its folder no longer exists")
    send(server, "Not lost at all")
    page.locator(".rule-name").click()
    form = page.get_by_role("dialog", name="Change the rule")
    expect(form.get_by_role("alert")).to_contain_text("no longer exists")
    form.get_by_label("Move it to").select_option("Bills")
    form.get_by_role("button", name="Save").click()
    expect(page.locator(".rule-lost")).to_have_count(0)
    page.goto(page.url.split("#")[0] + "#/")
    page.get_by_role("row").filter(has_text="Not lost at all").click()
    page.locator("article").last.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Why is this here?").click()
    story = page.get_by_role("dialog", name="Why is this here?")
    expect(story).to_contain_text("names a folder that did not exist, so it went to the inbox")
    page.keyboard.press("Escape")


def test_rules_name_ones_own_folders_while_the_mail_of_another_is_shown(
    eve: Page, server: Server
) -> None:
    page = eve
    new_rule(page, "Mine", "mine", "Bills")
    with imap(server, CAROL) as client:
        client.create("Plans")
        assert client.setacl("Plans", EVE, "lr")[0] == "OK"
    try:
        page.goto(page.url.split("#")[0] + "#/")
        page.reload()
        shown = page.get_by_role("combobox", name="Whose mail")
        shown.select_option(label=f"Shared by {CAROL}")
        expect(page.get_by_role("link", name="Plans")).to_be_visible()
        page.evaluate("location.hash = '#/settings/rules'")
        expect(page.locator(".rule")).to_contain_text("move it to Bills")
        expect(page.locator(".rule-lost")).to_have_count(0)
        page.locator(".rule-name").click()
        into = page.get_by_role("dialog", name="Change the rule").get_by_label("Move it to")
        expect(into.locator("option:checked")).to_have_text("Bills")
        expect(into.locator("option", has_text="Plans")).to_have_count(0)
        page.keyboard.press("Escape")
    finally:
        with imap(server, CAROL) as client:
            client.delete("Plans")


def test_what_the_server_refuses_is_said_in_the_form(eve: Page) -> None:
    page = eve
    page.get_by_role("button", name="New rule").click()
    form = page.get_by_role("dialog", name="New rule")
    form.get_by_label("Value").fill("x")
    form.get_by_role("button", name="Keywords and copies").click()
    form.get_by_label("Send a copy to").fill("nonsense")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("nonsense")
    form.get_by_label("Send a copy to").fill(EVE)
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("leads to this account itself")
    form.get_by_role("button", name="Cancel").click()


def test_a_server_without_rules_has_no_form_for_them(open_page: Open) -> None:
    page = open_page("")

    def without(route: Route) -> None:
        answer = route.fetch()
        said = answer.json()
        for told in (said["capabilities"], said["primaryAccounts"]):
            told.pop(RULES, None)
        for account in said["accounts"].values():
            account["accountCapabilities"].pop(RULES, None)
        route.fulfill(response=answer, json=said)

    page.route("**/.well-known/jmap", without)
    page.route("**/jmap/session", without)
    page.get_by_label("Address").fill(EVE)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("grid", name="Messages").or_(page.locator(".empty")).first.wait_for()
    page.goto(page.url.split("#")[0] + "#/settings/vacation")
    page.get_by_role("heading", level=1, name="Out of office").wait_for()
    expect(page.locator(".settings-tabs").get_by_text("Rules")).to_have_count(0)


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_list_and_form_are_accessible(eve: Page, open_page: Open, scheme: str, width: int) -> None:
    new_rule(eve, "Axe", "axe", "Bills")
    page = open_page(EVE, width=width, height=844, color_scheme=scheme, reduced_motion="reduce")
    settings(page)
    page.locator(".rule").wait_for()
    assert findings(page) == []
    page.locator(".rule-name").click()
    page.get_by_role("button", name="Add a condition").click()
    page.locator(".condition").nth(1).get_by_label("What is looked at").select_option("header")
    assert findings(page) == []
    page.keyboard.press("Escape")
    page.locator(".rule").get_by_role("button", name="More").click()
    assert findings(page) == []
