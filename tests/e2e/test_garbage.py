"""Malformed input of every kind, over real sockets, to every listener: the sender pays, nobody else.

Each rude connection gets an error or a clean end; two witnesses send and read mail all the while; the
server logs no fault, and neither its memory nor its descriptors grow.
"""

from __future__ import annotations

import asyncio
import imaplib
import json
import random
import re
import smtplib
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from postillon.net import listen, stream
from postillon.net.tls import ServerTls, self_signed
from postillon.server import http
from support.rude import End, client_hello, drip, say, trusting
from support.server import LOGINS, PASSWORD, Server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

ADA, BOB = LOGINS
PATIENCE_S = 2  # configured: what the server waits for a command, content or login
MOST = 450  # connections the server takes at one time
GROWTH = 96 * 1024  # KiB that the worker may need more at its peak than at rest
SMTP_LINES = re.compile(rb"(?:[2345]\d\d[ -][ -~]*\r\n)*")
IMAP_LINES = re.compile(rb"(?:(?:\*|\+|[ -~]+?) (?:[ -~\x80-\xff]*)\r\n)*")
SMTP_ERROR = re.compile(rb"^[45]\d\d[ -]", re.M)
POP3_LINES = re.compile(rb"(?:(?:\+OK|-ERR|\+)(?: [ -~]*)?\r\n)*")
POP3_ERROR = re.compile(rb"^-ERR", re.M)
IMAP_ERROR = re.compile(rb"^(?:\* |\S+ )(?:BAD|NO|BYE)", re.M)

_dice = random.Random(8)
NOISE = _dice.randbytes(60_000)
LONG = b"x" * (1024 * 1024)

ANY_PROTOCOL: dict[str, Sequence[bytes]] = {
    "nothing": [],
    "noise": [NOISE],
    "noise in lines": [NOISE.replace(b"\n", b"\r\n")],
    "eight bits": [bytes(range(256)) * 40 + b"\r\n"],
    "NULs": [b"\0" * 5_000 + b"\r\n", b"NO\0OP\r\n"],
    "only CR": [b"NOOP\rNOOP\rNOOP\r" * 300],
    "only LF": [b"NOOP\nNOOP\nNOOP\n" * 300],
    "CR CR LF": [b"NOOP\r\r\n" * 40],
    "empty lines": [b"\r\n" * 5_000],
    "a long line": [LONG + b"\r\n"],
    "a line without end": [LONG] * 24,
    "TLS": [client_hello()],
    "TLS records of rubbish": [b"\x16\x03\x01\x40\x00" + NOISE],
    "TLS alert": [b"\x15\x03\x03\x00\x02\x02\x28"],
    "a browser": [b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nMAIL FROM"],
    "HTTP/2": [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    "SSH": [b"SSH-2.0-OpenSSH_9.9\r\n"],
    "SOCKS": [b"\x05\x01\x00" * 50],
    "a proxy header": [b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"],
    "format strings": [b"%s%n%x${jndi:ldap://x}{0.__class__}\r\n" * 30],
}
HELLO = b"EHLO rude.example.com\r\n"
MAIL = HELLO + b"MAIL FROM:<eve@example.com>\r\nRCPT TO:<bob@example.net>\r\n"
SMUGGLED = b"MAIL FROM:<smuggler@example.com>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n" \
           b"Subject: smuggled\r\n\r\nx\r\n.\r\n"  # fmt: skip


def smuggle(end: bytes) -> list[bytes]:
    """Content with a false end in it, and commands behind that which must stay content."""
    return [MAIL + b"DATA\r\n", b"Subject: outer\r\n\r\nx" + end + SMUGGLED]


IN_SMTP: dict[str, Sequence[bytes]] = {
    **{f"a false end {end!r}": smuggle(end) for end in (
        b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\r\r\n.\r\r\n",
        b"\r\n\0.\r\n", b"\r\n.\0\r\n",
    )},
    "NULs in content": [MAIL + b"DATA\r\n", b"Subject: nul\0nul\r\n\r\n" + b"\0" * 9_000],
    "noise as content": [MAIL + b"DATA\r\n", NOISE],
    "content without a line end": [MAIL + b"DATA\r\n", *[LONG] * 8],
    "chunks of nonsense": [MAIL + b"BDAT -1\r\nBDAT x\r\nBDAT 99999999999999999999\r\nBDAT\r\n"],
    "a chunk that never comes": [MAIL + b"BDAT 4000000000 LAST\r\nabc"],
    "a chunk size of forty digits": [MAIL + b"BDAT " + b"9" * 40 + b" LAST\r\n"],
    "a thousand recipients nobody knows": [MAIL + b"RCPT TO:<nobody@example.org>\r\n" * 1_000],
    "addresses of rubbish": [HELLO + b"MAIL FROM:<" + b"a" * 400 + b"@x>\r\nMAIL FROM:<@:@:@>\r\n"
                             b"MAIL FROM:<\"\\>\r\nMAIL FROM:<\xff@\xfe>\r\nMAIL FROM:<>\r\n"
                             b"RCPT TO:<|/bin/sh>\r\nRCPT TO:<a%b@example.org>\r\n"],
    "parameters of rubbish": [HELLO + b"MAIL FROM:<> SIZE=-1\r\nMAIL FROM:<> SIZE=" + b"9" * 19
                              + b"\r\nMAIL FROM:<> BODY=?\r\nMAIL FROM:<> X=Y RET=\r\n"],
    "logins of rubbish": [HELLO + b"AUTH PLAIN ====\r\nAUTH PLAIN " + b"A" * 9_000 + b"\r\n"
                          b"AUTH SCRAM-SHA-256 biws\r\nAUTH X\r\nAUTH LOGIN\r\n*\r\n" * 3],
    "everything out of order": [b"DATA\r\nRCPT TO:<x>\r\nBDAT 3\r\nabcQUIT now\r\nRSET x\r\n"],
}  # fmt: skip
IN_IMAP: dict[str, Sequence[bytes]] = {
    "literals without end": [b"a LOGIN {99999999999999999999}\r\n", b"b LOGIN {4294967296+}\r\n"],
    "a literal of junk": [b"a LOGIN {5}\r\n", b"\0\0\0\0\0 {3}\r\n", b"abc\r\n"],
    "many literals": [b"a LOGIN" + b" {1+}\r\nx" * 20_000 + b"\r\n"],
    "parentheses": [b"a FETCH 1 " + b"(" * 60_000 + b"\r\n"],
    "quotes": [b'a LOGIN "' + b'\\"' * 30_000 + b"\r\n"],
    "tags": [b"* NOOP\r\n+ NOOP\r\n( NOOP\r\n NOOP\r\n\r\n" * 8],
    "AUTHENTICATE": [b"a AUTHENTICATE PLAIN\r\n", NOISE[:2_000] + b"\r\n"],
    "AUTHENTICATE without end": [b"a AUTHENTICATE PLAIN " + b"A" * 200_000],
    "UTF-7 of rubbish": [b'a LIST "" "&&&-&AAA-&\xff"\r\n' * 30],
}
IN_POP3: dict[str, Sequence[bytes]] = {
    "out of order": [b"RETR 1\r\nDELE 1\r\nPASS x\r\nUIDL\r\n"],
    "numbers": [b"TOP " + b"9" * 200 + b" -1\r\nLIST 0\r\nRETR \xff\r\n"],
    "AUTH": [b"AUTH PLAIN\r\n", NOISE[:200].replace(b"\n", b"") + b"\r\n", b"AUTH ?\r\n"],
    "AUTH without end": [b"AUTH PLAIN " + b"A" * 200_000],
}
INSIDE_IMAP: dict[str, Sequence[bytes]] = {
    "sets": [b"a SELECT INBOX\r\nb FETCH 0:0,*:*:* ALL\r\nc UID FETCH "
             + b"1," * 30_000 + b"1 UID\r\n"],
    "searches": [b"a SELECT INBOX\r\nb SEARCH " + b"NOT " * 20_000 + b"ALL\r\n"
                 b"c SEARCH " + b"OR (" * 500 + b"\r\nd SEARCH CHARSET \xff ALL\r\n"],
    "sections": [b"a SELECT INBOX\r\nb FETCH 1 BODY[" + b"1." * 9_000 + b"]\r\n"
                 b"c FETCH 1 BODY[HEADER.FIELDS (" + b"X " * 9_000 + b")]<0.0>\r\n"],
    "names": [b"a CREATE \"\0\"\r\nb CREATE {5+}\r\na\0b\r\nc\r\nd CREATE " + b"x/" * 4_000 + b"\r\n"
              b"e RENAME INBOX INBOX\r\nf DELETE INBOX\r\n"],
    "patterns": [b'a LIST "" "' + b"*%" * 8_000 + b'x"\r\n'],
    "an upload that never comes": [b"a APPEND INBOX {4000000000}\r\nb APPEND INBOX {90+}\r\nabc"],
    "an upload of noise": [b"a APPEND INBOX (\\Seen {60000+}\r\n" + NOISE + b"\r\n"],
    "IDLE and noise": [b"a IDLE\r\n", NOISE[:3_000].replace(b"\n", b"") + b"\r\n"],
}  # fmt: skip
IN_HTTP: dict[str, Sequence[bytes]] = {
    "header without end": [b"GET /metrics HTTP/1.1\r\nX: " + LONG],
    "many headers": [b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 50_000 + b"\r\n"],
    "two lengths": [b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2"
                    b"\r\n\r\nab"],
    "chunks of nonsense": [b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
    "a version of nonsense": [b"GET / HTTP/9.9\r\n\r\n"],
}  # fmt: skip


class Witness(threading.Thread):
    """Goes on working on one SMTP and one IMAP connection until `finish`; `failure` if it could not."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.failure: Exception | None = None
        self.sent = 0
        self._enough = threading.Event()

    def run(self) -> None:
        host, port = self.server.host, self.server.port
        try:
            with smtplib.SMTP(host, port("smtp"), timeout=20) as sender, imaplib.IMAP4(
                host, port("imap"), timeout=20
            ) as reader:  # fmt: skip
                reader.login(ADA, PASSWORD)
                reader.select("INBOX")
                while not self._enough.wait(0.02):
                    text = f"Subject: witness {self.sent}\r\n\r\nstill here\r\n"
                    assert sender.sendmail("friend@example.com", [ADA], text) == {}
                    self.sent += 1
                    assert reader.noop()[0] == "OK"
                kind, [total] = reader.select("INBOX")
                assert (kind, int(total or b"0")) == ("OK", self.sent)
        except Exception as error:
            self.failure = error

    def finish(self) -> None:
        self._enough.set()
        self.join()


class House:
    """The server, with its witness and what it needed at rest."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.worker = Path(f"/proc/{server.workers()['w0']}")
        self.rest_peak, self.rest_files = self.peak(), self.files()
        self.witness = Witness(server)
        self.witness.start()

    def peak(self) -> int:
        """The most memory the worker ever had, in KiB."""
        return int(re.findall(r"VmHWM:\s+(\d+)", (self.worker / "status").read_text())[0])

    def files(self) -> int:
        return len(list((self.worker / "fd").iterdir()))

    def address(self, protocol: str) -> tuple[str, int]:
        return self.server.host, self.server.port(protocol)

    def faults(self) -> list[str]:
        """Lines of the log that should not be there."""
        lines = self.server.log().splitlines()
        return [
            line
            for line in lines
            if not line.startswith("{") or json.loads(line)["level"] == "error"
        ]

    def check(self) -> None:
        assert self.witness.failure is None
        assert self.witness.is_alive()
        assert self.faults() == []


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    wait = f'"{PATIENCE_S}s"'
    settings = {
        "server": f"max_connections = {MOST}",
        "smtp": f"command_timeout = {wait}\ncontent_timeout = {wait}\nharvest_delay = \"0s\"\n"
        "max_transactions = 100000",
        "pop3": f"login_time = {wait}",
        "imap": f"login_time = {wait}\nquiet_time = \"30m\"",
    }  # fmt: skip
    with Server(tmp_path_factory.mktemp("garbage"), workers=1, settings=settings) as server:
        found = House(server)
        before = found.witness.sent
        yield found
        found.witness.finish()
        assert found.witness.failure is None
        assert found.witness.sent > before
        assert found.faults() == []
        assert found.peak() - found.rest_peak < GROWTH
        with imaplib.IMAP4(server.host, server.port("imap"), timeout=20) as reader:
            reader.login(BOB, PASSWORD)
            reader.select("INBOX")
            assert reader.search(None, "SUBJECT", "smuggled") == ("OK", [b""])
            assert reader.search(None, "FROM", "smuggler") == ("OK", [b""])


async def rudely(
    house: House, protocol: str, kinds: Mapping[str, Sequence[bytes]], first: bytes = b"",
    tls: bool = False, half_close: bool = False,
) -> dict[str, End]:  # fmt: skip
    """All kinds at once, each on a connection of its own."""
    address = house.address(protocol)
    ends = await asyncio.gather(
        *(
            say(address, [first, *pieces] if first else pieces, tls=tls, half_close=half_close)
            for pieces in kinds.values()
        )
    )
    return dict(zip(kinds, ends, strict=True))


def expect(ends: Mapping[str, End], grammar: re.Pattern[bytes], error: re.Pattern[bytes]) -> None:
    for kind, end in ends.items():
        assert grammar.fullmatch(end.heard), (kind, end.heard[-300:])
        silent = end.heard.count(b"\r\n") <= 1  # hung up after the greeting: TLS, HTTP
        assert silent or error.search(end.heard), (kind, end.heard[-300:])
        assert b"354" not in end.heard or kind in IN_SMTP, kind


def for_lmtp(kinds: Mapping[str, Sequence[bytes]]) -> dict[str, Sequence[bytes]]:
    return {
        kind: [piece.replace(b"EHLO", b"LHLO") for piece in pieces]
        for kind, pieces in kinds.items()
    }


async def test_every_listener_answers_rubbish_with_an_error_or_an_end(house: House) -> None:
    """The rude peers wait for what comes: where nothing does, the time-out of the server ends it."""
    smtp, imap = {**ANY_PROTOCOL, **IN_SMTP}, {**ANY_PROTOCOL, **IN_IMAP}
    pop3 = {**ANY_PROTOCOL, **IN_POP3}
    *of_smtp, clear, secure, clear_pop3, secure_pop3 = await asyncio.gather(
        rudely(house, "smtp", smtp),
        rudely(house, "submission", smtp),
        rudely(house, "lmtp", for_lmtp(smtp)),
        rudely(house, "submissions", smtp, tls=True),
        rudely(house, "imap", imap),
        rudely(house, "imaps", imap, tls=True),
        rudely(house, "pop3", pop3),
        rudely(house, "pop3s", pop3, tls=True),
    )
    for ends in of_smtp:
        expect(ends, SMTP_LINES, SMTP_ERROR)
    for ends in (clear, secure):
        expect(ends, IMAP_LINES, IMAP_ERROR)
    for ends in (clear_pop3, secure_pop3):
        expect(ends, POP3_LINES, POP3_ERROR)
    house.check()


async def test_rubbish_and_then_the_end_of_input_ends_the_connection(house: House) -> None:
    smtp = {**ANY_PROTOCOL, **IN_SMTP}
    *of_smtp, of_imap, of_pop3 = await asyncio.gather(
        rudely(house, "smtp", smtp, half_close=True),
        rudely(house, "submission", smtp, half_close=True),
        rudely(house, "lmtp", for_lmtp(smtp), half_close=True),
        rudely(house, "imap", {**ANY_PROTOCOL, **IN_IMAP}, half_close=True),
        rudely(house, "pop3", {**ANY_PROTOCOL, **IN_POP3}, half_close=True),
    )
    for ends in of_smtp:
        assert all(SMTP_LINES.fullmatch(end.heard) for end in ends.values())
    assert all(IMAP_LINES.fullmatch(end.heard) for end in of_imap.values())
    assert all(POP3_LINES.fullmatch(end.heard) for end in of_pop3.values())
    house.check()


async def test_imap_answers_rubbish_of_a_client_that_has_logged_in(house: House) -> None:
    login = f'l LOGIN {BOB} "{PASSWORD}"\r\n'.encode()
    kinds = {kind: [*pieces, b"\r\nz LOGOUT\r\n"] for kind, pieces in INSIDE_IMAP.items()}
    ends = await rudely(house, "imap", kinds, first=login, half_close=True)
    for kind, end in ends.items():
        assert b"l OK" in end.heard, kind
        assert IMAP_ERROR.search(end.heard) or b"OK LIST" in end.heard, (kind, end.heard[-300:])
        assert b"SERVERBUG" not in end.heard, (kind, end.heard[-300:])
    house.check()


@pytest.mark.parametrize("protocol", ["submissions", "imaps", "pop3s"])
async def test_rubbish_instead_of_a_handshake_ends_the_connection(
    house: House, protocol: str
) -> None:
    kinds = {kind: pieces for kind, pieces in ANY_PROTOCOL.items() if pieces and kind != "TLS"}
    kinds["a handshake cut in the middle"] = [client_hello()[:100]]
    kinds["a handshake and noise"] = [client_hello() + NOISE]
    for kind, end in (await rudely(house, protocol, kinds, half_close=True)).items():
        assert b"220" not in end.heard, kind
        assert b"OK" not in end.heard, kind
    house.check()


async def test_the_page_of_figures_answers_rubbish_with_an_error_or_an_end(house: House) -> None:
    ends = await rudely(house, "metrics", {**ANY_PROTOCOL, **IN_HTTP}, half_close=True)
    for kind, end in ends.items():
        assert not end.heard or end.heard.startswith(b"HTTP/1."), (kind, end.heard[:100])
        assert b" 200 " not in end.heard.split(b"\r\n")[0], kind
    house.check()


PUSHED = b"EHLO rude\r\nMAIL FROM:<smuggler@example.com>\r\n"


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        ("smtp", [HELLO, b"STARTTLS\r\n" + PUSHED]),
        ("submission", [HELLO, b"STARTTLS\r\nAUTH PLAIN AGEAYg==\r\n"]),
        ("imap", [b"a STARTTLS\r\nb LOGIN x y\r\n"]),
        ("pop3", [b"STLS\r\nCAPA\r\n"]),
        ("pop3", [b"STLS\r\n", b"CAPA\r\n"]),
        ("smtp", [HELLO + b"STARTTLS\r\n", PUSHED]),
        ("imap", [b"a STARTTLS\r\n", b"b LOGIN x y\r\n"]),
        ("smtp", [HELLO + b"STARTTLS\r\n", client_hello()[:50] + NOISE]),
        ("imap", [b"a STARTTLS\r\n", client_hello() + NOISE]),
    ],
)
async def test_nothing_behind_starttls_in_clear_text_is_ever_done(
    house: House, protocol: str, words: list[bytes]
) -> None:
    end = await say(house.address(protocol), words, pause_s=0.1)
    after = end.heard.partition(b"Begin TLS\r\n")[2] or end.heard.partition(b"a OK")[2]
    assert b"UIDL" not in end.heard  # the answer to CAPA
    for done in (b"250 ", b"235 ", b"b OK", b"b NO", b"b BAD", b"Sender ok"):
        assert done not in after, end.heard
    assert b"Sender ok" not in end.heard
    house.check()


async def test_who_sends_one_octet_at_a_time_has_no_more_time_than_others(house: House) -> None:
    slow = list(drip(b"NOOP " + b"x" * 400))
    for end in await asyncio.gather(
        *(say(house.address(name), slow, pause_s=0.2) for name in ("smtp", "lmtp", "imap", "pop3"))
    ):
        assert re.search(rb"421 4\.4\.2|\* BYE|-ERR", end.heard)
    house.check()


@pytest.mark.parametrize(
    ("protocol", "refusal"),
    [("smtp", b"421 4.7.0"), ("lmtp", b"421 4.7.0"), ("imap", b"* BYE"), ("pop3", b"-ERR")],
)
def test_one_connection_too_many_is_told_so_and_closed(
    house: House, protocol: str, refusal: bytes
) -> None:
    held: list[socket.socket] = []
    refused = 0
    try:
        for _ in range(MOST + 40):
            held += [socket.create_connection(house.address(protocol), timeout=20)]
        for sock in held:
            with sock.makefile("rb") as lines:
                if lines.readline().startswith(refusal):
                    assert lines.readline() == b""
                    refused += 1
    finally:
        for sock in held:
            sock.close()
    assert refused >= 40
    house.check()


def test_thousands_of_quick_connections_leave_nothing_behind(house: House) -> None:
    reset = b"\1\0\0\0\0\0\0\0"  # struct linger: closing sends a reset
    for number in range(3_000):
        protocol = (
            "smtp",
            "submission",
            "submissions",
            "lmtp",
            "imap",
            "imaps",
            "pop3",
            "pop3s",
            "metrics",
        )[number % 9]
        sock = socket.create_connection(house.address(protocol), timeout=20)
        if number % 3:
            sock.send(b"\x16\x03" if number % 2 else b"EHLO x\r\n")
        if number % 5 == 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        sock.close()
    for _ in range(400):
        if house.files() <= house.rest_files + 20:
            break
        house.witness.join(0.05)
    assert house.files() <= house.rest_files + 20  # 20: the witness, files opened since
    house.check()


# What has a fixed time-out of minutes is proved with a shorter one, in this process.


async def closes_a_silent_peer(sock: socket.socket, tls: ServerTls, first: bytes) -> End:
    async def starttls(connection: stream.Stream) -> None:
        await connection.receive()
        await connection.start_tls(tls, b"go on\r\n")

    implicit = first.startswith(b"\x16")
    listener = listen.listen(sock, starttls, tls=tls if implicit else None)
    try:
        return await say(sock.getsockname()[:2], [first])
    finally:
        await listener.stop(1)


@pytest.mark.parametrize("first", [client_hello()[:60], b"STARTTLS\r\n"], ids=["at once", "later"])
async def test_a_handshake_that_stands_still_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    for module in (listen, stream):
        monkeypatch.setattr(module, "HANDSHAKE_TIMEOUT_S", 0.2)
    certificate, key = self_signed(["localhost"])
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    tls = ServerTls(tmp_path / "cert.pem", tmp_path / "key.pem")
    end = await closes_a_silent_peer(socket.create_server(("127.0.0.1", 0)), tls, first)
    assert end.heard in (b"", b"go on\r\n")


async def test_a_request_that_stands_still_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "KEEP_S", 0.2)
    sock = socket.create_server(("127.0.0.1", 0))
    server = http.StatusServer([sock], lambda: b"", lambda: True)
    await server.start()
    try:
        end = await say(sock.getsockname()[:2], [b"GET /metrics HTT"])
    finally:
        await server.close()
    assert end.heard == b""


def test_a_handshake_that_never_ends_keeps_nobody_else_out(house: House) -> None:
    halves = []
    try:
        for protocol in ("submissions", "imaps") * 40:
            sock = socket.create_connection(house.address(protocol), timeout=20)
            sock.send(client_hello()[:80])
            halves.append(sock)
        with (
            socket.create_connection(house.address("imaps"), timeout=20) as sock,
            trusting().wrap_socket(sock) as secure,
        ):
            assert secure.recv(4) == b"* OK"
    finally:
        for sock in halves:
            sock.close()
    house.check()
