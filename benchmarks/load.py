"""A load generator for SMTP and LMTP: many connections, one thread, as little Python as it can be.

Every message is numbered and its octets follow from the number alone, so that a checker can say of each
acknowledged message whether it arrived, once, and unharmed. A connection that breaks is opened again
and the message in hand counts as unknown: the server may or may not have taken it.
"""

from __future__ import annotations

import errno
import hashlib
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

LINE = 76  # characters of a body line


def numbered_message(number: int, size: int, run: str = "load") -> bytes:
    """A message of about `size` octets with CRLF line ends whose content follows from its number."""
    seed = hashlib.sha256(f"{run}-{number}".encode()).hexdigest()
    head = (
        f"From: Load <load@example.org>\r\nTo: Box <box@example.org>\r\n"
        f"Subject: Message {number} of {run}\r\n"
        f"Message-ID: <{run}.{number}@load.example.org>\r\n"
        "Date: Wed, 25 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/alternative; boundary="b1"\r\n'
        f"X-Number: {number}\r\n\r\n"
        "--b1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    middle = "\r\n--b1\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>"
    tail = "</p>\r\n--b1--\r\n"
    room = max(0, size - len(head) - len(middle) - len(tail)) // 2
    filler = (seed + " ") * (room // (len(seed) + 1) + 1)
    lines = "\r\n".join(filler[n : n + LINE] for n in range(0, room, LINE + 2))
    return (head + lines + middle + lines + tail).encode()


@dataclass(slots=True)
class Result:
    """What the generator saw. `seconds` from the first command to the last acknowledgement."""

    acknowledged: list[int] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)  # sent in whole or part, never answered
    refused: list[tuple[int, str]] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)  # seconds, end of content to its reply
    seconds: float = 0.0
    reconnects: int = 0


class _Connection:
    __slots__ = ("buffer", "expect", "lines", "number", "sent_at", "sock", "state", "unsent")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""
        self.state = "greeting"
        self.expect = 1  # complete replies still to come in this state
        self.lines: list[str] = []  # commands still to send, one at a time
        self.number = -1
        self.sent_at = 0.0
        self.unsent = b""


class Load:
    """Sends messages `numbers` over `connections` connections to `address`.

    recipients: who gets message n, as `recipients(n)`; message: its octets, dots not yet stuffed.
    stop: asked now and then; ends the run early when true.
    """

    def __init__(
        self,
        address: tuple[str, int],
        *,
        connections: int,
        recipients: Callable[[int], Sequence[str]],
        message: Callable[[int], bytes],
        sender: str = "load@example.org",
        lmtp: bool = False,
        pipelining: bool = True,
        stop: Callable[[], bool] = lambda: False,
        retry_seconds: float = 0.0,
    ) -> None:
        self._address = address
        self._count = connections
        self._recipients = recipients
        self._message = message
        self._sender = sender
        self._lmtp = lmtp
        self._pipelining = pipelining
        self._stop = stop
        self._retry = retry_seconds
        self._selector = selectors.DefaultSelector()
        self._result = Result()

    def run(self, numbers: Iterable[int], seconds: float = 600.0) -> Result:
        """Send until the numbers, the time, or `stop` end it."""
        self._numbers = iter(numbers)
        self._done = False
        began = last = time.monotonic()
        live: set[_Connection] = set()
        missing = self._count
        next_open = began
        while True:
            now = time.monotonic()
            if missing and now >= next_open and not self._done:
                while missing and (connection := self._open()) is not None:
                    live.add(connection)
                    missing -= 1
                if missing:
                    if not self._retry:
                        raise ConnectionError(f"cannot connect to {self._address}")
                    next_open = now + self._retry
            if now - began > seconds or self._stop():
                self._done = True
                for connection in [item for item in live if item.state == "greeting"]:
                    self._broken(connection)
                    live.discard(connection)
                if now - began > seconds + 30:
                    break
            if not live and (self._done or not missing):
                break
            for key, mask in self._selector.select(0.05):
                connection = key.data
                try:
                    if mask & selectors.EVENT_WRITE:
                        self._flush(connection)
                    finished = mask & selectors.EVENT_READ and self._readable(connection)
                except (OSError, EOFError) as error:
                    self._broken(connection)
                    if isinstance(error, ConnectionRefusedError) and not self._retry:
                        raise ConnectionError(f"cannot connect to {self._address}") from error
                    if connection.state == "greeting":
                        next_open = now + self._retry
                    live.discard(connection)
                    missing += 1
                    self._result.reconnects += 1
                    continue
                if finished:
                    self._selector.unregister(connection.sock)
                    connection.sock.close()
                    live.discard(connection)
                last = time.monotonic()
        for connection in live:
            self._broken(connection)
        self._result.seconds = last - began
        return self._result

    def _open(self) -> _Connection | None:
        """Begin a connection; the greeting shows that it stands, and nobody waits for a slow one."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        if sock.connect_ex(self._address) not in (0, errno.EINPROGRESS):
            sock.close()
            return None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(sock)
        self._selector.register(sock, selectors.EVENT_READ, connection)
        return connection

    def _broken(self, connection: _Connection) -> None:
        self._selector.unregister(connection.sock)
        connection.sock.close()
        if connection.number >= 0:
            self._result.unknown.append(connection.number)

    def _send(self, connection: _Connection, data: bytes) -> None:
        if connection.unsent:
            connection.unsent += data
            return
        try:
            sent = connection.sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            connection.unsent = data[sent:]
            self._selector.modify(
                connection.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, connection
            )

    def _flush(self, connection: _Connection) -> None:
        try:
            sent = connection.sock.send(connection.unsent)
        except BlockingIOError:
            return
        connection.unsent = connection.unsent[sent:]
        if not connection.unsent:
            self._selector.modify(connection.sock, selectors.EVENT_READ, connection)

    def _readable(self, connection: _Connection) -> bool:
        """Read what is there and move on. Returns whether this connection has nothing left to do."""
        try:
            data = connection.sock.recv(65536)
        except BlockingIOError:
            return False
        if not data:
            raise EOFError(errno.ECONNRESET)
        connection.buffer += data
        while True:
            end = connection.buffer.find(b"\r\n")
            if end < 0:
                return False
            line = connection.buffer[:end]
            connection.buffer = connection.buffer[end + 2 :]
            if line[3:4] == b"-":
                continue
            if self._reply(connection, line):
                return True

    def _reply(self, connection: _Connection, line: bytes) -> bool:
        state = connection.state
        if line[:1] not in b"23" or line[:3] == b"421":
            return self._refused(connection, line)
        connection.expect -= 1
        if connection.expect:
            return False
        if state == "content":
            now = time.monotonic()
            self._result.latencies.append(now - connection.sent_at)
            self._result.acknowledged.append(connection.number)
            connection.number = -1
            return self._next(connection)
        if state == "envelope":
            message = self._message(connection.number)
            if b"\n." in message:
                message = message.replace(b"\n.", b"\n..")
            connection.state = "content"
            connection.expect = len(self._recipients(connection.number)) if self._lmtp else 1
            connection.sent_at = time.monotonic()
            self._send(connection, message + b".\r\n")
            return False
        if state == "greeting":
            connection.state, connection.expect = "hello", 1
            self._send(connection, b"LHLO load\r\n" if self._lmtp else b"EHLO load.example.org\r\n")
            return False
        if state == "lines":
            return self._next_line(connection)
        return self._next(connection)

    def _refused(self, connection: _Connection, line: bytes) -> bool:
        if connection.number >= 0:
            self._result.refused.append((connection.number, line.decode("utf-8", "replace")))
            connection.number = -1
        raise EOFError(line)

    def _next(self, connection: _Connection) -> bool:
        number = None if self._done else next(self._numbers, None)
        if number is None:
            self._done = True
            return True
        connection.number = number
        lines = [f"MAIL FROM:<{self._sender}>"]
        lines += [f"RCPT TO:<{recipient}>" for recipient in self._recipients(number)]
        lines.append("DATA")
        if self._pipelining:
            connection.state, connection.expect = "envelope", len(lines)
            self._send(connection, ("\r\n".join(lines) + "\r\n").encode())
            return False
        connection.lines = lines
        return self._next_line(connection)

    def _next_line(self, connection: _Connection) -> bool:
        lines = connection.lines
        line = lines.pop(0)
        connection.state, connection.expect = ("lines" if lines else "envelope"), 1
        self._send(connection, f"{line}\r\n".encode())
        return False
