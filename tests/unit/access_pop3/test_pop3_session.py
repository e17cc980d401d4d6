"""What a transcript cannot show: TLS, locks, other sessions, time, large messages."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from pathlib import Path

import pytest
from scramp import ScramClient

from postillon.access.config import Pop3Config
from postillon.account.flags import FlagMode
from postillon.account.keywords import DELETED, SEEN
from postillon.account.ranges import EVERYTHING
from postillon.account.roles import INBOX_ID
from postillon.net.tls import ClientTls, ServerTls, self_signed
from postillon.setting import ConfigError, minutes, seconds
from support.imap import LOGIN, PASSWORD, STRANGER
from support.pop3 import house

ONE = b"Subject: one\r\n\r\nfirst\r\n"
TWO = b"Subject: two\r\n\r\nsecond\r\n"
BIG = b"Subject: big\r\n\r\n" + b".0123456789abcdef0123456789abcdef0123456789abcdef\r\n" * 60_000


@pytest.fixture
def tls(tmp_path: Path) -> ServerTls:
    certificate, key = self_signed(["mx.example.org"])
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    return ServerTls(tmp_path / "cert.pem", tmp_path / "key.pem")


async def test_no_password_is_taken_in_clear_text_from_elsewhere(
    tmp_path: Path, tls: ServerTls
) -> None:
    async with house(tmp_path, tls=tls) as here:
        client = await here.connect(STRANGER)
        able = await client.many("CAPA")
        assert b"STLS\r\n" in able
        assert b"SASL" not in able
        assert b"\r\nUSER" not in able
        for attempt in (f"USER {LOGIN}", f"PASS {PASSWORD}", "AUTH PLAIN", "AUTH"):
            answer = await client.do(attempt)
            assert answer.startswith(b"-ERR Passwords are only taken under TLS")


async def test_stls_then_the_password(tmp_path: Path, tls: ServerTls) -> None:
    async with house(tmp_path, tls=tls) as here:
        client = await here.connect(sockets=True)
        await client.ok("STLS")
        await client.stream.start_tls(ClientTls("mx.example.org"))
        assert b"STLS" not in await client.many("CAPA")
        assert (await client.do("STLS")).startswith(b"-ERR")
        assert b"0 messages" in await client.login()


async def test_what_follows_stls_in_clear_text_is_never_run(tmp_path: Path, tls: ServerTls) -> None:
    async with house(tmp_path, tls=tls) as here:
        client = await here.connect(sockets=True)
        await client.send(b"STLS\r\nUSER ada@example.org\r\n")
        assert (await client.line()).startswith(b"-ERR Nothing may follow")
        assert await client.line() == b""


async def test_scram(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        client = await here.connect()
        scram = ScramClient(["SCRAM-SHA-256"], LOGIN, PASSWORD)
        first = base64.b64encode(scram.get_client_first().encode()).decode()
        answer = await client.do(f"AUTH SCRAM-SHA-256 {first}")
        scram.set_server_first(base64.b64decode(answer[2:]).decode())
        answer = await client.do(base64.b64encode(scram.get_client_final().encode()).decode())
        scram.set_server_final(base64.b64decode(answer[2:]).decode())
        assert (await client.do("")).startswith(b"+OK 0 messages")


async def test_one_session_has_the_maildrop(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        first, second = await here.client(), await here.connect()
        await second.ok(f"USER {LOGIN}")
        assert (await second.do(f"PASS {PASSWORD}")).startswith(b"-ERR [IN-USE]")
        await first.ok("QUIT")
        await second.login()


async def test_a_connection_that_breaks_gives_the_maildrop_back_and_deletes_nothing(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as here:
        await here.fill(ONE)
        client = await here.client()
        await client.ok("DELE 1")
        client.stream.abort()
        await asyncio.gather(*here.sessions)
        again = await here.client()
        assert await again.ok("STAT") == b"1 %d" % len(ONE)


async def test_a_silent_session_can_be_succeeded_and_then_deletes_nothing(tmp_path: Path) -> None:
    config = Pop3Config(hold_time=seconds(5))
    async with house(tmp_path, config) as here:
        await here.fill(ONE, TWO)
        old = await here.client()
        await old.ok("DELE 1")
        await expire_locks(here.store)
        new = await here.client()
        await new.ok("DELE 2")
        assert (await old.do("QUIT")).startswith(b"-ERR [IN-USE]")
        assert await old.line() == b""
        await new.ok("QUIT")
        last = await here.client()
        assert await last.many("RETR 1") == ONE


async def test_a_silent_session_goes_on_when_no_other_came(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.fill(ONE)
        client = await here.client()
        await client.ok("DELE 1")
        await expire_locks(here.store)
        assert b"1 deleted" in await client.ok("QUIT")


async def test_numbers_stay_while_others_change_the_mailbox(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.fill(ONE, TWO)
        client = await here.client()
        await here.account.store_flags(INBOX_ID, ((1, 1),), FlagMode.ADD, DELETED)
        await here.account.expunge(INBOX_ID)
        await here.fill(b"Subject: new\r\n\r\nlater\r\n")
        assert (await client.do("RETR 1")).startswith(b"-ERR This message is no longer there")
        assert await client.many("RETR 2") == TWO
        assert await client.ok("STAT") == b"2 %d" % (len(ONE) + len(TWO))
        await client.ok("DELE 1")
        await client.ok("QUIT")
        again = await here.client()
        assert (await again.ok("STAT")).startswith(b"2 ")


async def test_unique_ids_last_and_are_never_given_again(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.fill(ONE, TWO)
        client = await here.client()
        one, two = (await client.many("UIDL")).split()[1::2]
        assert one != two
        await client.ok("DELE 1")
        await client.ok("QUIT")
        await here.fill(ONE)
        again = await here.client()
        kept, new = (await again.many("UIDL")).split()[1::2]
        assert kept == two
        assert new not in (one, two)


@pytest.mark.parametrize("mark_read", [True, False])
async def test_what_was_fetched_is_read_afterwards(tmp_path: Path, mark_read: bool) -> None:
    async with house(tmp_path, Pop3Config(mark_read=mark_read)) as here:
        await here.fill(ONE, TWO)
        client = await here.client()
        await client.many("RETR 1")
        await client.many("TOP 2 1")
        await client.ok("QUIT")
        found = await here.account.placements(INBOX_ID, EVERYTHING)
        assert [bool(item.flags & SEEN) for item in found] == [mark_read, False]


async def test_messages_marked_deleted_over_imap_are_not_shown(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.fill(ONE, TWO)
        await here.account.store_flags(INBOX_ID, ((1, 1),), FlagMode.ADD, DELETED)
        client = await here.client()
        assert await client.many("RETR 1") == TWO


async def test_a_large_message_comes_whole(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.fill(BIG)
        client = await here.client()
        assert await client.many("RETR 1") == BIG
        assert len((await client.many("TOP 1 30000")).splitlines()) == 2 + 30_000


async def test_pipelined_commands_are_answered_in_order(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.fill(ONE)
        client = await here.client()
        await client.send(b"NOOP\r\nSTAT\r\n" * 500)
        for _ in range(500):
            assert await client.line() == b"+OK\r\n"
            assert await client.line() == b"+OK 1 %d\r\n" % len(ONE)


async def test_an_endless_line_ends_the_session(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        client = await here.connect()
        await client.send(b"A" * 20_000)
        assert await client.line() == b"-ERR The line is too long\r\n"
        assert await client.line() == b""


async def test_whoever_only_makes_faults_is_cut_off(tmp_path: Path) -> None:
    async with house(tmp_path, Pop3Config(wrong_commands=3)) as here:
        client = await here.connect()
        for _ in range(3):
            assert (await client.do("HELP")).startswith(b"-ERR Unknown")
        assert (await client.line()).startswith(b"-ERR Too many faulty commands")
        assert await client.line() == b""


async def test_whoever_guesses_passwords_is_cut_off(tmp_path: Path) -> None:
    async with house(tmp_path, Pop3Config(wrong_commands=3)) as here:
        client = await here.connect()
        for _ in range(3):
            await client.ok(f"USER {LOGIN}")
            assert (await client.do("PASS guess")).startswith(b"-ERR [AUTH]")
        assert await client.line() == b""


async def test_a_changed_password_ends_the_session_and_deletes_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        sign_ins = here.server.sign_ins
        here.store.on_commit(lambda _, topics: sign_ins.guests.hear(topics))
        await here.fill(ONE)
        client = await here.client()
        await client.ok("DELE 1")
        await sign_ins.credentials.set_password(LOGIN, "quite another one")
        assert (await client.line()).startswith(b"-ERR [AUTH] Signed out")
        assert await client.line() == b""
        assert len(await here.account.uids(INBOX_ID)) == 1


@pytest.mark.parametrize(
    "wrong", [{"quiet_time": minutes(9)}, {"hold_time": timedelta(0)}, {"wrong_commands": 0}]
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Pop3Config(**wrong)


async def expire_locks(store) -> None:
    def operation(tx):
        yield ("UPDATE maildrop_lock SET held_until = 0", ())

    await store.write(operation)
