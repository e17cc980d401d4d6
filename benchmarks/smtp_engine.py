"""What one message costs in the SMTP engine alone, without connection, policy and store.

python benchmarks/smtp_engine.py            # 10 KB, pipelined and one command at a time
python benchmarks/smtp_engine.py --size 2000 --profile
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src")]

from postillon.protocol.smtp.server import (  # noqa: E402
    Content,
    Data,
    End,
    Hello,
    Mail,
    Offer,
    Rcpt,
    SmtpServerEngine,
)

CODES = {Hello: 250, Mail: 250, Rcpt: 250, Data: 354, End: 250}


def message(size: int) -> bytes:
    """Whole lines, at most `size` octets."""
    head = b"From: <a@example.net>\r\nTo: <b@example.org>\r\nSubject: benchmark\r\n\r\n"
    line = b"The quick brown fox jumps over the lazy dog, and nobody minds it at all now\r\n"
    return head + line * ((size - len(head)) // len(line))


def feed(engine: SmtpServerEngine, data: bytes) -> int:
    """Answer yes to all; the octets of content seen."""
    seen = 0
    for event in engine.receive(data):
        kind = type(event)
        if kind is Content:
            seen += len(event.octets)
        else:
            engine.answered(event, CODES[kind])
    return seen


def transactions(count: int, content: bytes, pipelined: bool) -> float:
    """Microseconds per message."""
    engine = SmtpServerEngine(Offer(max_size=50_000_000))
    feed(engine, b"EHLO client.example.net\r\n")
    commands = [
        b"MAIL FROM:<ada@example.net> SIZE=%d BODY=8BITMIME\r\n" % len(content),
        b"RCPT TO:<box17@example.org>\r\n",
        b"DATA\r\n",
    ]
    writes = [b"".join(commands)] if pipelined else commands
    writes.append(content + b".\r\n")
    began = time.process_time()
    for _ in range(count):
        seen = 0
        for data in writes:
            seen += feed(engine, data)
        assert seen == len(content)
    return (time.process_time() - began) / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--count", type=int, default=5_000)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    content = message(options.size)
    for pipelined in (True, False):
        best = min(transactions(options.count, content, pipelined) for _ in range(5))
        print(f"{'pipelined' if pipelined else 'one by one'}: {best:.1f} µs per message")
    if options.profile:
        profile = cProfile.Profile()
        profile.runcall(transactions, options.count, content, True)
        pstats.Stats(profile).sort_stats("tottime").print_stats(18)


if __name__ == "__main__":
    main()
