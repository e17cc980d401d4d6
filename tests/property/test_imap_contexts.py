"""Results kept by UPDATE are those that a new search would find, whatever several sessions do."""

from __future__ import annotations

import asyncio
import random
import re
import tempfile
from pathlib import Path

import pytest

from postillon.protocol.imap.numbers import parse
from support.imap import Client, house

PLAIN = (
    "UID SEARCH RETURN (ALL UPDATE) UNDELETED",
    "UID SEARCH RETURN (ALL UPDATE) OR FLAGGED NOT SEEN",
    "UID SEARCH RETURN (ALL UPDATE) SUBJECT b KEYWORD word",
)
SORTED = (
    "UID SORT RETURN (ALL UPDATE) (SUBJECT) UTF-8 UNSEEN",
    "UID SORT RETURN (ALL UPDATE) (REVERSE SUBJECT ARRIVAL) UTF-8 ALL",
)
_RESPONSE = re.compile(rb'\* ESEARCH \(TAG "(t\d+)"\) UID ?(.*)\Z')
_CHANGE = re.compile(rb"(ADDTO|REMOVEFROM) \((.*)\)\Z")


def numbers_of(text: bytes) -> list[int]:
    found: list[int] = []
    for part in text.split(b","):
        ranges = parse(part)
        assert ranges is not None
        for low, high in ranges:
            found += range(low, high + 1)
    return found


class Believer:
    """A client that keeps results by what it is told of them (RFC 5267 section 4.3)."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.kept: dict[bytes, tuple[str, list[int]]] = {}

    async def ask(self, search: str) -> tuple[bytes, list[int]]:
        found = await self.client.do(search)
        assert found[-1].startswith(b"OK"), found
        result = None
        for line in found[:-1]:
            match = _RESPONSE.match(line)
            if match is not None and not _CHANGE.match(match[2]):
                tag, result = match[1], match[2].removeprefix(b"ALL ")
            else:
                self.hear(line)
        assert result is not None, found
        return tag, numbers_of(result) if result else []

    async def keep(self, search: str) -> None:
        tag, uids = await self.ask(search)
        self.kept[tag] = search, uids

    async def do(self, command: str, *literals: bytes) -> None:
        for line in (await self.client.do(command, *literals))[:-1]:
            self.hear(line)

    def hear(self, line: bytes) -> None:
        match = _RESPONSE.match(line)
        if match is None:
            return
        uids = self.kept[match[1]][1]
        change = _CHANGE.match(match[2])
        assert change is not None, line
        words = change[2].split(b" ")
        for place, some in zip(map(int, words[::2]), words[1::2], strict=True):
            for offset, uid in enumerate(numbers_of(some)):
                if change[1] == b"REMOVEFROM":
                    assert not place or uids[place - 1] == uid, (line, uids)
                    uids.remove(uid)
                elif place:
                    uids.insert(place - 1 + offset, uid)
                else:
                    assert uid not in uids, (line, uids)
                    uids.append(uid)
                    uids.sort()

    async def agrees(self) -> None:
        await self.do("NOOP")
        for search, uids in list(self.kept.values()):
            _, truth = await self.ask(search.replace(" UPDATE", ""))
            assert uids == truth, search


async def scene(folder: Path, chance: random.Random) -> None:
    async with house(folder) as here:
        believers = [Believer(await here.client("INBOX")) for _ in range(2)]
        for who in believers:
            for search in PLAIN + SORTED:
                await who.keep(search)
        await believers[1].do("NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))")
        for _ in range(40):
            who = chance.choice(believers)
            number = chance.randint(1, 6)
            action = chance.randrange(7)
            if action < 2:
                letter = b"Subject: %c\r\n\r\nx\r\n" % chance.choice(b"abc")
                await who.do("APPEND INBOX {}", letter)
            elif action < 5:
                flag = chance.choice(("\\Seen", "\\Deleted", "\\Flagged", "word"))
                await who.do(f"STORE {number} {chance.choice('+-')}FLAGS ({flag})")
            elif action == 5:
                await who.do("EXPUNGE")
            else:
                await who.do(f"COPY {number} INBOX")
            if chance.random() < 0.2:
                await who.agrees()
        for who in believers:
            await who.agrees()


@pytest.mark.parametrize("seed", range(3))
def test_kept_results_are_what_a_new_search_finds(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scene(Path(folder), random.Random(seed)))
