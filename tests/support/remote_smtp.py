"""Another server on loopback that follows a script: real sockets, any reply, any bad manners."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

CLOSE = "close"  # in a script: close the connection instead of answering
DEFAULTS = {
    "GREETING": "220 mx.remote.example ESMTP",
    "HELO": "250 mx.remote.example",
    "MAIL": "250 2.1.0 sender ok",
    "RCPT": "250 2.1.5 recipient ok",
    "DATA": "354 go on",
    "CONTENT": "250 2.0.0 taken",
    "RSET": "250 2.0.0 ok",
    "NOOP": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
    "STARTTLS": "220 2.0.0 go on",
    "AUTH": "235 2.7.0 welcome",
}


@dataclass
class RemoteServer:
    """What it offers and says. `script` maps a verb to replies used up in order, then the default.

    `commands` are all lines received, `messages` (reverse-path line, RCPT lines, content).
    """

    keywords: Sequence[str] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
    script: dict[str, list[str]] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    lmtp: bool = False
    injected: bytes = b""  # sent in clear text together with the reply to STARTTLS
    hangs_up: bool = False  # right after the handshake
    stalls: int = 0  # handshakes in which it is silent until the other side has had enough
    commands: list[str] = field(default_factory=list)
    messages: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    connections: int = 0
    secured: int = 0
    port: int = 0
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def cut(self) -> None:
        """Close all connections now."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            await self._converse(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _reply(self, verb: str) -> str:
        waiting = self.script.get(verb)
        return waiting.pop(0) if waiting else DEFAULTS.get(verb, "500 5.5.2 what?")

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender, rcpts, secure = "", [], False
        said = self._reply("GREETING")
        while said != CLOSE:
            if said:
                writer.write(said.encode() + b"\r\n")
                await writer.drain()
            line = (await reader.readuntil(b"\r\n"))[:-2].decode()
            self.commands.append(line)
            verb = line.split(" ")[0].upper()
            if verb in ("EHLO", "LHLO") and verb not in self.script:
                said = self._hello(secure)
                sender, rcpts = "", []
                continue
            said = self._reply(verb)
            if verb == "MAIL" and said.startswith("2"):
                sender, rcpts = line, []
            elif verb == "RCPT" and said.startswith("2"):
                rcpts.append(line)
            elif verb == "DATA" and said.startswith("3"):
                writer.write(said.encode() + b"\r\n")
                await writer.drain()
                content = b""
                while (line_in := await reader.readuntil(b"\r\n")) != b".\r\n":
                    content += line_in
                answers = [self._reply("CONTENT") for _ in (rcpts if self.lmtp else [""])]
                if answers[0].startswith("2"):
                    self.messages.append((sender, rcpts, content))
                said = CLOSE if CLOSE in answers else "\r\n".join(answers)
            elif verb == "STARTTLS" and said.startswith("220") and self.tls is not None:
                writer.write(said.encode() + b"\r\n" + self.injected)
                await writer.drain()
                if self.stalls:
                    self.stalls -= 1
                    await reader.read(-1)
                    return
                await writer.start_tls(self.tls)
                self.secured += 1
                if self.hangs_up:
                    return
                secure, said = True, ""
            elif verb == "QUIT":
                writer.write(said.encode() + b"\r\n")
                return

    def _hello(self, secure: bool) -> str:
        words = ["mx.remote.example", *self.keywords]
        if self.tls is not None and not secure:
            words.append("STARTTLS")
        last = len(words) - 1
        return "\r\n".join(f"250{' ' if n == last else '-'}{word}" for n, word in enumerate(words))


@asynccontextmanager
async def listening(
    server: RemoteServer, address: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[int]:
    """Give the port while the server runs."""
    listener = await asyncio.start_server(server.handle, address, port)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server.port
    finally:
        listener.close()
        server.cut()
