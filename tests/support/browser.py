"""A real Chromium before the real server, with mail in the accounts."""

from __future__ import annotations

import imaplib
import os
import shutil
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from support.letters import Letter
from support.server import PASSWORD, Server

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "src" / "postillon" / "access" / "webmail" / "built"
AXE = ROOT / "webmail" / "node_modules" / "axe-core" / "axe.min.js"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FOLDERS = ("Projects", "Projects/Engine", "Receipts")


def chromium() -> str | None:
    """The browser of the system; POSTILLON_CHROMIUM names another one."""
    given = os.environ.get("POSTILLON_CHROMIUM")
    if given:
        return given
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def missing() -> str:
    """Why there can be no test in a browser; "" where there can."""
    if not (BUILT / "index.html").exists():
        return "the web client is not built (./test builds it where Node.js can be had)"
    if chromium() is None:
        return "there is no Chromium (apt-get install chromium, or POSTILLON_CHROMIUM)"
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "playwright is not installed"
    return ""


@contextmanager
def imap(server: Server, login: str) -> Iterator[imaplib.IMAP4]:
    """Another client of the same account."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = imaplib.IMAP4(server.host, server.port("imap"))
    try:
        client.starttls(context)
        client.login(login, PASSWORD)
        yield client
    finally:
        client.logout()


def fill(server: Server, login: str, letters: Iterable[Letter]) -> None:
    with imap(server, login) as client:
        for name in FOLDERS:
            client.create(name)
        for letter in letters:
            put(client, letter)


def put(client: imaplib.IMAP4, letter: Letter) -> None:
    flags = [name for name, on in (("\\Seen", letter.seen), ("\\Flagged", letter.flagged)) if on]
    octets = letter.octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    at = imaplib.Time2Internaldate(letter.at)
    status, said = client.append(letter.mailbox, f"({' '.join(flags)})", at, octets)
    assert status == "OK", said


def html_letter(
    subject: str, html: str, *, sender: str = "Mallory <mallory@evil.example>"
) -> Letter:
    octets = (
        f"From: {sender}\nTo: Ada Lovelace <ada@example.org>\nSubject: {subject}\n"
        f"Date: Wed, 25 Nov 2026 10:00:00 +0000\nMessage-ID: <{abs(hash(subject))}@evil.example>\n"
        "MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n"
        f"Content-Transfer-Encoding: 8bit\n\n{html}\n"
    ).encode()
    return Letter("INBOX", octets, seen=True, at=datetime.now(UTC))


def text_letter(subject: str, text: str = "Just this.", *, seen: bool = False) -> Letter:
    octets = (
        f"From: Somebody <some@example.net>\nTo: Ada Lovelace <ada@example.org>\n"
        f"Subject: {subject}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n{text}\n"
    ).encode()
    return Letter("INBOX", octets, seen=seen, at=datetime.now(UTC))
