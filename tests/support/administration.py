"""Administration in a browser, and what tells whether an act of it had its effect."""

from __future__ import annotations

import asyncio
import imaplib
import json
import smtplib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from support.remote_smtp import RemoteServer, listening
from support.server import HOST, PASSWORD, Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ADMIN, PERSON = "ada@example.org", "bob@example.net"
STRANGER = "someone@elsewhere.example"
WAIT_MS = 20_000  # a busy machine is no fault
WAIT_S = 20.0
ROUNDS = 200  # of asking for what takes its time; each asks a server, and none sleeps


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
            self.sign_in(login)

    def sign_in(self, login: str, password: str = PASSWORD) -> None:
        self.page.get_by_label("Address").fill(login)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def open(self, path: str) -> Page:
        self.page.goto(f"{self.base}#/{path}")
        self.page.locator(".admin-page h1").first.wait_for()
        return self.page

    def dialog(self) -> Any:
        return self.page.get_by_role("dialog")

    def agree(self, name: str) -> None:
        """Press the button of the dialog, and see it go."""
        self.dialog().get_by_role("button", name=name, exact=True).click()
        self.dialog().wait_for(state="detached")

    def save(self, *expected: str) -> None:
        """The form of the page, after a look at what that will do."""
        self.page.locator(".admin-page form").get_by_role("button", name="Save").first.click()
        for text in expected:
            self.dialog().get_by_text(text).first.wait_for()
        self.agree("Save")
        self.said("Saved")

    def said(self, text: str) -> None:
        self.page.get_by_role("status").get_by_text(text).wait_for()


class Answer(dict[str, Any]):
    """A JSON object, or {"list": …} where the server gave a list; and its status."""

    status = 0


def ask(server: Server, method: str, path: str, body: object = None, token: str = "") -> Answer:
    """One request for JSON, with any outcome."""
    request = Request(
        f"http://{server.host}:{server.port('http')}{path}",
        None if body is None else json.dumps(body).encode(),
        {
            **({} if body is None else {"Content-Type": "application/json"}),
            **({"Authorization": f"Bearer {token}"} if token else {}),
        },
        method=method,
    )
    try:
        with urlopen(request, timeout=WAIT_S) as response:
            status, text = response.status, response.read()
    except HTTPError as error:
        status, text = error.code, error.read()
    found = json.loads(text) if text else {}
    made = Answer(found if isinstance(found, dict) else {"list": found})
    made.status = status
    return made


def signed_in(server: Server, login: str, password: str = PASSWORD) -> Answer:
    """access_token, or an error and its status."""
    return ask(server, "POST", "/auth/session", {"login": login, "password": password})


class Api:
    """The administration API, beside the browser."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.token = str(signed_in(server, ADMIN)["access_token"])

    def __call__(self, method: str, path: str, body: object = None) -> Answer:
        return ask(self.server, method, f"/api/v1{path}", body, self.token)

    def queued(self, recipient: str) -> str:
        """The id of the message that waits for a recipient; "" when there is none."""
        found = self("GET", f"/queue/messages?about={recipient}")["messages"]
        return str(found[0]["id"]) if found else ""


def offered(server: Server, to: str, subject: str = "Offered", octets: int = 0) -> tuple[int, str]:
    """What the server says to a stranger's message: the reply that refused it, or the last one."""
    text = f"From: {STRANGER}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\n" + "x" * 70 + "\r\n"
    with smtplib.SMTP(server.host, server.port("smtp"), timeout=WAIT_S) as client:
        client.ehlo("elsewhere.example")
        for code, said in (client.mail(STRANGER), client.rcpt(to)):
            if code >= 400:
                return code, said.decode()
        code, said = client.data(text + ("y" * 70 + "\r\n") * (octets // 72))
        return code, said.decode()


def submitted(server: Server, login: str, to: str, subject: str) -> None:
    """A message of one of the server's own people to somebody elsewhere."""
    lenient = ssl.create_default_context()
    lenient.check_hostname, lenient.verify_mode = False, ssl.CERT_NONE
    port = server.port("submissions")
    with smtplib.SMTP_SSL(server.host, port, context=lenient, timeout=WAIT_S) as client:
        client.login(login, PASSWORD)
        client.sendmail(
            login, [to], f"From: {login}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nHello.\r\n"
        )


def imap_lets_in(server: Server, login: str, password: str) -> bool:
    lenient = ssl.create_default_context()
    lenient.check_hostname, lenient.verify_mode = False, ssl.CERT_NONE
    client = imaplib.IMAP4(server.host, server.port("imap"))
    try:
        client.starttls(lenient)
        client.login(login, password)
    except imaplib.IMAP4.error:
        return False
    else:
        return True
    finally:
        client.shutdown()


@contextmanager
def elsewhere(port: int) -> Iterator[RemoteServer]:
    """Another server that takes mail at a port, in a thread of its own."""
    remote = RemoteServer()
    loop = asyncio.new_event_loop()
    begun, ended = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with listening(remote, HOST, port):
            begun.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    begun.wait(WAIT_S)
    try:
        yield remote
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
