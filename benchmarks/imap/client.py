"""A client that costs little: it sends a command and reads until the answer, looking at nothing."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass

HOST = "127.0.0.1"
TIMEOUT_S = 300.0
AT_ONCE = 1 << 20
PASSWORD = "correct horse battery"


def trusting() -> ssl.SSLContext:
    """For certificates made up a moment ago."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass(frozen=True, slots=True)
class Reply:
    seconds: float  # from the command to its answer
    octets: int
    text: bytes  # all of it, where it was to be kept; else its end


class Client:
    """One connection. Raises RuntimeError where the server does not say OK."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        sock = socket.create_connection((HOST, port), timeout=TIMEOUT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock: socket.socket = sock if tls is None else tls.wrap_socket(sock)
        self.line()

    def line(self) -> bytes:
        """The next piece that ends a line, outside of commands."""
        data = b""
        while not data.endswith(b"\r\n"):
            some = self.sock.recv(AT_ONCE)
            if not some:
                raise RuntimeError(f"the server has gone after {data[-200:]!r}")
            data += some
        return data

    def command(self, text: str | bytes, *, keep: bool = False) -> Reply:
        line = text.encode() if isinstance(text, str) else text
        begin = time.perf_counter()
        self.sock.sendall(b"a1 " + line + b"\r\n")
        octets = 0
        kept: list[bytes] = []
        tail = b""
        while True:
            data = self.sock.recv(AT_ONCE)
            if not data:
                raise RuntimeError(f"the server has gone after {line[:80]!r}")
            octets += len(data)
            if keep:
                kept.append(data)
            tail = data if len(data) > 400 else (tail + data)[-4_000:]
            if not tail.endswith(b"\r\n"):
                continue
            last = tail[tail.rfind(b"\r\n", 0, -2) + 2 :] if b"\r\n" in tail[:-2] else tail
            if last.startswith(b"a1 "):
                break
        seconds = time.perf_counter() - begin
        if not last.startswith(b"a1 OK"):
            raise RuntimeError(f"{line[:80]!r}: {last[:200]!r}")
        return Reply(seconds, octets, b"".join(kept) if keep else tail)

    def login(self, user: str) -> None:
        self.command(f'LOGIN "{user}" "{PASSWORD}"')

    def append(self, mailbox: str, messages: Sequence[bytes]) -> None:
        """All of them in one command, without waiting for its continuations."""
        parts = [f"APPEND {mailbox}".encode()]
        parts += [b" {%d+}\r\n%b" % (len(message), message) for message in messages]
        self.command(b"".join(parts))

    def idle(self) -> None:
        self.sock.sendall(b"i1 IDLE\r\n")
        while not self.line().startswith(b"+"):
            pass

    def close(self) -> None:
        self.sock.close()


class Lmtp:
    """Delivers to one mailbox after the other (RFC 2033)."""

    def __init__(self, port: int) -> None:
        self._client = Client(port)
        self._say(b"LHLO load.example.net")

    def deliver(self, user: str, message: bytes) -> None:
        """Returns once the server has taken responsibility."""
        self._say(b"MAIL FROM:<bob@example.net>")
        self._say(b"RCPT TO:<%b>" % user.encode())
        self._say(b"DATA")
        self._say(message + b".")

    def _say(self, line: bytes) -> None:
        self._client.sock.sendall(line + b"\r\n")
        answer = self._client.line()
        if answer[:1] not in b"23":
            raise RuntimeError(f"{line[:60]!r}: {answer!r}")

    def close(self) -> None:
        self._client.close()
