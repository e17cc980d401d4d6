"""Domains, aliases, groups and keys of the API: every act, and what the server does after it."""

from __future__ import annotations

from typing import Any

import pytest

from support.administration import (
    ADMIN,
    PERSON,
    Administration,
    Api,
    ask,
    offered,
)
from support.browser import imap
from support.server import Server

pytest.importorskip("playwright.sync_api")


def subjects(server: Server, login: str, subject: str) -> int:
    """How many messages with a subject are in somebody's inbox."""
    with imap(server, login) as client:
        client.select("INBOX", readonly=True)
        return len(client.search(None, f'SUBJECT "{subject}"')[1][0].split())


def test_a_domain_is_added_its_records_shown_and_it_is_removed_when_it_is_empty(
    admin: Administration, admin_server: Server
) -> None:
    page = admin.open("domains")
    page.get_by_role("button", name="Add domain").click()
    admin.dialog().get_by_label("Domain").fill("shop.example")
    admin.dialog().get_by_role("button", name="Add").click()
    page.get_by_text("shop.example. MX 10").first.wait_for()
    page.get_by_text("shop.example. TXT").first.wait_for()
    assert "no such mailbox" in refusal(admin_server, "x@shop.example")
    page.get_by_role("button", name="Look again").click()
    page.get_by_text("shop.example. MX 10").first.wait_for()
    api = Api(admin_server)
    api("POST", "/aliases", {"address": "info@shop.example", "targets": [PERSON]})
    page.get_by_role("button", name="Remove").click()
    admin.agree("Remove")
    page.get_by_role("status").get_by_text("shop.example").wait_for()  # why not
    assert api("GET", "/domains/shop.example").status == 200
    api("DELETE", "/aliases/info@shop.example")
    page.get_by_role("button", name="Remove").click()
    admin.agree("Remove")
    admin.said("shop.example was removed")
    assert api("GET", "/domains/shop.example").status == 404
    assert "no such mailbox" not in refusal(admin_server, "x@shop.example")


def refusal(server: Server, to: str) -> str:
    code, said = offered(server, to)
    assert code >= 500
    return said


def test_a_name_with_letters_of_its_own_is_shown_as_people_write_it(
    admin: Administration, admin_server: Server
) -> None:
    page = admin.open("domains")
    page.get_by_role("button", name="Add domain").click()
    admin.dialog().get_by_label("Domain").fill("bücher.example")
    admin.dialog().get_by_role("button", name="Add").click()
    page.get_by_role("heading", name="bücher.example", level=1).wait_for()
    page.get_by_text("xn--bcher-kva.example. MX 10").first.wait_for()
    assert Api(admin_server)("GET", "/domains/xn--bcher-kva.example").status == 200
    page.get_by_role("button", name="Remove").click()
    admin.agree("Remove")
    admin.said("bücher.example was removed")


def test_unknown_addresses_of_a_domain_go_where_it_says(
    admin: Administration, admin_server: Server
) -> None:
    api = Api(admin_server)
    api("POST", "/domains", {"name": "wide.example"})
    page = admin.open("domains/wide.example")
    assert offered(admin_server, "nobody@wide.example")[0] == 550
    page.get_by_label("Catch-all").fill(PERSON)
    admin.save(PERSON, "All mail to unknown addresses of wide.example goes there")
    assert offered(admin_server, "nobody@wide.example", "Caught")[0] == 250
    assert subjects(admin_server, PERSON, "Caught") == 1
    page.get_by_label("Catch-all").fill("")
    admin.save("Mail to unknown addresses of wide.example is refused")
    assert offered(admin_server, "nobody@wide.example")[0] == 550
    page.get_by_label("Some addresses live elsewhere").check()
    page.get_by_label("Smart host for unknown addresses").fill("smtp://127.0.0.1:9")
    admin.save("smtp://127.0.0.1:9", "Unknown addresses are not refused")
    assert offered(admin_server, "nobody@wide.example")[0] == 250
    assert api.queued("nobody@wide.example")
    page.get_by_label("Some addresses live elsewhere").uncheck()
    page.get_by_label("Smart host for unknown addresses").fill("")
    admin.save("Mail to unknown addresses of wide.example is refused")
    assert offered(admin_server, "nobody@wide.example")[0] == 550


def test_sub_addresses_are_cut_where_the_domain_says_and_a_domain_is_turned_off_and_on(
    admin: Administration, admin_server: Server
) -> None:
    page = admin.open("domains/example.net")
    assert offered(admin_server, "bob+shop@example.net")[0] == 250
    page.get_by_label("Sub-addresses").fill("-")
    admin.save("From now on ada-shop@example.net reaches ada")
    assert offered(admin_server, "bob+shop@example.net")[0] == 550
    assert offered(admin_server, "bob-shop@example.net", "Cut")[0] == 250
    assert subjects(admin_server, PERSON, "Cut") == 1
    page.get_by_label("Sub-addresses").fill("")
    admin.save("What stands before the @ is one name")
    assert offered(admin_server, "bob-shop@example.net")[0] == 550
    page.get_by_label("Sub-addresses").fill("+")
    page.get_by_label("Takes mail").uncheck()
    admin.save("refused from now on")
    assert offered(admin_server, PERSON)[0] == 550
    page.get_by_label("Takes mail").check()
    admin.save("is taken again")
    assert offered(admin_server, "bob+shop@example.net")[0] == 250


def test_an_alias_leads_where_it_says_until_it_is_removed(
    admin: Administration, admin_server: Server
) -> None:
    page = admin.open("aliases")
    page.get_by_role("button", name="Add alias").click()
    admin.dialog().get_by_label("Address").fill("info@example.org")
    admin.dialog().get_by_label("Leads to").fill(f"{ADMIN}\n{PERSON}")
    admin.agree("Save")
    info = page.get_by_role("row").filter(has_text="info@example.org")
    info.wait_for()
    assert offered(admin_server, "info@example.org", "To both")[0] == 250
    assert (
        subjects(admin_server, ADMIN, "To both") == subjects(admin_server, PERSON, "To both") == 1
    )
    info.get_by_role("button", name="Change").click()
    admin.dialog().get_by_label("Leads to").fill(PERSON)
    admin.agree("Save")
    page.get_by_role("row").filter(has_text=ADMIN).wait_for(state="detached")
    assert offered(admin_server, "info@example.org", "To one")[0] == 250
    assert subjects(admin_server, ADMIN, "To one") == 0
    assert subjects(admin_server, PERSON, "To one") == 1
    page.get_by_label("Find").fill("no such alias")
    page.get_by_text("Nothing was found").wait_for()
    page.get_by_label("Find").fill("INFO")
    info.get_by_role("button", name="Remove").click()
    admin.agree("Remove")
    admin.said("info@example.org was removed")
    assert offered(admin_server, "info@example.org")[0] == 550


def test_what_an_alias_cannot_be_is_said_in_its_form(admin: Administration) -> None:
    page = admin.open("aliases")
    page.get_by_role("button", name="Add alias").click()
    admin.dialog().get_by_label("Address").fill(PERSON)
    admin.dialog().get_by_label("Leads to").fill(ADMIN)
    admin.dialog().get_by_role("button", name="Save").click()
    admin.dialog().get_by_role("alert").wait_for()
    admin.agree("Cancel")
    page.get_by_text("There is no alias").wait_for()


def test_a_group_has_members_is_turned_off_and_removed(
    admin: Administration, admin_server: Server
) -> None:
    page = admin.open("groups")
    page.get_by_role("button", name="Add group").click()
    admin.dialog().get_by_label("Address").fill("team@example.org")
    admin.dialog().get_by_label("Name").fill("The team")
    admin.dialog().get_by_label("Members").fill(PERSON)
    admin.agree("Save")
    team = page.get_by_role("row").filter(has_text="team@example.org")
    team.wait_for()
    assert offered(admin_server, "team@example.org", "To the team")[0] == 250
    assert subjects(admin_server, PERSON, "To the team") == 1
    assert subjects(admin_server, ADMIN, "To the team") == 0
    team.get_by_role("button", name="Change").click()
    admin.dialog().get_by_label("Name").fill("The whole team")
    admin.dialog().get_by_label("Members").fill(f"{PERSON}, {ADMIN}")
    admin.agree("Save")
    team.filter(has_text="The whole team").filter(has_text=ADMIN).wait_for()
    assert offered(admin_server, "team@example.org", "To more")[0] == 250
    assert subjects(admin_server, ADMIN, "To more") == 1
    team.get_by_role("button", name="Change").click()
    admin.dialog().get_by_label("Takes mail").uncheck()
    admin.agree("Save")
    team.get_by_text("off", exact=True).wait_for()
    assert offered(admin_server, "team@example.org")[0] == 550
    page.get_by_label("Find").fill("whole")
    team.get_by_role("button", name="Remove").click()
    admin.dialog().get_by_text("its members stay").wait_for()
    admin.agree("Remove")
    admin.said("team@example.org was removed")
    assert Api(admin_server)("GET", "/groups/team@example.org").status == 404


@pytest.mark.parametrize("writes", [False, True])
def test_a_key_is_shown_once_does_what_it_may_and_is_taken_back(
    admin: Administration, admin_server: Server, writes: bool
) -> None:
    page = admin.open("keys")
    page.get_by_role("button", name="Add key").click()
    admin.dialog().get_by_label("Name").fill("monitoring")
    admin.dialog().get_by_label("May change things").set_checked(writes)
    admin.dialog().get_by_role("button", name="Add").click()
    key = str(admin.dialog().locator(".secret").inner_text())
    admin.agree("Done")
    page.reload()
    row = page.get_by_role("row").filter(has_text="monitoring")
    row.wait_for()
    assert not page.get_by_text(key).count()

    def may(method: str, path: str, body: Any = None) -> int:
        return ask(admin_server, method, f"/api/v1{path}", body, key).status

    assert may("GET", "/domains") == 200
    made = may("POST", "/aliases", {"address": "by-key@example.org", "targets": [PERSON]})
    assert made == (201 if writes else 403)
    if writes:
        assert may("DELETE", "/aliases/by-key@example.org") == 200
    row.get_by_role("button", name="Remove").click()
    admin.agree("Remove")
    admin.said("monitoring was removed")
    page.get_by_text("There is no key").wait_for()
    assert may("GET", "/domains") == 401
