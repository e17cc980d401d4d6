"""What JMAP's methods of mail cost on a large mailbox: a request in, octets of the answer out.

    python benchmarks/jmap_methods.py --emails 50000 --index

HTTP and signing in are left out. Each line is one request with all its calls, many times over, one
after the other. CPU is that of the process with all its threads; times are of the wall.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from search import message, vocabulary

from postillon.account.accounts import Accounts
from postillon.account.arriving import ToAppend
from postillon.account.indexing import Indexer, SearchConfig
from postillon.account.roles import INBOX_ID
from postillon.mail.mime import scan
from postillon.store.textindexes import TextIndexes
from support.accounts import House, house
from support.jmap_mail import MailClient

AT_ONCE = 500  # messages of one transaction
TEXT = 60  # words of a message
LIST = [
    "threadId", "mailboxIds", "keywords", "hasAttachment", "from", "to", "subject", "receivedAt",
    "size", "preview",
]  # fmt: skip
NEWEST = [{"property": "receivedAt", "isAscending": False}]
Calls = list[tuple[str, dict[str, Any], str]]


def page(client: MailClient, **more: Any) -> Calls:
    """What a client asks when a mailbox is opened: the 50 newest, and what its list shows of them."""
    asked = {"accountId": client.id, "sort": NEWEST, "limit": 50, **more}
    asked.setdefault("filter", {"inMailbox": "F1"})
    ids = {"resultOf": "q", "name": "Email/query", "path": "/ids"}
    return [
        ("Email/query", asked, "q"),
        ("Email/get", {"accountId": client.id, "#ids": ids, "properties": LIST}, "g"),
    ]


async def fill(at: House, client: MailClient, number: int) -> None:
    choice = random.Random(1)
    words = vocabulary(choice)
    common = list(accumulate(1 / (n + 1) for n in range(len(words))))
    texts = [choice.choices(words, cum_weights=common, k=TEXT) for _ in range(2_000)]
    for start in range(0, number, AT_ONCE):
        some = []
        for n in range(start, min(start + AT_ONCE, number)):
            content = message(n, choice, texts[n % len(texts)])
            at_ms = at.time.now - (number - n) * 60_000
            some.append(ToAppend(content, scan(content), int(n % 4 != 0), received_at=at_ms))
        await client.account.append_many(INBOX_ID, some)


async def measure(
    name: str, client: MailClient, calls: Calls, times: int, before: Callable[[], Awaitable[Any]]
) -> None:
    walls: list[float] = []
    cpu = 0.0
    for _ in range(times):
        await before()
        used, began = _cpu(), time.perf_counter()
        answer = await client.octets(*calls)
        walls.append(time.perf_counter() - began)
        cpu += _cpu() - used
        assert b'"error"' not in answer[:400], answer[:400]
    walls.sort()
    p99 = walls[min(len(walls) - 1, int(len(walls) * 0.99))]
    print(
        f"{name:<46} {statistics.median(walls) * 1000:9.2f} ms {p99 * 1000:9.2f} ms p99"
        f" {cpu / times * 1000:9.2f} ms CPU {times / sum(walls):9.0f} /s"
    )


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def run(emails: int, times: int, index: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with house(Path(folder)) as at:
            client = MailClient(at, await at.account())
            began = time.perf_counter()
            await fill(at, client, emails)
            print(f"{emails} emails, filled in {time.perf_counter() - began:.0f} s")
            if index:
                client = await indexed(at, client, Path(folder) / "data")
            await scenarios(client, times, index)


async def indexed(at: House, client: MailClient, folder: Path) -> MailClient:
    texts = TextIndexes(folder)
    indexer = Indexer(at.store, texts, SearchConfig(batch=500, share=100))
    began = time.perf_counter()
    await indexer.round()
    await indexer.close()
    print(f"indexed in {time.perf_counter() - began:.0f} s")
    at.accounts = Accounts(at.store, texts)
    return MailClient(at, at.accounts.open(client.account.id))


async def scenarios(client: MailClient, times: int, index: bool) -> None:
    async def nothing() -> None:
        pass

    async def arrives() -> None:
        content = b"From: a@example.net\r\nSubject: new\r\n\r\nnew\r\n"
        await client.account.append(INBOX_ID, content, scan(content))

    await measure("50 newest, for the first time", client, page(client), 1, nothing)
    await measure("50 newest", client, page(client), times, nothing)
    threads = page(client, collapseThreads=True, calculateTotal=True)
    await measure("50 newest threads, with the total, first", client, threads, 1, nothing)
    await measure("50 newest threads, with the total", client, threads, times, nothing)
    await measure("50 newest, one arrives before each", client, page(client), times, arrives)
    middle = page(client, position=10_000)
    await measure("50 behind the first 10,000", client, middle, times, nothing)
    unread = page(client, filter={"inMailbox": "F1", "notKeyword": "$seen"})
    await measure("50 newest that are unread", client, unread, times, nothing)
    counted = page(client, filter={"inMailbox": "F1", "notKeyword": "$seen"}, calculateTotal=True)
    await measure("50 newest that are unread, with the total", client, counted, 5, nothing)
    mailboxes: Calls = [("Mailbox/get", {"accountId": client.id}, "m")]
    await measure("Mailbox/get, one arrives before each", client, mailboxes, times, arrives)
    state = json.loads(await client.octets(("Email/get", {"accountId": client.id, "ids": []}, "s")))
    since = state["methodResponses"][0][1]["state"]
    for _ in range(10):
        await arrives()
    changes: Calls = [
        (f"{kind}/changes", {"accountId": client.id, "sinceState": since}, kind)
        for kind in ("Email", "Thread", "Mailbox")
    ]
    await measure("changes of all three since 10 arrived", client, changes, times, nothing)
    query = {"accountId": client.id, "filter": {"inMailbox": "F1"}, "sort": NEWEST}
    moved: Calls = [("Email/queryChanges", {**query, "sinceQueryState": since}, "q")]
    await measure("Email/queryChanges since then", client, moved, min(times, 20), nothing)
    by_subject = page(client, sort=[{"property": "subject"}])
    await measure("50 first by subject", client, by_subject, 1, nothing)
    if index:
        for word in ("quarterlyfigures", "meeting", "common"):
            found = page(client, filter={"text": word})
            await measure(f"50 newest with the word {word}", client, found, times, nothing)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emails", type=int, default=50_000)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument(
        "--index", action="store_true", help="make the text index, and search by it"
    )
    given = parser.parse_args()
    asyncio.run(run(given.emails, given.times, given.index))


if __name__ == "__main__":
    main()
