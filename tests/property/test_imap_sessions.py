"""Several clients on one mailbox over a real store: what each has been told always adds up."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from postillon.account.roles import INBOX_ID
from support.imap import Client, House, house

_FETCH = re.compile(rb"\* (\d+) FETCH \((?:UID (\d+))?.*\)\Z", re.DOTALL)
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_FORBIDDEN = ("FETCH", "STORE", "SEARCH")  # RFC 3501 section 7.4.1

# What clients do, with the messages named by place so that most of it makes sense.
ACTIONS = (
    "NOOP",
    "UID FETCH 1:* (FLAGS)",
    "FETCH {n} (UID FLAGS)",
    "FETCH 1:{n} (UID)",
    "FETCH 1,{n} (UID FLAGS)",
    "UID FETCH {n}:{n},1,4 (UID)",
    "SEARCH ALL",
    "STORE {n} +FLAGS (\\Deleted)",
    "STORE {n} -FLAGS.SILENT (\\Flagged)",
    "STORE {n} +FLAGS.SILENT (x{n})",
    "UID STORE {n} FLAGS (\\Seen)",
    "EXPUNGE",
    "UID EXPUNGE 1:{n}",
    "COPY {n} INBOX",
    "UID MOVE {n} Trash",
    "MOVE {n} INBOX",
    "FETCH {n} BODY[TEXT]",
    "APPEND INBOX {{4+}}\r\na\r\n\r\n",
    "UID SEARCH SEEN",
    "CHECK",
    "SELECT INBOX",
)


class Mirror:
    """One client's belief: the UID of each sequence number (None: not asked yet), and flags."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.uids: list[int | None] = []
        self.flags: dict[int, set[bytes]] = {}
        self.started = False

    async def do(self, command: str) -> None:
        verb = command.split(" ")[0]
        if verb == "SELECT":
            self.uids, self.flags = [], {}
        found = await self.client.do(command)
        assert not found[-1].startswith(b"BAD") or b"no message of this number" in found[-1], found
        for response in found[:-1]:
            self.hear(response, forbidden=verb in _FORBIDDEN)
        if found[-1].startswith(b"OK") and ".SILENT" in command:
            # Silence means that it went as it would for somebody alone.
            number = int(command.split(" ")[1])
            uid = self.uids[number - 1]
            if uid in self.flags:
                word = command[command.rindex("(") + 1 : -1].encode()
                change = set.add if "+FLAGS" in command else set.discard
                change(self.flags[uid], word)

    def hear(self, response: bytes, *, forbidden: bool) -> None:
        number, _, what = response[2:].partition(b" ")
        if what == b"EXPUNGE":
            assert not forbidden, response
            assert 1 <= int(number) <= len(self.uids)
            del self.uids[int(number) - 1]
        elif what == b"EXISTS":
            assert int(number) >= len(self.uids), (response, self.uids)
            self.uids += [None] * (int(number) - len(self.uids))
        elif what.startswith(b"FETCH"):
            match = _FETCH.match(response)
            assert match is not None, response
            assert 1 <= int(number) <= len(self.uids), (response, self.uids)
            uid = self.uids[int(number) - 1]
            if match[2]:
                assert uid in (None, int(match[2])), (response, self.uids)
                uid = self.uids[int(number) - 1] = int(match[2])
            told = _FLAGS.search(response)
            if told is not None and uid is not None:
                self.flags[uid] = set(told[1].split()) - {b"\\Recent"}

    async def agrees(self, here: House) -> None:
        """After NOOP all is known that there is."""
        await self.do("NOOP")
        there = await here.account.placements(INBOX_ID, [(1, 99_999)])
        truth = {item.uid: item for item in there}
        believed = dict(self.flags)
        await self.do("UID FETCH 1:* (UID FLAGS)")
        assert self.uids == sorted(truth)
        for uid, flags in believed.items():
            if uid in truth:
                assert flags == self.flags[uid], (uid, flags, self.flags[uid])


async def live(script: list[tuple[int, str, int]], together: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with house(Path(folder)) as here:
            mirrors = [Mirror(await here.client()) for _ in range(3)]
            for _ in range(4):
                await mirrors[0].client.ok("APPEND INBOX {}", b"a\r\n\r\n")
            for mirror in mirrors:
                await mirror.do("SELECT INBOX")

            async def act(which: int) -> None:
                mirror = mirrors[which]
                for who, action, n in script:
                    if who == which:
                        await mirror.do(action.format(n=n))

            if together:
                await asyncio.gather(*(act(which) for which in range(3)))
            else:
                for who, action, n in script:
                    await mirrors[who].do(action.format(n=n))
            for mirror in mirrors:
                await mirror.agrees(here)


scripts = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(ACTIONS), st.integers(1, 6)), max_size=40
)


@settings(max_examples=40, deadline=None)
@given(scripts, st.booleans())
def test_what_clients_are_told_adds_up(script: list[tuple[int, str, int]], together: bool) -> None:
    asyncio.run(live(script, together))
