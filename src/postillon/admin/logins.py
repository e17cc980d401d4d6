"""Who signs in, who is kept from it, and letting somebody in again, for an administrator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network

from postillon.admin.audit import note
from postillon.admin.desk import Desk
from postillon.admin.errors import Refused
from postillon.directory import attempts, principals, second_factor, throttled
from postillon.directory.attempts import Entry
from postillon.directory.config import AuthConfig
from postillon.directory.second_factor import REST_MS
from postillon.directory.throttle import EVERY, Failed, address_of, delay_s, network
from postillon.store.operation import Steps, Tx

MAX_PAGE = 500  # lines one read returns
MAX_NAMED = 50  # others that a preview looks at


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInView:
    """Attempts of one kind within a minute, or within an hour where they succeeded.

    network: an IPv4 address or IPv6 /64; "" for many together. address: the last one of it. login: ""
    where it was no address in a domain of this server: such text may be a password, and is not kept.
    outcome: ok, wrong_password, unknown_login, disabled, needs_code, wrong_code, not_for_this,
    for_another, bad_token, turned_away. Times are ms.
    """

    entry: int
    network: str
    address: str
    login: str
    protocol: str
    outcome: str
    attempts: int
    first_at: int
    last_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowedView:
    """A network or a login that is made to wait, or turned away.

    kind: network, login, or code (of a second factor). delay_s: before each answer. refused: nothing
    is looked at. until: when all is forgotten, if nothing more fails. Times are ms.
    """

    kind: str
    network: str
    login: str
    failures: int
    delay_s: float
    refused: bool
    last_at: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slowed:
    """Those with most failures first; number: of networks and logins in all."""

    slowed: list[SlowedView]
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgiven:
    """What letting in does, or has done.

    lifted: what counts no longer; together: of how many pairs of a network and a login besides. stays:
    what may still keep the same people out. done: whether it was done.
    """

    network: str
    login: str
    lifted: list[SlowedView]
    together: int
    stays: list[SlowedView]
    done: bool


async def sign_ins(
    desk: Desk, about: str = "", *, failed: bool = False, before: int = 0, limit: int = 100
) -> list[SignInView]:
    """The latest, newest first. about: part of a login or address; before: an entry, or 0."""
    steps = attempts.latest(about, failed=failed, before=before, limit=min(limit, MAX_PAGE))
    return [_view(item) for item in await desk.store.read_apart(steps)]


async def slowed(desk: Desk, config: AuthConfig, limit: int = 100) -> Slowed:
    """Which networks and logins all workers slow down or turn away now."""
    now = desk.credentials.clock()
    least = min(config.free_failures + 1, config.refuse_after)
    found, number = await desk.store.read_apart(
        throttled.counted(least, now - _forget_ms(config), limit)
    )
    codes = [_code(*item) for item in await desk.store.query(second_factor.resting(now))]
    return Slowed(slowed=[*codes, *_views(config, found)][:limit], number=number + len(codes))


async def forgive(desk: Desk, config: AuthConfig, who: str, *, dry_run: bool = False) -> Forgiven:
    """Let a network or a login in again, at every worker. who: an address, a network or a login.

    Raises Refused for what is neither.
    """
    network_, login = _meant(who)
    now = desk.credentials.clock()
    since = now - _forget_ms(config)
    found = await desk.store.query(throttled.of(network_, login))
    found = [item for item in found if item.last_at >= since]
    owner = await desk.directory.by_login(login) if login else None
    codes = await desk.store.query(second_factor.resting(now, owner.login)) if owner else []
    single = [item for item in found if EVERY in item.key]
    pairs = [item for item in found if EVERY not in item.key][:MAX_NAMED]
    others = await desk.store.query(
        throttled.among(
            [item.key[0] for item in pairs if login], [item.key[1] for item in pairs if network_]
        )
    )
    done = bool(found or codes) and not dry_run
    if done:
        await desk.store.write(lambda tx: _let_in(tx, found, login if codes else ""))
        facts = {"failures": max((item.failures for item in single), default=0)}
        await note(desk, "login.forgive", login or network_, facts)
    return Forgiven(
        network=network_, login=login, lifted=[*_all(config, single), *(_code(*i) for i in codes)],
        together=len(found) - len(single), done=done,
        stays=_views(config, (item for item in others if item.last_at >= since)),
    )  # fmt: skip


def _let_in(tx: Tx, some: list[Failed], login: str) -> Steps[None]:
    yield from throttled.lift(tx, [item.key for item in some])
    owner = (yield from principals.by_login(login)) if login else None
    if owner is not None:
        yield from second_factor.excuse(tx, owner.id)


def _meant(who: str) -> tuple[str, str]:
    """Network and login, one of them "". Raises Refused."""
    text = who.strip()
    if "@" in text:
        login = address_of(text)
        if login:
            return EVERY, login
    else:
        try:
            return network(str(ip_network(text, strict=False).network_address))[0], EVERY
        except ValueError:
            pass
    hint = "give an IP address such as 192.0.2.7, a network such as 2001:db8::/64, or a login"
    raise Refused(f"{text!r} is neither a network nor a login", hint)


def _views(config: AuthConfig, some: Iterable[Failed]) -> list[SlowedView]:
    """Those that keep somebody waiting, or out."""
    return [item for item in _all(config, some) if item.delay_s or item.refused]


def _all(config: AuthConfig, some: Iterable[Failed]) -> list[SlowedView]:
    return [
        SlowedView(
            kind="login" if item.key[1] else "network", network=item.key[0], login=item.key[1],
            failures=item.failures, delay_s=delay_s(config, item.failures), last_at=item.last_at,
            refused=not item.key[1] and item.failures >= config.refuse_after,
            until=item.last_at + _forget_ms(config),
        )
        for item in some
    ]  # fmt: skip


def _code(login: str, failures: int, failed_at: int) -> SlowedView:
    return SlowedView(
        kind="code", network=EVERY, login=login, failures=failures, delay_s=0.0, refused=True,
        last_at=failed_at, until=failed_at + REST_MS,
    )  # fmt: skip


def _forget_ms(config: AuthConfig) -> int:
    return int(config.forget_after.total_seconds() * 1000)


def _view(item: Entry) -> SignInView:
    return SignInView(
        entry=item.entry, network=item.network, address=item.address, login=item.login,
        protocol=item.protocol, outcome=item.outcome, attempts=item.attempts,
        first_at=item.first_at, last_at=item.last_at,
    )  # fmt: skip
