"""The SMTP driver: what is accepted, what is written into it, what is refused and when it hangs up."""

import base64
from datetime import timedelta

import pytest

from postillon.mail.outcome import Delivered, Failed, Status
from postillon.net.tls import ClientTls, ServerTls, self_signed
from postillon.protocol.sasl.client import ScramClientMechanism
from postillon.queue.ids import format_queue_id
from postillon.queue.submit import SubmissionRefused
from postillon.store.operation import StoreFull, StoreStopped
from support.smtp_server import HERE, PASSWORD, STRANGER, post
from support.streams import socket_pair
from support.transcript import StreamTarget

PLAIN = base64.b64encode(f"\0ada@example.org\0{PASSWORD}".encode()).decode()


async def say(client, *lines):
    """Send lines one by one; the last line of each reply, decoded."""
    said = []
    for line in lines:
        await client.send(line.encode() + b"\r\n")
        said.append(await heard(client))
    return said[0] if len(said) == 1 else said


async def heard(client):
    while (line := await client.line())[3:4] == b"-":
        pass
    return line.decode().strip()


async def hello(post, peer=STRANGER, word="EHLO client.example.net"):
    client = post.connect(peer)
    await heard(client)
    await say(client, word)
    return client


async def log_in(post):
    client = await hello(post, HERE)
    assert (await say(client, f"AUTH PLAIN {PLAIN}")).startswith("235")
    return client


async def deliver(client, content, *paths, sender="grace@example.net"):
    await say(client, f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{path}>" for path in paths), "DATA")
    await client.send(content + b".\r\n")
    return await heard(client)


async def test_a_message_reaches_the_queue_with_received_and_facts(tmp_path):
    async with post(tmp_path) as server:
        client = await hello(server)
        said = await deliver(client, b"Subject: hi\r\n\r\nhi\r\n", "ada@example.org")
        [kept] = server.queue.kept
        assert said == f"250 2.0.0 Accepted as {format_queue_id(kept.queue_id)}"
        assert kept.content == b"Subject: hi\r\n\r\nhi\r\n"
        assert kept.submitter is None
        header = kept.header.decode()
        assert header.startswith(
            "Received: from client.example.net ([192.0.2.9])\r\n\tby mx.example"
        )
        assert "with ESMTP" in header
        assert f"id {format_queue_id(kept.queue_id)}" in header
        assert "for <ada@example.org>" in header
        assert kept.facts["peer"] == "192.0.2.9"
        assert kept.facts["route"]["ada@example.org"]
        assert any(format_queue_id(kept.queue_id).encode() in line for line in server.lines)


async def test_binary_content_is_not_taken_for_lines(tmp_path):
    async with post(tmp_path) as server:
        client = await hello(server)
        await deliver(client, b"Subject: hi\r\n\r\nhi\r\n", "ada@example.org")
        content = b"Subject: hi\r\n\r\none\ntwo\nthree"
        await say(client, "MAIL FROM:<grace@example.net> BODY=BINARYMIME")
        await say(client, "RCPT TO:<ada@example.org>")
        await client.send(b"BDAT %d LAST\r\n%b" % (len(content), content))
        assert (await heard(client)).startswith("250 2.0.0 Accepted")
        assert [(kept.content[-5:], kept.pure) for kept in server.queue.kept] == [
            (b"\nhi\r\n", True), (b"three", False),
        ]  # fmt: skip


async def test_received_names_nobody_when_there_are_several(tmp_path):
    async with post(tmp_path) as server:
        client = await hello(server, word="HELO client.example.net")
        await deliver(client, b"\r\n", "ada@example.org", "bob@example.org")
        assert b"for <" not in server.queue.kept[0].header
        assert b"with SMTP" in server.queue.kept[0].header


async def test_strangers_cannot_relay_but_postmaster_answers(tmp_path):
    async with post(tmp_path) as server:
        await server.house.account("root@example.org", admin=True)
        client = await hello(server)
        said = await say(
            client,
            "MAIL FROM:<>",
            "RCPT TO:<grace@example.net>",
            "RCPT TO:<ada%example.net@example.org>",
            'RCPT TO:<"ada@example.net"@example.org>',
            "RCPT TO:<postmaster>",
        )
        assert [line[:9] for line in said] == [
            "250 2.1.0", "550 5.7.1", "550 5.1.1", "550 5.1.1", "250 2.1.5",
        ]  # fmt: skip


async def test_port_25_has_no_login(tmp_path):
    async with post(tmp_path) as server:
        client = await hello(server, HERE)
        assert (await say(client, f"AUTH PLAIN {PLAIN}")).startswith("502")


async def test_off_loopback_no_password_is_taken_without_tls(tmp_path):
    async with post(tmp_path, "submission") as server:
        client = await hello(server)
        assert (await say(client, f"AUTH PLAIN {PLAIN}")).startswith("530 5.7.0")


async def test_submission_completes_and_strips(tmp_path):
    async with post(tmp_path, "submission") as server:
        client = await log_in(server)
        content = b"To: grace@example.net\r\nBcc: bob@example.org\r\nSubject: hi\r\n\r\nhi\r\n"
        said = await deliver(client, content, "grace@example.net", sender="ada@example.org")
        assert said.startswith("250")
        [kept] = server.queue.kept
        assert b"Bcc" not in kept.content
        assert kept.content.endswith(b"Subject: hi\r\n\r\nhi\r\n")
        assert b"\r\nMessage-ID: <" in kept.header
        assert b"\r\nDate: " in kept.header
        assert b"\r\nFrom: ada@example.org\r\n" in kept.header
        assert b"with ESMTPA" in kept.header
        assert kept.submitter is not None


async def test_submission_adds_nothing_that_is_there(tmp_path):
    async with post(tmp_path, "submission") as server:
        client = await log_in(server)
        content = (
            b"From: Ada <ada@example.org>\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n"
            b"Message-ID: <a@b>\r\n\r\n"
        )
        await deliver(client, content, "bob@example.org", sender="ada@example.org")
        [kept] = server.queue.kept
        assert kept.content == content
        assert kept.header.count(b"\r\n") == kept.header.count(b"\r\n\t") + 1


@pytest.mark.parametrize(
    "sender",
    [
        b"From: bob@example.org",
        b"From: ada@example.org\r\nFrom: bob@example.org",
        b"From: ada@example.org, bob@example.org",
        b"From: admin, ada@example.org",
        b"From: friends: ada@example.org;",
        b"From: =?utf-8?q?ada=40example.org?=",
        b"From:",
    ],
)
async def test_from_must_be_ones_own(sender, tmp_path):
    async with post(tmp_path, "submission") as server:
        client = await log_in(server)
        said = await deliver(
            client, sender + b"\r\n\r\n", "bob@example.org", sender="ada@example.org"
        )
        assert said.startswith("550 5.")
        assert server.queue.kept == []


async def test_a_login_by_scram(tmp_path):
    async with post(tmp_path, "submission") as server:
        client = await hello(server, HERE)
        for password, code in (("wrong-password", "535"), (PASSWORD, "235")):
            other = ScramClientMechanism("ada@example.org", password)
            first = base64.b64encode(other.initial).decode()
            said = await say(client, f"AUTH SCRAM-SHA-256 {first}")
            while said.startswith("334 "):
                answer = other.respond(base64.b64decode(said[4:]))
                said = await say(client, base64.b64encode(answer).decode())
            assert said.startswith(code)


async def test_failed_logins_end_the_connection(tmp_path):
    async with post(tmp_path, "submission", max_logins=2) as server:
        client = await hello(server, HERE)
        wrong = base64.b64encode(b"\0ada@example.org\0wrong").decode()
        assert (await say(client, f"AUTH PLAIN {wrong}")).startswith("535")
        assert (await say(client, f"AUTH PLAIN {wrong}")).startswith("421")
        assert await client.line() == b""


async def test_nobody_acts_for_somebody_else(tmp_path):
    async with post(tmp_path, "submission") as server:
        client = await hello(server, HERE)
        for authzid, code in (("bob@example.org", "535"), ("ada@example.org", "235")):
            word = base64.b64encode(f"{authzid}\0ada@example.org\0{PASSWORD}".encode()).decode()
            assert (await say(client, f"AUTH PLAIN {word}")).startswith(code)


def server_tls(folder):
    certificate, key = self_signed(["mx.example.org"])
    (folder / "cert.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(key)
    return ServerTls(folder / "cert.pem", folder / "key.pem")


async def test_starttls_forgets_all_and_offers_login_with_channel_binding(tmp_path):
    async with post(tmp_path, "submission", tls=server_tls(tmp_path)) as server:
        near, far = await socket_pair()
        server.serve(far)
        client = StreamTarget(near)
        await heard(client)
        await say(client, "EHLO before.example.net")
        assert await say(client, "STARTTLS") == "220 2.0.0 Begin TLS"
        await near.start_tls(ClientTls("mx.example.org"))
        assert (await say(client, "MAIL FROM:<>")).startswith("503")
        await client.send(b"EHLO after.example.net\r\n")
        lines = [await client.line()]
        while lines[-1][3:4] == b"-":
            lines.append(await client.line())
        assert b"250-STARTTLS\r\n" not in lines
        assert b"250-AUTH SCRAM-SHA-256 PLAIN LOGIN OAUTHBEARER XOAUTH2\r\n" in lines
        assert (await say(client, f"AUTH PLAIN {PLAIN}")).startswith("235")
        await deliver(client, b"\r\n", "bob@example.org", sender="ada@example.org")
        [kept] = server.queue.kept
        assert b"with ESMTPSA" in kept.header
        assert b"TLSv1.3" in kept.header
        assert kept.facts["hello"] == "after.example.net"
        near.close()


async def test_a_changed_password_ends_the_session_in_the_middle_of_a_message(tmp_path):
    async with post(tmp_path, "submission") as server:
        guests = server.server.sign_ins.guests
        server.house.store.on_commit(lambda _, topics: guests.hear(topics))
        client, silent = await log_in(server), await log_in(server)
        await say(client, "MAIL FROM:<ada@example.org>", "RCPT TO:<bob@example.org>", "DATA")
        await client.send(b"Subject: not yet whole\r\n")
        server.house.time.now += 1
        await server.house.credentials.set_password("ada@example.org", "quite another one")
        for ended in (client, silent):
            assert (await heard(ended)).startswith("421 4.7.0 Signed out")
            assert await ended.line() == b""
        assert not server.queue.kept


async def test_what_comes_with_starttls_is_never_run(tmp_path):
    async with post(tmp_path, tls=server_tls(tmp_path)) as server:
        client = await hello(server)
        await client.send(b"STARTTLS\r\nMAIL FROM:<mallory@example.com>\r\n")
        assert (await heard(client)).startswith("501 5.5.1")
        assert await client.line() == b""


async def test_a_guesser_of_addresses_is_turned_away(tmp_path):
    async with post(tmp_path, close_after=3, harvest_delay=timedelta(0)) as server:
        client = await hello(server)
        said = await say(
            client, "MAIL FROM:<>", "RCPT TO:<a1@example.org>", "RCPT TO:<a2@example.org>",
            "RCPT TO:<a3@example.org>",
        )  # fmt: skip
        assert [line[:3] for line in said] == ["250", "550", "550", "421"]
        assert await client.line() == b""


async def test_too_many_errors_end_the_connection(tmp_path):
    async with post(tmp_path, max_errors=3) as server:
        client = await hello(server)
        await client.send(b"a\r\nb\r\nc\r\nd\r\n")
        assert [(await heard(client))[:3] for _ in range(4)] == ["500", "500", "500", "421"]
        assert await client.line() == b""


async def test_recipients_and_messages_are_bounded(tmp_path):
    async with post(tmp_path, max_transactions=1) as server:
        client = await hello(server)
        await say(client, "MAIL FROM:<>")
        for _ in range(100):
            assert (await say(client, "RCPT TO:<ada@example.org>")).startswith("250")
        assert (await say(client, "RCPT TO:<ada@example.org>")).startswith("452 4.5.3")
        await say(client, "DATA")
        await client.send(b"\r\n.\r\n")
        assert (await heard(client)).startswith("250")
        assert (await say(client, "MAIL FROM:<>")).startswith("421 4.7.0")


async def test_a_full_mailbox_is_refused_at_rcpt(tmp_path):
    async with post(tmp_path) as server:
        await server.house.accounts.set_quota("bob@example.org", 1_000)
        client = await hello(server)
        said = await say(
            client,
            "MAIL FROM:<> SIZE=2000",
            "RCPT TO:<bob@example.org>",
            "RCPT TO:<ada@example.org>",
        )
        assert [line[:9] for line in said] == ["250 2.1.0", "452 4.2.2", "250 2.1.5"]


async def test_a_message_over_size_is_read_to_its_end_and_not_kept(tmp_path):
    async with post(tmp_path, max_size=70_000) as server:
        client = await hello(server)
        said = await deliver(
            client, b"x" * 70 + b"\r\n" + b"y" * 80_000 + b"\r\n", "ada@example.org"
        )
        assert said.startswith("552 5.3.4")
        assert (await say(client, "NOOP")).startswith("250")
        assert server.queue.kept == []


async def test_large_content_waits_in_a_file_without_a_name(tmp_path):
    async with post(tmp_path, memory=1_000) as server:
        content = b"Subject: large\r\n\r\n" + b"0123456789\r\n" * 20_000
        client = await hello(server)
        before = sorted(tmp_path.iterdir())
        assert (await deliver(client, content, "ada@example.org")).startswith("250")
        assert sorted(tmp_path.iterdir()) == before
        [kept] = server.queue.kept
        assert not isinstance(kept.content, bytes)
        assert kept.content[:] == content


async def test_a_bare_lf_is_repaired_only_where_it_is_configured(tmp_path):
    async with post(tmp_path, "submission", repair_lines=True) as server:
        client = await log_in(server)
        said = await deliver(
            client, b"Subject: a\n\n.\nb\r\n", "bob@example.org", sender="ada@example.org"
        )
        assert said.startswith("250")
        assert server.queue.kept[0].content == b"Subject: a\r\n\r\n.\r\nb\r\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SubmissionRefused(Status("5.4.6", "too many hops"), True), "554 5.4.6 too many hops"),
        (SubmissionRefused(Status("4.3.0", "not now"), False), "451 4.3.0 not now"),
        (StoreFull("full"), "452 4.3.1"),
        (StoreStopped("stopped"), "421 4.3.2"),
        (RuntimeError("a bug"), "451 4.3.0"),
    ],
)
async def test_what_the_queue_refuses_is_answered(error, said, tmp_path):
    async with post(tmp_path) as server:
        server.queue.error = error
        client = await hello(server)
        assert (await deliver(client, b"\r\n", "ada@example.org")).startswith(said)


async def test_lmtp_answers_for_each_recipient(tmp_path):
    async with post(tmp_path, "lmtp") as server:
        server.queue.outcomes = (
            Delivered(Status("2.0.0", "ok")),
            Failed(Status("5.4.6", "a loop")),
        )
        client = await hello(server, word="LHLO client.example.net")
        first = await deliver(client, b"\r\n", "ada@example.org", "bob@example.org")
        assert first.startswith("250 2.0.0")
        assert await heard(client) == "550 5.4.6 a loop"
        assert b"with LMTP" in server.queue.kept[0].header


async def test_silence_is_answered_and_ended(tmp_path):
    async with post(tmp_path, command_timeout=timedelta(milliseconds=1)) as server:
        client = server.connect()
        assert (await heard(client)).startswith("220")
        assert (await heard(client)).startswith("421 4.4.2")
        assert await client.line() == b""


async def test_a_bug_in_a_session_is_logged_once_and_answered(tmp_path):
    async with post(tmp_path) as server:
        object.__setattr__(server.server.knowledge, "recipients", None)
        client = await hello(server)
        said = await say(client, "MAIL FROM:<>", "RCPT TO:<ada@example.org>")
        assert said[1].startswith("421 4.3.0")
        assert await client.line() == b""
        assert sum(b"session failed" in line for line in server.lines) == 1


async def test_two_connections_do_not_know_of_each_other(tmp_path):
    async with post(tmp_path) as server:
        one, two = await hello(server), await hello(server)
        await say(one, "MAIL FROM:<>")
        assert (await say(two, "RCPT TO:<ada@example.org>")).startswith("503")
