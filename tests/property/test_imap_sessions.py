"""Several clients on one mailbox over a real store: what each has been told always adds up."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from postillon.account.ranges import EVERYTHING
from postillon.account.roles import INBOX_ID
from support.imap import house
from support.imap_mirror import Mirror

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


async def live(script: list[tuple[int, str, int]], together: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with house(Path(folder)) as here:
            mirrors = [Mirror(await here.client(), qresync=n == 2) for n in range(3)]
            await mirrors[2].client.ok("ENABLE QRESYNC")
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
                await mirror.agrees(await here.account.placements(INBOX_ID, EVERYTHING))


scripts = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(ACTIONS), st.integers(1, 6)), max_size=40
)


@settings(max_examples=40, deadline=None)
@given(scripts, st.booleans())
def test_what_clients_are_told_adds_up(script: list[tuple[int, str, int]], together: bool) -> None:
    asyncio.run(live(script, together))
