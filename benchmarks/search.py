"""What searches of text cost, with the text index and without, and what the index itself costs.

    python benchmarks/search.py --messages 50000

Session and client share a loop over a memory transport. The messages are made up: words with the
frequencies of a natural text, some Chinese among them, and the header fields that mail from
outside has, a signature included. Times with the index are the best of three: other programs only
add to them.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from base64 import b64encode
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from postillon.account.arriving import ToAppend
from postillon.account.indexing import Indexer, SearchConfig
from postillon.account.roles import INBOX_ID
from postillon.mail.mime import scan
from support.imap import Client, House, house

VOCABULARY = 60_000
TEXT = 150  # words of a message
TIMES = 3

SEARCHES = (
    ("a rare word", "TEXT {}", b"quarterlyfigures"),
    ("a word of some messages", "TEXT {}", b"meeting"),
    ("a word of half of all messages", "TEXT {}", b"common"),
    ("the inside of a word", "TEXT {}", b"rterlyfig"),
    ("three letters", "TEXT {}", b"zqx"),
    ("one letter", "BODY {}", b"e"),
    ("a phrase", "BODY {}", b"weekly meeting notes"),
    ("Chinese, two characters", "BODY {}", "文件".encode()),
    ("a word nobody wrote", "TEXT {}", b"nowherefound"),
    ("SUBJECT", "SUBJECT {}", b"meeting"),
    ("FROM", "FROM {}", b"sender77@"),
    ("HEADER Message-ID", "HEADER Message-ID {}", b"<id4711@mail.example.net>"),
    ("TEXT and UNSEEN", "UNSEEN TEXT {}", b"meeting"),
    ("FUZZY with RELEVANCY", "RETURN (ALL RELEVANCY) FUZZY TEXT {}", b"meet weekly"),
)


def vocabulary(choice: random.Random) -> list[str]:
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    weights = [
        12,
        9,
        8,
        8,
        7,
        7,
        6,
        6,
        6,
        4,
        4,
        3,
        3,
        2,
        2,
        2,
        2,
        2,
        1,
        1,
        2,
        1,
        0.2,
        0.1,
        0.2,
        0.1,
    ]
    return [
        "".join(choice.choices(letters, weights, k=choice.randint(2, 11)))
        for _ in range(VOCABULARY)
    ]


def message(n: int, choice: random.Random, text: list[str]) -> bytes:
    words = list(text)
    if n % 2:
        words[3] = "common"
    if n % 100 == 0:
        words[5:8] = ["weekly", "Meeting", "notes"]
    if n % 5_000 == 0:
        words[9] = "quarterlyfigures"
    if n % 50 == 0:
        words[20] = "请看文件夹里的文件"
    subject = " ".join(words[2:7])
    body = "\r\n".join(" ".join(words[at : at + 12]) for at in range(0, len(words), 12))
    signature = b64encode(choice.randbytes(256)).decode()
    return (
        f"Return-Path: <sender{n % 500}@example.net>\r\n"
        f"Received: from out{n % 7}.example.net (out{n % 7}.example.net [192.0.2.{n % 250}])\r\n"
        f"\tby mx.example.org with ESMTPS id {choice.randbytes(6).hex()};"
        f" Wed, 25 Nov 2026 02:14:20 +0000\r\n"
        f"DKIM-Signature: v=1; a=rsa-sha256; d=example.net; s=s1; h=from:to:subject;"
        f"\r\n\tb={signature}\r\n"
        f"From: Sender {n % 500} <sender{n % 500}@example.net>\r\nTo: Ada <ada@example.org>\r\n"
        f"Subject: {subject}\r\nDate: Wed, 25 Nov 2026 02:14:20 +0100\r\n"
        f"Message-ID: <id{n}@mail.example.net>\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n"
    ).encode()


async def fill(here: House, number: int) -> int:
    choice = random.Random(1)
    words = vocabulary(choice)
    frequencies = [1 / rank for rank in range(1, VOCABULARY + 1)]
    total = 0
    for start in range(0, number, 500):
        contents = [
            message(n, choice, choice.choices(words, frequencies, k=TEXT))
            for n in range(start, min(start + 500, number))
        ]
        total += sum(map(len, contents))
        await here.account.append_many(
            INBOX_ID,
            [ToAppend(content, scan(content), n % 2) for n, content in enumerate(contents)],
        )
    return total


async def best(
    client: Client, search: str, wanted: bytes, rounds: int = TIMES
) -> tuple[float, int]:
    """Seconds and how many results."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        [found] = await client.ok(f"SEARCH {search}", wanted)
        times.append(time.perf_counter() - begin)
    head, _, rest = found.partition(b"RELEVANCY (")
    return min(times), len((rest or head.partition(b"SEARCH")[2]).split())


async def run(number: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="search"))
    try:
        async with house(folder) as here:
            octets = await fill(here, number)
            print(f"{number} messages of {octets // number} octets on average")
            client = await here.client("INBOX")
            indexer = Indexer(here.store, here.texts, SearchConfig(share=100))
            cpu, begin = time.process_time(), time.perf_counter()
            await indexer.round()
            cpu, took = time.process_time() - cpu, time.perf_counter() - begin
            await indexer.close()
            size = sum(path.stat().st_size for path in (folder / "data" / "index").rglob("*.db*"))
            print(
                f"index: {number / took:.0f} messages a second, {cpu / number * 1e6:.0f} us CPU each,"
                f" {size / 1e6:.0f} MB, {size / octets:.2f} of the messages"
            )
            quick = [await best(client, search, wanted) for _, search, wanted in SEARCHES]
            shutil.rmtree(folder / "data" / "index")
            print("| SEARCH | results | with the index | without |\n| --- | --- | --- | --- |")
            for (what, search, wanted), (took, found) in zip(SEARCHES, quick, strict=True):
                slow, same = await best(client, search, wanted, 1)
                assert same == found, what
                print(
                    f"| {what} | {found} | {took * 1e3:.1f} ms | {slow * 1e3:.0f} ms |", flush=True
                )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=50_000)
    asyncio.run(run(parser.parse_args().messages))
