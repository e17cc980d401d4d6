"""The whole server, as processes: in by smtplib, out by imaplib, with one worker and with two."""

from __future__ import annotations

import contextlib
import email
import imaplib
import json
import os
import signal
import smtplib
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from support.server import LOGINS, PASSWORD, Server, free_ports

ADA, BOB = LOGINS
WAIT_S = 20.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), workers=request.param) as running:
        yield running


def lenient() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def message(subject: str, sender: str = ADA, to: str = BOB) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, to, subject
    made.set_content(f"This is {subject}.\n.\n..dots\n")
    return made


@contextlib.contextmanager
def reading(server: Server, login: str = BOB) -> Iterator[imaplib.IMAP4_SSL]:
    client = imaplib.IMAP4_SSL(
        server.host, server.port("imaps"), ssl_context=lenient(), timeout=WAIT_S
    )
    client.login(login, PASSWORD)
    try:
        yield client
    finally:
        with contextlib.suppress(OSError, imaplib.IMAP4.abort):
            client.logout()


def find(client: imaplib.IMAP4, subject: str) -> list[bytes]:
    assert client.select("INBOX")[0] == "OK"
    kind, [found] = client.search(None, "SUBJECT", f'"{subject}"')
    assert kind == "OK"
    return list(found.split())


def fetch(client: imaplib.IMAP4, number: bytes) -> bytes:
    kind, answer = client.fetch(number.decode(), "(BODY.PEEK[])")
    assert kind == "OK"
    assert isinstance(answer[0], tuple)
    return bytes(answer[0][1])


def test_from_another_server_to_a_mailbox(server: Server) -> None:
    with smtplib.SMTP(
        server.host, server.port("smtp"), "client.example.com", timeout=WAIT_S
    ) as client:
        client.starttls(context=lenient())
        assert (
            client.send_message(message("from outside", "eve@example.com"), "eve@example.com") == {}
        )
    with reading(server) as client:
        [number] = find(client, "from outside")
        stored = email.message_from_bytes(fetch(client, number))
    assert stored["Return-Path"] == "<eve@example.com>"
    assert "client.example.com" in stored["Received"]
    payload = stored.get_payload()
    assert isinstance(payload, str)
    assert payload.replace("\r\n", "\n") == "This is from outside.\n.\n..dots\n"


@pytest.mark.parametrize("secure", ["starttls", "implicit"])
def test_from_an_account_to_another_and_back(server: Server, secure: str) -> None:
    def submit(sender: str, to: str, subject: str) -> None:
        with contextlib.ExitStack() as stack:
            if secure == "starttls":
                client = stack.enter_context(
                    smtplib.SMTP(server.host, server.port("submission"), timeout=WAIT_S)
                )
                client.starttls(context=lenient())
            else:
                client = stack.enter_context(
                    smtplib.SMTP_SSL(
                        server.host,
                        server.port("submissions"),
                        context=lenient(),
                        timeout=WAIT_S,
                    )
                )
            client.login(sender, PASSWORD)
            assert client.send_message(message(subject, sender, to)) == {}

    submit(ADA, BOB, f"there {secure}")
    submit(BOB, ADA, f"back {secure}")
    for login, subject in ((BOB, f"there {secure}"), (ADA, f"back {secure}")):
        with reading(server, login) as client:
            [number] = find(client, subject)
            stored = email.message_from_bytes(fetch(client, number))
            assert stored["Message-ID"]
            assert stored["Date"]


def test_a_stranger_may_not_relay_and_a_wrong_password_is_wrong(server: Server) -> None:
    with (
        smtplib.SMTP(server.host, server.port("smtp"), timeout=WAIT_S) as client,
        pytest.raises(smtplib.SMTPRecipientsRefused),
    ):
        client.sendmail("eve@example.com", "someone@example.com", "Subject: x\r\n\r\nx\r\n")
    with (
        smtplib.SMTP_SSL(
            server.host, server.port("submissions"), context=lenient(), timeout=WAIT_S
        ) as client,
        pytest.raises(smtplib.SMTPAuthenticationError),
    ):
        client.login(ADA, "not it")


def test_lmtp_answers_for_each_recipient(server: Server) -> None:
    with socket.create_connection((server.host, server.port("lmtp")), timeout=WAIT_S) as sock:
        stream = sock.makefile("rwb")

        def say(text: str) -> None:
            stream.write(text.encode() + b"\r\n")
            stream.flush()

        def hear() -> str:
            while True:
                line: str = stream.readline().decode()
                if line[3:4] != "-":
                    return line.rstrip()

        assert hear().startswith("220 ")
        say("LHLO local.example.org")
        assert hear().startswith("250 ")
        say("MAIL FROM:<>")
        assert hear().startswith("250 ")
        for login in LOGINS:
            say(f"RCPT TO:<{login}>")
            assert hear().startswith("250 ")
        say("DATA")
        assert hear().startswith("354 ")
        say("Subject: by lmtp\r\n\r\nbody\r\n.")
        assert [hear()[:4] for _ in LOGINS] == ["250 ", "250 "]
        say("QUIT")
        assert hear().startswith("221 ")
    for login in LOGINS:
        with reading(server, login) as client:
            assert len(find(client, "by lmtp")) == 1


def test_idle_hears_of_mail_that_any_worker_took(server: Server) -> None:
    """With two workers, sending on several connections makes both of them deliver."""
    with reading(server) as client:
        client.select("INBOX")
        [count] = client.response("EXISTS")[1] or [b"0"]
        exists = int(count or 0)
        client.send(b"i1 IDLE\r\n")
        assert client.readline().startswith(b"+")
        for number in range(6):
            with smtplib.SMTP(server.host, server.port("smtp"), timeout=WAIT_S) as sender:
                sender.send_message(message(f"idle {number}", "eve@example.com"))
            exists += 1
            while True:
                line = client.readline()
                assert line, "the connection ended"
                if line == b"* %d EXISTS\r\n" % exists:
                    break
        client.send(b"DONE\r\n")
        while not client.readline().startswith(b"i1 OK"):
            pass


def test_metrics_and_health_are_served(server: Server) -> None:
    base = f"http://{server.host}:{server.port('metrics')}"
    with smtplib.SMTP(server.host, server.port("smtp"), timeout=WAIT_S) as client:
        client.noop()  # something to count
    with urllib.request.urlopen(f"{base}/healthz", timeout=WAIT_S) as answer:
        assert answer.read() == b"ok\n"

    def counted() -> bool:
        with urllib.request.urlopen(f"{base}/metrics", timeout=WAIT_S) as answer:
            return b"# TYPE postillon_" in answer.read()

    until(counted, server)  # figures are written out once a second
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{base}/other", timeout=WAIT_S)


def test_every_log_line_is_one_json_object(server: Server) -> None:
    for line in server.log().splitlines():
        assert {"at", "level", "event"} <= json.loads(line).keys()


def until(condition: Callable[[], bool], server: Server) -> None:
    """Wait for something that another process does, of which there is no other sign."""
    for _ in range(400):
        if condition():
            return
        signal.sigtimedwait([], 0.05)
    raise AssertionError("it did not happen; the log:\n" + server.log()[-4_000:])


def test_a_killed_worker_is_replaced_and_loses_no_acknowledged_mail(tmp_path: Path) -> None:
    with Server(tmp_path / "s", workers=2) as server:
        with smtplib.SMTP(server.host, server.port("smtp"), timeout=WAIT_S) as client:
            client.send_message(message("before", "eve@example.com"))
        before = server.workers()
        assert set(before) == {"m", "w0", "w1"}
        os.kill(before["w0"], signal.SIGKILL)
        until(lambda: server.log().count("process_replaced") == 1, server)
        after = server.workers()
        assert len(after) == 3
        assert len(set(after.values()) - set(before.values())) == 1
        for number in range(8):  # whichever worker takes them
            with smtplib.SMTP(server.host, server.port("smtp"), timeout=WAIT_S) as client:
                client.send_message(message(f"after {number}", "eve@example.com"))
        with reading(server) as reader:
            assert len(find(reader, "before")) == 1
            assert len(find(reader, "after")) == 8
        assert server.stop() == 0


def test_a_clean_stop_says_farewell_and_the_next_start_finds_the_mail(tmp_path: Path) -> None:
    server = Server(tmp_path / "s", workers=2)
    with server:
        with smtplib.SMTP(server.host, server.port("smtp"), timeout=WAIT_S) as client:
            client.send_message(message("kept", "eve@example.com"))
        idle = socket.create_connection((server.host, server.port("smtp")), timeout=WAIT_S)
        lines = idle.makefile("rb")
        assert lines.readline().startswith(b"220 ")
        assert server.stop() == 0
        assert lines.readline().startswith(b"421 ")
        assert lines.readline() == b""
        idle.close()
    assert not [pid for pid in server.workers().values() if Path(f"/proc/{pid}").exists()]
    with server, reading(server) as reader:
        assert len(find(reader, "kept")) == 1


def runs(pid: int) -> bool:
    """Whether a process is alive; one that only waits to be collected by its parent is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_no_process_outlives_a_killed_supervisor_and_another_can_start(tmp_path: Path) -> None:
    server = Server(tmp_path / "s", workers=2)
    server.start()
    children = server.workers()
    assert len(children) == 3
    assert server.process is not None
    server.process.kill()  # the supervisor alone
    server.process.wait()
    with server:  # waits for the children of the former one
        assert not any(map(runs, children.values()))


def test_a_second_server_on_the_same_folder_or_port_is_refused(tmp_path: Path) -> None:
    with Server(tmp_path / "s", workers=1) as server:
        twin = Server(tmp_path / "s")
        with pytest.raises(RuntimeError, match=f"port {server.port('smtp')} is taken"):
            twin.start()
        text = twin.config_file.read_text()
        other_ports = iter(free_ports(text.count("port =")))
        moved = "\n".join(
            f"port = {next(other_ports)}" if line.startswith("port =") else line
            for line in text.splitlines()
        )
        twin.config_file = tmp_path / "s" / "other.toml"
        twin.config_file.write_text(moved)
        with pytest.raises(RuntimeError, match="is in use by process"):
            twin.start()


def test_a_renewed_certificate_is_served_after_a_hangup(tmp_path: Path) -> None:
    from postillon.net.tls import self_signed

    def served(server: Server) -> bytes | None:
        address = (server.host, server.port("imaps"))
        with (
            socket.create_connection(address, timeout=WAIT_S) as sock,
            lenient().wrap_socket(sock) as secure,
        ):
            return secure.getpeercert(binary_form=True)

    with Server(tmp_path / "s", workers=1) as server:
        before = served(server)
        certificate, key = self_signed(["renewed.example.org"])
        (server.folder / "cert.pem").write_bytes(certificate)
        (server.folder / "key.pem").write_bytes(key)
        assert server.process is not None
        server.process.send_signal(signal.SIGHUP)
        until(lambda: served(server) != before, server)
