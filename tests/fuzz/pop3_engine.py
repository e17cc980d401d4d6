"""Octets to the POP3 engine: commands or refusals, never another exception, bounded memory."""

from __future__ import annotations

from postillon.protocol.pop3.engine import Command, Pop3Engine, Refusal

MAX_LINE = 512

SEEDS = [
    b"\x07USER ada@example.org\r\nPASS correct horse\r\nSTAT\r\nQUIT\r\n",
    b"\x01AUTH PLAIN\r\nAGFkYQBw\r\nAUTH LOGIN =\r\n*\r\n",
    b"\x20LIST 1\nUIDL\r\nTOP 1 10\r\nRETR 99999999999\r\nDELE -1\r\nRSET\r\n",
    b"\x10CAPA\r\nSTLS\r\nUTF8\r\nNOOP\r\n" + b"A" * 600,
]


def one(data: bytes) -> None:
    engine = Pop3Engine(MAX_LINE)
    cut = data[0] + 1 if data else 1
    for start in range(0, len(data), cut):
        for event in engine.receive(data[start : start + cut]):
            if isinstance(event, Refusal) and event.fatal:
                return
            if isinstance(event, Command):
                event.words()
                if event.verb == "AUTH":
                    engine.expect_line()
        assert engine.buffered <= MAX_LINE
