"""The whole process group is killed with -9 while a client sends over JMAP.

A submission and its message are one transaction: what was acknowledged is in the mailbox of a
neighbour exactly once, reaches another server, and is told of; of the rest both are there or neither.
"""

from __future__ import annotations

import base64
import http.client
import imaplib
import json
import random
import re
import socketserver
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from postillon.server import config as configuration
from support.server import PASSWORD, Server

ADA, BOB, FAR = "ada@example.org", "bob@example.org", "far@remote.example"
USING = [f"urn:ietf:params:jmap:{name}" for name in ("core", "mail", "submission")]
NUMBER = re.compile(rb"Subject: number (\d+)")
PATIENCE_S = 300  # a destination seems down for a while, and leases have to end
FEW = 2  # kills of the form that runs by default


class Sink(socketserver.ThreadingTCPServer):
    """Another server, which takes everything. `found`: numbers, by how often they came."""

    allow_reuse_address = daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.found: Counter[int] = Counter()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Talk(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        with suppress(ConnectionError):
            self.wfile.write(b"220 sink ESMTP\r\n")
            while line := self.rfile.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    content = b"".join(iter(self.rfile.readline, b".\r\n"))
                    self.server.found[_number(content)] += 1  # type: ignore[attr-defined] # a Sink
                self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")


class Client:
    """Calls JMAP as ada, over one connection at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        token = base64.b64encode(f"{ADA}:{PASSWORD}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        self._connection = http.client.HTTPConnection(server.host, server.port("http"), timeout=20)
        self._connection.request("GET", "/jmap/session", headers=self._headers)
        session = json.loads(self._connection.getresponse().read())
        self.account = session["primaryAccounts"][USING[1]]

    def call(self, *calls: Any) -> Any:
        body = json.dumps({"using": USING, "methodCalls": calls})
        self._connection.request("POST", "/jmap/api", body, self._headers)
        return json.loads(self._connection.getresponse().read())["methodResponses"]

    def send(self, number: int) -> bool:
        """Whether it was acknowledged."""
        email = {
            "mailboxIds": {"F1": True}, "subject": f"number {number}",
            "from": [{"email": ADA}], "to": [{"email": BOB}, {"email": FAR}],
            "bodyStructure": {"type": "text/plain", "partId": "1"},
            "bodyValues": {"1": {"value": "x" * 2_000}},
        }  # fmt: skip
        found = self.call(
            ["Email/set", {"accountId": self.account, "create": {"e": email}}, "0"],
            ["EmailSubmission/set", {
                "accountId": self.account, "create": {"s": {"identityId": "I0", "emailId": "#e"}},
            }, "1"],
        )  # fmt: skip
        assert found[1][1]["created"], found
        return True

    def submissions(self) -> list[int]:
        """The numbers of all that was sent, by the subjects of their emails."""
        sent = self.call(["EmailSubmission/get", {"accountId": self.account, "ids": None}, "0"])
        emails = [item["emailId"] for item in sent[0][1]["list"]]
        subjects: dict[str, int] = {}
        for start in range(0, len(emails), 100):
            found = self.call(["Email/get", {
                "accountId": self.account, "ids": emails[start : start + 100],
                "properties": ["subject"],
            }, "0"])  # fmt: skip
            subjects |= {m["id"]: int(m["subject"].split()[1]) for m in found[0][1]["list"]}
        return [subjects[email] for email in emails]


def _number(content: bytes) -> int:
    found = NUMBER.search(content)
    assert found is not None
    return int(found[1])


def mailbox(server: Server) -> Counter[int]:
    """What bob has, read over IMAP."""
    with imaplib.IMAP4(server.host, server.port("imap")) as client:
        client.login(BOB, PASSWORD)
        client.select("INBOX", readonly=True)
        _, data = client.fetch("1:*", "(BODY.PEEK[])")
        return Counter(_number(item[1]) for item in data if isinstance(item, tuple))


def send_until_killed(server: Server, following: int, moment: float) -> tuple[set[int], int]:
    """Returns what was acknowledged, and the first number that was not begun."""
    acknowledged: set[int] = set()
    client = Client(server)
    killer = threading.Timer(moment, server.kill)
    killer.start()
    try:
        while True:
            number, following = following, following + 1
            if client.send(number):
                acknowledged.add(number)
    except (OSError, http.client.HTTPException):
        killer.join()
    return acknowledged, following


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "kills", [2, pytest.param(60, marks=[pytest.mark.torture, pytest.mark.timeout(0)])]
)
def test_a_submission_and_its_message_survive_together(tmp_path: Path, kills: int) -> None:
    dice = random.Random(kills)
    sink = Sink()
    server = Server(tmp_path, logins=[ADA, BOB], protocols=("http", "imap"))
    text = server.config_file.read_text()
    server.config_file.write_text(
        text.replace("127.0.0.1:9", f"127.0.0.1:{sink.server_address[1]}")
    )
    server.config = configuration.load(server.config_file)
    acknowledged: set[int] = set()
    following = 1
    try:
        for _ in range(kills):
            server.start()
            done, following = send_until_killed(server, following, dice.uniform(0.2, 1.5))
            acknowledged |= done
        server.start()
        told, here = Counter(Client(server).submissions()), mailbox(server)
        assert acknowledged
        assert acknowledged <= set(told)
        assert told == here  # each once, and what was not acknowledged in both or in neither
        assert set(told.values()) == {1}
        assert set(sink.found) <= set(told)  # nothing goes out that nobody is told of
        if kills <= FEW:
            return  # what was in hand goes when a lease or a wait has ended
        end = time.monotonic() + PATIENCE_S
        while set(sink.found) < set(told) and time.monotonic() < end:
            time.sleep(0.2)
        assert set(sink.found) == set(told)
        again = [number for number, times in sink.found.items() if times > 1]
        assert len(again) <= kills * 20  # in hand when a kill came: SMTP itself cannot tell
        assert server.stop() == 0
        assert server.findings() == []
    finally:
        server.kill()
        sink.shutdown()
        sink.server_close()
