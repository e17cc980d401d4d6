"""An SMTP server that takes everything, keeps nothing and counts: where relayed mail ends.

python -m benchmarks.peers.sink PORT       # a line on standard input is answered by the count
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import cast

import uvloop

HOST = "127.0.0.1"
HELLO = (
    b"250-sink.example\r\n250-PIPELINING\r\n250-SIZE 100000000\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
)
REPLIES = {
    b"EHLO": HELLO,
    b"HELO": b"250 sink.example\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
}
OK = b"250 2.0.0 ok\r\n"
END = b"\r\n.\r\n"


class Count:
    messages = 0
    connections = 0


class Conversation(asyncio.Protocol):
    """Commands by the line; content is skipped to its end and never kept."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._rest = b""
        self._content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, for uvloop's transports do not derive from the standard library's.
        self._transport = cast(asyncio.Transport, transport)
        self._count.connections += 1
        self._transport.write(b"220 sink.example ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        answers: list[bytes] = []
        at = 0
        while True:
            if self._content:
                end = data.find(END, at)
                if end < 0:
                    at = max(at, len(data) - len(END) + 1)
                    break
                at = end + len(END)
                self._content = False
                self._count.messages += 1
                answers.append(OK)
                continue
            end = data.find(b"\r\n", at)
            if end < 0:
                break
            verb = data[at : at + 4].upper()
            at = end + 2
            answers.append(REPLIES.get(verb, OK))
            if verb == b"DATA":
                self._content = True
                at -= 2  # a message of nothing begins with its final dot
            elif verb == b"QUIT":
                self._transport.write(b"".join(answers))
                self._transport.close()
                return
        self._rest = data[at:]
        if answers:
            self._transport.write(b"".join(answers))


async def serve(host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    count = Count()
    server = await loop.create_server(lambda: Conversation(count), host, port, backlog=1024)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print("READY", flush=True)
    while await lines.readline():
        print(count.messages, count.connections, flush=True)
    server.close()


class Sink:
    """The sink in a process of its own, so that its work is nobody else's."""

    def __init__(self, port: int, host: str = HOST) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.sink", host, str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "READY\n":
            raise RuntimeError("the sink did not start")

    @property
    def pid(self) -> int:
        return self._process.pid

    def count(self) -> tuple[int, int]:
        """Messages and connections so far."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        messages, connections = self._process.stdout.readline().split()
        return int(messages), int(connections)

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def main() -> None:
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))


if __name__ == "__main__":
    main()
