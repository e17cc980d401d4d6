"""What IMAP costs, in one process: parsing, SELECT, FETCH, STORE, SEARCH, IDLE sessions.

    python benchmarks/imap_fetch.py --messages 10000

Session and client share a loop over a memory transport, so times hold both and no socket. They are
times of the processor, so that other programs on the machine count less.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import resource
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from postillon.account.arriving import ToAppend
from postillon.account.roles import INBOX_ID
from postillon.mail.mime import scan
from postillon.net.stream import Stream
from postillon.protocol.imap.engine import ImapEngine
from support.imap import Client, House, house

COMMANDS = (
    b"a001 NOOP\r\n",
    b"a001 UID FETCH 1:* (FLAGS)\r\n",
    b"a001 UID FETCH 4711 (UID RFC822.SIZE BODY.PEEK[])\r\n",
    b"a001 FETCH 1:50 (UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (From To Cc Subject Date)])\r\n",
    b"a001 UID STORE 5,7,9:20 +FLAGS.SILENT (\\Seen)\r\n",
    b"a001 UID SEARCH UNSEEN SINCE 1-Feb-2020\r\n",
)
MESSAGES = (
    "FETCH 1:* (FLAGS UID)",
    "FETCH 1:* (FLAGS UID RFC822.SIZE)",
    "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)",
    "FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (From To Cc Subject Date Message-ID)])",
    "FETCH 1:* (UID BODY.PEEK[HEADER])",
    "FETCH 1:* (UID BODY.PEEK[])",
    "SEARCH ALL",
    "SEARCH UNSEEN",
    "SEARCH SUBJECT 777",
    "SEARCH BODY nowhere",
    "SORT (SUBJECT) UTF-8 ALL",
    "THREAD REFERENCES UTF-8 ALL",
)


def email(n: int, size: int) -> bytes:
    return (
        b"Return-Path: <bob@example.net>\r\n"
        b"Received: from a.example.net (a.example.net [192.0.2.1])\r\n"
        b"\tby mx.example.org with ESMTPS id X%d; Wed, 25 Nov 2026 02:14:20 +0000\r\n"
        b'From: "Bob Brown" <bob@example.net>\r\nTo: Ada <ada@example.org>, eve@example.com\r\n'
        b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= number %d\r\nDate: Wed, 25 Nov 2026 02:14:20 +0100\r\n"
        b"Message-ID: <%d@example.net>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain;"
        b" charset=utf-8\r\n\r\n%b\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>Hello\r\n--x--\r\n"
        % (n, n, n, b"Some words of text in this line.\r\n" * (size // 34))
    )


def parsing() -> None:
    for command in COMMANDS:
        engine = ImapEngine()
        rounds = 20_000
        start = time.perf_counter()
        for _ in range(rounds):
            list(engine.receive(command))
        print(
            f"{(time.perf_counter() - start) / rounds * 1e6:8.1f} us  parse {command.decode().strip()}"
        )


async def measured(what: str, action: Callable[[], Awaitable[object]], times: int = 3) -> None:
    took = []
    for _ in range(times):
        start = time.process_time()
        await action()
        took.append(time.process_time() - start)
    print(f"{statistics.median(took) * 1000:8.1f} ms  {what}")


async def raw(client: Client, command: str) -> None:
    """Send a command and discard the responses without looking at them."""
    stream: Stream = client.stream
    await stream.send(f"q {command}\r\n".encode())
    tail = b""
    while b"\r\nq OK" not in tail and not tail.startswith(b"q OK"):
        tail = (tail + await stream.receive(60))[-200:]


async def fill(here: House, count: int, size: int) -> None:
    for start in range(0, count, 200):
        batch = []
        for n in range(start, min(start + 200, count)):
            content = email(n, size)
            batch.append(ToAppend(content, scan(content), n % 2))
        await here.account.append_many(INBOX_ID, batch)


async def idle_memory(here: House, count: int) -> None:
    async def idler() -> Client:
        client = await here.client("INBOX")
        await client.send(b"i IDLE\r\n")
        await client.response()
        return client

    kept = [await idler()]
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept += [await idler() for _ in range(count)]
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    print(f"{grown / count / 1024:8.1f} KB  idle session with the client's end, "
          f"{len(await here.account.uids(INBOX_ID))} messages selected")  # fmt: skip
    for client in kept:
        client.stream.close()


async def main(count: int, size: int, sessions: int) -> None:
    parsing()
    with tempfile.TemporaryDirectory() as folder:
        async with house(Path(folder)) as here:
            start = time.perf_counter()
            await fill(here, count, size)
            print(
                f"{time.perf_counter() - start:8.1f} s   append {count} messages of {size} octets"
            )
            client = await here.client("INBOX")
            await measured(f"SELECT of {count}", lambda: raw(client, "SELECT INBOX"), 5)
            for command in MESSAGES:
                await measured(command, lambda c=command: raw(client, c))
            # In turn, so that each changes every message and none finds its work done.
            signs = itertools.cycle("+-")
            await raw(client, "STORE 1:* -FLAGS.SILENT (\\Flagged)")
            await measured(
                "STORE 1:* FLAGS.SILENT (\\Flagged), set or cleared",
                lambda: raw(client, f"STORE 1:* {next(signs)}FLAGS.SILENT (\\Flagged)"),
            )
            await measured("NOOP", lambda: raw(client, "NOOP"), 100)
            await idle_memory(here, sessions)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{peak:8.1f} MB  peak of the process")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=2_000)
    parser.add_argument("--sessions", type=int, default=200)
    given = parser.parse_args()
    asyncio.run(main(given.messages, given.size, given.sessions))
