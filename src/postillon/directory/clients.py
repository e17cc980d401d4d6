"""Clients of OAuth: those the administrator has named, those everybody knows, those that register.

All are public: a program on somebody's device can keep no secret (RFC 8252 section 8.5). What protects
a code is PKCE, and that it is sent only to where its client has said before.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from postillon.directory import tokens
from postillon.directory.config import OAuthConfig
from postillon.store.operation import Steps, Tx

MAX_REDIRECTS = 10  # of one client; ours
MAX_URI = 1_000  # characters
MAX_NAME = 80  # characters
# Schemes that a browser does something with, instead of handing the code to a program.
FORBIDDEN_SCHEMES = frozenset(
    {"javascript", "data", "vbscript", "file", "ftp", "blob", "about", "mailto", "ws", "wss"}
)
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Client:
    """vouched: named by the administrator or by us, so that its name says who it is."""

    id: str
    name: str
    redirects: tuple[str, ...]
    vouched: bool


class BadClient(Exception):
    """Metadata that cannot be registered. `code` of RFC 7591 section 3.2.2."""

    def __init__(self, code: str, problem: str) -> None:
        super().__init__(problem)
        self.code, self.problem = code, problem


# Programs that people have, with where they wait for their code.
WELL_KNOWN = (
    Client("thunderbird", "Thunderbird", ("http://localhost/", "https://localhost/"), True),
    Client("thunderbird-android", "Thunderbird for Android",
           ("net.thunderbird.android:/oauth2redirect", "com.fsck.k9:/oauth2redirect"), True),
    Client("thunderbird-ios", "Thunderbird for iOS", ("net.thunderbird.ios:/oauth2redirect",), True),
)  # fmt: skip


def named(config: OAuthConfig) -> dict[str, Client]:
    """Those that need no registration, by id; the administrator's word goes before ours."""
    found = {client.id: client for client in WELL_KNOWN}
    for item in config.client:
        found[item.id] = Client(item.id, item.name or item.id, item.redirects, True)
    return found


def registered(client: str) -> Steps[Client | None]:
    rows = yield ("SELECT name, redirects FROM oauth_client WHERE client = ?", (client,))
    if not rows:
        return None
    return Client(client, rows[0][0], tuple(json.loads(rows[0][1])), False)


def register(
    tx: Tx, name: str, redirects: Sequence[str], most: int, now: int
) -> Steps[Client | None]:
    """Keep a client that has registered itself; None when there are too many. now: ms.

    When the room is full, one that nobody has let in for a day gives way.
    """
    [(count,)] = yield ("SELECT count(*) FROM oauth_client", ())
    if count >= most:
        gone = yield (
            "DELETE FROM oauth_client WHERE client IN (SELECT c.client FROM oauth_client c"
            " WHERE c.used_at < ? AND NOT EXISTS (SELECT 1 FROM session s WHERE s.client = c.client)"
            " ORDER BY c.used_at LIMIT 1) RETURNING client",
            (now - 86_400_000,),
        )
        if not gone:
            return None
    client = Client(tokens.new_token("pc_"), name, tuple(redirects), False)
    yield (
        "INSERT INTO oauth_client (client, name, redirects, created_at, used_at)"
        " VALUES (?, ?, ?, ?, ?)",
        (client.id, name, json.dumps(client.redirects), now, now),
    )
    return client


def used(tx: Tx, client: str, now: int) -> Steps[None]:
    """Somebody has let it in."""
    yield ("UPDATE oauth_client SET used_at = ? WHERE client = ?", (now, client))


def check_name(name: object) -> str:
    """The name of a client that registers. Raises BadClient."""
    if name is None:
        return "?"
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
        raise BadClient("invalid_client_metadata", f"client_name has 1 to {MAX_NAME} characters")
    if not name.isprintable():
        raise BadClient("invalid_client_metadata", "client_name is one line of readable characters")
    return name.strip()


def check_redirects(redirects: object) -> list[str]:
    """The redirect URIs of a client that registers. Raises BadClient."""
    if not isinstance(redirects, list) or not 1 <= len(redirects) <= MAX_REDIRECTS:
        raise BadClient("invalid_redirect_uri", f"1 to {MAX_REDIRECTS} redirect_uris are needed")
    for uri in redirects:
        problem = fault_of(uri)
        if problem:
            raise BadClient("invalid_redirect_uri", problem)
    return list(dict.fromkeys(redirects))


def fault_of(uri: object) -> str:
    """What is wrong with a redirect URI, "" for nothing (RFC 8252 section 7, RFC 9700 section 2.1)."""
    if not isinstance(uri, str) or not uri or len(uri) > MAX_URI:
        return f"a redirect URI has 1 to {MAX_URI} characters"
    parts = _split(uri)
    if parts is None or not parts.scheme or "#" in uri:
        return "a redirect URI is absolute and has no fragment"
    if parts.username is not None or parts.password is not None:
        return "a redirect URI has no user"
    if parts.scheme == "https":
        return "" if parts.hostname else "a redirect URI has a host"
    if parts.scheme == "http":
        return "" if parts.hostname in LOOPBACK_HOSTS else "http is for loopback only"
    if parts.scheme in FORBIDDEN_SCHEMES or "." not in parts.scheme:
        return "a scheme of one's own is a domain in reverse, such as com.example.app"
    return ""


def fits(client: Client, uri: str) -> bool:
    """Whether a code may be sent there: exactly as registered, but for the port on loopback."""
    return uri in client.redirects or any(_but_for_port(known, uri) for known in client.redirects)


def is_loopback(uri: str) -> bool:
    parts = _split(uri)
    return parts is not None and parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS


def _but_for_port(known: str, uri: str) -> bool:
    """RFC 8252 section 7.3: a program takes whatever port is free. Only http, and the same host."""
    if not is_loopback(known) or not is_loopback(uri) or fault_of(uri):
        return False
    first, second = _split(known), _split(uri)
    return (
        first is not None
        and second is not None
        and first.hostname == second.hostname
        and (first.path or "/", first.query) == (second.path or "/", second.query)
    )


def _split(uri: str) -> SplitResult | None:
    """None for what is no URI: urlsplit would quietly drop or repair some of it."""
    if not uri.isascii() or any(
        character <= " " or character in '\x7f\\"<>^`{|}' for character in uri
    ):
        return None
    try:
        parts = urlsplit(uri)
        _ = parts.port
        if parts.hostname and ":" in parts.hostname:
            ipaddress.ip_address(parts.hostname)
    except ValueError:
        return None
    return parts
