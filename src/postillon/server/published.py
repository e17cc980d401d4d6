"""Whether the DNS says what it should: each record of a domain looked up and judged."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from postillon.admin.records import DnsRecord, records
from postillon.net.dns import DnsError, Mx, NoSuchName, Srv
from postillon.server.config import Configuration
from postillon.server.offered import offered


class Names(Protocol):
    """What is asked of DNS. All raise DnsTemporary or NoSuchName, and return () for no data."""

    async def mx(self, name: str) -> tuple[Mx, ...]: ...

    async def addresses(self, name: str) -> tuple[str, ...]: ...

    async def txt(self, name: str) -> tuple[bytes, ...]: ...

    async def srv(self, name: str) -> tuple[Srv, ...]: ...

    def forget(self) -> None: ...


class Verdict(Enum):
    RIGHT = "right"  # it stands there, or something that does the same
    OTHER = "other"  # something else stands there
    MISSING = "missing"
    UNKNOWN = "unknown"  # DNS could not be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A record to publish, and what was found. found: as a zone file has it, "" for nothing."""

    name: str
    kind: str
    value: str
    purpose: str
    verdict: Verdict
    found: str
    needed: bool  # mail does not come without it


async def published(
    domain: str, config: Configuration, dns: Names, *, fresh: bool = False
) -> list[Checked]:
    """Look all of them up at once. fresh: without what was found before."""
    if fresh:
        dns.forget()
    description = offered(config.listeners, config.server.hostname, config.autoconfig)
    wanted = records(domain, config.server.hostname, description)
    return list(await asyncio.gather(*(_check(record, dns) for record in wanted)))


async def _check(record: DnsRecord, dns: Names) -> Checked:
    try:
        verdict, found = await _look(record, dns)
    except NoSuchName:
        verdict, found = Verdict.MISSING, ""
    except DnsError as error:
        verdict, found = Verdict.UNKNOWN, str(error)
    return Checked(
        name=record.name, kind=record.kind, value=record.value, purpose=record.purpose,
        verdict=verdict, found=found, needed=record.kind == "MX",
    )  # fmt: skip


async def _look(record: DnsRecord, dns: Names) -> tuple[Verdict, str]:
    name = record.name.rstrip(".")
    match record.kind:
        case "MX":
            exchangers = await dns.mx(name)
            wanted = record.value.split()[1].rstrip(".")
            there = any(item.host == wanted for item in exchangers)
            return _judge(there, [f"{item.preference} {item.host}." for item in exchangers])
        case "SRV":
            services = await dns.srv(name)
            _, _, port, host = record.value.split()
            there = any(
                (str(item.port), item.host) == (port, host.rstrip(".")) for item in services
            )
            return _judge(there, [f"{s.priority} {s.weight} {s.port} {s.host}." for s in services])
        case "TXT":
            kind = record.value.strip('"').partition(" ")[0].rstrip(";")  # v=spf1, v=DMARC1
            texts = [text.decode("utf-8", "replace") for text in await dns.txt(name)]
            same = [text for text in texts if text.lower().startswith(kind.lower())]
            return _judge(len(same) == 1, [f'"{text}"' for text in same])
        case _:  # CNAME: whether it leads to the same place is what counts
            addresses = await dns.addresses(name)
            ours = await dns.addresses(record.value.rstrip("."))
            return _judge(bool(set(addresses) & set(ours)), list(addresses))


def _judge(right: bool, found: list[str]) -> tuple[Verdict, str]:
    text = ", ".join(found)
    if right:
        return Verdict.RIGHT, text
    return (Verdict.OTHER if found else Verdict.MISSING), text
