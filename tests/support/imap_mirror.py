"""What one IMAP client believes of its mailbox, from the responses alone, checked as they come."""

from __future__ import annotations

import re
from collections.abc import Iterable

from postillon.account.changes import Placement
from postillon.protocol.imap.numbers import parse
from support.imap import Client

_FETCH = re.compile(rb"\* (\d+) FETCH \((?:UID (\d+))?.*\)\Z", re.DOTALL)
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_FORBIDDEN = ("FETCH", "STORE", "SEARCH")  # RFC 3501 section 7.4.1


class Mirror:
    """One client's belief: the UID of each sequence number (None: not asked yet), and flags."""

    def __init__(self, client: Client, *, qresync: bool = False) -> None:
        self.client = client
        self.qresync = qresync
        self.uids: list[int | None] = []
        self.flags: dict[int, set[bytes]] = {}

    async def do(self, command: str) -> None:
        verb = command.split(" ")[0]
        found = await self.client.do(command)
        assert not found[-1].startswith(b"BAD") or b"no message of this number" in found[-1], found
        for response in found[:-1]:
            self.hear(response, forbidden=verb in _FORBIDDEN)
        if found[-1].startswith(b"OK") and ".SILENT" in command:
            # Silence means that it went as it would for somebody alone.
            number = int(command.split(" ")[1])
            uid = self.uids[number - 1]
            # A state that came with the answer is what is there (RFC 3501 section 6.4.6).
            told = any(
                response.startswith(b"* %d FETCH" % number) and _FLAGS.search(response)
                for response in found[:-1]
            )
            if uid in self.flags and not told:
                word = command[command.rindex("(") + 1 : -1].encode()
                change = set.add if "+FLAGS" in command else set.discard
                change(self.flags[uid], word)
        if self.qresync and None in self.uids and not command.startswith("UID FETCH"):
            await self.do("UID FETCH 1:* (UID FLAGS)")

    def hear(self, response: bytes, *, forbidden: bool) -> None:
        number, _, what = response[2:].partition(b" ")
        if what.startswith(b"[CLOSED]"):  # what comes from here on is of another mailbox
            self.uids, self.flags = [], {}
        elif number == b"VANISHED":
            assert self.qresync, response
            assert not forbidden, response
            self.vanish(what)
        elif what == b"EXPUNGE":
            assert not self.qresync, response
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

    def vanish(self, uids: bytes) -> None:
        """RFC 7162 section 3.2.10: by UID; all that are known by now are."""
        ranges = parse(uids)
        assert ranges is not None, uids
        for low, high in ranges:
            for uid in range(low, high + 1):
                self.uids.pop(self.place_of(uid))

    def place_of(self, uid: int) -> int:
        """Where it stands, or where one that was not asked for yet must stand."""
        if uid in self.uids:
            return self.uids.index(uid)
        below = [n for n, known in enumerate(self.uids) if known is not None and known < uid]
        place = below[-1] + 1 if below else 0
        assert self.uids[place] is None, (uid, self.uids)
        return place

    async def agrees(self, there: Iterable[Placement]) -> None:
        """After NOOP all is known that there is."""
        await self.do("NOOP")
        truth = {item.uid: item for item in there}
        believed = dict(self.flags)
        await self.do("UID FETCH 1:* (UID FLAGS)")
        assert self.uids == sorted(truth)
        for uid, flags in believed.items():
            if uid in truth:
                assert flags == self.flags[uid], (uid, flags, self.flags[uid])
