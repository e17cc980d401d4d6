"""Octets to the IMAP engine: commands or refusals, never another exception, bounded memory."""

from __future__ import annotations

from postillon.protocol.imap.commands import Command
from postillon.protocol.imap.engine import ImapEngine, Refusal, Upload

SEEDS = [
    b"\x07a LOGIN {3}\r\nada {3+}\r\npwd\r\nb NOOP\r\n",
    b'\x03a APPEND {3+}\r\nabc (\\Seen) " 7-Feb-1994 22:43:04 -0800" {3+}\r\nxyz {2+}\r\nab\r\n',
    b"\x20a UID FETCH 1:*,3 (UID FLAGS BODY.PEEK[1.2.HEADER.FIELDS (To)]<0.5>)\r\n",
    b"\x20a UID STORE 1 -FLAGS.SILENT (\\Seen $x)\r\nb IDLE\r\nDONE\r\n",
    b'\x20a SEARCH RETURN (MIN) CHARSET UTF-8 OR NOT FROM "x" (SINCE 1-Feb-2020 UID *:4)\r\n',
    b'\x20a LIST (SUBSCRIBED) "" ("a%" *) RETURN (STATUS (MESSAGES))\r\nb CREATE x (USE (\\Sent))\r\n',
    b'\x20a ID ("name" "x")\r\nb AUTHENTICATE PLAIN AAAA\r\nYWJj\r\n',
]


def one(data: bytes) -> None:
    engine = ImapEngine()
    engine.max_command = 4096
    cut = data[0] + 1 if data else 1
    uploads = 0
    for start in range(0, len(data), cut):
        for event in engine.receive(data[start : start + cut]):
            if isinstance(event, Upload):
                uploads += 1
                if uploads % 2:
                    engine.accept()
                else:
                    engine.refuse(Refusal(event.tag, "no", "NO"))
            elif isinstance(event, Command) and event.verb in ("IDLE", "AUTHENTICATE"):
                engine.expect_line()
        assert engine.buffered <= 4096 + cut
