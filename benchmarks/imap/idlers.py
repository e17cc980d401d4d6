"""Many sessions that wait: what each takes of memory, and how soon they hear of a delivery."""

from __future__ import annotations

import re
import select
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.imap.client import Client, Lmtp, trusting
from benchmarks.imap.mail import Writer
from benchmarks.imap.servers import USERS, Server

WARM = 20  # sessions opened before memory is counted, so that what all share is there
DELIVERIES = 200
ENOUGH_S = 20.0  # after which fewer deliveries, at least FEW, must do
FEW = 20
PATIENCE_S = 10.0
SETTLE_S = 3.0
_EXISTS = re.compile(rb"\* \d+ EXISTS\r\n")


@contextmanager
def idlers(server: Server, count: int, *, tls: bool = False) -> Iterator[list[Client]]:
    """Logged in, INBOX selected, in IDLE; box0, whose mailbox is large, has none."""
    context = trusting() if tls else None
    clients: list[Client] = []
    try:
        for n in range(count):
            client = Client(server.tls_port if tls else server.port, context)
            clients.append(client)
            client.login(server.user(1 + n % (USERS - 1)))
            client.command("SELECT INBOX")
            client.idle()
        yield clients
    finally:
        for client in clients:
            client.close()


def idle_memory(server: Server, count: int, *, tls: bool = False) -> dict[str, float]:
    """Kilobytes of all processes together that one session more costs, and CPU while they wait."""
    with idlers(server, WARM, tls=tls):
        server.settle()
        before = server.cell.memory()
        cpu = server.cell.cpu()
        with idlers(server, count, tls=tls):
            cpu = server.cell.cpu() - cpu
            time.sleep(SETTLE_S)
            grown = server.cell.memory() - before
    return {"kb": grown / count / 1024, "cpu": cpu / count * 1e3}


def push(server: Server, waiting: int) -> dict[str, float]:
    """From the last octet of a message to EXISTS in a session that idles; so with the delivery's own
    time. All others wait in mailboxes of their own.
    """
    took: list[float] = []
    cpu = 0.0
    message = next(Writer(3).messages(1))
    with idlers(server, waiting) as clients:
        lmtp = Lmtp(server.lmtp_port)
        for n in range(WARM):  # the first delivery of a mailbox makes what later ones find
            lmtp.deliver(server.user(1 + n), message)
        time.sleep(1.0)
        for client in clients:
            _drain(client)
        cpu = server.cell.cpu()
        late = time.monotonic() + ENOUGH_S
        for n in range(DELIVERIES):
            if n >= FEW and time.monotonic() > late:
                break
            place = n % WARM
            begin = time.perf_counter()
            lmtp.deliver(server.user(1 + place), message)
            took.append(_heard(clients[place], begin))
            for client in clients[place :: USERS - 1][1:]:
                _heard(client, begin)
        cpu = server.cell.cpu() - cpu
        lmtp.close()
    took.sort()
    return {
        "p50": statistics.median(took) * 1e3,
        "p99": took[int(len(took) * 0.99)] * 1e3,
        "cpu": cpu / len(took) * 1e3,
    }


def _drain(client: Client) -> None:
    while select.select([client.sock], [], [], 0)[0]:
        client.line()


def _heard(client: Client, begin: float) -> float:
    data = b""
    client.sock.settimeout(PATIENCE_S)
    while not _EXISTS.search(data):
        data += client.line()
    return time.perf_counter() - begin
