"""What is measured, in order. Times are those a client waits; CPU is that of the server's processes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.imap.client import Client
from benchmarks.imap.idlers import idle_memory, push
from benchmarks.imap.mail import RARE, SOME, Writer
from benchmarks.imap.servers import Server

Figures = dict[str, float]  # "ms", "cpu" (ms), "kb" (per session), "p50", "p99" (ms)
META = "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"
HEADERS = "UID FETCH 1:* (UID BODY.PEEK[HEADER])"
BODIES = "UID FETCH 1:* (UID BODY.PEEK[])"
FILL_AT_ONCE = 100
STORED = 10_000
MOVED = 5_000
CHANGED = 100


@dataclass(slots=True)
class Bench:
    """What the scenarios share."""

    mail: Sequence[bytes]
    found: dict[str, int] = field(default_factory=dict)  # by search: results of who came first
    signs: dict[str, bool] = field(default_factory=dict)  # by server: whether STORE sets next


@dataclass(frozen=True, slots=True)
class Scenario:
    """restart: the server is started anew before each run: "cold" without what it had kept of the
    messages, "index" with its index of text, "" not at all.
    """

    key: str
    title: str
    measure: Callable[[Bench, Server], Figures]
    restart: str = ""
    rounds: int | None = None  # None: as many as asked for
    sessions: int = 0  # that wait, where that is what is measured
    quick: bool = True


def fill(bench: Bench, server: Server) -> Figures:
    """The mail comes in by APPEND, which every server syncs."""
    client = Client(server.port)
    client.login(server.user(0))
    client.command("CREATE Other")
    begin, cpu = time.perf_counter(), server.cell.cpu()
    for start in range(0, len(bench.mail), FILL_AT_ONCE):
        client.append("INBOX", bench.mail[start : start + FILL_AT_ONCE])
    figures = {
        "ms": (time.perf_counter() - begin) * 1e3,
        "cpu": (server.cell.cpu() - cpu) * 1e3,
    }
    client.close()
    return figures


@contextmanager
def session(server: Server, *, selected: bool = True) -> Iterator[Client]:
    client = Client(server.port)
    client.login(server.user(0))
    if selected:
        client.command("SELECT INBOX")
    try:
        yield client
    finally:
        client.close()


def timed(server: Server, client: Client, *commands: str) -> Figures:
    """One figure for all of the commands."""
    cpu = server.cell.cpu()
    seconds = sum(client.command(command).seconds for command in commands)
    return {"ms": seconds * 1e3, "cpu": (server.cell.cpu() - cpu) * 1e3}


def commanded(command: str) -> Callable[[Bench, Server], Figures]:
    def measure(bench: Bench, server: Server) -> Figures:
        with session(server) as client:
            return timed(server, client, command)

    return measure


def again(command: str) -> Callable[[Bench, Server], Figures]:
    """Its second time in one session."""

    def measure(bench: Bench, server: Server) -> Figures:
        with session(server) as client:
            client.command(command)
            return timed(server, client, command)

    return measure


def select(bench: Bench, server: Server) -> Figures:
    with session(server, selected=False) as client:
        return timed(server, client, "SELECT INBOX")


def store(bench: Bench, server: Server) -> Figures:
    """Durable for all; flags are set in one run and cleared in the next."""
    sign = "-" if bench.signs.get(server.key) else "+"
    bench.signs[server.key] = sign == "+"
    with session(server) as client:
        last = min(STORED, len(bench.mail))
        return timed(server, client, f"STORE 1:{last} {sign}FLAGS.SILENT (\\Flagged)")


def move(bench: Bench, server: Server) -> Figures:
    """There, and what is measured is the way back, so that the next run finds them again."""
    with session(server) as client:
        last = min(MOVED, len(bench.mail))
        client.command(f"MOVE 1:{last} Other")
        client.command("SELECT Other")
        return timed(server, client, "MOVE 1:* INBOX")


def resynchronise(bench: Bench, server: Server) -> Figures:
    """Half of the changes are flags, a quarter removals, a quarter new messages."""
    quarter = CHANGED // 4
    with session(server) as client:
        client.command("ENABLE QRESYNC")
        said = client.command("SELECT INBOX", keep=True).text
        validity, modseq = (
            int(re.search(rb"\[%b (\d+)" % word, said)[1])  # type: ignore[index]
            for word in (b"UIDVALIDITY", b"HIGHESTMODSEQ")
        )
    with session(server) as other:
        step = max(len(bench.mail) // (2 * quarter + 1), 1)
        chosen = ",".join(str(n) for n in range(step, 2 * quarter * step + 1, step))
        other.command(f"STORE {chosen} +FLAGS.SILENT (\\Answered)")
        other.command(f"STORE {chosen} -FLAGS.SILENT (\\Answered)")
        gone = ",".join(str(n) for n in range(2, 2 * quarter + 2, 2))
        other.command(f"STORE {gone} +FLAGS.SILENT (\\Deleted)")
        other.command("EXPUNGE")
        other.append("INBOX", list(Writer(2).messages(quarter)))
    with session(server, selected=False) as client:
        client.command("ENABLE QRESYNC")
        return timed(server, client, f"SELECT INBOX (QRESYNC ({validity} {modseq}))")


def searched(command: str) -> Callable[[Bench, Server], Figures]:
    """Raises RuntimeError where the results are not as many as the first server's."""

    def measure(bench: Bench, server: Server) -> Figures:
        with session(server) as client:
            cpu = server.cell.cpu()
            reply = client.command(command, keep=True)
            cpu = server.cell.cpu() - cpu
        line = next((x for x in reply.text.split(b"\r\n") if x.startswith(b"* SEARCH")), b"")
        found = len(line.split()) - 2 if line else 0
        if found != bench.found.setdefault(command, found):
            raise RuntimeError(f"{found} results instead of {bench.found[command]}")
        return {"ms": reply.seconds * 1e3, "cpu": cpu * 1e3}

    return measure


SEARCHES = (
    ("rare", f"SEARCH TEXT {RARE}", "SEARCH TEXT, a rare word"),
    ("some", f"SEARCH BODY {SOME}", "SEARCH BODY, a word of 1 %"),
    ("subject", f"SEARCH SUBJECT {SOME}", "SEARCH SUBJECT"),
    ("from", "SEARCH FROM example.net7", "SEARCH FROM, nobody"),
    ("unseen", f"SEARCH UNSEEN TEXT {RARE}", "SEARCH UNSEEN TEXT"),
)
SORTS = (
    ("sort-date", "SORT (REVERSE DATE) UTF-8 ALL", "SORT (REVERSE DATE)"),
    ("sort-subject", "SORT (SUBJECT) UTF-8 ALL", "SORT (SUBJECT)"),
    ("sort-from", "SORT (FROM DATE) UTF-8 ALL", "SORT (FROM DATE)"),
    ("thread", "THREAD REFERENCES UTF-8 ALL", "THREAD REFERENCES"),
)

SCENARIOS: tuple[Scenario, ...] = (
    Scenario("select", "SELECT", select),
    Scenario("meta-first", "FLAGS, ENVELOPE, BODYSTRUCTURE, dates, sizes: the first time",
             commanded(META), restart="cold", rounds=2),
    Scenario("meta", "the same again", commanded(META)),
    Scenario("flags", "FETCH FLAGS", commanded("FETCH 1:* (FLAGS)")),
    Scenario("headers", "all headers", commanded(HEADERS)),
    Scenario("bodies", "all bodies", commanded(BODIES)),
    Scenario("search-flags", "SEARCH UNSEEN UNFLAGGED", searched("SEARCH UNSEEN UNFLAGGED")),
    Scenario("sort-cold", "SORT (REVERSE DATE), the first time",
             commanded("SORT (REVERSE DATE) UTF-8 ALL"), restart="cold", rounds=2),
    *(Scenario(key, f"{title}, again", again(command)) for key, command, title in SORTS),
    *(Scenario(f"scan-{key}", f"{title}, without index", searched(command), rounds=1,
               quick=key == "rare")
      for key, command, title in SEARCHES),
    *(Scenario(f"index-{key}", f"{title}, with index", searched(command), restart="index")
      for key, command, title in SEARCHES),
    Scenario("store", f"STORE on {STORED:,}", store),
    Scenario("move", f"MOVE of {MOVED:,}", move),
    Scenario("qresync", f"SELECT with QRESYNC after {CHANGED} changes", resynchronise),
    Scenario("idle", "1,000 IDLE sessions", lambda bench, server: idle_memory(server, 1_000),
             restart="fresh", rounds=1),
    Scenario("idle-tls", "1,000 IDLE sessions under TLS",
             lambda bench, server: idle_memory(server, 1_000, tls=True), restart="fresh", rounds=1),
    Scenario("idle-5000", "5,000 IDLE sessions",
             lambda bench, server: idle_memory(server, 5_000), restart="fresh", rounds=1, quick=False,
             sessions=5_000),
    Scenario("idle-5000-tls", "5,000 IDLE sessions under TLS",
             lambda bench, server: idle_memory(server, 5_000, tls=True), restart="fresh",
             rounds=1, quick=False, sessions=5_000),
    Scenario("push", "from delivery to IDLE, 20 sessions waiting",
             lambda bench, server: push(server, 20), restart="fresh", rounds=1),
    Scenario("push-1000", "the same with 1,000", lambda bench, server: push(server, 1_000), rounds=1),
)  # fmt: skip
