"""What a transcript cannot show: TLS, time, large messages, clients that do not read."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from pathlib import Path

import pytest
from scramp import ScramClient

from postillon.access.config import ImapConfig
from postillon.access.imap import search as search_module
from postillon.access.imap import session as session_module
from postillon.account.ids import MailboxId
from postillon.account.roles import INBOX_ID
from postillon.mail.mime import Scan, scan
from postillon.net.deflate import DeflateStream
from postillon.net.tls import ClientTls, ServerTls, self_signed
from postillon.setting import ConfigError, minutes
from support.imap import LOGIN, OTHER, PASSWORD, STRANGER, Client, House, house
from support.streams import socket_pair

BIG = (
    b"Subject: big\r\n\r\n"
    + b"0123456789abcdef0123456789abcdef0123456789abcdef01234567\r\n" * 60_000
)


@pytest.fixture
def tls(tmp_path: Path) -> ServerTls:
    certificate, key = self_signed(["mx.example.org"])
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    return ServerTls(tmp_path / "cert.pem", tmp_path / "key.pem")


async def over_sockets(here: House) -> Client:
    near, far = await socket_pair()
    here.sessions.append(asyncio.ensure_future(here.server.handle(far)))
    client = Client(near)
    await client.response()
    return client


async def test_no_password_is_taken_in_clear_text_from_elsewhere(
    tmp_path: Path, tls: ServerTls
) -> None:
    async with house(tmp_path, tls=tls) as here:
        client = here.connect(STRANGER)
        greeting = await client.response()
        assert b"LOGINDISABLED" in greeting
        assert b"STARTTLS" in greeting
        assert b"AUTH=" not in greeting
        for attempt in (
            f'LOGIN {LOGIN} "{PASSWORD}"',
            "AUTHENTICATE PLAIN",
            "AUTHENTICATE SCRAM-SHA-256",
        ):
            [answer] = await client.do(attempt)
            assert answer.startswith(b"NO [PRIVACYREQUIRED]")


async def test_starttls_then_login_with_channel_binding(tmp_path: Path, tls: ServerTls) -> None:
    async with house(tmp_path, tls=tls) as here:
        client = await over_sockets(here)
        assert await client.do("STARTTLS") == [b"OK Begin TLS now"]
        await client.stream.start_tls(ClientTls("mx.example.org"))
        [capabilities, _] = await client.do("CAPABILITY")
        assert b"STARTTLS" not in capabilities
        assert b"AUTH=SCRAM-SHA-256-PLUS" in capabilities
        [answer] = await client.do("STARTTLS")
        assert answer.startswith(b"BAD")
        assert client.stream.tls is not None
        scram = ScramClient(
            ["SCRAM-SHA-256-PLUS"],
            LOGIN,
            PASSWORD,
            channel_binding=("tls-server-end-point", tls.end_point),
        )

        def coded(text: str) -> bytes:
            return base64.b64encode(text.encode())

        await client.send(
            b"s AUTHENTICATE SCRAM-SHA-256-PLUS " + coded(scram.get_client_first()) + b"\r\n"
        )
        scram.set_server_first(base64.b64decode((await client.response())[2:]).decode())
        await client.send(coded(scram.get_client_final()) + b"\r\n")
        scram.set_server_final(base64.b64decode((await client.response())[2:]).decode())
        await client.send(b"\r\n")
        [answer] = await client.until(b"s")
        assert answer.startswith(b"OK")


async def test_nothing_sent_before_tls_is_done_after_it(tmp_path: Path, tls: ServerTls) -> None:
    """FAULTS 2: the connection ends, and no command of it was run."""
    async with house(tmp_path, tls=tls) as here:
        client = await over_sockets(here)
        await client.send(b"a STARTTLS\r\nb CAPABILITY\r\n")
        assert (await client.response()).startswith(b"a BAD")
        assert (await client.response()).startswith(b"* BYE")
        assert await client.response() == b""


async def test_a_stranger_that_logs_in_too_slowly_is_sent_away(tmp_path: Path) -> None:
    config = ImapConfig(login_time=timedelta(milliseconds=20))
    async with house(tmp_path, config) as here:
        client = here.connect()
        assert (await client.response()).startswith(b"* OK")
        assert (await client.response()).startswith(b"* BYE")
        assert await client.response() == b""


async def test_who_does_not_speak_imap_is_sent_away(tmp_path: Path) -> None:
    async with house(tmp_path, ImapConfig(wrong_commands=3)) as here:
        client = here.connect()
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n")
        found = [await client.response() for _ in range(5)]
        assert found[-1] == b"* BYE Too many faulty commands"
        assert await client.response() == b""


async def test_too_many_failed_logins_end_the_connection(tmp_path: Path) -> None:
    async with house(tmp_path, ImapConfig(wrong_commands=2)) as here:
        client = here.connect()
        await client.response()
        await client.do("LOGIN ada@example.org x")
        found = await client.do("LOGIN ada@example.org y")
        assert found[0].startswith(b"* BYE")


async def test_a_large_message_comes_by_a_file_and_goes_in_slices(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        client = await here.client()
        await client.ok("APPEND INBOX {}", BIG)
        await client.select()
        [response] = await client.ok("FETCH 1 BODY.PEEK[]")
        assert response == b"* 1 FETCH (BODY[] {%d}\r\n" % len(BIG) + BIG + b")"
        [response] = await client.ok(
            "FETCH 1 (RFC822.SIZE BODY.PEEK[TEXT]<100000.70000> BODY.PEEK[2])"
        )
        text = BIG[16:][100_000:170_000]
        assert response == (
            b"* 1 FETCH (RFC822.SIZE %d BODY[TEXT]<100000> {70000}\r\n%b BODY[2] NIL)"
            % (len(BIG), text)
        )
        assert [path for path in tmp_path.iterdir() if path.name.startswith("tmp")] == []


async def test_a_literal_that_is_not_wanted_is_read_and_forgotten(tmp_path: Path) -> None:
    """RFC 7888 section 4: the client does not wait, so its octets come."""
    async with house(tmp_path) as here:
        client = here.connect()
        await client.response()
        [answer] = await client.do(b"LOGIN {} x", b"y" * 70_000)
        assert answer == b"NO [LIMIT] Literal too large"
        await client.login()
        [answer] = await client.do(b"SELECT {}", b"y" * 2_000_000)
        assert answer == b"NO [LIMIT] Literal too large"
        await client.send(b"x SELECT {300000000+}\r\n")
        assert (await client.response()).startswith(b"x NO")
        assert (await client.response()).startswith(b"* BYE")


async def test_the_delimiter_in_a_name_is_escaped(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        client = await here.client()
        await here.account.create(("AC/DC", "=2F"))
        found = await client.ok('LIST "" AC*')
        assert found[1] == b'* LIST (\\HasNoChildren) "/" "AC=2FDC/=3D2F"'
        await client.select("AC=2FDC/=3D2F")


async def test_the_selected_mailbox_may_be_deleted_by_somebody_else(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        one, two = await here.client(), await here.client()
        await one.ok("CREATE Gone")
        await one.ok("APPEND Gone {}", b"a\r\n\r\n")
        await one.select("Gone")
        await two.ok("DELETE Gone")
        [answer] = await one.do("STORE 1 FLAGS (\\Seen)")
        assert answer.startswith(b"NO [NONEXISTENT]")
        assert await one.ok("NOOP") == [b"* 1 EXPUNGE"]
        assert await one.ok("CLOSE") == []


async def test_silent_does_not_hide_what_somebody_else_did(tmp_path: Path) -> None:
    """RFC 3501 section 6.4.6: .SILENT is about one's own change only."""
    async with house(tmp_path) as here:
        one, two = await here.client(), await here.client()
        await one.ok("APPEND INBOX {}", b"a\r\n\r\n")
        await one.select()
        await two.select()
        await two.ok("STORE 1 +FLAGS (\\Flagged)")
        found = await one.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
        assert found == [b"* 1 FETCH (UID 1 FLAGS (\\Flagged \\Seen \\Recent))"]
        assert await one.ok("STORE 1 +FLAGS.SILENT (\\Draft)") == []
        assert await one.ok("NOOP") == []


async def test_a_changed_password_ends_the_sessions_of_the_old_one(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        sign_ins = here.server.sign_ins
        here.store.on_commit(lambda _, topics: sign_ins.guests.hear(topics))
        other = await here.client("INBOX", OTHER)
        waiting, idle, gone = [await here.client("INBOX") for _ in range(3)]
        await idle.send(b"i IDLE\r\n")
        assert await idle.response() == b"+ Idling"
        await gone.ok("UNAUTHENTICATE")
        await sign_ins.credentials.set_password(LOGIN, "quite another one")
        for client in (waiting, idle):
            assert (await client.response()).startswith(b"* BYE Signed out")
            assert await client.response() == b""
        await gone.ok("NOOP")
        await other.ok("NOOP")


async def test_a_compressed_session_ends_with_its_password_in_silence(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        sign_ins = here.server.sign_ins
        here.store.on_commit(lambda _, topics: sign_ins.guests.hear(topics))
        client = await here.client("INBOX")
        await client.ok("COMPRESS DEFLATE")
        await sign_ins.credentials.set_password(LOGIN, "quite another one")
        assert await client.response() == b""


async def test_an_idle_client_hears_of_what_comes_and_is_forgotten_after_it(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        client = await here.client("INBOX")
        await client.send(b"i IDLE\r\n")
        assert await client.response() == b"+ Idling"
        for _ in range(3):
            await here.account.append(*message())
        while await client.response() != b"* 3 EXISTS":
            pass
        await client.send(b"DONE\r\n")
        assert (await client.until(b"i"))[-1] == b"OK Done"
        assert not here.server.accounts.hub._listeners


async def test_idle_without_a_mailbox_and_a_wrong_end(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        client = await here.client()
        await client.send(b"i IDLE\r\nNOOP\r\n")
        assert await client.until(b"i") == [b"+ Idling", b"BAD Expected DONE"]
        await client.send(b"i IDLE\r\ndone\r\nj NOOP\r\n")
        assert await client.until(b"j") == [b"+ Idling", b"i OK Done", b"OK Done"]


async def test_a_client_that_vanishes_leaves_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        client = await here.client("INBOX")
        await client.send(b"i IDLE\r\n")
        await client.response()
        client.stream.abort()
        await here.sessions[0]
        assert not here.server.accounts.hub._listeners


async def test_an_append_cut_short_leaves_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        client = await here.client()
        await client.send(b"a APPEND INBOX {2000000+}\r\nabc")
        await client.stream.drain()
        client.stream.close()
        await here.sessions[0]
        assert await here.account.uids((await here.account.mailboxes())[0].id) == []


async def test_what_came_while_selected_is_recent_for_nobody_else(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        one = await here.client("INBOX")
        await here.account.append(*message())
        assert await one.ok("NOOP") == [b"* 1 EXISTS", b"* 1 RECENT"]
        await one.ok("UNSELECT")
        assert b"* 0 RECENT" in await one.select()


def test_the_silent_may_stay_for_half_an_hour() -> None:
    with pytest.raises(ConfigError):
        ImapConfig(quiet_time=minutes(29))


def message() -> tuple[MailboxId, bytes, Scan]:
    content = b"Subject: x\r\n\r\nx\r\n"
    return INBOX_ID, content, scan(content)


async def test_compression_begins_after_its_answer(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        client = await here.client("INBOX")
        for _ in range(50):
            await client.ok("APPEND INBOX {}", b"Subject: one\r\n\r\nbody\r\n")
        await client.ok("COMPRESS DEFLATE")
        client.stream = DeflateStream(client.stream)
        found = await client.ok("FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[])")
        assert len([line for line in found if b"BODYSTRUCTURE" in line]) == 50
        [answer] = await client.do("COMPRESS DEFLATE")
        assert answer.startswith(b"NO [COMPRESSIONACTIVE]")


async def test_nothing_may_follow_compress_in_clear_text(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        client = await here.client()
        await client.send(b"a COMPRESS DEFLATE\r\nb NOOP\r\n")
        assert (await client.response()).startswith(b"a BAD")
        assert (await client.response()).startswith(b"b OK")


async def test_a_long_search_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "PROGRESS_S", 0.0)
    monkeypatch.setattr(search_module, "ROWS_AT_ONCE", 2)
    async with house(tmp_path) as here:
        client = await here.client("INBOX")
        for _ in range(5):
            await client.ok("APPEND INBOX {}", b"Subject: one\r\n\r\nbody\r\n")
        found = await client.ok("SEARCH BODY body")
        told = [line for line in found if b"INPROGRESS" in line]
        assert [line.split(b")]")[0].split()[-2:] for line in told] == [
            [b"2", b"5"], [b"4", b"5"], [b"5", b"5"],
        ]  # fmt: skip
        assert found[-1] == b"* SEARCH 1 2 3 4 5"
