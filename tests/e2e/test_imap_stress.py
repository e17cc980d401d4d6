"""Many IMAP connections on the same mailboxes, doing whatever comes to their minds.

Each client checks every response against what it believes (support.imap_mirror). Letters of a chain are
only ever moved between two mailboxes: at the end each lies in one of them, once.

    pytest tests/e2e/test_imap_stress.py                      # some seconds
    pytest -m torture tests/e2e/test_imap_stress.py           # 50 connections, 10 minutes
"""

from __future__ import annotations

import asyncio
import os
import random
import re
from pathlib import Path

import pytest

from postillon.net.connect import connect
from support.imap import Client
from support.imap_mirror import Mirror
from support.server import LOGINS, PASSWORD, Server

LETTERS = 40
ACTIONS = (
    "NOOP",
    "UID FETCH 1:* (FLAGS)",
    "FETCH {n} (UID FLAGS ENVELOPE BODYSTRUCTURE)",
    "FETCH 1:{n} (UID RFC822.SIZE)",
    "FETCH {n},1 (UID BODY.PEEK[])",
    "SEARCH ALL",
    "UID SEARCH RETURN (COUNT) UNSEEN",
    "SORT (SUBJECT) UTF-8 ALL",
    "UID THREAD REFERENCES UTF-8 ALL",
    "STORE {n} +FLAGS (\\Deleted)",
    "STORE {n} -FLAGS (\\Flagged)",
    "UID STORE {n} FLAGS (\\Seen)",
    "STORE {n} +FLAGS (word{n})",
    "EXPUNGE",
    "UID EXPUNGE 1:{n}",
    "COPY {n} INBOX",
    "MOVE {n} INBOX",
    "APPEND INBOX {{16+}}\r\nSubject: x\r\n\r\nx\n",
    "STATUS INBOX (MESSAGES UNSEEN)",
    "CHECK",
    "SELECT INBOX",
)
CHAIN = ("UID MOVE {n} Left", "MOVE {n} Right", "UID FETCH 1:* (FLAGS)", "NOOP", "SELECT {box}",
         "UID MOVE 1:{n} Right", "STORE {n} +FLAGS (\\Seen)", "EXPUNGE")  # fmt: skip


# Told of everything at once, other mailboxes too, but never in the middle of the numbers it counts by.
NOTIFY = (
    "NOTIFY SET (selected-delayed (MessageNew (UID FLAGS) MessageExpunge FlagChange))"
    " (personal (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))"
)


async def entered(server: Server, mailbox: str, *, qresync: bool, notify: bool = False) -> Mirror:
    client = Client(await connect(server.host, server.port("imap")))
    await client.response()
    await client.ok(f'LOGIN {LOGINS[0]} "{PASSWORD}"')
    if qresync:
        await client.ok("ENABLE QRESYNC")
    if notify:
        await client.ok(NOTIFY)
    mirror = Mirror(client, qresync=qresync)
    await mirror.do(f"SELECT {mailbox}")
    return mirror


async def wander(mirror: Mirror, chance: random.Random, until: float, chain: bool) -> int:
    done = 0
    box = "Left"
    while asyncio.get_running_loop().time() < until:
        action = chance.choice(CHAIN if chain else ACTIONS)
        if "{box}" in action:
            box = chance.choice(("Left", "Right"))
        await mirror.do(action.format(n=chance.randint(1, 12), box=box))
        done += 1
    return done


async def stress(server: Server, connections: int, seconds: float, seed: int) -> None:
    first = await entered(server, "INBOX", qresync=False)
    for name in ("Left", "Right"):
        await first.client.ok(f"CREATE {name}")
    for number in range(LETTERS):
        letter = b"Subject: letter %d\r\n\r\nbody\r\n" % number
        await first.client.ok(f"APPEND {('Left', 'Right')[number % 2]} {{}}", letter)
    mirrors = [
        await entered(server, ("INBOX", "Left")[n % 3 == 0], qresync=n % 4 == 1, notify=n % 2 == 1)
        for n in range(connections)
    ]
    until = asyncio.get_running_loop().time() + seconds
    done = await asyncio.gather(
        *(
            wander(mirror, random.Random(seed + n), until, chain=n % 3 == 0)
            for n, mirror in enumerate(mirrors)
        )
    )
    print(f"{connections} connections, {sum(done)} commands")
    found: list[bytes] = []
    for name in ("Left", "Right"):
        await first.do(f"SELECT {name}")
        for line in await first.client.ok("FETCH 1:* (ENVELOPE)") if first.uids else []:
            found += re.findall(rb'"letter (\d+)"', line)
    assert sorted(map(int, found)) == list(range(LETTERS))
    for mirror in mirrors:
        mirror.client.stream.close()


def run(folder: Path, connections: int, seconds: float) -> None:
    seed = int(os.environ.get("POSTILLON_SEED", "1"))
    with Server(folder, workers=2) as server:
        asyncio.run(stress(server, connections, seconds, seed))
        text = server.log()
    faults = [line for line in text.splitlines() if '"level":"error"' in line]
    assert faults == []


def test_many_connections_on_one_account_agree(tmp_path: Path) -> None:
    run(tmp_path / "s", 12, 4)


@pytest.mark.torture
@pytest.mark.timeout(1200)
def test_fifty_connections_for_ten_minutes(tmp_path: Path) -> None:
    run(tmp_path / "s", 50, float(os.environ.get("POSTILLON_SECONDS", "600")))
