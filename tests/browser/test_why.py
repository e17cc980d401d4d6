"""Why a message is here: from its header, and from the trace of the server."""

from __future__ import annotations

import re
import smtplib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from support.browser import AXE, imap, put
from support.letters import Letter
from support.server import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from browser.conftest import Open
    from support.server import Server

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
ADA, EVE = "ada@example.org", "eve@example.org"
TRAVELLED = b"""\
Delivered-To: ada@example.org
Received: from out.news.example (out.news.example [192.0.2.7]) by mx.example.org
 with ESMTPS (TLS1.3) id 77; Wed, 25 Nov 2026 10:10:05 +0000
Authentication-Results: mx.forged.example; dmarc=pass header.from=bank.example
Received: from [10.0.0.4] by out.news.example (a comment; with (another)) with SMTP id 12;
 Wed, 25 Nov 2026 11:00:00 +0100
From: News <news@news.example>
To: everybody@news.example
List-Id: Weekly news <weekly.news.example>
Subject: Travelled far

Words.
"""


def why(page: Page, subject: str) -> Locator:
    page.get_by_role("row").filter(has_text=subject).first.click()
    page.locator("article").last.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Why is this here?").click()
    return page.get_by_role("dialog", name="Why is this here?")


def put_travelled(server: Server, checks: bytes = b"") -> None:
    with imap(server, ADA) as client:
        put(client, Letter("INBOX", checks + TRAVELLED, seen=True, at=datetime.now(UTC)))


def test_the_header_alone_tells_the_way_and_what_a_sender_could_have_written(
    page: Page, server: Server
) -> None:
    put_travelled(
        server,
        b"Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=news.example;\n"
        b" dkim=fail (body has changed; sorry) header.d=news.example\n",
    )
    story = why(page, "Travelled far")
    expect(story).to_contain_text("It was sent to ada@example.org.")
    expect(story).to_contain_text("None of your addresses stands in To or Cc")
    expect(story).to_contain_text("through the list Weekly news")
    expect(story).to_contain_text("mx.example.org took it from out.news.example (192.0.2.7)")
    expect(story).to_contain_text("The connection was encrypted")
    [here, other] = story.locator(".why-checks").all()
    expect(here).to_contain_text("Found by your server, mx.example.org")
    expect(here.locator("li.why-right")).to_contain_text("SPF")
    expect(here.locator("li.why-wrong")).to_contain_text("wrong")
    expect(other).to_contain_text("a sender can write such a line too")
    expect(other.locator("li.why-right")).to_have_count(0)
    steps = story.locator(".why-way li")
    expect(steps).to_have_count(2)
    expect(steps.nth(0)).to_contain_text("not encrypted")
    expect(steps.nth(1)).to_contain_text("after 10 minutes")
    expect(story.locator(".why-id")).to_have_count(
        0
    )  # nobody knows an id of what was only put here


def test_the_trace_of_the_server_is_told_beside_it(page: Page, server: Server) -> None:
    with smtplib.SMTP(server.host, server.port("smtp")) as client:
        client.ehlo("far.example")
        client.sendmail(
            "bounces@far.example", [ADA, EVE],
            "From: far@far.example\r\nTo: ada@example.org\r\nSubject: Through the door\r\n\r\nHi\r\n",
        )  # fmt: skip
    story = why(page, "Through the door")
    expect(story).to_contain_text("It was sent to ada@example.org.")
    expect(story).to_contain_text("from far.example")
    expect(story).to_contain_text("The connection was not encrypted")
    expect(story).to_contain_text("Reports about it go to bounces@far.example.")
    expect(story).to_contain_text("It was put into Inbox")
    expect(story).to_contain_text("It is in Inbox now.")
    expect(story.locator(".why-id code")).to_have_text(re.compile(r"^[0-9a-z]{13}$"))
    assert EVE not in story.inner_text()


def test_a_server_that_tells_no_trace_is_not_asked_for_one(open_page: Open, server: Server) -> None:
    """As before any other JMAP server: the session has no such capability."""
    put_travelled(server)
    page = open_page("")
    asked: list[str] = []

    def without(route):  # type: ignore[no-untyped-def]
        answer = route.fetch()
        text = answer.text().replace("urn:x-postillon:jmap:trace", "urn:x-other:thing")
        route.fulfill(response=answer, body=text)

    page.route("**/.well-known/jmap", without)
    page.on("request", lambda request: asked.append(request.post_data or ""))
    page.reload()
    page.get_by_label("Address").fill(ADA)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    story = why(page, "Travelled far")
    expect(story).to_contain_text("mx.example.org took it from out.news.example")
    assert not any("MessageTrace" in body for body in asked)


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed")
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_view_is_accessible_and_no_wider_than_the_window(
    open_page: Open, server: Server, width: int, height: int
) -> None:
    put_travelled(server)
    page = open_page(width=width, height=height)
    story = why(page, "Travelled far")
    expect(story.locator(".why-way li")).to_have_count(2)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document.querySelector('dialog.why'))")["violations"]
    assert [one["id"] for one in found] == []
    inner = story.locator(".dialog-inner")
    assert inner.evaluate("one => one.scrollWidth <= one.clientWidth")
