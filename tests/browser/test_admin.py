"""Administration in a real browser over a real server: every page and act, first steps, phones."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.browser import AXE, chromium
from support.server import PASSWORD, Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytest.importorskip("playwright.sync_api")

ADMIN, PERSON = "ada@example.org", "bob@example.net"
PAGES = (
    "overview", "health", "domains", "domains/example.org", "accounts", f"accounts/{PERSON}",
    "aliases", "groups", "queue", f"trace/{PERSON}", "audit", "keys", "settings", "welcome",
)  # fmt: skip
WAIT_MS = 20_000
WIDE = {"width": 1280, "height": 860}


@pytest.fixture(scope="module")
def admin_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(
        tmp_path_factory.mktemp("admin"), logins=(ADMIN, PERSON), protocols=("smtp", "http"),
    )  # fmt: skip
    command(made, "account", "set", ADMIN, "--admin")
    with made:
        yield made


@pytest.fixture(scope="module")
def own_browser(admin_server: Server) -> Iterator[Browser]:
    """After the server: while it lives the thread has an event loop."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


def command(server: Server, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "postillon.server.main", *words, "--config", str(server.config_file)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


class Administration:
    """A page of a browser, signed in."""

    def __init__(self, browser: Browser, server: Server, login: str = ADMIN, **more: Any) -> None:
        self.base = f"http://{server.host}:{server.port('http')}/admin"
        self.context = browser.new_context(
            locale="en-GB",
            reduced_motion="reduce",
            **{"viewport": {"width": 1280, "height": 860}, **more},
        )
        self.context.set_default_timeout(WAIT_MS)
        self.page: Page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.goto(self.base)
        if login:
            self.page.get_by_label("Address").fill(login)
            self.page.get_by_label("Password").fill(PASSWORD)
            self.page.get_by_role("button", name="Sign in").click()

    def open(self, path: str) -> Page:
        self.page.goto(f"{self.base}#/{path}")
        self.page.locator(".admin-page h1").first.wait_for()
        return self.page

    def dialog(self) -> Any:
        return self.page.get_by_role("dialog")

    def save(self, *expected: str) -> None:
        """The form of the page, after a look at what that will do."""
        self.page.locator(".admin-page form").get_by_role("button", name="Save").first.click()
        for text in expected:
            self.dialog().get_by_text(text).first.wait_for()
        self.dialog().get_by_role("button", name="Save").click()
        self.dialog().wait_for(state="detached")
        self.said("Saved")

    def said(self, text: str) -> None:
        self.page.get_by_role("status").get_by_text(text).wait_for()


@pytest.fixture
def admin(own_browser: Browser, admin_server: Server) -> Iterator[Administration]:
    opened = Administration(own_browser, admin_server)
    opened.page.locator(".admin").wait_for()
    yield opened
    opened.context.close()
    assert opened.faults == []


def test_only_an_administrator_comes_in(own_browser: Browser, admin_server: Server) -> None:
    opened = Administration(own_browser, admin_server, PERSON)
    opened.page.get_by_text("this account is no administrator").wait_for()
    assert not opened.page.locator(".admin").count()
    opened.context.close()


def test_a_domain_is_added_its_records_shown_and_it_is_changed_and_removed(
    admin: Administration,
) -> None:
    page = admin.open("domains")
    page.get_by_role("button", name="Add domain").click()
    admin.dialog().get_by_label("Domain").fill("shop.example")
    admin.dialog().get_by_role("button", name="Add").click()
    page.get_by_text("shop.example. MX 10").first.wait_for()
    page.get_by_text("shop.example. TXT").first.wait_for()
    page.get_by_label("Catch-all").fill(PERSON)
    admin.save(PERSON, "All mail to unknown addresses of shop.example goes there")
    page.get_by_label("Catch-all").fill("")
    admin.save("Mail to unknown addresses of shop.example is refused")
    page.get_by_label("Takes mail").uncheck()
    admin.save("refused from now on")
    page.get_by_role("button", name="Look again").click()
    page.get_by_text("shop.example. MX 10").first.wait_for()
    page.get_by_role("button", name="Remove").click()
    admin.dialog().get_by_role("button", name="Remove").click()
    admin.said("shop.example was removed")


def test_an_account_is_added_changed_and_removed(admin: Administration) -> None:
    page = admin.open("accounts")
    page.get_by_role("button", name="Add account").click()
    admin.dialog().get_by_label("Address").fill("dora@example.org")
    admin.dialog().get_by_role("button", name="Add").click()
    assert len(admin.dialog().locator(".secret").inner_text()) > 15
    admin.dialog().get_by_role("button", name="Done").click()
    page.get_by_role("heading", name="dora@example.org").wait_for()
    page.get_by_label("Name").fill("Dora")
    page.get_by_label("Room for mail (MB)").fill("500")
    admin.save("Dora", "500 MB")
    page.get_by_text("of 500 MB").first.wait_for()
    page.get_by_role("button", name="Add address").click()
    admin.dialog().get_by_label("Address").fill("d@example.org")
    admin.dialog().get_by_role("button", name="Save").click()
    second = page.get_by_role("listitem").filter(has_text="d@example.org").filter(
        has=page.get_by_role("button", name="Remove")
    )  # fmt: skip
    second.get_by_role("button", name="Remove").click()
    admin.dialog().get_by_text("Mail to d@example.org is refused then").wait_for()
    admin.dialog().get_by_role("button", name="Remove").click()
    admin.said("d@example.org was removed")
    page.get_by_role("button", name="Share a mailbox").click()
    admin.dialog().get_by_label("Who").fill(PERSON)
    admin.dialog().get_by_role("button", name="Save").click()
    page.get_by_role("row").filter(has_text=PERSON).get_by_role("button", name="Remove").click()
    admin.dialog().get_by_text(f"{PERSON} no longer sees INBOX").wait_for()
    admin.dialog().get_by_role("button", name="Stop sharing").click()
    page.get_by_text("Nothing is shared").wait_for()
    page.get_by_role("button", name="Remove", exact=True).first.click()
    admin.dialog().get_by_label("Type the login to confirm").fill("dora@example.org")
    admin.dialog().get_by_role("button", name="Remove").click()
    admin.said("dora@example.org was removed")


def test_nothing_changes_before_it_was_shown_and_agreed_to(admin: Administration) -> None:
    page = admin.open(f"accounts/{PERSON}")
    page.get_by_label("Takes mail and may sign in").uncheck()
    page.get_by_role("button", name="Save").click()
    admin.dialog().get_by_text(f"nobody signs in as {PERSON}").wait_for()
    admin.dialog().get_by_role("button", name="Cancel").click()
    page = admin.open("accounts")
    row = page.get_by_role("row").filter(has_text=PERSON)
    row.get_by_text("on", exact=True).wait_for()
    row.get_by_role("link").click()
    page.get_by_label("Takes mail and may sign in").uncheck()
    admin.save(f"nobody signs in as {PERSON}")
    page = admin.open("accounts")
    row.get_by_text("off", exact=True).wait_for()
    row.get_by_role("link").click()
    page.get_by_label("Takes mail and may sign in").check()
    admin.save(f"{PERSON} may sign in")
    page.locator(".admin-page form").get_by_role("button", name="Save").click()
    admin.dialog().get_by_text("Nothing is different").wait_for()
    assert admin.dialog().get_by_role("button", name="Save").is_disabled()


def test_a_password_is_set_and_every_session_ended(
    admin: Administration, own_browser: Browser, admin_server: Server
) -> None:
    elsewhere = own_browser.new_context()
    elsewhere.request.post(
        admin.base.replace("/admin", "/auth/session"), data={"login": PERSON, "password": PASSWORD}
    )
    page = admin.open(f"accounts/{PERSON}")
    page.get_by_role("button", name="Sign out everywhere").click()
    admin.dialog().get_by_text("has to sign in again").wait_for()
    admin.dialog().get_by_role("button", name="Sign out everywhere").click()
    page.get_by_text("0 open sessions").wait_for()
    assert elsewhere.request.post(
        admin.base.replace("/admin", "/auth/session/refresh"), data={}
    ).status in (204, 401)
    page.get_by_role("button", name="Set password").click()
    admin.dialog().get_by_label("Choose the password myself").check()
    admin.dialog().get_by_label("Password", exact=True).fill(PASSWORD)
    admin.dialog().get_by_role("button", name="Save").click()
    admin.dialog().wait_for(state="detached")
    elsewhere.close()


def test_a_message_is_followed_by_a_part_of_an_address(admin: Administration) -> None:
    page = admin.open("welcome")
    page.get_by_label("Address").fill(PERSON)
    page.get_by_role("button", name="Send").click()
    admin.said("The test message is on its way")
    page = admin.open("trace")
    page.get_by_label("Address, Message-ID or id").fill(PERSON.partition("@")[0])
    page.keyboard.press("Enter")
    story = page.locator(".story").filter(has_text=PERSON).first
    story.get_by_text("delivered", exact=True).first.wait_for()
    if story.get_attribute("open") is None:
        story.locator("summary").click()
    story.get_by_text("delivered here").wait_for()


def test_what_is_wrong_comes_with_its_remedy(admin: Administration) -> None:
    page = admin.open("overview")
    page.locator(".banner").first.click()
    page.get_by_role("heading", name="Health", level=1).wait_for()
    wrong = page.get_by_role("listitem").filter(has_text="example.org. has no MX record")
    wrong.get_by_text("publish: example.org. MX 10").wait_for()
    page.get_by_role("button", name="Look again").click()
    wrong.get_by_role("link", name="example.org").click()
    page.get_by_role("heading", name="example.org", exact=True, level=1).wait_for()


def test_charts_show_the_time_that_is_chosen(admin: Administration) -> None:
    page = admin.open("overview")
    chart = page.get_by_role("figure").filter(has=page.get_by_role("heading", name="Sign-ins"))
    chart.wait_for()
    with page.expect_response(lambda answer: "minutes=1440" in answer.url):
        page.get_by_text("Day", exact=True).click()
    chart.get_by_text("Signed in").wait_for()


def test_a_setting_is_found_by_what_it_is_for(admin: Administration) -> None:
    page = admin.open("settings")
    page.get_by_label("Find").fill("smart")
    page.get_by_role("row").filter(has_text="route.smarthost").wait_for()
    page.get_by_role("row").filter(has_text="server.hostname").wait_for(state="detached")


def test_what_is_refused_is_said_where_it_was_asked(admin: Administration) -> None:
    page = admin.open("accounts")
    page.get_by_role("button", name="Add account").click()
    admin.dialog().get_by_label("Address").fill("x@elsewhere.example")
    admin.dialog().get_by_role("button", name="Add").click()
    admin.dialog().get_by_role("alert").get_by_text("is not a domain of this server").wait_for()


def test_accounts_are_found_by_a_part_of_their_name(admin: Administration) -> None:
    page = admin.open("accounts")
    page.get_by_label("Login or name").fill("bob")
    page.get_by_role("row").filter(has_text=ADMIN).wait_for(state="detached")
    found = page.get_by_role("row").filter(has_text=PERSON)
    found.wait_for()
    assert found.count() == 1


def test_aliases_and_groups_are_kept(admin: Administration) -> None:
    page = admin.open("aliases")
    page.get_by_role("button", name="Add alias").click()
    admin.dialog().get_by_label("Address").fill("info@example.org")
    admin.dialog().get_by_label("Leads to").fill(f"{ADMIN}\n{PERSON}")
    admin.dialog().get_by_role("button", name="Save").click()
    info = page.get_by_role("row").filter(has_text="info@example.org")
    info.get_by_role("button", name="Change").click()
    admin.dialog().get_by_label("Leads to").fill(PERSON)
    admin.dialog().get_by_role("button", name="Save").click()
    page.get_by_role("row").filter(has_text=ADMIN).wait_for(state="detached")
    info.get_by_role("button", name="Remove").click()
    admin.dialog().get_by_role("button", name="Remove").click()
    admin.said("info@example.org was removed")
    page = admin.open("groups")
    page.get_by_role("button", name="Add group").click()
    admin.dialog().get_by_label("Address").fill("team@example.org")
    admin.dialog().get_by_label("Members").fill(PERSON)
    admin.dialog().get_by_role("button", name="Save").click()
    page.get_by_role("row").filter(has_text="team@").get_by_role("button", name="Remove").click()
    admin.dialog().get_by_role("button", name="Remove").click()
    admin.said("team@example.org was removed")


def test_mail_in_the_queue_is_seen_held_released_and_dropped_with_a_look_before(
    admin: Administration,
) -> None:
    page = admin.open("welcome")
    page.get_by_label("Address").fill("far@remote.example")
    page.get_by_role("button", name="Send").click()
    admin.said("The test message is on its way")
    page.get_by_role("link", name="See what became of it").click()
    page.get_by_text("far@remote.example").first.wait_for()
    page = admin.open("queue")
    messages = page.locator("section").filter(has=page.get_by_role("heading", name="Messages"))
    messages.get_by_role("link").first.click()
    page.get_by_role("button", name="Hold").click()
    admin.dialog().get_by_text("It is not tried until somebody releases it").wait_for()
    admin.dialog().get_by_role("button", name="Hold").click()
    admin.said("Done for one recipient")
    page.get_by_role("button", name="Release").click()
    admin.dialog().get_by_role("button", name="Release").click()
    admin.said("Done for one recipient")
    page.get_by_role("button", name="Drop").click()
    admin.dialog().get_by_text("far@remote.example").first.wait_for()
    admin.dialog().get_by_role("button", name="Drop").click()
    admin.said("Done for one recipient")


def test_what_was_done_is_in_the_log(admin: Administration) -> None:
    admin.open("aliases")
    command_page = admin.open("audit")
    command_page.get_by_role("row").filter(has_text="Account changed").first.wait_for()
    command_page.get_by_label("Who, what or to whom").fill("domain.")
    command_page.keyboard.press("Enter")
    command_page.get_by_role("row").filter(has_text="Account changed").first.wait_for(
        state="detached"
    )


def test_a_key_is_shown_once_and_taken_back(admin: Administration) -> None:
    page = admin.open("keys")
    page.get_by_role("button", name="Add key").click()
    admin.dialog().get_by_label("Name").fill("monitoring")
    admin.dialog().get_by_role("button", name="Add").click()
    assert admin.dialog().locator(".secret").inner_text()
    admin.dialog().get_by_role("button", name="Done").click()
    page.get_by_role("row").filter(has_text="monitoring").get_by_role(
        "button", name="Remove"
    ).click()
    admin.dialog().get_by_role("button", name="Remove").click()
    admin.said("monitoring was removed")


def test_language_and_appearance_are_chosen(admin: Administration) -> None:
    admin.page.get_by_role("button", name="Appearance and language").click()
    admin.page.get_by_role("menuitemcheckbox", name="Deutsch").click()
    admin.page.get_by_role("heading", name="Überblick").wait_for()


def test_signing_out_ends_it(admin: Administration) -> None:
    admin.page.get_by_role("button", name="Sign out").click()
    admin.page.get_by_label("Password").wait_for()
    admin.page.reload()
    admin.page.get_by_label("Password").wait_for()


def test_the_first_administrator_is_made_in_the_browser(
    own_browser: Browser, tmp_path: Path
) -> None:
    with Server(tmp_path, logins=(), protocols=("http",), populate=False) as server:
        opened = Administration(own_browser, server, "")
        page = opened.page
        page.get_by_label("Code").fill("not-this-one")
        page.get_by_label("Your domain").fill("example.net")
        page.get_by_label("Your name there").fill("root")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Set up").click()
        page.get_by_role("alert").wait_for()
        page.get_by_label("Code").fill((server.data / "run" / "setup-code").read_text().strip())
        page.get_by_role("button", name="Set up").click()
        page.get_by_role("heading", name="Your server runs").wait_for()
        page.get_by_text("example.net. MX 10").first.wait_for()
        assert not (server.data / "run" / "setup-code").exists()
        assert opened.faults == []
        opened.context.close()


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(
    own_browser: Browser, admin_server: Server, scheme: Any
) -> None:
    from browser.test_accessible import findings

    opened = Administration(own_browser, admin_server, color_scheme=scheme)
    opened.page.locator(".admin").wait_for()
    for path in PAGES:
        page = opened.open(path)
        page.locator(".spinner").first.wait_for(state="detached")
        assert findings(page) == [], path
    opened.context.close()


def test_nothing_lies_outside_a_phone(own_browser: Browser, admin_server: Server) -> None:
    opened = Administration(own_browser, admin_server, viewport={"width": 390, "height": 844})
    opened.page.locator(".admin").wait_for()
    for path in PAGES:
        page = opened.open(path)
        page.locator(".spinner").first.wait_for(state="detached")
        wide = page.evaluate("document.querySelector('.admin-page').scrollWidth")
        assert wide <= 390, path
    opened.page.get_by_role("button", name="Administration").click()
    opened.page.get_by_role("navigation").get_by_role("link", name="Queue").click()
    opened.page.get_by_role("heading", name="Queue", level=1).wait_for()
    opened.context.close()
