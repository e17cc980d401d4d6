"""Mail that wants to run, to lead away or to ask: nothing runs, nothing leaves, the page stays whole.

The collection lies in `hostile/`. In each, {OUTSIDE} is a server that listens, so that a request which
got out would arrive; what it holds that can run sets `top.__ran`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from support.browser import html_letter, imap, put

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from browser.conftest import Open
    from support.server import Server

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

CAROL = "carol@example.org"
SAMPLES = sorted((Path(__file__).parent / "hostile").glob("*.html"))
DEEP = {
    "deep": "<p>Visible words</p>" + "<div>" * 20_000 + "x",
    "wide_table": "<p>Visible words</p><table border=1>"
    + "<tr>" * 400 + ("<td>" + "w" * 50) * 400 + "</table>",
    "tall": "<p>Visible words</p><div style='height:99999999px'>x</div><hr width=99999999>",
    "many": "<p>Visible words</p>" + "<b><i>x</i></b>" * 60_000,
}  # fmt: skip


class Outside(ThreadingHTTPServer):
    """Notes every request that arrives."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Asked(BaseHTTPRequestHandler):
    server: Outside

    def _any(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        self.send_response(200)
        self.end_headers()

    do_GET = do_POST = do_HEAD = do_OPTIONS = _any

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    with Outside() as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def delivered(server: Server, outside: Outside) -> None:
    with imap(server, CAROL) as client:
        for path in SAMPLES:
            html = path.read_text().replace("{OUTSIDE}", outside.address)
            put(client, html_letter(path.stem, html.replace("{PORT}", str(outside.server_port))))
        for name, html in DEEP.items():
            put(client, html_letter(name, html))


class Watch:
    """What a page did while a message was open."""

    def __init__(self, page: Page, own: str) -> None:
        self.page, self.own = page, own
        self.requests: list[str] = []
        self.windows: list[object] = []
        page.context.on("request", lambda request: self.requests.append(request.url))
        page.context.on("page", lambda opened: self.windows.append(opened))
        page.on("dialog", lambda dialog: (self.windows.append(dialog), dialog.dismiss()))

    def assert_quiet(self, outside: Outside, known: int) -> None:
        elsewhere = [
            url for url in self.requests
            if not url.startswith((self.own, "blob:" + self.own, "data:"))
        ]  # fmt: skip
        assert elsewhere == []
        paths = {urlsplit(url).path for url in self.requests if url.startswith(self.own)}
        allowed = ("/assets/", "/jmap/api", "/jmap/eventsource", "/auth/session/refresh")
        shell = ("/", "/paper.html", "/sw.js", "/icon.svg", "/manifest.webmanifest")
        assert {
            path for path in paths if path not in shell and not path.startswith(allowed)
        } == set()
        assert outside.asked[known:] == []
        assert self.windows == []
        assert self.page.evaluate("window.__ran") is None


@pytest.fixture(scope="module")
def quiet_page(server: Server, browser: object) -> Iterator[Page]:
    from support.server import PASSWORD

    address = f"http://{server.host}:{server.port('http')}"
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")  # type: ignore[attr-defined]
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.goto(address)
    page.get_by_label("Address").fill(CAROL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("grid", name="Messages").wait_for()
    yield page
    context.close()


def show(page: Page, subject: str) -> None:
    page.locator(".row").first.wait_for()
    page.keyboard.press("/")
    page.get_by_role("combobox", name="Search mail").fill(f"subject:{subject}")
    page.keyboard.press("Enter")
    page.locator(".row", has_text=subject).first.click()
    expect(page.get_by_role("heading", level=1, name=subject)).to_be_visible()


@pytest.mark.parametrize("name", [path.stem for path in SAMPLES])
def test_nothing_runs_and_nothing_leaves(
    delivered: None, quiet_page: Page, outside: Outside, server: Server, name: str
) -> None:
    page = quiet_page
    watch = Watch(page, f"http://{server.host}:{server.port('http')}")
    known = len(outside.asked)
    show(page, name)
    text = page.frame_locator("iframe.paper").locator("body")
    expect(text).to_contain_text("Visible words")
    frame = page.frames[-1]
    # What a reader does: the pointer over everything, a click on whatever can be clicked.
    page.mouse.move(800, 400)
    frame.evaluate(
        """() => document.querySelectorAll("a:not([href^='http'])").forEach(one => one.click())"""
    )
    found = frame.evaluate(
        """() => ({
          url: location.href,
          tags: [...new Set([...document.body.querySelectorAll('*')].map(one => one.localName))],
          handlers: [...document.body.querySelectorAll('*')].flatMap(one =>
            [...one.attributes].filter(a => a.name.startsWith('on')).map(a => a.name)),
          links: [...document.body.querySelectorAll('[href]')].map(one => one.getAttribute('href')),
          sources: [...document.body.querySelectorAll('[src]')].map(one => one.getAttribute('src')),
          cookies: document.cookie,
        })"""
    )
    assert urlsplit(found["url"]).path == "/paper.html"
    forbidden = {"script", "iframe", "object", "embed", "form", "input", "button", "meta", "base",
                 "link", "svg", "math", "video", "audio", "template", "dialog"}  # fmt: skip
    assert forbidden & set(found["tags"]) == set()
    assert found["handlers"] == []
    assert all(link.startswith(("http:", "https:", "mailto:")) for link in found["links"])
    assert all(source.startswith(("blob:", "data:image/")) for source in found["sources"])
    watch.assert_quiet(outside, known)
    # Ours is whole: the toolbar can be seen and used.
    box = page.get_by_role("toolbar", name="Actions for this conversation").bounding_box()
    assert box is not None
    assert box["y"] < 200
    expect(page.get_by_role("grid", name="Messages")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("name", sorted(DEEP))
def test_a_monster_is_shown_and_the_page_stays_whole(
    delivered: None, quiet_page: Page, name: str
) -> None:
    page = quiet_page
    show(page, name)
    text = page.frame_locator("iframe.paper").locator("body")
    expect(text).to_contain_text("Visible words", timeout=20_000)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.querySelector('.paper').clientHeight") <= 60_000


def test_images_are_asked_for_only_when_the_reader_says_so_and_by_the_server(
    delivered: None, quiet_page: Page, outside: Outside, server: Server
) -> None:
    page = quiet_page
    known = len(outside.asked)
    watch = Watch(page, f"http://{server.host}:{server.port('http')}")
    show(page, "tracking")
    expect(page.get_by_text("images from elsewhere are not shown")).to_be_visible()
    with page.expect_response(lambda answer: "/webmail/image" in answer.url) as waiting:
        page.get_by_role("button", name="Show images").click()
    assert waiting.value.status == 403  # the server looks at no address inside either
    assert all(url.startswith((watch.own, "blob:")) for url in watch.requests)
    assert outside.asked[known:] == []


def test_a_link_opens_elsewhere_and_tells_nobody_from_where(
    open_page: Open, delivered: None, outside: Outside
) -> None:
    page = open_page(CAROL)
    show(page, "links")
    link = page.frame_locator("iframe.paper").get_by_text("nine")
    expect(link).to_have_attribute("title", f"{outside.address}/ping")
    expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    link.hover()
    expect(page.locator(".link-preview.shown")).to_have_text(f"{outside.address}/ping")
    with page.context.expect_page() as waiting:
        link.click()
    opened = waiting.value
    assert opened.evaluate("[window.opener, document.referrer]") == [None, ""]
    assert "POST /pinged" not in outside.asked
