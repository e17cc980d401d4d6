"""One server with mail in it for all tests of a process; a browser page of its own for each test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from support.administration import ADMIN, PERSON, Administration
from support.browser import chromium, fill, missing
from support.letters import letters
from support.server import HOST, PASSWORD, Server, free_ports

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LOGINS = (
    "ada@example.org", "bob@example.net", "carol@example.org", "dora@example.org", "eve@example.org",
)  # fmt: skip
WAIT_MS = 20_000  # a busy machine is no fault

Open = Callable[..., "Page"]


@pytest.hookimpl(tryfirst=True)  # before the markers are looked at
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    why = missing()
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)
        if why and item.path.is_relative_to(here) and item.path.name != "test_budget.py":
            item.add_marker(pytest.mark.skip(reason=f"not tested in a browser: {why}"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(
        tmp_path_factory.mktemp("browser"), logins=LOGINS, protocols=("smtp", "imap", "http"),
        )  # fmt: skip
    with made:
        fill(made, LOGINS[0], letters(datetime.now(UTC)))
        yield made


@pytest.fixture(scope="session")
def far_port() -> int:
    """Where the server of far.example is, when a test has one listen."""
    return free_ports(1)[0]


@pytest.fixture(scope="session")
def admin_server(tmp_path_factory: pytest.TempPathFactory, far_port: int) -> Iterator[Server]:
    made = Server(
        tmp_path_factory.mktemp("admin"),
        logins=(ADMIN, PERSON),
        protocols=("smtp", "submissions", "imap", "http"),
        settings={
            "auth": "argon2_memory = 64\nargon2_passes = 1",
            "route": f'routes = ["far.example smtp://{HOST}:{far_port}"]',
        },
    )
    command(made, "account", "set", ADMIN, "--admin")
    with made:
        yield made


def command(server: Server, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "postillon.server.main", *words, "--config", str(server.config_file)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def own_browser(admin_server: Server) -> Iterator[Browser]:
    """After the server: while it lives the thread has an event loop."""
    yield from launched()


@pytest.fixture
def admin(own_browser: Browser, admin_server: Server) -> Iterator[Administration]:
    """An administrator, signed in."""
    opened = Administration(own_browser, admin_server)
    opened.page.locator(".admin").wait_for()
    yield opened
    opened.context.close()
    assert opened.faults == []


@pytest.fixture(scope="module")
def browser(server: Server) -> Iterator[Browser]:
    """Not for the session: while it lives the thread has an event loop; other tests want their own."""
    yield from launched()


def launched() -> Iterator[Browser]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield made
        made.close()


@pytest.fixture
def address(server: Server) -> str:
    return f"http://{server.host}:{server.port('http')}"


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Open]:
    """Opens pages that fail the test when a script of ours does; signed in unless login is ""."""
    contexts = []
    faults: list[str] = []

    def opened(
        login: str = LOGINS[0],
        *,
        width: int = 1280,
        height: int = 1600,  # what other tests have sent stands above what one looks for
        path: str = "/",
        workers: Literal["allow", "block"] = "block",
        **more: Any,
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            locale="en-GB",
            service_workers=workers,
            **more,
        )
        context.set_default_timeout(WAIT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(address + path)
        if login:
            page.get_by_label("Address").fill(login)
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("grid", name="Messages").or_(page.locator(".empty")).first.wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def page(open_page: Open) -> Page:
    """Ada's mail on a wide screen."""
    return open_page()
