"""How a message would travel: every step of the decision, with nothing sent."""

from __future__ import annotations

from dataclasses import dataclass
from random import SystemRandom

from postillon.admin.desk import Desk
from postillon.admin.errors import Refused, refusals
from postillon.mail.address import Address, AddressError, parse_address
from postillon.route.config import RouteConfig
from postillon.route.dns import Dns
from postillon.route.explain import explain as explain_route
from postillon.route.nexthop import NextHops
from postillon.route.recipient import Recipients

NULL_SENDER = ("", "<>", "-")  # how the null reverse-path may be written


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The decision and what led to it."""

    reverse_path: str  # "" is the null sender
    forward_path: str
    may_relay: bool
    steps: tuple[str, ...]
    ends: tuple[str, ...]  # one line for each place the message goes to
    deliverable: bool


async def explain(
    desk: Desk, config: RouteConfig, hostname: str, dns: Dns, reverse: str, forward: str
) -> Route:
    """Decide as for a message from somebody who may send as `reverse`. Raises Refused."""
    async with refusals(desk):
        to = _address(forward)
        step, may_relay = await _sender(desk, reverse)
        try:
            hops = NextHops(dns, config, hostname=hostname, random=SystemRandom())
        except OSError as error:
            raise Refused(f"{error.filename}: {error.strerror}") from None
        found = await explain_route(
            Recipients(desk.directory, config), hops, to, may_relay=may_relay
        )
    return Route(
        reverse_path="" if reverse in NULL_SENDER else reverse,
        forward_path=str(to),
        may_relay=may_relay,
        steps=(step, *found.steps),
        ends=found.ends,
        deliverable=found.deliverable,
    )


async def _sender(desk: Desk, reverse: str) -> tuple[str, bool]:
    if reverse in NULL_SENDER:
        return "the null sender is a stranger: only mail to this server is taken", False
    address = _address(reverse)
    owner = await desk.directory.by_login(str(address))
    if owner is not None:
        return f"{owner.login} may send as {address} to anybody, once logged in", True
    if await desk.directory.domain(address.domain) is not None:
        return f"{address} is in a domain of this server, but no account's own address", False
    return f"{address} is a stranger: only mail to this server is taken", False


def _address(text: str) -> Address:
    try:
        return parse_address(text.strip().removeprefix("<").removesuffix(">"))
    except AddressError as error:
        hint = "write an address such as ada@example.org"
        raise Refused(f"{text!r}: {error}", hint) from None
