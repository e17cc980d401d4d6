"""MESSAGELIMIT (RFC 9738), UIDBATCHES of several batches (RFC 10022), JMAPACCESS (RFC 9698)."""

from __future__ import annotations

from pathlib import Path

import pytest

from postillon.access.config import AutoconfigConfig, HttpConfig, ImapConfig
from postillon.access.imap import search as search_module
from postillon.server.offered import jmap_session
from postillon.server.sections import ListenerConfig, ListenerProtocol
from postillon.setting import ConfigError
from support.imap import Client, House, house

MESSAGE = b"Subject: x\r\n\r\nx\r\n"


async def _filled(here: House, count: int) -> Client:
    client = await here.client()
    for start in range(0, count, 2):
        some = min(2, count - start)
        await client.ok("APPEND INBOX" + " {}" * some, *[MESSAGE] * some)
    await client.select()
    return client


async def test_without_a_limit_none_is_announced(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        client = await here.client()
        [line] = await client.ok("CAPABILITY")
        assert b"MESSAGELIMIT" not in line
        assert b"JMAPACCESS" not in line
        assert await client.do("GETJMAPACCESS") == [b"BAD There is no JMAP here"]


async def test_the_newest_messages_are_taken_and_the_lowest_uid_is_named(tmp_path: Path) -> None:
    async with house(tmp_path, ImapConfig(message_limit=3)) as here:
        client = await _filled(here, 8)
        assert b" MESSAGELIMIT=3" in (await client.ok("CAPABILITY"))[0]
        found = await client.do("UID FETCH 1:* (UID)")
        assert found == [
            *(b"* %d FETCH (UID %d)" % (uid, uid) for uid in (6, 7, 8)),
            b"OK [MESSAGELIMIT 3 6] Partly done",
        ]
        # The client goes on below; ranges in any order, and what is no more than the limit.
        assert (await client.do("UID FETCH 4,1:2,5 (UID)"))[
            -1
        ] == b"OK [MESSAGELIMIT 3 2] Partly done"
        assert (await client.do("UID FETCH 1:3 (UID)"))[-1] == b"OK Done"
        assert (await client.do("FETCH 2:5 (UID)"))[-1] == b"OK [MESSAGELIMIT 3 3] Partly done"
        assert await client.do("STORE 1:* FLAGS (\\Seen)") == [
            *(b"* %d FETCH (FLAGS (\\Seen \\Recent))" % number for number in (6, 7, 8)),
            b"OK [MESSAGELIMIT 3 6] Partly done",
        ]
        assert await client.do("UID SEARCH UNANSWERED") == [
            b"* SEARCH 6 7 8",
            b"OK [MESSAGELIMIT 3 6] Partly done",
        ]
        assert await client.do("UID SEARCH UID 1:5 UNANSWERED") == [
            b"* SEARCH 3 4 5",
            b"OK [MESSAGELIMIT 3 3] Partly done",
        ]
        assert await client.do("UID SEARCH UID 1:3 UNANSWERED") == [b"* SEARCH 1 2 3", b"OK Done"]
        # A part of a search cannot be kept true (RFC 5267).
        assert (await client.do("UID SEARCH RETURN (COUNT UPDATE) ALL"))[1].startswith(
            b"* NO [NOUPDATE "
        )


async def test_uid_expunge_goes_on_below_and_expunge_has_no_limit(tmp_path: Path) -> None:
    async with house(tmp_path, ImapConfig(message_limit=3)) as here:
        client = await _filled(here, 8)
        for some in ("1:3", "4:6", "7:8"):
            await client.ok(f"UID STORE {some} +FLAGS.SILENT (\\Deleted)")
        found = await client.do("UID EXPUNGE 1:*")
        assert found == [
            b"* 8 EXPUNGE", b"* 7 EXPUNGE", b"* 6 EXPUNGE", b"OK [MESSAGELIMIT 3 6] Partly done",
        ]  # fmt: skip
        assert len(await client.ok("EXPUNGE")) == 5


async def test_copy_move_and_append_are_whole_or_not_at_all(tmp_path: Path) -> None:
    async with house(tmp_path, ImapConfig(message_limit=3)) as here:
        client = await _filled(here, 8)
        refusal = [b"NO [MESSAGELIMIT 3] That is too many messages for one command"]
        assert await client.do("UID COPY 1:4 Trash") == refusal
        assert await client.do("MOVE 1:4 Trash") == refusal
        assert await client.do("APPEND Trash {} {} {} {}", *[MESSAGE] * 4) == refusal
        await client.ok("COPY 1:3 Trash")
        assert b"(MESSAGES 3)" in (await client.ok("STATUS Trash (MESSAGES)"))[0]
        assert (await client.do("UIDBATCHES 500"))[-1] == refusal[0]


async def test_what_has_been_changed_by_others_is_told_beside_the_limit(tmp_path: Path) -> None:
    async with house(tmp_path, ImapConfig(message_limit=2)) as here:
        client = await _filled(here, 3)
        found = await client.do("UID STORE 1:* (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Seen)")
        assert b"* OK [MESSAGELIMIT 2 2] Partly done" in found
        assert found[-1] == b"OK [MODIFIED 2:3] Some were changed by others"


def test_a_limit_below_nothing_is_no_limit_at_all() -> None:
    with pytest.raises(ConfigError):
        ImapConfig(message_limit=-1)


async def test_batches_touch_each_other_and_end_at_uid_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "MIN_BATCH", 2)
    async with house(tmp_path) as here:
        client = await _filled(here, 9)
        await client.ok("UID STORE 1:2,5,8 +FLAGS.SILENT (\\Deleted)")
        await client.ok("EXPUNGE")  # 3 4 6 7 9 are left
        [line] = await client.ok("UIDBATCHES 2")
        assert line.endswith(b" 9:7,6:4,3:1")
        [line] = await client.ok("UIDBATCHES 2 2:3")
        assert line.endswith(b" 6:4,3:1")
        [line] = await client.ok("UIDBATCHES 2 3:900")
        assert line.endswith(b") 3:1")
        await client.ok("UID STORE 1:* +FLAGS.SILENT (\\Deleted)")
        await client.ok("EXPUNGE")
        [line] = await client.ok("UIDBATCHES 2")
        assert line.endswith(b'")')


async def test_clients_are_told_where_jmap_is(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        here.server.jmap_url = "https://mx.example.org/jmap/session"
        client = await here.client()
        assert b" JMAPACCESS" in (await client.ok("CAPABILITY"))[0]
        assert await client.ok("GETJMAPACCESS") == [
            b'* JMAPACCESS "https://mx.example.org/jmap/session"'
        ]


@pytest.mark.parametrize(
    ("listeners", "proxies", "url"),
    [
        ([], (), ""),
        ([(ListenerProtocol.IMAPS, 0)], (), ""),
        ([(ListenerProtocol.HTTPS, 0)], (), "https://mx.example.org/jmap/session"),
        ([(ListenerProtocol.HTTPS, 8443)], (), "https://mx.example.org:8443/jmap/session"),
        ([(ListenerProtocol.HTTP, 8080)], (), "http://mx.example.org:8080/jmap/session"),
        ([(ListenerProtocol.HTTP, 8080)], ("127.0.0.1",), "https://mx.example.org/jmap/session"),
        (
            [(ListenerProtocol.HTTP, 80), (ListenerProtocol.HTTPS, 443)],
            (),
            "https://mx.example.org/jmap/session",
        ),
    ],
)
def test_the_url_of_jmap_is_read_off_the_listeners(
    listeners: list[tuple[ListenerProtocol, int]], proxies: tuple[str, ...], url: str
) -> None:
    there = [ListenerConfig(protocol=protocol, port=port) for protocol, port in listeners]
    http = HttpConfig(trusted_proxies=proxies)
    assert jmap_session(there, "mx.example.org", AutoconfigConfig(), http) == url
