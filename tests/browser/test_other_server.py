"""The client of one server before another JMAP server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.browser import imap, put, text_letter
from support.server import PASSWORD, Server

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from browser.conftest import Open

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
ADA, ZOE = "ada@example.org", "zoe@example.net"


@pytest.fixture(scope="session")  # before the browser, whose thread has an event loop
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(
        tmp_path_factory.mktemp("other"), logins=(ZOE,), protocols=("imap", "http")
    )  # fmt: skip
    with made:
        with imap(made, ZOE) as client:
            put(client, text_letter("Mail of the other server"))
        yield made


@pytest.fixture(scope="session")
def allowing(other: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose administrator has named the other one."""
    folder: Path = tmp_path_factory.mktemp("allowing")
    origin = f"http://{other.host}:{other.port('http')}"
    settings = {"http": f'other_servers = ["{origin}"]'}
    with Server(folder, logins=(ADA,), protocols=("http",), settings=settings) as made:
        yield made


def sign_in(page: Page, at: Server, other: Server) -> None:
    session = f"http://{other.host}:{other.port('http')}/.well-known/jmap"
    page.goto(f"http://{at.host}:{at.port('http')}/?server={session}")
    expect(page.get_by_text(f"{other.host}:{other.port('http')}")).to_be_visible()
    page.get_by_label("Address").fill(ZOE)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_mail_of_a_server_that_the_administrator_has_named_is_read_and_changes_as_it_comes(
    open_page: Open, allowing: Server, other: Server
) -> None:
    page = open_page("")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    sign_in(page, allowing, other)
    page.get_by_role("row").filter(has_text="Mail of the other server").click()
    expect(page.frame_locator("iframe.paper").locator("body")).to_contain_text("Just this.")
    with imap(other, ZOE) as client:
        put(client, text_letter("Pushed by the other server"))
    expect(page.get_by_role("row").filter(has_text="Pushed by the other server")).to_be_visible()
    own = f"http://{allowing.host}:{allowing.port('http')}"
    assert not [url for url in asked if url.startswith((f"{own}/jmap", f"{own}/.well-known"))]


def test_a_link_cannot_send_a_password_to_a_server_that_nobody_has_named(
    open_page: Open, server: Server, other: Server
) -> None:
    page = open_page("")
    reached: list[str] = []
    page.on("response", lambda answer: reached.append(answer.url))
    sign_in(page, server, other)
    expect(page.get_by_role("alert")).to_contain_text("this page may not talk to it")
    assert not [
        url for url in reached if url.startswith(f"http://{other.host}:{other.port('http')}")
    ]
