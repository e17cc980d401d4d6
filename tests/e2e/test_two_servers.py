"""Two servers on one PostgreSQL: accounts, changes and queue are common to both."""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import shutil
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from postillon.store.operation import Steps, Tx
from support import postgres
from support.remote_smtp import RemoteServer
from support.server import LOGINS, PASSWORD, Server

ADA, BOB = LOGINS
CAROL = "carol@example.org"
WAIT_S = 30.0
ELSEWHERE = "elsewhere.example"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


class Sink:
    """The other side: connections wait until `serve`, then each message is taken."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.remote = RemoteServer()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def serve(self) -> None:
        serving = asyncio.start_server(self.remote.handle, sock=self._socket)
        asyncio.run_coroutine_threadsafe(serving, self._loop).result()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._socket.close()


@dataclass
class Pair:
    cluster: postgres.Cluster
    sink: Sink
    a: Server
    b: Server


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    try:
        cluster = postgres.new_cluster()
    except postgres.NoPostgres as error:
        pytest.skip(str(error))
    sink = Sink()
    try:
        secret = folder / "password"
        secret.write_text(postgres.PASSWORD + "\n")
        url = cluster.url(cluster.create(), tcp=True)
        settings = {
            "store": f'database = "{url}"\ndatabase_password = "{secret}"',
            "route": f'routes = ["{ELSEWHERE} smtp://127.0.0.1:{sink.port}"]',
            "queue": 'lease = "30s"',
        }
        with (
            Server(folder / "a", settings=settings) as a,
            Server(folder / "b", settings=settings, populate=False) as b,
        ):
            yield Pair(cluster, sink, a, b)
    finally:
        sink.close()
        cluster.stop()
        shutil.rmtree(cluster.folder, ignore_errors=True)


def deliver(server: Server, to: str, subject: str) -> None:
    """From a stranger, at the port for other servers."""
    with smtplib.SMTP(server.host, server.port("smtp"), timeout=WAIT_S) as client:
        client.sendmail("x@elsewhere.example", [to], f"Subject: {subject}\r\n\r\ntext\r\n")


@contextlib.contextmanager
def reading(server: Server, login: str) -> Iterator[imaplib.IMAP4]:
    client = imaplib.IMAP4(server.host, server.port("imap"), timeout=WAIT_S)
    client.login(login, PASSWORD)
    client.select("INBOX")
    try:
        yield client
    finally:
        with contextlib.suppress(OSError, imaplib.IMAP4.abort):
            client.logout()


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.1)


def subjects(server: Server, login: str) -> list[str]:
    with reading(server, login) as client:
        _, parts = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    return [part[1].decode().split(":")[1].strip() for part in parts if isinstance(part, tuple)]


def test_an_account_that_the_command_makes_is_there_on_both(pair: Pair, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    made = subprocess.run(
        [sys.executable, "-m", "postillon.server.main", "account", "add", CAROL,
         "--password-file", secret, "--config", pair.b.config_file],
        capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    deliver(pair.a, CAROL, "one")
    assert subjects(pair.b, CAROL) == subjects(pair.a, CAROL) == ["one"]


def test_mail_that_comes_at_one_is_told_to_who_idles_at_the_other(pair: Pair) -> None:
    with reading(pair.b, BOB) as client:
        client.send(b"i1 IDLE\r\n")
        assert client.readline().startswith(b"+")
        deliver(pair.a, BOB, "news")
        assert client.readline() == b"* 1 EXISTS\r\n"
        assert client.readline() == b"* 1 RECENT\r\n"
        client.send(b"DONE\r\n")
        assert client.readline().startswith(b"i1 OK")
    assert subjects(pair.b, BOB) == ["news"]


def test_a_flag_set_at_one_is_seen_at_the_other(pair: Pair) -> None:
    deliver(pair.b, ADA, "flags")
    with reading(pair.a, ADA) as one, reading(pair.b, ADA) as other:
        one.store("1", "+FLAGS", r"(\Flagged)")
        other.noop()
        _, [told] = other.response("FETCH")
        assert b"\\Flagged" in told


def test_the_queue_of_a_killed_server_is_taken_over(pair: Pair) -> None:
    numbers = range(6)
    with smtplib.SMTP(pair.a.host, pair.a.port("submission"), timeout=WAIT_S) as client:
        client.starttls()
        client.login(ADA, PASSWORD)
        for n in numbers:
            client.sendmail(ADA, [f"{n}@{ELSEWHERE}"], f"Subject: {n}\r\n\r\ntext\r\n")
    until(lambda: claimed(pair.b) > 0)
    pair.a.kill()
    pair.sink.serve()
    asyncio.run(pair.b.ask(lambda store: store.write(_let_leases_end)))
    until(lambda: waiting(pair.b) == 0)
    taken = sorted(forward for _, forwards, _ in pair.sink.remote.messages for forward in forwards)
    assert taken == sorted(f"RCPT TO:<{n}@{ELSEWHERE}>" for n in numbers)
    assert asyncio.run(pair.b.ask(lambda store: store.query(_relayed()))) == [1] * len(numbers)
    pair.a.restart()
    deliver(pair.a, BOB, "again")
    assert subjects(pair.b, BOB)[-1] == "again"


def test_both_serve_again_after_the_database_was_away(pair: Pair) -> None:
    with reading(pair.b, BOB) as client:
        deliver(pair.a, BOB, "before")
        before = len(subjects(pair.b, BOB))
        with smtplib.SMTP(pair.a.host, pair.a.port("smtp"), timeout=WAIT_S) as stranger:
            stranger.ehlo()
            assert stranger.mail("x@elsewhere.example")[0] == 250
            assert stranger.rcpt(BOB)[0] == 250
            pair.cluster.stop()
            code, text = stranger.data("Subject: meanwhile\r\n\r\ntext\r\n")
            assert (code, text[:5]) == (451, b"4.3.0")
            assert stranger.mail("x@elsewhere.example")[0] == 250
            code, text = stranger.rcpt(f"somebody@{BOB.partition('@')[2]}")  # never asked before
            assert (code, text[:5]) == (451, b"4.3.0")
            assert client.noop()[0] == "OK"  # the session stays
            assert client.status("INBOX", "(MESSAGES)")[0] == "NO"
            pair.cluster.start()
            until(lambda: sent(stranger, "after"))
        until(lambda: client.status("INBOX", "(MESSAGES)")[0] == "OK")
        assert len(subjects(pair.b, BOB)) == before + 1
    assert asyncio.run(pair.a.ask(_verify)) == []


def sent(client: smtplib.SMTP, subject: str) -> bool:
    """One try; the database may come back between its commands."""
    client.rset()
    client.mail("x@elsewhere.example")
    if client.rcpt(BOB)[0] != 250:
        return False
    return client.data(f"Subject: {subject}\r\n\r\ntext\r\n")[0] == 250


async def _verify(store: object) -> list[str]:
    from postillon.store.verify import verify

    return [f"{f.where}: {f.problem}" for f in await verify(store)]  # type: ignore[arg-type]


def claimed(server: Server) -> int:
    return asyncio.run(server.ask(lambda store: store.query(_count("claimed"))))


def waiting(server: Server) -> int:
    return asyncio.run(server.ask(lambda store: store.query(_count("claimed", "waiting"))))


def _count(*states: str) -> Steps[int]:
    marks = ",".join("?" * len(states))
    rows = yield f"SELECT count(*) FROM queue_recipient WHERE state IN ({marks})", states
    return int(rows[0][0])


def _relayed() -> Steps[list[int]]:
    rows = yield ("SELECT count(*) FROM trace_event WHERE kind = 'relayed' GROUP BY queue_id", ())
    return [int(count) for (count,) in rows]


def _let_leases_end(tx: Tx) -> Steps[None]:
    """As if the time of the leases had passed."""
    yield "UPDATE queue_recipient SET lease_until = ? WHERE state = 'claimed'", (tx.now - 1,)
