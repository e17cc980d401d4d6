"""Names to records: dnspython's messages under our own cache, coalescing and budgets (FAULTS 22).

Validation is left to the local resolver. What we bound ourselves: 2 s a try, 10 s a name, 64 records
an answer, the number of questions under way, the size of the cache. SERVFAIL, a timeout and a lie are
temporary; only NXDOMAIN says that a name does not exist.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.resolver
import dns.reversename

from postillon.clock import Clock, system_clock
from postillon.net.config import ResolverConfig
from postillon.net.dns import DnsError, DnsTemporary, Mx, NoSuchName, Srv

MAX_RECORDS = 64  # of one answer; the rest is cut off (FAULTS 22)
TEMPORARY_TTL = 5_000  # ms a failure is remembered, so that a dead server is not asked at each mail
NO_ANSWER = frozenset({dns.rdatatype.CNAME, dns.rdatatype.DNAME, dns.rdatatype.RRSIG})
PAYLOAD = 1232  # octets of EDNS: what passes without fragments (DNS flag day 2020)
PORT = 53

Key = tuple[str, dns.rdatatype.RdataType]


@dataclass(frozen=True, slots=True)
class _Known:
    """What one question was answered with. `error` None: `records`, perhaps none."""

    records: tuple[dns.rdata.Rdata, ...]
    error: DnsError | None
    until: int  # ms


class Resolver:
    """One per process. All methods raise DnsTemporary or NoSuchName, and return () for no data."""

    def __init__(self, config: ResolverConfig, clock: Clock = system_clock) -> None:
        self._config = config
        self._clock = clock
        self._servers = [_server(text) for text in config.servers] or _system_servers()
        self._cache: OrderedDict[Key, _Known] = OrderedDict()
        self._under_way: dict[Key, asyncio.Task[_Known]] = {}
        self._room = asyncio.Semaphore(config.max_queries)
        longest = max(config.longest_ttl, config.longest_negative_ttl, timedelta(minutes=1))
        self._longest = longest // timedelta(milliseconds=1)  # ms an answer can be remembered

    async def mx(self, name: str) -> tuple[Mx, ...]:
        """The mail exchangers of a domain by preference; host "" is the null MX (RFC 7505)."""
        records = await self._ask(name, dns.rdatatype.MX)
        found = {Mx(int(r.preference), _text(r.exchange)) for r in records}  # type: ignore[attr-defined]
        return tuple(sorted(found))

    async def addresses(self, name: str) -> tuple[str, ...]:
        """The IPv6 and IPv4 addresses of a host, IPv6 first.

        One family that cannot be asked does not spoil the other: only when neither gave an address
        does its failure count.
        """
        kinds = [dns.rdatatype.A]
        if self._config.use_ipv6:
            kinds.insert(0, dns.rdatatype.AAAA)
        results = await asyncio.gather(
            *(self._ask(name, kind) for kind in kinds), return_exceptions=True
        )
        found: list[str] = []
        errors: list[DnsError] = []
        for result in results:
            if isinstance(result, DnsError):
                errors.append(result)
            elif isinstance(result, BaseException):
                raise result
            else:
                found += [str(record.address) for record in result]  # type: ignore[attr-defined]
        if found or not errors:
            return tuple(dict.fromkeys(found))
        for error in errors:
            if isinstance(error, DnsTemporary):
                raise error
        raise errors[0]

    async def txt(self, name: str) -> tuple[bytes, ...]:
        """The TXT records of a name, the strings of each joined (RFC 7208 section 3.3)."""
        records = await self._ask(name, dns.rdatatype.TXT)
        return tuple(b"".join(record.strings) for record in records)  # type: ignore[attr-defined]

    async def srv(self, name: str) -> tuple[Srv, ...]:
        """Where a service is offered, by priority (RFC 2782)."""
        records = await self._ask(name, dns.rdatatype.SRV)
        found = {
            Srv(int(r.priority), int(r.weight), int(r.port), _text(r.target))  # type: ignore[attr-defined]
            for r in records
        }
        return tuple(sorted(found))

    async def names(self, address: str) -> tuple[str, ...]:
        """The names an address claims (PTR); they prove nothing until looked up themselves."""
        reverse = dns.reversename.from_address(address).to_text(omit_final_dot=True)
        records = await self._ask(reverse, dns.rdatatype.PTR)
        return tuple(_text(record.target) for record in records)  # type: ignore[attr-defined]

    def forget(self) -> None:
        """Empty the cache, for an administrator who has just corrected a zone."""
        self._cache.clear()

    async def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> tuple[dns.rdata.Rdata, ...]:
        key = (name.lower().rstrip("."), kind)
        known = self._cache.get(key)
        now = self._clock()
        # Beyond the longest TTL: the clock was set back since.
        if known is None or not now < known.until <= now + self._longest:
            # All who ask the same at once share one question; one who gives up does not stop it.
            task = self._under_way.get(key)
            if task is None:
                task = asyncio.get_running_loop().create_task(self._find(key))
                self._under_way[key] = task
                task.add_done_callback(lambda _: self._under_way.pop(key, None))
            known = await asyncio.shield(task)
        else:
            self._cache.move_to_end(key)
        if known.error is not None:
            raise type(known.error)(known.error.name, known.error.reason)
        return known.records

    async def _find(self, key: Key) -> _Known:
        try:
            async with self._room, asyncio.timeout(self._config.name_timeout.total_seconds()):
                known = await self._question(*key)
        except TimeoutError:
            known = self._temporary(key[0], "no answer in time")
        self._cache[key] = known
        self._cache.move_to_end(key)
        while len(self._cache) > self._config.cache_size:
            self._cache.popitem(last=False)
        return known

    async def _question(self, name: str, kind: dns.rdatatype.RdataType) -> _Known:
        try:
            query = dns.message.make_query(
                dns.name.from_text(name + "."), kind, use_edns=0, payload=PAYLOAD
            )
        except (dns.exception.DNSException, ValueError):
            # A name that cannot be put into a question cannot exist either.
            return self._known(name, (), NoSuchName(name, "not a name"), 60_000)
        reason = "no DNS server is known"
        for server, port in (*self._servers, *self._servers):  # each is asked twice
            try:
                answer, _ = await dns.asyncquery.udp_with_fallback(
                    query,
                    server,
                    timeout=self._config.try_timeout.total_seconds(),
                    port=port,
                    ignore_unexpected=True,
                    ignore_errors=True,
                )
                if answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                    return self._read(name, answer)
                reason = dns.rcode.to_text(answer.rcode())
            except dns.exception.Timeout:
                reason = "no answer in time"
            except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
                reason = f"no usable answer ({type(error).__name__})"
        return self._temporary(name, reason)

    def _read(self, name: str, answer: dns.message.Message) -> _Known:
        """Follow the CNAMEs inside one answer. Raises DNSException for one that contradicts itself."""
        if not isinstance(answer, dns.message.QueryMessage):
            raise dns.exception.FormError("no answer to a query")  # type: ignore[no-untyped-call]
        chain = answer.resolve_chaining()
        positive = chain.answer is not None
        longest = self._config.longest_ttl if positive else self._config.longest_negative_ttl
        ttl = min(max(chain.minimum_ttl, 1) * 1000, longest // timedelta(milliseconds=1))
        if chain.answer is not None:
            return self._known(name, tuple(chain.answer)[:MAX_RECORDS], None, ttl)
        if answer.rcode() == dns.rcode.NXDOMAIN:
            return self._known(name, (), NoSuchName(name, "this name does not exist"), ttl)
        if any(found.rdtype not in NO_ANSWER for found in answer.answer):
            # Answers, but to nothing that was asked: whether there are such records is not known.
            raise dns.exception.FormError("records of another name")  # type: ignore[no-untyped-call]
        return self._known(name, (), None, ttl)

    def _temporary(self, name: str, reason: str) -> _Known:
        return self._known(name, (), DnsTemporary(name, reason), TEMPORARY_TTL)

    def _known(
        self, name: str, records: Sequence[dns.rdata.Rdata], error: DnsError | None, ttl: int
    ) -> _Known:
        return _Known(tuple(records), error, self._clock() + ttl)


def _text(name: dns.name.Name) -> str:
    """A name as we write it: lower case, without the last dot; the root is ""."""
    return name.to_text(omit_final_dot=True).lower().removesuffix(".")


def _server(text: str) -> tuple[str, int]:
    """Read `address`, `v4:port` or `[v6]:port`. Raises ValueError."""
    host, port = text, ""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    return str(ipaddress.ip_address(host)), int(port or PORT)


def _system_servers() -> list[tuple[str, int]]:
    try:
        system = dns.resolver.Resolver(configure=True)
    except dns.exception.DNSException:
        return [("127.0.0.1", PORT)]
    return [(str(server), PORT) for server in system.nameservers]
