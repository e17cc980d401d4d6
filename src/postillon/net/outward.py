"""Fetching what a stranger names from the public internet, so that it cannot be turned inward.

An address is looked up once, by our own resolver; only a public one is taken, and the connection goes
to that very address (the name is not looked up again, so it cannot mean another host meanwhile). The
same for every redirect. Ports are those of the web; time, size and the number at once are bounded.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Protocol, TypeVar

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from postillon.net.dns import DnsError

T = TypeVar("T")

PORTS = frozenset({80, 443})
MAX_URL = 4_096  # characters
MAX_REDIRECTS = 3
MAX_AT_ONCE = 16
TIME_S = 15.0  # for all of it, redirects included
CHUNK = 64 * 1024
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address inside
# A last label that is a number makes a host an IPv4 address for some (127.1, 2130706433, 0x7f.1): no
# name ends so (https://url.spec.whatwg.org/#ends-in-a-number-checker). Nor is a colon part of any.
_ODD_ADDRESS = re.compile(r".*:.*|(?:.*\.)?(?:\d+|0[xX][0-9A-Fa-f]*)\.*", re.DOTALL)
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class OutwardError(Exception):
    """What was named is not fetched: it is not public, not there, or too much."""


class Forbidden(OutwardError):
    """It leads to where nobody outside may look."""


class Addresses(Protocol):
    async def addresses(self, name: str) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Fetched:
    status: int
    media_type: str  # as the other server calls it, without parameters
    body: bytes


def is_public(address: str) -> bool:
    """Whether anybody on the internet could reach it. An IPv4 address hidden in an IPv6 one counts."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        inner: IPv4Address | None = ip.ipv4_mapped or ip.sixtofour
        if ip in NAT64:
            inner = IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.teredo is not None or ip.is_site_local:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


@dataclass(frozen=True, slots=True)
class Posted:
    status: int
    headers: Mapping[str, str]  # names have no case


class Outward:
    """One per worker.

    permitted: which addresses may be connected to. ports: None for all. tls: None trusts whom the
    system trusts.
    """

    def __init__(
        self,
        resolver: Addresses,
        *,
        agent: str,
        permitted: Callable[[str], bool] = is_public,
        ports: frozenset[int] | None = PORTS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._resolver = resolver
        self._agent = agent
        self._permitted = permitted
        self._ports = ports
        self._tls: ssl.SSLContext | bool = True if tls is None else tls
        self._room = asyncio.Semaphore(MAX_AT_ONCE)

    async def get(self, url: str, *, most: int, accept: str) -> Fetched:
        """The resource at an http or https URL, at most `most` octets of it.

        Sends neither cookies nor a referrer nor anything else about who asks.
        Raises Forbidden or OutwardError.
        """
        return await self._bounded(self._follow(url, most, accept))

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Posted:
        """Hand over a body by https; a redirect is not followed. Raises Forbidden or OutwardError."""
        return await self._bounded(self._post(url, body, headers))

    async def _bounded(self, work: Awaitable[T]) -> T:
        try:
            async with self._room, asyncio.timeout(TIME_S):
                return await work
        except TimeoutError:
            raise OutwardError("the other server took too long") from None
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
            raise OutwardError(f"it could not be fetched: {type(error).__name__}") from error

    async def _follow(self, text: str, most: int, accept: str) -> Fetched:
        for _ in range(MAX_REDIRECTS + 1):
            url = self._checked(text)
            headers = {"Accept": accept, "User-Agent": self._agent, "Accept-Encoding": "identity"}
            async with (
                await self._session(url) as session,
                session.get(url, headers=headers, allow_redirects=False) as answer,
            ):
                if answer.status not in REDIRECTS:
                    return Fetched(answer.status, answer.content_type, await _body(answer, most))
                text = str(url.join(URL(answer.headers.get("Location", ""))))
        raise OutwardError("it is redirected too often")

    async def _post(self, text: str, body: bytes, headers: Mapping[str, str]) -> Posted:
        url = self._checked(text)
        if url.scheme != "https":
            raise Forbidden("only https is posted to")
        sent = {**headers, "User-Agent": self._agent, "Accept-Encoding": "identity"}
        async with (
            await self._session(url) as session,
            session.post(url, data=body, headers=sent, allow_redirects=False) as answer,
        ):
            return Posted(answer.status, answer.headers)

    async def _session(self, url: URL) -> aiohttp.ClientSession:
        """One that connects to nothing but the addresses that were checked. Raises OutwardError."""
        pinned = _Pinned(await self._addresses(url.host or ""))
        connector = aiohttp.TCPConnector(
            resolver=pinned, use_dns_cache=False, limit=1, ssl=self._tls
        )
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )

    def _checked(self, text: str) -> URL:
        if len(text) > MAX_URL:
            raise OutwardError("the address is too long")
        url = URL(text)
        if url.scheme not in ("http", "https") or not url.host or url.user or url.password:
            raise Forbidden("only plain http and https addresses are fetched")
        if self._ports is not None and url.port not in self._ports:
            raise Forbidden("only the ports of the web are fetched from")
        return url.with_fragment(None)

    async def _addresses(self, host: str) -> tuple[str, ...]:
        try:
            found: tuple[str, ...] = (str(ip_address(host)),)
        except ValueError:
            if _ODD_ADDRESS.fullmatch(host):
                # Who connects would not ask for its addresses, but read it in its own way.
                raise Forbidden("the host is an address in an unusual form") from None
            try:
                found = await self._resolver.addresses(host)
            except DnsError as error:
                raise OutwardError("there is no such host") from error
        # One that is inward spoils them all: nobody honest mixes them.
        if not found:
            raise OutwardError("the host has no address")
        if not all(self._permitted(address) for address in found):
            raise Forbidden("the address is not public")
        return found


class _Pinned(AbstractResolver):
    """Answers with the addresses that were checked, whatever the name."""

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None: ...


async def _body(answer: aiohttp.ClientResponse, most: int) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_chunked(CHUNK):
        body += chunk
        if len(body) > most:
            raise OutwardError(f"it has more than {most} octets")
    return bytes(body)
