"""Flags read as one column say what the rows of the messages say, wherever the portions are cut."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from postillon.access.imap import response, search
from support.imap import Client, house

FLAGS = ("", "\\Seen", "\\Flagged $Junk", "\\Seen a b", "\\Deleted \\Seen \\Answered b", "a,b")
SEARCHES: dict[str, Callable[[set[str]], bool]] = {
    "SEEN": lambda flags: "\\Seen" in flags,
    "UNSEEN UNFLAGGED": lambda flags: not {"\\Seen", "\\Flagged"} & flags,
    "KEYWORD b": lambda flags: "b" in flags,
    "OR KEYWORD $junk DELETED": lambda flags: bool({"$Junk", "\\Deleted"} & flags),
    "NOT (SEEN KEYWORD b)": lambda flags: not {"\\Seen", "b"} <= flags,
    "NOT OR SEEN UNKEYWORD a,b": lambda flags: "\\Seen" not in flags and "a,b" in flags,
}


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response, "MARKS", 4)
    monkeypatch.setattr(search, "MARKS_AT_ONCE", 4)


async def filled(client: Client) -> None:
    """Eighteen messages, some gone, the last two come while the mailbox is selected."""
    for n in range(16):
        flags = FLAGS[n % len(FLAGS)]
        await client.ok(f"APPEND INBOX ({flags}) {{}}", b"Subject: %d\r\n\r\nx\r\n" % n)
    await client.select("INBOX")
    for uid in (3, 4, 9):
        await client.ok(f"UID STORE {uid} +FLAGS.SILENT (\\Deleted)")
        await client.ok(f"UID EXPUNGE {uid}")
    for _ in range(2):
        await client.ok("APPEND INBOX {}", b"Subject: new\r\n\r\nx\r\n")


def flags_of(responses: list[bytes]) -> dict[int, set[str]]:
    """By sequence number."""
    found = {}
    for line in responses:
        match = re.match(rb"\* (\d+) FETCH \(.*?FLAGS \((.*?)\)", line)
        if match is not None:
            found[int(match[1])] = set(match[2].decode().split())
    return found


async def test_flags_in_a_column_are_those_of_the_rows(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        client = await here.client()
        await filled(client)
        rows = await client.ok("FETCH 1:* (UID FLAGS EMAILID)")
        assert len(flags_of(rows)) == 15
        whole = [re.sub(rb" EMAILID \(.*?\)", b"", line) for line in rows]
        assert await client.ok("FETCH 1:* (UID FLAGS)") == whole
        assert await client.ok("UID FETCH 1:* FLAGS") == whole
        bare = [re.sub(rb"UID \d+ ", b"", line) for line in whole]
        assert await client.ok("FETCH 1:* FLAGS") == bare
        assert await client.ok("FETCH 2:3,5,7:15 FLAGS") == [*bare[1:3], bare[4], *bare[6:]]


async def test_of_what_another_session_removes_the_others_are_still_told(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        client, other = await here.client(), await here.client("INBOX")
        await filled(client)
        await client.ok("NOOP")
        await other.ok("NOOP")
        whole = await client.ok("FETCH 1:* FLAGS")
        await other.ok("UID STORE 6 +FLAGS.SILENT (\\Deleted)")
        await other.ok("UID EXPUNGE 6")
        found = await client.do("FETCH 1:* FLAGS")
        assert found[-1].startswith(b"NO [EXPUNGEISSUED]")
        assert flags_of(found) == flags_of([*whole[:3], *whole[4:]])
        assert b"* 4 " not in b"".join(found[:-1])


@pytest.mark.parametrize("key", SEARCHES)
async def test_a_search_by_flags_finds_those_that_have_them(tmp_path: Path, key: str) -> None:
    async with house(tmp_path) as here:
        client = await here.client()
        await filled(client)
        flags = flags_of(await client.ok("FETCH 1:* (UID FLAGS EMAILID)"))
        expected = [number for number, words in flags.items() if SEARCHES[key](words)]
        for among in ("", "1:3,7:15 "):
            found = next(x for x in await client.ok(f"SEARCH {among}{key}") if b"SEARCH" in x)
            left = [n for n in expected if not among or n <= 3 or n >= 7]
            assert list(map(int, found.split()[2:])) == left, key
