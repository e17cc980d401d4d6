"""A client that costs little: HTTP/1.1 over a kept connection, one request at a time on each."""

from __future__ import annotations

import json
import select
import socket
import time
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from benchmarks.imap.client import HOST, PASSWORD, TIMEOUT_S

AT_ONCE = 1 << 18
USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]
MAIL = USING[1]
END = b"\r\n\r\n"
Calls = Sequence[tuple[str, dict[str, Any], str]]


class Connection:
    """Knows where an answer ends, by its length or by its last chunk, and looks at nothing else."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection((HOST, port), timeout=TIMEOUT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self._pieces: list[bytes] = []
        self._missing: int | None = None  # octets; None: the head, or chunks, are still coming

    def send(self, octets: bytes) -> None:
        self._pieces, self._missing = [], None
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self.sent_at = time.perf_counter()
        self.sock.sendall(octets)

    def more(self) -> bool:
        """Take what has come; whether the answer is complete. Raises RuntimeError."""
        data = self.sock.recv(AT_ONCE)
        if not data:
            raise RuntimeError("the server has ended the connection")
        # Forgotten by the kernel after a while. A server that writes in small pieces would else wait
        # 40 ms for each acknowledgement.
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._pieces.append(data)
        if self._missing is not None:
            self._missing -= len(data)
            return self._missing == 0
        text = b"".join(self._pieces)
        head, there, body = text.partition(END)
        if not there:
            return False
        self._pieces = [text]
        length = _field(head, b"content-length")
        if length is None:
            return body.endswith(b"0\r\n\r\n")
        self._missing = int(length) - len(body)
        return self._missing == 0

    def exchange(self, octets: bytes) -> bytes:
        """The body of the answer. Raises RuntimeError where that is not 200."""
        self.send(octets)
        while not self.more():
            pass
        head, _, body = b"".join(self._pieces).partition(END)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{octets[:60]!r}: {head[:300]!r} {body[:300]!r}")
        return body if _field(head, b"content-length") is not None else _unchunked(body)

    def close(self) -> None:
        self.sock.close()


class Jmap:
    """One user's client. Raises RuntimeError for every error of the server."""

    def __init__(self, port: int, user: str, session: str) -> None:
        self.port = port
        token = b64encode(f"{user}:{PASSWORD}".encode()).decode()
        self._fields = f"Host: {HOST}:{port}\r\nAuthorization: Basic {token}\r\n"
        self._connection = Connection(port)
        found = json.loads(self._connection.exchange(self.request(session)))
        self.account: str = found["primaryAccounts"][MAIL]
        self._api = _path(found["apiUrl"])
        self.events = _path(found["eventSourceUrl"])
        [mailboxes] = self.call(("Mailbox/get", {"ids": None, "properties": ["role"]}, "m"))
        self.inbox: str = next(m["id"] for m in mailboxes["list"] if m["role"] == "inbox")

    def request(self, path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\n{self._fields}\r\n".encode()

    def octets(self, *calls: tuple[str, dict[str, Any], str]) -> bytes:
        """A whole request with these calls, all of the user's own account."""
        asked = [[name, {"accountId": self.account, **given}, tag] for name, given, tag in calls]
        body = json.dumps({"using": USING, "methodCalls": asked}, separators=(",", ":"))
        return (
            f"POST {self._api} HTTP/1.1\r\n{self._fields}Content-Type: application/json\r\n"
            f"Accept: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def call(self, *calls: tuple[str, dict[str, Any], str]) -> list[dict[str, Any]]:
        """What each call gave, in order."""
        answer = json.loads(self._connection.exchange(self.octets(*calls)))
        for name, given, _ in answer["methodResponses"]:
            if name == "error":
                raise RuntimeError(f"{calls[0][0]}: {given}")
        return [given for _, given, _ in answer["methodResponses"]]

    def close(self) -> None:
        self._connection.close()


class Events:
    """A connection on which a user hears of changes (RFC 8620 section 7.3)."""

    def __init__(self, client: Jmap) -> None:
        path = client.events
        for name, value in (("types", "Email"), ("closeafter", "no"), ("ping", "0")):
            path = path.replace(f"{{{name}}}", value)
        self._connection = Connection(client.port)
        self.sock = self._connection.sock
        self.sock.sendall(client.request(path))
        head = self.sock.recv(AT_ONCE)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"EventSource: {head.splitlines()[0].decode()}")
        self._seen = head.partition(END)[2]

    def heard(self, patience: float) -> bool:
        """Waits for the next change that an email has a part in; False when none comes in time."""
        late = time.monotonic() + patience
        while True:
            while b"\n\n" in self._seen:
                event, _, self._seen = self._seen.partition(b"\n\n")
                if b"StateChange" in event and b'"Email"' in event:
                    return True
            left = late - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                return False
            self._seen += self.sock.recv(AT_ONCE)

    def close(self) -> None:
        self._connection.close()


def loop(
    port: int, request: bytes, connections: int, seconds: float, least: int
) -> tuple[list[float], float]:
    """Every connection sends the request again as soon as it has its answer.

    Returns the seconds each took, and those that passed. Ends after `seconds`, when `least`
    answers are there.
    """
    took: list[float] = []
    poll = select.epoll()
    open_ = {item.sock.fileno(): item for item in (Connection(port) for _ in range(connections))}
    try:
        for number, connection in open_.items():
            connection.exchange(request)  # who comes first may have to sign in
            poll.register(number, select.EPOLLIN)
        begin = now = time.perf_counter()
        for connection in open_.values():
            connection.send(request)
        while now < begin + seconds or len(took) < least:
            for number, _ in poll.poll():
                connection = open_[number]
                if connection.more():
                    now = time.perf_counter()
                    took.append(now - connection.sent_at)
                    connection.send(request)
        return took, now - begin
    finally:
        poll.close()
        for connection in open_.values():
            connection.close()


def _field(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    return None


def _unchunked(body: bytes) -> bytes:
    parts = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        parts.append(rest[:length])
        body = rest[length + 2 :] if length else b""
    return b"".join(parts)


def _path(url: str) -> str:
    """Of an absolute URL, or of one that is a path already."""
    return "/" + url.split("://", 1)[1].split("/", 1)[1] if "://" in url else url
