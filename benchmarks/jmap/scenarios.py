"""What is measured, in order. Every request is one POST with all its calls."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.imap.client import Lmtp
from benchmarks.imap.mail import RARE, SOME, Writer
from benchmarks.jmap.client import Events, Jmap, loop
from benchmarks.jmap.servers import WAITING, Filled
from benchmarks.search import vocabulary

Figures = dict[str, float]  # "rate" (per second), "cpu", "p50", "p99" (ms)
Calls = list[tuple[str, dict[str, Any], str]]
LIST = [
    "threadId", "mailboxIds", "keywords", "hasAttachment", "from", "to", "subject", "receivedAt",
    "size", "preview",
]  # fmt: skip
PLAIN = ["threadId", "mailboxIds", "keywords", "from", "subject", "receivedAt"]
NEWEST = [{"property": "receivedAt", "isAscending": False}]
COMMON = vocabulary(random.Random(1))[19]  # in the text of about half of all messages
PAGE = 50
AT_ONCE = 4  # connections for the rate; the times are those of a single one
ALONE_S, TOGETHER_S = 1.5, 2.0
LEAST = 10  # requests, however long they take
ARRIVED = 10
DELIVERIES, FEW = 200, 40
ENOUGH_S = 15.0  # after which fewer deliveries, at least FEW, must do
PATIENCE_S = 10.0


@dataclass(slots=True)
class Bench:
    """What the scenarios share."""

    found: dict[str, int] = field(default_factory=dict)  # by request: results of who came first


@dataclass(frozen=True, slots=True)
class Scenario:
    """restart: the server is started anew before each run."""

    key: str
    title: str
    measure: Callable[[Bench, Filled], Figures]
    restart: bool = False


def page(client: Jmap, properties: Sequence[str] = LIST, **more: Any) -> Calls:
    """What a client asks when a mailbox is opened: the newest, and what its list shows of them."""
    asked = {"sort": NEWEST, "limit": PAGE, **more}
    asked["filter"] = {"inMailbox": client.inbox, **more.get("filter", {})}
    ids = {"resultOf": "q", "name": "Email/query", "path": "/ids"}
    return [
        ("Email/query", asked, "q"),
        ("Email/get", {"#ids": ids, "properties": properties}, "g"),
    ]


def repeated(server: Filled, client: Jmap, calls: Calls) -> Figures:
    request = client.octets(*calls)
    took, _ = loop(client.port, request, 1, ALONE_S, LEAST)
    cpu = server.cell.cpu()
    together, passed = loop(client.port, request, AT_ONCE, TOGETHER_S, LEAST)
    cpu = server.cell.cpu() - cpu
    return {
        "rate": len(together) / passed,
        "cpu": cpu / (len(together) + 2 * AT_ONCE) * 1e3,  # the first and the last on each
        **times(took),
    }


def times(took: list[float]) -> Figures:
    took.sort()
    return {"p50": took[len(took) // 2] * 1e3, "p99": took[int(len(took) * 0.99)] * 1e3}


def paged(key: str, **more: Any) -> Callable[[Bench, Filled], Figures]:
    """Raises RuntimeError where another number of emails is found than by the first server."""

    def measure(bench: Bench, server: Filled) -> Figures:
        client = server.client()
        calls = page(client, **more)
        counted = page(client, **{**more, "calculateTotal": True})
        answer, got = client.call(*counted)
        total = answer["total"]
        if len(got["list"]) != min(PAGE, total):
            raise RuntimeError(f"{len(got['list'])} emails of {total} found")
        if server.compared and total != bench.found.setdefault(key, total):
            raise RuntimeError(f"{total} found instead of {bench.found[key]}")
        figures = repeated(server, client, calls)
        client.close()
        return figures

    return measure


def first(bench: Bench, server: Filled) -> Figures:
    """Once, by a server that has just started."""
    del bench
    client = server.client()
    cpu, begin = server.cell.cpu(), time.perf_counter()
    client.call(*page(client))
    took = time.perf_counter() - begin
    figures = {"cpu": (server.cell.cpu() - cpu) * 1e3, "p50": took * 1e3}
    client.close()
    return figures


def changes(bench: Bench, server: Filled) -> Figures:
    """Of emails, threads and mailboxes, since before some messages were delivered."""
    del bench
    client = server.client()
    kinds = ("Email", "Thread", "Mailbox")
    states = [
        given["state"]
        for given in client.call(*((f"{kind}/get", {"ids": []}, kind) for kind in kinds))
    ]
    calls: Calls = [
        (f"{kind}/changes", {"sinceState": state}, kind)
        for kind, state in zip(kinds, states, strict=True)
    ]
    lmtp = Lmtp(server.lmtp_port)
    for message in Writer(4).messages(ARRIVED):
        lmtp.deliver(server.user(0), message)
    lmtp.close()
    created = client.call(*calls)[0]["created"]
    if len(created) != ARRIVED:
        raise RuntimeError(f"{len(created)} new emails instead of {ARRIVED}")
    server.settle()
    figures = repeated(server, client, calls)
    client.call(("Email/set", {"destroy": created}, "s"))  # so that the next run finds as many
    client.close()
    return figures


def push(bench: Bench, server: Filled) -> Figures:
    """From the beginning of a delivery to the event, with others waiting in accounts of their own."""
    del bench
    message = next(Writer(3).messages(1))
    waiting = [Events(server.client(1 + n)) for n in range(WAITING)]
    lmtp = Lmtp(server.lmtp_port)
    took: list[float] = []
    try:
        for n, events in enumerate(waiting):  # the first delivery makes what later ones find
            lmtp.deliver(server.user(1 + n), message)
            heard(events)
        time.sleep(1.0)
        for events in waiting:
            while events.heard(0):
                pass
        cpu, late = server.cell.cpu(), time.monotonic() + ENOUGH_S
        while len(took) < DELIVERIES and (len(took) < FEW or time.monotonic() < late):
            place = len(took) % WAITING
            begin = time.perf_counter()
            lmtp.deliver(server.user(1 + place), message)
            heard(waiting[place])
            took.append(time.perf_counter() - begin)
        cpu = server.cell.cpu() - cpu
    finally:
        lmtp.close()
        for events in waiting:
            events.close()
    return {"cpu": cpu / len(took) * 1e3, **times(took)}


def heard(events: Events) -> None:
    if not events.heard(PATIENCE_S):
        raise RuntimeError("nobody was told of a delivery")


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("first", "50 newest, the first request after a start", first, restart=True),
    Scenario("page", "50 newest", paged("page")),
    Scenario("plain", "the same without a preview, recipients, size and attachments",
             paged("page", properties=PLAIN)),
    Scenario("threads", "50 newest threads, with their total",
             paged("threads", collapseThreads=True, calculateTotal=True)),
    Scenario("unread", "50 newest that are unread", paged("unread", filter={"notKeyword": "$seen"})),
    Scenario("changes", f"changes since {ARRIVED} were delivered", changes),
    Scenario("rare", "text, a rare word", paged("rare", filter={"text": RARE})),
    Scenario("some", "text, a word of 1 %", paged("some", filter={"text": SOME})),
    Scenario("common", "text, a word of half of all", paged("common", filter={"text": COMMON})),
    Scenario("push", f"from delivery to EventSource, {WAITING} waiting", push),
)  # fmt: skip
