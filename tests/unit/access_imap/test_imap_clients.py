"""Other people's clients over a real port: Python's imaplib and imapclient."""

from __future__ import annotations

import asyncio
import imaplib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

from imapclient import IMAPClient

from postillon.net.listen import Listener
from postillon.net.tls import ServerTls, self_signed
from support.imap import LOGIN, PASSWORD, House, house

MESSAGE = (
    b"From: Bob <bob@example.net>\r\nTo: ada@example.org\r\nSubject: Hello\r\n"
    b"Date: Wed, 25 Nov 2026 02:14:20 +0100\r\nMessage-ID: <1@example.net>\r\n"
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nHello Ada.\r\n"
    b"--x\r\nContent-Type: text/html\r\n\r\n<p>Hello\r\n--x--\r\n"
)


async def talk(here: House, client: Callable[[int], None], tls: ServerTls | None = None) -> None:
    """Run a blocking client in a thread, against a port."""
    sock = socket.create_server(("127.0.0.1", 0))
    listener = Listener(sock, here.server.handle, tls=tls)
    try:
        await asyncio.to_thread(client, sock.getsockname()[1])
    finally:
        await listener.stop(1)


def certificate(folder: Path) -> ServerTls:
    cert, key = self_signed(["127.0.0.1"])
    (folder / "cert.pem").write_bytes(cert)
    (folder / "key.pem").write_bytes(key)
    return ServerTls(folder / "cert.pem", folder / "key.pem")


def trusting(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(folder / "cert.pem"))


async def test_imaplib(tmp_path: Path) -> None:
    def client(port: int) -> None:
        with imaplib.IMAP4("127.0.0.1", port) as imap:
            imap.starttls(trusting(tmp_path))
            assert (
                imap.authenticate("PLAIN", lambda _: f"\0{LOGIN}\0{PASSWORD}".encode())[0] == "OK"
            )
            when = imaplib.Time2Internaldate(time.time())
            assert imap.append("INBOX", "(\\Flagged)", when, MESSAGE)[0] == "OK"
            assert imap.select() == ("OK", [b"1"])
            assert imap.search(None, "FLAGGED", "SUBJECT", '"hello"') == ("OK", [b"1"])
            status, [(_, body), *_] = imap.fetch("1", "(UID BODY[])")
            assert (status, body) == ("OK", MESSAGE)
            assert imap.copy("1", "Archive")[0] == "OK"
            assert imap.store("1", "+FLAGS", "\\Deleted")[0] == "OK"
            assert imap.expunge() == ("OK", [b"1"])
            assert imap.status("Archive", "(MESSAGES)")[1] == [b'"Archive" (MESSAGES 1)']
            assert imap.namespace()[0] == "OK"
            assert imap.lsub()[0] == "OK"
            assert imap.close()[0] == "OK"

    tls = certificate(tmp_path)
    async with house(tmp_path, tls=tls) as here:
        await talk(here, client)


async def test_imapclient(tmp_path: Path) -> None:
    def client(port: int) -> None:
        context = trusting(tmp_path)
        with IMAPClient("127.0.0.1", port, ssl=True, ssl_context=context) as imap:
            imap.login(LOGIN, PASSWORD)
            imap.create_folder("Entwürfe/2026")
            assert (("\\HasNoChildren",), "/", "Entwürfe/2026") in [
                (tuple(f.decode() for f in flags), d.decode(), name)
                for flags, d, name in imap.list_folders()
            ]
            assert imap.find_special_folder(b"\\Sent") == "Sent"
            for _ in range(3):
                imap.append("Entwürfe/2026", MESSAGE, ["\\Seen", "$Label1"])
            assert imap.select_folder("Entwürfe/2026")[b"EXISTS"] == 3
            found = imap.fetch([1, 2, 3], ["ENVELOPE", "BODYSTRUCTURE", "FLAGS", "RFC822.SIZE"])
            assert found[2][b"ENVELOPE"].subject == b"Hello"
            assert found[2][b"ENVELOPE"].from_[0].mailbox == b"bob"
            assert found[3][b"RFC822.SIZE"] == len(MESSAGE)
            structure = found[1][b"BODYSTRUCTURE"]
            assert structure.is_multipart
            assert structure[0][1][1] == b"html"
            assert b"$label1" in found[1][b"FLAGS"]
            imap.move([1], "Trash")
            assert imap.search("ALL") == [2, 3]
            imap.delete_messages([2])
            imap.uid_expunge([2])
            assert imap.search(["NOT", "DELETED"]) == [3]
            imap.idle()
            other = threading.Thread(target=second, args=(port,))
            other.start()
            heard: list[object] = []
            while (2, b"EXISTS") not in heard:
                heard += imap.idle_check(timeout=10)
            other.join()
            imap.idle_done()
            imap.rename_folder("Entwürfe", "Alt")
            assert imap.folder_exists("Alt/2026")
            imap.delete_folder("Alt/2026")

    def second(port: int) -> None:
        with IMAPClient("127.0.0.1", port, ssl=True, ssl_context=trusting(tmp_path)) as imap:
            imap.login(LOGIN, PASSWORD)
            imap.append("Entwürfe/2026", MESSAGE)

    tls = certificate(tmp_path)
    async with house(tmp_path, tls=tls) as here:
        await talk(here, client, tls)
