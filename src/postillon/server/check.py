"""What `postillon check` looks at beyond the grammar of the file: the machine it will run on."""

from __future__ import annotations

import fcntl
import os
import pwd
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from random import SystemRandom

from cryptography import x509

from postillon.mail.address import AddressError, normalise_domain
from postillon.net.resolver import Resolver
from postillon.net.tls import ServerTls, TlsError
from postillon.route.hop import NextHop, parse_next_hop, parse_route
from postillon.route.nexthop import Hosts, NextHops
from postillon.server.config import Configuration
from postillon.server.data_folder import LOCK
from postillon.server.listeners import ListenError, open_listeners
from postillon.server.privileges import REACHABLE, PrivilegeError, intended_owner, out_of_reach
from postillon.server.sections import ListenerConfig, ListenerProtocol, TlsMode
from postillon.store.database import NAME
from postillon.store.migrate import unfit

EXPIRES_SOON = timedelta(days=14)
OTHERS = stat.S_IRWXG | stat.S_IRWXO
WORLD = stat.S_IRWXO
EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - addresses that mean all of them
WITH_LOGIN = {
    ListenerProtocol.SUBMISSION,
    ListenerProtocol.SUBMISSIONS,
    ListenerProtocol.IMAP,
    ListenerProtocol.IMAPS,
    ListenerProtocol.POP3,
    ListenerProtocol.POP3S,
}


class Weight(Enum):
    """Whether the server will not start, or will not do what was probably meant."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to change: where, what is wrong, and what to do."""

    weight: Weight
    key: str
    what: str
    hint: str


async def check(config: Configuration, *, network: bool = True) -> list[Finding]:
    """Everything found, errors first. network: whether names are looked up."""
    found = [
        *_hostname(config),
        *_process(config),
        *_data(config),
        *_certificate(config),
        *_same_place(config.listeners),
        *_exposed(config.listeners),
        *_ports(config),
        *_secrets(config),
    ]
    if network:
        found += [finding async for finding in _next_hops(config)]
        found += await _database(config)
    return sorted(found, key=lambda finding: finding.weight is Weight.WARNING)


def _error(key: str, what: str, hint: str) -> Finding:
    return Finding(Weight.ERROR, key, what, hint)


def _warning(key: str, what: str, hint: str) -> Finding:
    return Finding(Weight.WARNING, key, what, hint)


def _hostname(config: Configuration) -> Iterator[Finding]:
    name = config.server.hostname
    try:
        normal = normalise_domain(name)
    except AddressError as error:
        yield _error("server.hostname", f"{name!r}: {error}", "write a name like mail.example.org")
        return
    local = normal == "localhost" or normal.endswith((".localhost", ".test"))
    if "." not in normal and not local:
        hint = "other servers distrust a short one; write a name like mail.example.org"
        yield _warning("server.hostname", f"{name!r} is not a full name", hint)
    elif local:
        hint = "this is for this machine alone; other servers will not believe it"
        yield _warning("server.hostname", f"{name!r} is a local name", hint)
    elif _is_address(normal):
        yield _error("server.hostname", f"{name!r} is an address", "write the machine's name")


def _process(config: Configuration) -> Iterator[Finding]:
    user = config.server.user
    try:
        closed = out_of_reach(user) if intended_owner(config.server) is not None else None
    except PrivilegeError as error:
        yield _error(
            "server.user", str(error), 'set user = "postillon", say, and make that account'
        )
    else:
        if closed is not None:
            yield _error("server.user", f"{user!r} may not enter {closed}", REACHABLE)
    if os.geteuid() != 0 and config.server.user:
        own = pwd.getpwuid(os.geteuid()).pw_name
        if config.server.user != own:
            hint = "only root can become another account"
            yield _warning("server.user", f"is {config.server.user!r}, but you are {own!r}", hint)


def _data(config: Configuration) -> Iterator[Finding]:
    data = config.server.data
    if not data.exists():
        parent = next(folder for folder in data.absolute().parents if folder.exists())
        if not os.access(parent, os.W_OK | os.X_OK):
            hint = f"make it: install -d -m 700 -o OWNER {data}"
            yield _error("server.data", f"{data} is missing and {parent} is not writable", hint)
        return
    if not data.is_dir():
        yield _error("server.data", f"{data} is not a folder", "name a folder of its own")
        return
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        hint = f"give it to the account of the server: chown -R ACCOUNT {data}"
        yield _error("server.data", f"{data} cannot be read and written", hint)
    problem = unfit(data / NAME)
    if problem:
        yield _error("server.data", f"{data}: {problem}", "see: Upgrade, in docs/administrator.md")
    if data.stat().st_mode & OTHERS:
        yield _warning("server.data", f"others can read {data}", f"chmod 700 {data}")


def _certificate(config: Configuration) -> Iterator[Finding]:
    if not config.tls.given:
        hint = "name a real certificate and its key in [tls] once there is one"
        yield _warning("tls", "the certificate will be self-signed", hint)
        return
    certificate, key = config.tls.certificate, config.tls.key
    try:
        ServerTls(certificate, key)
    except TlsError as error:
        hint = "both must be PEM files of one pair, readable for the server's account"
        yield _error("tls.certificate", str(error), hint)
        return
    if key.stat().st_mode & WORLD:
        yield _warning("tls.key", f"everybody can read {key}", f"chmod o= {key}")
    leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    now, end = datetime.now(UTC), leaf.not_valid_after_utc
    if end < now:
        yield _error("tls.certificate", f"{certificate} expired on {end:%Y-%m-%d}", "renew it")
    elif end < now + EXPIRES_SOON:
        yield _warning("tls.certificate", f"{certificate} expires on {end:%Y-%m-%d}", "renew it")
    names = _names(leaf)
    if not any(_covers(name, config.server.hostname.lower()) for name in names):
        what = f"{certificate} is for {', '.join(names) or 'no name'}, not {config.server.hostname}"
        remedy = (
            f"get a certificate for {config.server.hostname}: clients that connect to it object"
        )
        yield _warning("tls.certificate", what, remedy)


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in names.get_values_for_type(x509.DNSName)]


def _covers(pattern: str, hostname: str) -> bool:
    """RFC 9525 section 6.3: a wildcard stands for one whole label, the first."""
    return pattern == hostname or (
        pattern.startswith("*.") and pattern[2:] == hostname.partition(".")[2]
    )


def _same_place(listeners: tuple[ListenerConfig, ...]) -> Iterator[Finding]:
    for n, one in enumerate(listeners):
        for m, other in enumerate(listeners[:n]):
            if one.inherited or other.inherited or one.unix != other.unix:
                continue
            same = one.path == other.path if one.unix else _meet(one, other)
            if same:
                what = f"listener[{m + 1}] ({other}) is in the same place as this one ({one})"
                yield _error(f"listener[{n + 1}]", what, "give one of them another port")


def _meet(one: ListenerConfig, other: ListenerConfig) -> bool:
    if one.effective_port != other.effective_port:
        return False
    return one.address in EVERYWHERE or other.address in EVERYWHERE or one.address == other.address


def _exposed(listeners: tuple[ListenerConfig, ...]) -> Iterator[Finding]:
    for n, listener in enumerate(listeners):
        if listener.unix or listener.inherited or on_loopback(listener.address):
            continue
        key = f"listener[{n + 1}]"
        if listener.protocol is ListenerProtocol.METRICS:
            hint = 'write address = "127.0.0.1"'
            yield _warning(key, "everybody can read the metrics", hint)
        if listener.protocol is ListenerProtocol.LMTP:
            hint = 'LMTP takes mail for any account from anybody: write address = "127.0.0.1"'
            yield _warning(key, "LMTP is open to the network", hint)
        if listener.protocol in WITH_LOGIN and listener.mode is TlsMode.NONE:
            what = f"{listener} has no TLS, so nobody can log in there"
            yield _warning(key, what, "leave tls out, or bind it to loopback")


def _ports(config: Configuration) -> Iterator[Finding]:
    """Open each listener for a moment, unless our own server has them open."""
    if _running(config.server.data):
        return
    for n, listener in enumerate(config.listeners):
        if listener.inherited:
            continue
        try:
            opened = open_listeners([listener], 1)
        except ListenError as error:
            yield _error(f"listener[{n + 1}]", error.problem, error.hint)
        else:
            for item in opened:
                item.close()


def _running(data: Path) -> bool:
    """Whether a server holds the data folder."""
    try:
        descriptor = os.open(data / "run" / LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _secrets(config: Configuration) -> Iterator[Finding]:
    credentials = config.route.credentials
    if credentials is None or credentials == Path():
        for _, hop in _fixed_hops(config):
            if hop.user:
                hint = "name a file with a line `host user password`"
                yield _error("route.credentials", f"{hop} needs a password", hint)
        return
    try:
        mode = credentials.stat().st_mode
        with credentials.open("rb"):
            pass
    except OSError as error:
        what = f"{credentials}: {error.strerror}"
        yield _error("route.credentials", what, "make it readable for the server's account")
        return
    if mode & WORLD:
        hint = f"chmod o= {credentials}"
        yield _error("route.credentials", f"everybody can read {credentials}", hint)


def _fixed_hops(config: Configuration) -> Iterator[tuple[str, NextHop]]:
    """The section has already read them, so they are well formed."""
    if config.route.smarthost:
        yield "route.smarthost", parse_next_hop(config.route.smarthost)
    for text in config.route.routes:
        hop = parse_route(text).hop
        if hop is not None:
            yield "route.routes", hop


async def _next_hops(config: Configuration) -> AsyncIterator[Finding]:
    hops = list(_fixed_hops(config))
    if not hops:
        return
    try:
        finder = NextHops(
            Resolver(config.resolver),
            config.route,
            hostname=config.server.hostname,
            random=SystemRandom(),
        )
    except OSError:
        return  # the credentials cannot be read, which has been told
    for key, hop in hops:
        answer = await finder.find(str(hop))
        if not isinstance(answer, Hosts):
            weight = Weight.ERROR if answer.permanent else Weight.WARNING
            yield Finding(weight, key, f"{hop}: {answer.status.text}", "is the host name right?")


async def _database(config: Configuration) -> list[Finding]:
    """PostgreSQL, where one is configured: can it be used, and is it durable?"""
    if not config.store.database:
        return []
    try:
        from postillon.store.postgresql.diagnosis import diagnose
    except ImportError:
        hint = 'pip install "postillon[postgresql]"'
        return [_error("store.database", "the package asyncpg is missing", hint)]
    processes = 1 + (config.server.workers or os.cpu_count() or 1)  # maintenance, workers
    return [
        Finding(
            Weight.ERROR if item.serious else Weight.WARNING, "store.database", item.what, item.hint
        )
        for item in await diagnose(config.store, processes)
    ]


def on_loopback(address: str) -> bool:
    return bool(address) and ip_address(address).is_loopback


def _is_address(text: str) -> bool:
    try:
        ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True
