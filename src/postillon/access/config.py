"""What clients may do, and for how long (sections "imap", "pop3", "http", "jmap" and "autoconfig")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from postillon.net.outward import is_public
from postillon.protocol.jmap.request import Limits
from postillon.setting import MIB, ConfigError, minutes, setting

_ORIGIN = re.compile(r"(https?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapConfig:
    """Limits of IMAP sessions."""

    append_limit: int = setting(
        50 * MIB, "Largest message a client may upload (RFC 7889).", unit="octets"
    )
    append_together: int = setting(
        100,
        "Messages that one APPEND may bring (RFC 3502); together they may have twice append_limit.",
    )
    message_limit: int = setting(
        0,
        "Messages that one FETCH, SEARCH, STORE, COPY, MOVE, UID EXPUNGE or APPEND may be about"
        " (MESSAGELIMIT, RFC 9738); 0 is no limit. Few clients know it: below some thousands they"
        " miss messages.",
    )
    login_time: timedelta = setting(minutes(2), "How long a client may take to log in.")
    quiet_time: timedelta = setting(
        minutes(30),
        "How long a client may be silent before it is logged out (RFC 3501 section 5.4).",
    )
    sign_of_life: timedelta = setting(
        minutes(2), "How often an idling client is told that the server is still there."
    )
    wrong_commands: int = setting(
        20, "Faulty commands in a row, or failed logins, after which the connection ends."
    )

    def __post_init__(self) -> None:
        if self.quiet_time < minutes(30):
            raise ConfigError(
                "imap", "quiet_time must be at least 30 minutes (RFC 3501 section 5.4)"
            )
        if self.append_limit < 1 or self.append_together < 1 or self.wrong_commands < 1:
            raise ConfigError("imap", "limits must be at least 1")
        if self.message_limit < 0:
            raise ConfigError("imap", "message_limit is a number of messages, or 0 for none")
        if self.sign_of_life <= timedelta(0) or self.login_time <= timedelta(0):
            raise ConfigError("imap", "times must be longer than nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pop3Config:
    """Limits of POP3 sessions."""

    login_time: timedelta = setting(minutes(2), "How long a client may take to log in.")
    quiet_time: timedelta = setting(
        minutes(10), "How long a client may be silent before it is cut off (RFC 1939 section 3)."
    )
    hold_time: timedelta = setting(
        minutes(1),
        "How long a silent session keeps other POP3 sessions out of its mailbox. Later it goes on if"
        " no other has come meanwhile.",
    )
    mark_read: bool = setting(
        True, "Show messages that were fetched with RETR as read to those who also use IMAP."
    )
    wrong_commands: int = setting(
        20, "Faulty commands in a row, or failed logins, after which the connection ends."
    )

    def __post_init__(self) -> None:
        if self.quiet_time < minutes(10):
            raise ConfigError("pop3", "quiet_time must be at least 10 minutes (RFC 1939 section 3)")
        if self.hold_time < timedelta(seconds=5) or self.login_time <= timedelta(0):
            raise ConfigError("pop3", "hold_time must be at least 5 seconds, login_time above 0")
        if self.wrong_commands < 1:
            raise ConfigError("pop3", "wrong_commands must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """HTTP: JMAP, the web client, administration."""

    trusted_proxies: tuple[str, ...] = setting(
        (),
        "Addresses or networks of reverse proxies, such as `10.0.0.0/8`. What they tell of their"
        " clients (Forwarded, X-Forwarded-*) is believed, and nobody else's word.",
    )

    other_servers: tuple[str, ...] = setting(
        (),
        "Other JMAP servers that the web client may sign in to (`/?server=`), such as"
        " `https://jmap.example.net`. The browser lets the page talk to these and to us alone.",
    )

    def __post_init__(self) -> None:
        _networks("http", "trusted_proxies", self.trusted_proxies)
        for text in self.other_servers:
            _check_origin("http", "other_servers", text)

    @property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return _networks("http", "trusted_proxies", self.trusted_proxies)


@dataclass(frozen=True, slots=True, kw_only=True)
class JmapConfig:
    """Limits of JMAP, as clients are told of them (RFC 8620 section 2), and where push may go."""

    max_size_upload: int = setting(50 * MIB, "Largest file that may be uploaded.", unit="octets")
    max_size_request: int = setting(10 * MIB, "Largest request.", unit="octets")
    max_concurrent_requests: int = setting(8, "Requests of one account at a time in each worker.")
    max_concurrent_upload: int = setting(8, "Uploads of one account at a time in each worker.")
    max_calls_in_request: int = setting(64, "Method calls of one request.")
    max_objects_in_get: int = setting(4_096, "Objects that one call may ask for.")
    max_objects_in_set: int = setting(4_096, "Objects that one call may change.")
    push_networks: tuple[str, ...] = setting(
        (),
        "Networks that are not public where clients may have Web Push services all the same, such as"
        " `10.1.0.0/16`.",
    )

    def __post_init__(self) -> None:
        if min(getattr(self, name) for name in Limits.__struct_fields__) < 1:
            raise ConfigError("jmap", "limits must be at least 1")
        _networks("jmap", "push_networks", self.push_networks)

    @property
    def limits(self) -> Limits:
        return Limits(**{name: getattr(self, name) for name in Limits.__struct_fields__})

    def may_push_to(self, address: str) -> bool:
        """Whether push messages may go to an IP address."""
        own = _networks("jmap", "push_networks", self.push_networks)
        return is_public(address) or any(ip_address(address) in network for network in own)


def _check_origin(section: str, name: str, text: str) -> None:
    """It becomes a word of a Content-Security-Policy, so nothing else fits. Raises ConfigError."""
    match = _ORIGIN.fullmatch(text)
    if match is None:
        what = f"{name}: {text!r} is not like https://jmap.example.net, without a path"
        raise ConfigError(section, what)
    if match[1] == "http" and match[2] not in ("localhost", "127.0.0.1", "[::1]"):
        raise ConfigError(section, f"{name}: {text!r}: passwords need https")


def _networks(
    section: str, name: str, texts: tuple[str, ...]
) -> tuple[IPv4Network | IPv6Network, ...]:
    """Raises ConfigError."""
    found = []
    for text in texts:
        try:
            found.append(ip_network(text))
        except ValueError:
            what = f"{name}: {text!r} is no address and no network"
            raise ConfigError(section, what) from None
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoconfigConfig:
    """What clients are told when they set themselves up."""

    hostname: str = setting(
        "", "Name that clients connect to, which the certificate must have; empty: server.hostname."
    )
    name: str = setting("", "Name of the provider that people are shown; empty: the host name.")
