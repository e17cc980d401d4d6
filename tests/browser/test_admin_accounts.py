"""Every act on accounts in the administration, and what the server does after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postillon.directory.totp import code_of, step_at
from support.administration import (
    ADMIN,
    PERSON,
    Administration,
    Api,
    ask,
    imap_lets_in,
    offered,
    signed_in,
)
from support.browser import imap
from support.server import PASSWORD, Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest.importorskip("playwright.sync_api")
MORE_THAN_A_PAGE = 101


def add(admin: Administration, login: str, *boxes: str) -> str:
    """Add an account with the boxes checked, and give its password; "" where it has none."""
    page = admin.open("accounts")
    page.get_by_role("button", name="Add account").click()
    admin.dialog().get_by_label("Address").fill(login)
    for box in boxes:
        admin.dialog().get_by_label(box).check()
    admin.dialog().get_by_role("button", name="Add").click()
    heading = page.get_by_role("heading", name=login, level=1)
    admin.dialog().locator(".secret").or_(heading).first.wait_for()
    if heading.count():
        return ""
    secret = str(admin.dialog().locator(".secret").inner_text())
    admin.agree("Done")
    heading.wait_for()
    return secret


def remove(admin: Administration, login: str, typed: str = "") -> None:
    admin.page.get_by_role("button", name="Remove", exact=True).first.click()
    admin.dialog().get_by_label("Type the login to confirm").fill(typed or login)
    admin.dialog().get_by_role("button", name="Remove").click()


def test_an_account_that_is_added_signs_in_takes_mail_and_is_gone_when_removed(
    admin: Administration, admin_server: Server
) -> None:
    login = "dora@example.org"
    secret = add(admin, login)
    assert len(secret) > 15
    assert signed_in(admin_server, login, secret).status == 200
    assert imap_lets_in(admin_server, login, secret)
    assert offered(admin_server, login)[0] == 250
    remove(admin, login, typed="dora")
    admin.dialog().get_by_text("Nothing was removed").wait_for()
    admin.agree("Done")
    assert signed_in(admin_server, login, secret).status == 200
    remove(admin, login)
    admin.said(f"{login} was removed")
    assert signed_in(admin_server, login, secret).status == 401
    assert offered(admin_server, login)[0] == 550


def test_a_chosen_password_an_administrator_and_a_shared_account(
    admin: Administration, admin_server: Server
) -> None:
    page = admin.open("accounts")
    page.get_by_role("button", name="Add account").click()
    admin.dialog().get_by_label("Address").fill("root@example.org")
    admin.dialog().get_by_label("Name").fill("Root of it")
    admin.dialog().get_by_label("Administrator").check()
    admin.dialog().get_by_label("Choose the password myself").check()
    admin.dialog().get_by_label("Password", exact=True).fill("chosen by myself")
    admin.dialog().get_by_role("button", name="Add").click()
    page.get_by_role("heading", name="root@example.org", level=1).wait_for()
    token = str(signed_in(admin_server, "root@example.org", "chosen by myself")["access_token"])
    assert ask(admin_server, "GET", "/api/v1/accounts", token=token).status == 200
    page.get_by_label("Administrator").uncheck()
    admin.save("Administration is closed to it at once")
    assert ask(admin_server, "GET", "/api/v1/accounts", token=token).status == 403
    assert add(admin, "office@example.org", "Shared account") == ""
    assert signed_in(admin_server, "office@example.org").status == 401
    assert offered(admin_server, "office@example.org")[0] == 250
    assert not page.get_by_role("heading", name="Signing in").count()


def test_name_room_and_language_are_changed_and_the_room_is_kept_to(
    admin: Administration, admin_server: Server
) -> None:
    login = "roomy@example.org"
    add(admin, login)
    page = admin.page
    page.get_by_label("Name").fill("Roomy")
    page.get_by_label("Room for mail (MB)").fill("0.05")
    page.get_by_label("Language", exact=True).select_option("de")
    admin.save("Roomy", "50 KB", "Deutsch")
    page.get_by_text("of 50 KB").first.wait_for()
    assert page.get_by_label("Room for mail (MB)").input_value() == "0.05"
    found = Api(admin_server)("GET", f"/accounts/{login}")
    assert (found["name"], found["quota"], found["language"]) == ("Roomy", 50_000, "de")
    assert offered(admin_server, login, octets=20_000)[0] == 250
    page.reload()
    page.get_by_label("Room for mail (MB)").fill("0.01")
    admin.save("new mail is refused until some of it is deleted")
    assert offered(admin_server, login)[0] >= 400
    page.get_by_label("Room for mail (MB)").fill("")
    admin.save("no limit")
    assert offered(admin_server, login)[0] == 250
    assert Api(admin_server)("GET", f"/accounts/{login}")["quota"] is None


def test_nothing_changes_before_it_was_shown_and_agreed_to(
    admin: Administration, admin_server: Server
) -> None:
    page = admin.open(f"accounts/{PERSON}")
    page.get_by_label("Takes mail and may sign in").uncheck()
    page.get_by_role("button", name="Save").click()
    admin.dialog().get_by_text(f"nobody signs in as {PERSON}").wait_for()
    admin.agree("Cancel")
    assert offered(admin_server, PERSON)[0] == 250
    page = admin.open("accounts")
    row = page.get_by_role("row").filter(has_text=PERSON)
    row.get_by_text("on", exact=True).wait_for()
    row.get_by_role("link").click()
    page.get_by_label("Takes mail and may sign in").uncheck()
    admin.save(f"nobody signs in as {PERSON}")
    assert offered(admin_server, PERSON)[0] == 550
    assert signed_in(admin_server, PERSON).status == 401
    page = admin.open("accounts")
    row.get_by_text("off", exact=True).wait_for()
    row.get_by_role("link").click()
    page.get_by_label("Takes mail and may sign in").check()
    admin.save(f"{PERSON} may sign in")
    assert offered(admin_server, PERSON)[0] == 250
    assert signed_in(admin_server, PERSON).status == 200
    page.locator(".admin-page form").get_by_role("button", name="Save").click()
    admin.dialog().get_by_text("Nothing is different").wait_for()
    assert admin.dialog().get_by_role("button", name="Save").is_disabled()


def test_an_address_is_added_and_taken_away_and_the_login_renamed(
    admin: Administration, admin_server: Server
) -> None:
    secret = add(admin, "fern@example.org")
    page = admin.page
    page.get_by_role("button", name="Add address").click()
    admin.dialog().get_by_label("Address").fill("f@example.org")
    admin.agree("Save")
    second = page.get_by_role("listitem").filter(has_text="f@example.org").filter(
        has=page.get_by_role("button", name="Remove")
    )  # fmt: skip
    second.wait_for()
    assert offered(admin_server, "f@example.org")[0] == 250
    second.get_by_role("button", name="Remove").click()
    admin.dialog().get_by_text("Mail to f@example.org is refused then").wait_for()
    admin.agree("Remove")
    admin.said("f@example.org was removed")
    assert offered(admin_server, "f@example.org")[0] == 550
    page.get_by_role("button", name="Rename").click()
    admin.dialog().get_by_text("fern@example.org stays an address").wait_for()
    admin.dialog().get_by_label("Address").fill("bracken@example.org")
    admin.agree("Save")
    page.get_by_role("heading", name="bracken@example.org", level=1).wait_for()
    assert signed_in(admin_server, "bracken@example.org", secret).status == 200
    assert offered(admin_server, "fern@example.org")[0] == 250


@pytest.mark.parametrize(
    ("rights", "written"), [("Read", False), ("Read and change", True), ("Everything", True)]
)
def test_a_mailbox_is_shared_with_the_rights_that_were_given_until_it_ends(
    admin: Administration, admin_server: Server, rights: str, written: bool
) -> None:
    page = admin.open(f"accounts/{ADMIN}")
    page.get_by_role("button", name="Share a mailbox").click()
    admin.dialog().get_by_label("Who").fill(PERSON)
    admin.dialog().get_by_label("Rights").select_option(label=option(page, rights))
    admin.agree("Save")
    row = page.get_by_role("row").filter(has_text=PERSON)
    row.wait_for()
    assert may_write(admin_server) is written
    row.get_by_role("button", name="Remove").click()
    admin.dialog().get_by_text(f"{PERSON} no longer sees INBOX").wait_for()
    admin.agree("Stop sharing")
    page.get_by_text("Nothing is shared").wait_for()
    assert may_write(admin_server) is None


def option(page: Any, beginning: str) -> str:
    names = page.get_by_role("dialog").get_by_label("Rights").locator("option").all_inner_texts()
    return str(next(name for name in names if name.startswith(beginning)))


def may_write(server: Server) -> bool | None:
    """Whether the person may put mail into the administrator's inbox; None: sees it not at all."""
    with imap(server, PERSON) as client:
        found = [line for line in client.list('""', "*")[1] if isinstance(line, bytes)]
        names = [line.decode().rpartition('"/" ')[2].strip('"') for line in found]
        shared = next((name for name in names if ADMIN in name and name.endswith("INBOX")), None)
        if shared is None:
            return None
        said = client.append(f'"{shared}"', "", "", b"Subject: put there\r\n\r\nHello.\r\n")
        return said[0] == "OK"


def test_a_password_is_set_and_every_session_ended(
    admin: Administration, own_browser: Browser, admin_server: Server
) -> None:
    elsewhere = own_browser.new_context()
    auth = admin.base.replace("/admin", "/auth/session")
    there = elsewhere.request.post(auth, data={"login": PERSON, "password": PASSWORD})
    assert there.status == 200
    page = admin.open(f"accounts/{PERSON}")
    page.get_by_role("button", name="Sign out everywhere").click()
    admin.dialog().get_by_text("has to sign in again").wait_for()
    admin.agree("Sign out everywhere")
    page.get_by_text("0 open sessions").wait_for()
    assert elsewhere.request.post(f"{auth}/refresh", data={}).status in (204, 401)
    elsewhere.close()
    page.get_by_role("button", name="Set password").click()
    admin.dialog().get_by_role("button", name="Save").click()
    made = str(admin.dialog().locator(".secret").inner_text())
    admin.agree("Done")
    assert signed_in(admin_server, PERSON, made).status == 200
    assert signed_in(admin_server, PERSON).status == 401
    page.get_by_role("button", name="Set password").click()
    admin.dialog().get_by_label("Choose the password myself").check()
    admin.dialog().get_by_label("Password", exact=True).fill(PASSWORD)
    admin.agree("Save")
    assert signed_in(admin_server, PERSON, made).status == 401
    assert signed_in(admin_server, PERSON).status == 200


def test_a_lost_second_factor_is_turned_off_and_an_app_password_taken_away(
    admin: Administration, admin_server: Server
) -> None:
    login = "forgetful@example.org"
    secret = add(admin, login)
    page = admin.page
    token = str(signed_in(admin_server, login, secret)["access_token"])
    app = ask(admin_server, "POST", "/auth/app-passwords", {"name": "Old phone"}, token)
    offer = ask(admin_server, "POST", "/auth/totp", {"password": secret}, token)
    now = int(page.evaluate("Date.now()"))
    code = code_of(str(offer["secret"]), step_at(now))
    assert ask(admin_server, "POST", "/auth/totp/confirm", {"code": code}, token).status == 200
    assert signed_in(admin_server, login, secret).status == 401  # asks for a code
    assert imap_lets_in(admin_server, login, str(app["password"]))
    page.reload()
    page.get_by_role("button", name="Turn off").click()
    admin.dialog().get_by_text("with the password alone again").wait_for()
    admin.agree("Remove")
    page.get_by_role("listitem").filter(has_text="Two-step").get_by_text("off").wait_for()
    assert signed_in(admin_server, login, secret).status == 200
    page.get_by_role("listitem").filter(has_text="Old phone").get_by_role("button").click()
    admin.dialog().get_by_text("Old phone").wait_for()
    admin.agree("Remove")
    page.get_by_text("No app password").wait_for()
    assert not imap_lets_in(admin_server, login, str(app["password"]))


def test_accounts_are_found_by_a_part_of_their_name_and_shown_a_page_at_a_time(
    admin: Administration, admin_server: Server
) -> None:
    api = Api(admin_server)
    for n in range(MORE_THAN_A_PAGE):
        made = api("POST", "/accounts", {"login": f"room-{n:03}@example.net", "shared": True})
        assert made.status == 201
    page = admin.open("accounts")
    rows = page.locator("tbody tr")
    rows.nth(99).wait_for()
    assert rows.count() == 100
    page.get_by_role("button", name="Show more").click()
    page.get_by_role("row").filter(has_text="room-100@").wait_for()
    page.get_by_role("button", name="Show more").wait_for(state="detached")
    page.get_by_label("Login or name").fill("bob")
    page.get_by_role("row").filter(has_text=ADMIN).wait_for(state="detached")
    page.get_by_role("row").filter(has_text=PERSON).wait_for()
    assert rows.count() == 1
    page.get_by_label("Login or name").fill("nobody of that name")
    page.get_by_text("Nothing was found").wait_for()


def test_what_is_refused_is_said_where_it_was_asked(admin: Administration) -> None:
    page = admin.open("accounts")
    page.get_by_role("button", name="Add account").click()
    admin.dialog().get_by_label("Address").fill("x@elsewhere.example")
    admin.dialog().get_by_role("button", name="Add").click()
    admin.dialog().get_by_role("alert").get_by_text("is not a domain of this server").wait_for()
