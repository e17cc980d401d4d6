"""axe-core finds nothing serious on any view, light and dark, wide and narrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.browser import AXE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from browser.conftest import Open

pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed")

SETTINGS = ("general", "identities", "rules", "vacation", "security", "apps", "sessions", "storage")
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


def findings(page: Page) -> list[str]:
    """What axe says, but for the inside of messages, which is their senders' own."""
    page.wait_for_function("document.getAnimations().length === 0 || true")
    page.evaluate(AXE.read_text())  # not as an element: the page's policy runs no foreign script
    found = page.evaluate(
        """() => axe.run({exclude: [['iframe.paper']]}, {iframes: false,
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"""
    )
    return [
        f"{item['impact']}: {item['id']}: {item['nodes'][0]['html'][:160]}"
        f" {item['nodes'][0]['failureSummary'][:200]}"
        for item in found["violations"]
        if item["impact"] in ("serious", "critical", "moderate")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_reading_and_writing(open_page: Open, scheme: str, size: dict[str, int]) -> None:
    page = open_page(**size, color_scheme=scheme, reduced_motion="reduce")
    assert findings(page) == []
    page.get_by_role("row").filter(has_text="Invoice 2026-1143").click()
    page.get_by_role("heading", level=1, name="Invoice").wait_for()
    assert findings(page) == []
    page.get_by_role("button", name="Reply", exact=True).last.click()
    page.get_by_role("textbox", name="Text of the message").wait_for()
    assert findings(page) == []


def test_signing_in_searching_menus_and_help(open_page: Open) -> None:
    page = open_page("", reduced_motion="reduce")
    page.get_by_label("Password").wait_for()
    assert findings(page) == []
    page = open_page(reduced_motion="reduce")
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    assert findings(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.get_by_role("listbox", name="Suggestions").first.wait_for()
    assert findings(page) == []
    page.keyboard.press("Escape")
    page.locator(".row").first.get_by_role("checkbox").click()
    page.get_by_role("toolbar", name="Selection").get_by_role("button", name="More").click()
    assert findings(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_settings(open_page: Open, scheme: str) -> None:
    page = open_page(color_scheme=scheme, reduced_motion="reduce")
    for name in SETTINGS:
        page.goto(page.url.split("#")[0] + f"#/settings/{name}")
        page.locator(".settings-page h1").wait_for()
        page.locator(".settings-page .card").first.wait_for()
        assert findings(page) == [], name


def test_everything_is_reached_by_keyboard(open_page: Open) -> None:
    """The way from the address bar to the list, a message and its reply, without a pointer."""
    page = open_page()
    page.locator(".row:not(.loading)").first.wait_for()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "grid"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator("article.message").first.wait_for()
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.textContent.trim()"))
        if "Reply" in seen:
            break
    assert "Reply" in seen
