"""A small DNS server on loopback, UDP and TCP, that answers, keeps silent or lies as it is told."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

# What may stand in `broken` for a name.
SERVFAIL = "servfail"
SILENT = "silent"
TRUNCATED = "truncated"  # over UDP; whole over TCP
WRONG_NAME = "wrong name"  # a record of another name
GARBAGE = "garbage"

TTL = 300


@dataclass
class Zone:
    """`records` maps (name, type) to the texts of its records; any name not in it is NXDOMAIN.

    `broken` maps a name, or (name, type), to a fault. `asked` are all questions, with "udp" or "tcp".
    """

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    broken: dict[object, str] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def answer(self, wire: bytes, way: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind, way))
        fault = self.broken.get((name, kind), self.broken.get(name))
        if fault == SILENT:
            return None
        if fault == GARBAGE:
            return wire[:2] + b"\xff" * 9
        made = dns.message.make_response(query)
        made.flags |= dns.flags.AA
        if fault == SERVFAIL:
            made.set_rcode(dns.rcode.SERVFAIL)
        elif fault == TRUNCATED and way == "udp":
            made.flags |= dns.flags.TC
        elif fault == WRONG_NAME:
            made.answer.append(dns.rrset.from_text("liar.example.", TTL, "IN", kind, "192.0.2.66"))
        else:
            self._fill(made, name, kind)
        return made.to_wire()

    def _fill(self, made: dns.message.Message, name: str, kind: str) -> None:
        for _ in range(8):
            alias = self.records.get((name, "CNAME"))
            if alias is None or kind == "CNAME":
                break
            made.answer.append(dns.rrset.from_text(name + ".", TTL, "IN", "CNAME", *alias))
            name = alias[0].rstrip(".")
        found = self.records.get((name, kind))
        if found:
            made.answer.append(dns.rrset.from_text(name + ".", TTL, "IN", kind, *found))
        elif not any(known == name for known, _ in self.records):
            made.set_rcode(dns.rcode.NXDOMAIN)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, zone: Zone) -> None:
        self._zone = zone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        made = self._zone.answer(data, "udp")
        if made is not None:
            self._transport.sendto(made, addr)  # type: ignore[attr-defined]


@asynccontextmanager
async def serving(zone: Zone, port: int = 0) -> AsyncIterator[str]:
    """Give the server's `address:port`, as the resolver's configuration takes it."""
    loop = asyncio.get_running_loop()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            [length] = struct.unpack("!H", await reader.readexactly(2))
            made = zone.answer(await reader.readexactly(length), "tcp")
            if made is not None:
                writer.write(struct.pack("!H", len(made)) + made)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(handle, "127.0.0.1", port)
    port = listener.sockets[0].getsockname()[1]
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Udp(zone), local_addr=("127.0.0.1", port)
    )
    try:
        yield f"127.0.0.1:{port}"
    finally:
        transport.close()
        listener.close()
