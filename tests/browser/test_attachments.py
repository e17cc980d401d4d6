"""Files and pictures of a message being written, and who it is written as."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from browser.test_drafts import paper, saved
from browser.test_writing import arrived, at_once, begin, send

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from browser.conftest import Open
    from support.server import Server

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
ADA, BOB, DORA, EVE = "ada@example.org", "bob@example.net", "dora@example.org", "eve@example.org"
PICTURE = """async (kind) => {
    const canvas = Object.assign(document.createElement("canvas"), {width: 40, height: 30});
    canvas.getContext("2d").fillRect(0, 0, 40, 30);
    const blob = await new Promise(done => canvas.toBlob(done, "image/png"));
    const data = new DataTransfer();
    data.items.add(new File([blob], "sketch.png", {type: "image/png"}));
    const text = document.querySelector(".editor-text");
    text.dispatchEvent(kind === "paste"
      ? new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true})
      : new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
}"""
SIGNED = """async ([address, sign]) => {
    const session = await (await fetch('/auth/session/refresh', {method: 'POST', body: '{}',
      headers: {'Content-Type': 'application/json'}})).json();
    const headers = {Authorization: `Bearer ${session.access_token}`,
      'Content-Type': 'application/json'};
    const known = await (await fetch('/.well-known/jmap', {headers})).json();
    const urn = 'urn:ietf:params:jmap:submission';
    const accountId = known.primaryAccounts[urn];
    const call = async (name, args) => (await (await fetch('/jmap/api', {method: 'POST', headers,
      body: JSON.stringify({using: ['urn:ietf:params:jmap:core', urn],
      methodCalls: [[name, {accountId, ...args}, '0']]})})).json()).methodResponses[0][1];
    const {list} = await call('Identity/get', {ids: null});
    const both = (text) => ({htmlSignature: text, textSignature: text.replace(/<[^>]*>/g, '')});
    return call('Identity/set', {update: {[list[0].id]: both(sign[0])},
      create: {other: {name: 'The Countess', email: address, ...both(sign[1])}}});
}"""


def test_many_files_at_once_all_arrive(page: Page, server: Server, tmp_path: Path) -> None:
    at_once(page)
    paths = [tmp_path / f"page-{n}.txt" for n in range(12)]
    for path in paths:
        path.write_text(path.name * 1000)
    begin(page, subject="A dozen")
    page.get_by_label("Attach files").set_input_files(paths)
    expect(page.locator(".file")).to_have_count(12)
    expect(page.locator(".file progress")).to_have_count(0)
    expect(page.locator(".file.failed")).to_have_count(0)
    send(page)
    made = arrived(server, BOB, "INBOX", "A dozen")
    assert made is not None
    assert sorted(str(part.get_filename()) for part in made.iter_attachments()) == sorted(
        path.name for path in paths
    )


def test_a_file_that_is_too_big_is_refused_before_it_is_sent(page: Page) -> None:
    asked: list[str] = []
    page.on(
        "request", lambda request: asked.append(request.url) if "/upload/" in request.url else None
    )
    begin(page, subject="Too much")
    page.evaluate(
        """() => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(60 * 1024 * 1024)], "film.mp4", {type: "video/mp4"}));
        document.querySelector(".composer").dispatchEvent(
          new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true})); }"""
    )
    expect(page.locator(".file.failed")).to_contain_text(re.compile(r"is too big: at most \d+"))
    assert asked == []
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Remove it or try again")
    page.get_by_role("button", name="Remove film.mp4").click()
    page.get_by_role("button", name="Discard").click()


def test_an_upload_that_fails_is_tried_again(page: Page, server: Server, tmp_path: Path) -> None:
    at_once(page)
    (tmp_path / "plan.txt").write_text("The plan")
    begin(page, subject="At the second try")
    page.route("**/jmap/upload/**", lambda route: route.fulfill(status=503))
    page.get_by_label("Attach files").set_input_files(tmp_path / "plan.txt")
    expect(page.locator(".file.failed")).to_have_count(1)
    page.unroute("**/jmap/upload/**")
    page.locator(".file.failed").get_by_role("button", name="Try again").click()
    expect(page.locator(".file.failed")).to_have_count(0)
    page.context.set_offline(True)
    (tmp_path / "more.txt").write_text("More")
    page.get_by_label("Attach files").set_input_files(tmp_path / "more.txt")
    expect(page.locator(".file.failed")).to_contain_text("no connection")
    page.context.set_offline(False)
    expect(page.locator(".file.failed")).to_have_count(0)
    send(page)
    made = arrived(server, BOB, "INBOX", "At the second try")
    assert made is not None
    assert [part.get_filename() for part in made.iter_attachments()] == ["plan.txt", "more.txt"]


def test_an_upload_shows_how_far_it_is_and_can_be_stopped(page: Page, tmp_path: Path) -> None:
    (tmp_path / "slow.bin").write_bytes(bytes(1000))
    held: list[playwright.Route] = []
    begin(page, subject="Stopped")
    page.route("**/jmap/upload/**", lambda route: held.append(route))
    page.get_by_label("Attach files").set_input_files(tmp_path / "slow.bin")
    expect(page.get_by_role("progressbar", name="slow.bin")).to_be_visible()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("still being uploaded")
    page.get_by_role("button", name="Remove slow.bin").click()
    expect(page.locator(".file")).to_have_count(0)
    page.get_by_role("button", name="Discard").click()


def test_a_draft_that_is_closed_during_an_upload_gets_its_file(
    page: Page, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "late.txt").write_text("Late")
    held: list[playwright.Route] = []
    begin(page, subject="Closed too soon")
    page.route("**/jmap/upload/**", lambda route: held.append(route))
    page.get_by_label("Attach files").set_input_files(tmp_path / "late.txt")
    page.get_by_role("progressbar").wait_for()
    page.get_by_role("button", name="Close and keep the draft").click()
    expect(page.get_by_text("saved when its files are uploaded")).to_be_visible()
    held[0].continue_()
    expect(page.get_by_text("Draft saved")).to_be_visible()
    made = arrived(server, ADA, "Drafts", "Closed too soon")
    assert made is not None
    assert [part.get_filename() for part in made.iter_attachments()] == ["late.txt"]


def test_another_identity_brings_its_signature_and_keeps_text_and_pictures(
    open_page: Open, server: Server
) -> None:
    page = open_page(EVE)
    page.evaluate(SIGNED, [EVE, ["Eve of <b>Harwich</b>", "Her <i>Ladyship</i>"]])
    at_once(page)
    begin(page, subject="Who am I")
    paper(page).click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("Dear Bob,")
    expect(page.locator(".editor-text .signature")).to_contain_text("Eve of Harwich")
    page.evaluate(PICTURE, "paste")
    expect(page.locator(".editor-text img[data-cid]")).to_have_count(1)
    page.evaluate(PICTURE, "drop")
    expect(page.locator(".editor-text img[data-cid]")).to_have_count(2)
    page.get_by_label("From").select_option(index=1)
    expect(page.locator(".editor-text .signature")).to_have_count(1)
    expect(page.locator(".editor-text .signature")).to_contain_text("Her Ladyship")
    expect(page.locator(".editor-text img[data-cid]")).to_have_count(2)
    saved(page)
    page.get_by_role("button", name="Close and keep the draft").click()
    page.get_by_role("link", name="Drafts").click()
    page.get_by_role("row").filter(has_text="Who am I").click()
    expect(page.locator(".editor-text img[data-cid]")).to_have_count(2)
    page.get_by_label("From").select_option(index=0)
    expect(page.locator(".editor-text .signature")).to_contain_text("Eve of Harwich")
    send(page)
    made = arrived(server, BOB, "INBOX", "Who am I")
    assert made is not None
    html, plain = made.get_body(("html",)), made.get_body(("plain",))
    assert html is not None
    assert plain is not None
    assert "Dear Bob," in plain.get_content()
    assert "Eve of Harwich" in plain.get_content()
    assert "Ladyship" not in html.get_content()
    cids = set(re.findall(r'src="cid:([^"]+)"', html.get_content()))
    carried = {str(part["Content-ID"]) for part in made.walk() if part["Content-ID"]}
    assert len(cids) == 2
    assert carried == {f"<{cid}>" for cid in cids}


def test_a_picture_in_the_text_becomes_a_file_of_a_plain_message(
    page: Page, server: Server
) -> None:
    at_once(page)
    begin(page, subject="Plain with a picture")
    paper(page).click()
    page.keyboard.type("See below")
    page.evaluate(PICTURE, "paste")
    expect(page.locator(".editor-text img[data-cid]")).to_have_count(1)
    window = page.get_by_role("dialog", name="New message")
    window.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Write plain text").click()
    expect(page.locator(".file")).to_contain_text("sketch.png")
    send(page)
    made = arrived(server, BOB, "INBOX", "Plain with a picture")
    assert made is not None
    assert [part.get_filename() for part in made.iter_attachments()] == ["sketch.png"]


def test_a_file_dropped_beside_its_place_does_not_replace_the_page(page: Page) -> None:
    begin(page, subject="Missed")
    kept = page.evaluate(
        """() => { const data = new DataTransfer();
        data.items.add(new File(["content"], "missed.txt", {type: "text/plain"}));
        const options = {dataTransfer: data, bubbles: true, cancelable: true};
        const make = (kind) => new DragEvent(kind, options);
        const place = document.querySelector(".topbar");
        return [place.dispatchEvent(make("dragover")), place.dispatchEvent(make("drop"))]; }"""
    )
    assert kept == [False, False]  # the browser's own way with it, to open it here, is prevented
    page.get_by_role("button", name="Discard").click()


PASTE = """([name, type, html, plain]) => {
    const data = new DataTransfer();
    if (html) data.setData("text/html", html);
    if (plain) data.setData("text/plain", plain);
    if (name) data.items.add(new File(["abc"], name, {type}));
    document.activeElement.dispatchEvent(
      new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
}"""
DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwAD"
    "hgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_what_is_pasted_goes_where_it_belongs(page: Page, server: Server) -> None:
    at_once(page)
    begin(page, subject="All pasted")
    paper(page).click()
    page.evaluate(PASTE, ["minutes.pdf", "application/pdf", "", ""])
    expect(page.locator(".file")).to_contain_text("minutes.pdf")
    page.evaluate(PASTE, ["", "", f"<p>A dot: <img src='{DOT}'></p>", "A dot:"])
    expect(page.locator(".editor-text img[data-cid]")).to_have_count(1)
    page.get_by_role("combobox", name="To", exact=True).focus()
    many = (
        "Team: Ann <ann@example.org>, ben@example.com;\n"
        '"Doe, J" <j@example.com>\tx@example.com broken@'
    )
    page.evaluate(PASTE, ["", "", "", many])
    names = page.locator(".recipient")
    expect(names).to_have_text([BOB, "Ann", "ben@example.com", "Doe, J"])
    field = page.get_by_role("combobox", name="To", exact=True)
    expect(field).to_have_value("x@example.com broken@")
    field.fill("")
    for _ in range(3):
        field.press("Backspace")
    expect(names).to_have_count(1)
    send(page)
    made = arrived(server, BOB, "INBOX", "All pasted")
    assert made is not None
    html = made.get_body(("html",))
    assert html is not None
    assert re.search(r'<img[^>]*src="cid:', html.get_content())
    assert "data:image" not in html.get_content()
    assert "data-adopted" not in html.get_content()
