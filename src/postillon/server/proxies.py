"""Who is really asking: what a trusted proxy tells of its client, and nobody else (RFC 7239)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
_PAIR = re.compile(r'([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))')
_PORT = re.compile(r":\d{1,5}\Z")


@dataclass(frozen=True, slots=True)
class Client:
    """address: of whoever asked; secure: whether by TLS; host: that was asked for, "" if not told."""

    address: str
    secure: bool
    host: str


class Contradiction(Exception):
    """Two fields name different clients: the proxy has written one, and passed on somebody's other."""


class Proxies:
    """trusted: networks whose word is taken."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = tuple(trusted)

    def client(
        self,
        peer: str,
        secure: bool,
        forwarded: Sequence[str],
        others: tuple[str, str, str],
    ) -> Client:
        """forwarded: the Forwarded fields. others: X-Forwarded-For, -Proto and -Host, "" if absent.

        The chain is read from its end: each address that is a trusted proxy tells of the one before
        it. What the first one that is not trusted says of others is not believed.

        Most proxies write one kind of field and pass the other on as the client has sent it, so both
        must name the same last hop. Raises Contradiction.
        """
        if not self.trusts(peer):
            return Client(peer, secure, "")
        hops = unofficial = _unofficial(*others)
        if forwarded:
            hops = _forwarded(forwarded)
            if unofficial and _last(hops) != _last(unofficial):
                raise Contradiction
        found = Client(peer, secure, "")
        for hop in reversed(hops):
            address = _address(hop.get("for", ""))
            if not address:
                break  # "unknown" or hidden: the proxy itself is all that is known
            told = hop.get("proto", "").lower()
            host = hop.get("host", "") or found.host
            found = Client(address, told == "https" if told else found.secure, host)
            if not self.trusts(address):
                break
        return found

    def trusts(self, address: str) -> bool:
        if not self._trusted:
            return False
        try:
            ip = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self._trusted)


def _forwarded(fields: Sequence[str]) -> list[dict[str, str]]:
    """The elements of RFC 7239 section 4 in order."""
    found = []
    for element in _elements(", ".join(fields)):
        pairs = {}
        for name, quoted, token in _PAIR.findall(element):
            pairs[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted else token
        found.append(pairs)
    return found


def _elements(text: str) -> list[str]:
    """Parted at commas that are not in quotes."""
    found, quoted, start = [], False, 0
    for n, char in enumerate(text):
        if char == '"' and (n == 0 or text[n - 1] != "\\"):
            quoted = not quoted
        elif char == "," and not quoted:
            found.append(text[start:n])
            start = n + 1
    return [*found, text[start:]]


def _unofficial(addresses: str, proto: str, host: str) -> list[dict[str, str]]:
    """X-Forwarded-*: the last element is what our own proxy has seen."""
    found = [{"for": item.strip()} for item in addresses.split(",") if item.strip()]
    for hop in found:
        hop["proto"] = proto.rpartition(",")[2].strip()
        hop["host"] = host.rpartition(",")[2].strip()
    return found


def _last(hops: list[dict[str, str]]) -> str:
    return _address(hops[-1].get("for", "")) if hops else ""


def _address(text: str) -> str:
    """Without port and brackets; "" for what is no address."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = _PORT.sub("", text)
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
