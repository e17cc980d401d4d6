"""The queue in the administration: every verb, for one message, a destination and all of it."""

from __future__ import annotations

import email
import email.policy
from typing import Any

import pytest

from support.administration import (
    PERSON,
    ROUNDS,
    Administration,
    Api,
    elsewhere,
    submitted,
)
from support.browser import imap
from support.server import HOST, Server, free_ports

pytest.importorskip("playwright.sync_api")


def waiting(server: Server, name: str, domain: str = "remote.example") -> tuple[str, str]:
    """The address and id of a new message that waits; its subject is the name."""
    to = f"{name}@{domain}"
    submitted(server, PERSON, to, name)
    return to, Api(server).queued(to)


def message(server: Server, number: str) -> Any:
    """How one that waits stands; None when it waits no more."""
    found = Api(server)("GET", f"/queue/messages/{number}")
    return found["message"] if found.status == 200 else None


def arrives(received: list[Any], subject: str) -> bool:
    """Whether a message comes to another server, which is looked at until it does."""
    wanted = f"Subject: {subject}\r\n".encode()
    return any(wanted in content for _, _, content in received)


def report(server: Server, about: str) -> str:
    """The report about an address in the sender's inbox, once it is there."""
    with imap(server, PERSON) as client:
        for _ in range(ROUNDS):
            client.select("INBOX", readonly=True)
            [found] = client.search(None, f'TEXT "{about}"', 'HEADER "Content-Type" "report"')[1]
            if found:
                octets: Any = client.fetch(found.split()[-1].decode(), "(BODY.PEEK[])")[1][0]
                made = email.message_from_bytes(octets[1], policy=email.policy.default)
                return "\n".join(
                    str(part) if part.get_content_maintype() == "message" else part.get_content()
                    for part in made.walk()
                    if part.get_content_type() in ("text/plain", "message/delivery-status")
                )
    return ""


def reports(server: Server, about: str) -> int:
    with imap(server, PERSON) as client:
        client.select("INBOX", readonly=True)
        found = client.search(None, f'TEXT "{about}"', 'HEADER "Content-Type" "report"')[1]
        return len(found[0].split())


def order(admin: Administration, verb: str, within: Any = None) -> Any:
    """Press a verb and give the dialog, when it has said what will be done."""
    (within or admin.page).get_by_role("button", name=verb, exact=True).click()
    admin.dialog().get_by_text("Recipients", exact=True).first.wait_for()
    return admin.dialog()


def test_a_message_is_held_and_released(admin: Administration, admin_server: Server) -> None:
    to, number = waiting(admin_server, "held")
    page = admin.open("queue")
    page.get_by_role("link", name=number).click()
    page.get_by_role("group", name="All mail in the queue").wait_for(state="detached")
    order(admin, "Hold").get_by_text("It is not tried until somebody releases it").wait_for()
    admin.agree("Cancel")
    assert message(admin_server, number)["held"] == ""
    order(admin, "Hold").get_by_text(to).first.wait_for()
    admin.agree("Hold")
    admin.said("Done for one recipient")
    page.get_by_role("button", name="Release").wait_for()
    assert message(admin_server, number)["held"] == "held"
    order(admin, "Release")
    admin.agree("Release")
    page.get_by_role("button", name="Hold").wait_for()
    assert message(admin_server, number)["held"] == ""


def test_a_message_is_returned_with_words_of_ones_own(
    admin: Administration, admin_server: Server
) -> None:
    to, number = waiting(admin_server, "returned")
    admin.open(f"queue/{number}")
    dialog = order(admin, "Return")
    dialog.get_by_text(f"One report, to {PERSON}").wait_for()
    dialog.get_by_label("Your words in the report").fill("That company has closed.")
    admin.agree("Return")
    admin.said("Done for one recipient")
    assert message(admin_server, number) is None
    told = report(admin_server, to)
    assert "That company has closed." in told
    assert "Action: failed" in told


def test_a_message_is_given_up_as_at_the_end_of_its_time(
    admin: Administration, admin_server: Server
) -> None:
    to, number = waiting(admin_server, "expired")
    admin.open(f"queue/{number}")
    order(admin, "Give up")
    admin.agree("Give up")
    admin.said("Done for one recipient")
    assert message(admin_server, number) is None
    told = report(admin_server, to)
    assert "Action: failed" in told
    assert "Status: 4.4.7" in told or "Status: 5.4.7" in told


def test_a_message_is_dropped_and_nobody_is_told(
    admin: Administration, admin_server: Server
) -> None:
    to, number = waiting(admin_server, "dropped")
    page = admin.open(f"queue/{number}")
    order(admin, "Drop").get_by_text("nobody is told").wait_for()
    admin.agree("Drop")
    page.get_by_role("heading", name="Queue", level=1).wait_for()
    assert message(admin_server, number) is None
    page = admin.open(f"trace/{number}")
    page.get_by_text("dropped by an administrator").wait_for()
    assert reports(admin_server, to) == 0


def test_a_message_is_sent_another_way(admin: Administration, admin_server: Server) -> None:
    _, number = waiting(admin_server, "rerouted")
    [port] = free_ports(1)
    admin.open(f"queue/{number}")
    dialog = order(admin, "Reroute")
    dialog.get_by_label("By way of").fill("not a host!")
    dialog.get_by_role("button", name="Reroute").click()
    dialog.get_by_role("alert").wait_for()
    with elsewhere(port) as remote:
        dialog.get_by_label("By way of").fill(f"{HOST}:{port}")
        admin.agree("Reroute")
        admin.said("Done for one recipient")
        gone(admin_server, number)
        assert arrives(remote.messages, "rerouted")


def until_shown(page: Any, row: Any) -> None:
    """The page looks again by itself, but only every few seconds."""
    for _ in range(ROUNDS):
        page.reload()
        page.get_by_role("heading", name="Messages", exact=True).wait_for()
        page.locator(".spinner").first.wait_for(state="detached")
        if row.count():
            return
    raise AssertionError(page.locator(".admin-page").inner_text())


def gone(server: Server, number: str) -> None:
    """Ask until it waits no more."""
    assert any(message(server, number) is None for _ in range(10 * ROUNDS))


def test_a_destination_that_is_down_is_tried_at_once(
    admin: Administration, admin_server: Server, far_port: int
) -> None:
    _, number = waiting(admin_server, "tried", "far.example")
    page = admin.open("queue")
    row = page.get_by_role("row").filter(has_text=str(far_port)).filter(has_text="down")
    until_shown(page, row)
    with elsewhere(far_port) as remote:
        order(admin, "Try now", row).get_by_text("is probed at once").wait_for()
        admin.agree("Try now")
        gone(admin_server, number)
        assert arrives(remote.messages, "tried")
    page.reload()
    page.get_by_role("heading", name="Messages", exact=True).wait_for()
    row.wait_for(state="detached")


def test_a_destination_is_held_as_a_whole_and_let_go(
    admin: Administration, admin_server: Server, far_port: int
) -> None:
    _, number = waiting(admin_server, "line", "far.example")
    page = admin.open("queue")
    row = page.get_by_role("row").filter(has_text=str(far_port))
    order(admin, "Hold", row).get_by_text("as a whole, also mail that comes later").wait_for()
    admin.agree("Hold")
    row.get_by_text("held until somebody releases it").wait_for()
    with elsewhere(far_port) as remote:
        _, later = waiting(admin_server, "later", "far.example")
        assert message(admin_server, later)["recipients"][0]["line"]["held"]
        assert not remote.messages
        page.reload()
        order(admin, "Release", row)
        admin.agree("Release")
        gone(admin_server, number)
        gone(admin_server, later)
        assert arrives(remote.messages, "line")
        assert arrives(remote.messages, "later")


def test_a_destination_is_rerouted_and_returned(
    admin: Administration, admin_server: Server, far_port: int
) -> None:
    [port] = free_ports(1)
    _, number = waiting(admin_server, "around", "far.example")
    page = admin.open("queue")
    row = page.get_by_role("row").filter(has_text=str(far_port))
    with elsewhere(port) as remote:
        order(admin, "Reroute", row).get_by_label("By way of").fill(f"{HOST}:{port}")
        admin.agree("Reroute")
        gone(admin_server, number)
        assert arrives(remote.messages, "around")
    to, number = waiting(admin_server, "back", "far.example")
    page.reload()
    order(admin, "Return", row)
    admin.agree("Return")
    gone(admin_server, number)
    assert "Action: failed" in report(admin_server, to)


def test_messages_are_found_and_all_of_them_held_released_and_dropped(
    admin: Administration, admin_server: Server
) -> None:
    numbers = [waiting(admin_server, f"all-{n}")[1] for n in range(2)]
    page = admin.open("queue")
    page.get_by_role("link", name=numbers[0]).wait_for()
    page.get_by_label("Address, domain or server").fill("all-1@remote.example")
    page.keyboard.press("Enter")
    page.get_by_role("link", name=numbers[0]).wait_for(state="detached")
    page.get_by_role("link", name=numbers[1]).wait_for()
    page.get_by_label("Address, domain or server").fill("")
    page.get_by_role("link", name=numbers[0]).wait_for()
    everything = page.get_by_role("group", name="All mail in the queue")
    order(admin, "Hold", everything)
    admin.agree("Hold")
    assert all(message(admin_server, number)["held"] == "held" for number in numbers)
    order(admin, "Release", everything)
    admin.agree("Release")
    assert all(message(admin_server, number)["held"] == "" for number in numbers)
    order(admin, "Drop", everything)
    admin.agree("Drop")
    page.get_by_text("Nothing waits").first.wait_for()
    assert all(message(admin_server, number) is None for number in numbers)
    admin.page.get_by_role("button", name="Hold").first.click()
    admin.dialog().get_by_text("There is nothing to do").wait_for()
    assert admin.dialog().get_by_role("button", name="Hold").is_disabled()
