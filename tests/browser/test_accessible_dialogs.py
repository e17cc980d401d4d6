"""axe-core finds nothing serious in any dialog, menu or drawer of the web mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from browser.test_accessible import findings
from browser.test_settings import settings
from support.browser import AXE
from support.server import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from browser.conftest import Open

pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed")
BOB = "bob@example.net"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dialogs_of_the_settings_and_of_folders(open_page: Open, scheme: str) -> None:
    page = open_page(color_scheme=scheme, reduced_motion="reduce")
    page.get_by_role("button", name="New folder", exact=True).click()
    close(page)
    page.get_by_role("link", name="Receipts").hover()
    page.get_by_role("button", name="Actions for Receipts").click()
    assert findings(page) == []
    page.get_by_role("menuitem", name="Move folder").click()
    close(page)
    page.get_by_role("row").filter(has_text="Photographs from the observatory").click()
    page.get_by_role("heading", level=1, name="Photographs").wait_for()
    for name in ("Show source", "Show headers", "Why is this here?"):
        page.locator("article.message").get_by_role("button", name="More").click()
        page.get_by_role("menuitem", name=name).click()
        close(page)
    settings(page, "Names and signatures")
    page.get_by_role("button", name="Edit").first.click()
    assert findings(page) == []
    settings(page, "Password and sign-in")
    card = page.locator("section.card", has_text="Two-step sign-in")
    card.get_by_label("Current password").fill(PASSWORD)
    card.get_by_role("button", name="Set up").click()
    card.locator(".qr").wait_for()
    assert findings(page) == []
    settings(page, "App passwords")
    page.get_by_label("Name").fill(f"Seen in {scheme}")
    page.get_by_role("button", name="Create").click()
    page.locator(".made").wait_for()
    assert findings(page) == []
    line = page.locator(".card.line", has_text=f"Seen in {scheme}")
    line.get_by_role("button", name="Delete").click()
    close(page)


def close(page: Page) -> None:
    """Look at the dialog that is open, and leave it by key."""
    page.get_by_role("dialog").wait_for()
    assert findings(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")


def test_the_drawer_and_the_settings_of_a_phone(open_page: Open) -> None:
    page = open_page(BOB, width=390, height=844, has_touch=True, reduced_motion="reduce")
    page.get_by_role("button", name="Mailboxes").click()
    close(page)
    for name in ("general", "identities", "vacation", "security", "apps", "sessions", "storage"):
        page.goto(page.url.split("#")[0] + f"#/settings/{name}")
        page.locator(".settings-page h1").wait_for()
        here = page.get_by_role("navigation", name="Settings").locator("[aria-current]")
        box = here.bounding_box()
        assert box is not None
        assert box["x"] >= 0, name
        assert box["x"] + box["width"] <= 390, name
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
