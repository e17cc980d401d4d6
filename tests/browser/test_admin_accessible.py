"""axe-core finds nothing serious in a dialog of the administration, which keys alone can use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from browser.test_accessible import findings
from browser.test_accessible_dialogs import close
from support.administration import ADMIN, PERSON, Administration, Api, submitted
from support.browser import AXE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from support.server import Server

pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed")
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
# Where a dialog is opened in the administration, and by which of its buttons.
DIALOGS = (
    ("domains", "Add domain"), ("domains/example.org", "Remove"), ("accounts", "Add account"),
    (f"accounts/{PERSON}", "Remove"), (f"accounts/{PERSON}", "Save"), (f"accounts/{PERSON}", "Rename"),
    (f"accounts/{PERSON}", "Add address"), (f"accounts/{PERSON}", "Set password"),
    (f"accounts/{PERSON}", "Share a mailbox"), ("aliases", "Add alias"), ("groups", "Add group"),
    ("queue", "Reroute"), ("queue", "Return"), ("keys", "Add key"),
)  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dialogs_of_the_administration(
    own_browser: Browser, admin_server: Server, scheme: Any
) -> None:
    submitted(admin_server, PERSON, f"{scheme}@remote.example", "Waits")
    opened = Administration(own_browser, admin_server, color_scheme=scheme)
    opened.page.locator(".admin").wait_for()
    for path, button in DIALOGS:
        page = opened.open(path)
        page.get_by_role("button", name=button, exact=True).first.click()
        close(page)
    opened.context.close()


def test_the_drawer_and_the_menu_of_the_administration(
    own_browser: Browser, admin_server: Server
) -> None:
    opened = Administration(own_browser, admin_server, **PHONE)
    page = opened.page
    page.get_by_role("button", name="Appearance and language").click()
    assert findings(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Administration").click()
    page.get_by_role("dialog", name="Administration").wait_for()
    close(page)
    opened.context.close()


def test_an_alias_is_made_and_removed_by_keyboard_alone(
    admin: Administration, admin_server: Server
) -> None:
    """From the address bar: past the menu, into the page, through its form, and out again."""
    page = admin.open("aliases")
    page.get_by_role("button", name="Add alias").wait_for()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    reach(page, "Add alias")
    page.keyboard.press("Enter")
    admin.dialog().wait_for()
    page.keyboard.type("keys@example.org")
    page.keyboard.press("Tab")
    page.keyboard.type(ADMIN)
    reach(page, "Save")
    page.keyboard.press("Enter")
    admin.dialog().wait_for(state="detached")
    page.get_by_role("row").filter(has_text="keys@example.org").wait_for()
    assert Api(admin_server)("GET", "/aliases/keys@example.org")["targets"] == [ADMIN]
    assert page.evaluate("document.activeElement.textContent").strip() == "Add alias"  # back
    reach(page, "Remove")
    page.keyboard.press("Enter")
    admin.dialog().wait_for()
    reach(page, "Remove")
    page.keyboard.press("Enter")
    admin.said("keys@example.org was removed")
    assert Api(admin_server)("GET", "/aliases/keys@example.org").status == 404


def reach(page: Page, text: str) -> None:
    """Press Tab until what has the focus says so, and shows that it has it."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").strip() == text:
            outline = "getComputedStyle(document.activeElement).outlineStyle"
            assert page.evaluate(outline) != "none"
            return
    raise AssertionError(f"{text} is not reached by Tab")
