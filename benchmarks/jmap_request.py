"""What a JMAP request costs the server in CPU: Core/echo, the session, reading a request.

    python benchmarks/jmap_request.py --requests 3000

A real server with one worker; clients keep their connections. CPU is what the operating system has
counted for the worker, per request.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from postillon.protocol.jmap.request import Limits, parse
from support.server import PASSWORD, Server

CORE = "urn:ietf:params:jmap:core"
ADA = "ada@example.org"
CLIENTS = 16
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def reading() -> None:
    """The pure part: octets to calls."""
    small = b'{"using":["%b"],"methodCalls":[["Core/echo",{"a":1},"c1"]]}' % CORE.encode()
    ids = b",".join(b'"M%d"' % n for n in range(500))
    large = b'{"using":["%b"],"methodCalls":[["Email/get",{"accountId":"a1","ids":[%b]},"c1"]]}' % (
        CORE.encode(),
        ids,
    )
    limits = Limits()
    for name, octets in (("echo", small), ("500 ids", large)):
        number = 20_000 if len(octets) < 1_000 else 2_000
        begun = time.process_time()
        for _ in range(number):
            parse(octets, (CORE,), limits)
        each = (time.process_time() - begun) / number
        print(f"read a request, {name:10} {len(octets):6} octets {each * 1e6:8.1f} us")


async def asked(name: str, pid: int, number: int, ask: Callable[[], Awaitable[None]]) -> None:
    times: list[float] = []

    async def client(share: int) -> None:
        for _ in range(share):
            begun = time.perf_counter()
            await ask()
            times.append(time.perf_counter() - begun)

    await client(50)  # whoever comes first pays for what is kept later
    times.clear()
    begun, before = time.perf_counter(), cpu_s(pid)
    await asyncio.gather(*(client(number // CLIENTS) for _ in range(CLIENTS)))
    took, spent = time.perf_counter() - begun, cpu_s(pid) - before
    times.sort()
    print(
        f"{name:28} {len(times) / took:8.0f} /s  {spent / len(times) * 1e6:8.0f} us CPU"
        f"  median {statistics.median(times) * 1e3:6.1f} ms"
        f"  p99 {times[int(len(times) * 0.99)] * 1e3:6.1f} ms"
    )


async def talk(server: Server, number: int) -> None:
    [pid] = [pid for role, pid in server.workers().items() if role.startswith("w")]
    base = f"http://{server.host}:{server.port('http')}"
    secret = base64.b64encode(f"{ADA}:{PASSWORD}".encode()).decode()
    basic = {"Authorization": f"Basic {secret}"}
    connector = aiohttp.TCPConnector(limit=CLIENTS)
    body = {"using": [CORE], "methodCalls": [["Core/echo", {"hello": True}, "c1"]]}
    async with aiohttp.ClientSession(connector=connector) as session:
        async with session.post(
            f"{base}/auth/session", json={"login": ADA, "password": PASSWORD}
        ) as answer:
            token = (await answer.json())["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}

        async def read(method: str, path: str, headers: dict[str, str], json: object) -> None:
            async with session.request(method, base + path, headers=headers, json=json) as answer:
                octets = await answer.read()
                assert answer.status == 200, octets

        await asked("/healthz", pid, number, lambda: read("GET", "/healthz", {}, None))
        await asked("Core/echo, Basic", pid, number, lambda: read("POST", "/jmap/api", basic, body))
        await asked(
            "Core/echo, Bearer", pid, number, lambda: read("POST", "/jmap/api", bearer, body)
        )
        await asked(
            "session, Bearer", pid, number, lambda: read("GET", "/jmap/session", bearer, None)
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=3_000)
    number = parser.parse_args().requests
    reading()
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder) / "s", workers=1, log_level=None) as server,
    ):
        asyncio.run(talk(server, number))


if __name__ == "__main__":
    main()
