"""Where a destination's mail goes, with DNS and chance answered by the test."""

from random import Random

import pytest

from postillon.net.dns import DnsTemporary, Mx, NoSuchName
from postillon.route.config import RouteConfig
from postillon.route.nexthop import Hosts, NextHops, NoHosts


class Names:
    """`mx` and `addresses` by name; an exception is raised; an unknown name does not exist."""

    def __init__(self, mx=None, addresses=None):
        self._mx, self._addresses = mx or {}, addresses or {}

    @staticmethod
    def _of(table, name, otherwise):
        found = table.get(name, otherwise)
        if isinstance(found, Exception):
            raise found
        return found

    async def mx(self, name):
        known = () if name in self._addresses else NoSuchName(name, "no")
        return self._of(self._mx, name, known)

    async def addresses(self, name):
        return self._of(self._addresses, name, NoSuchName(name, "no"))

    async def txt(self, name):
        return ()


async def find(destination="a.example", mx=None, addresses=None, seed=1, **facts):
    config = facts.pop("config", RouteConfig())
    facts.setdefault("hostname", "mx.own.example")
    hops = NextHops(Names(mx, addresses), config, random=Random(seed), **facts)
    return await hops.find(destination)


FOUR = {f"mx{n}.example": (f"192.0.2.{n}",) for n in range(5)}
DOWN = DnsTemporary("x", "SERVFAIL")


async def test_exchangers_are_tried_by_preference_and_equals_by_chance():
    mx = {"a.example": tuple(Mx(10 if n else 20, f"mx{n}.example") for n in range(5))}
    orders = set()
    for seed in range(30):
        found = await find(mx=mx, addresses=FOUR, seed=seed)
        names = [host.name for host in found.hosts]
        assert names[-1] == "mx0.example"
        orders.add(tuple(names))
    assert len(orders) > 5


async def test_the_key_does_not_depend_on_chance():
    mx = {"a.example": tuple(Mx(10, f"mx{n}.example") for n in range(5))}
    keys = {(await find(mx=mx, addresses=FOUR, seed=seed)).key for seed in range(9)}
    assert len(keys) == 1


async def test_without_mx_the_domain_itself_is_the_host():
    found = await find(addresses={"a.example": ("192.0.2.9",)})
    assert [(host.name, host.addresses) for host in found.hosts] == [("a.example", ("192.0.2.9",))]


async def test_families_take_turns():
    six, four = ("2001:db8::1", "2001:db8::2"), ("192.0.2.1", "192.0.2.2", "192.0.2.3")
    found = await find(addresses={"a.example": six + four})
    assert found.hosts[0].addresses == (six[0], four[0], six[1], four[1], four[2])


@pytest.mark.parametrize(
    ("mx", "addresses", "code", "permanent"),
    [
        ({}, {}, "5.1.2", True),
        ({"a.example": DOWN}, {}, "4.4.3", False),
        ({"a.example": (Mx(0, ""),)}, {}, "5.1.10", True),
        ({"a.example": (Mx(10, "mx0.example"),)}, {}, "5.4.4", True),
        ({"a.example": (Mx(10, "mx0.example"),)}, {"mx0.example": DOWN}, "4.4.3", False),
        ({"a.example": ()}, {}, "5.1.2", True),
        ({"a.example": ()}, {"a.example": DOWN}, "4.4.3", False),
        ({"a.example": (Mx(10, "mx.own.example"),)}, {}, "5.4.6", True),
    ],
)
async def test_why_there_is_nowhere_to_go(mx, addresses, code, permanent):
    found = await find(mx=mx, addresses=addresses)
    assert isinstance(found, NoHosts)
    assert (found.status.code, found.permanent) == (code, permanent)


async def test_an_exchanger_that_cannot_be_looked_up_does_not_spoil_the_others():
    mx = {"a.example": (Mx(10, "down.example"), Mx(20, "mx1.example"))}
    found = await find(mx=mx, addresses={**FOUR, "down.example": DOWN})
    assert [host.name for host in found.hosts] == ["mx1.example"]


async def test_only_exchangers_better_than_ourselves_are_used():
    mx = {"a.example": tuple(Mx(n * 10, f"mx{n}.example") for n in range(4))}
    for facts in ({"own_names": ("mx2.example",)}, {"own_addresses": ("192.0.2.2",)}):
        found = await find(mx=mx, addresses=FOUR, **facts)
        assert [host.name for host in found.hosts] == ["mx0.example", "mx1.example"]


@pytest.mark.parametrize(
    "own", ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"]
)
async def test_dns_does_not_lead_to_this_machine_unless_that_is_configured(own):
    for mx in ({"a.example": (Mx(10, "mx.a.example"),)}, {}):
        host = "mx.a.example" if mx else "a.example"
        refused = await find(mx=mx, addresses={host: (own,)})
        assert isinstance(refused, NoHosts)
        assert refused.permanent
        assert any("this machine itself" in step for step in refused.steps)
        partly = await find(mx=mx, addresses={host: (own, "192.0.2.1")})
        assert partly.hosts[0].addresses == ("192.0.2.1",)
        config = RouteConfig(allow_loopback_mx=True)
        allowed = await find(mx=mx, addresses={host: (own,)}, config=config)
        assert allowed.hosts[0].addresses == (own,)


async def test_an_address_is_its_own_host():
    for destination, address in (
        ("[192.0.2.7]", "192.0.2.7"),
        ("[IPv6:2001:db8::7]", "2001:db8::7"),
    ):
        found = await find(destination)
        assert isinstance(found, Hosts)
        assert found.hosts[0].addresses == (address,)


async def test_a_fixed_next_hop_has_its_login_and_waits_for_its_address(tmp_path):
    file = tmp_path / "credentials"
    file.write_text("# comment\nsmart.example ada pencil box\n")
    config = RouteConfig(credentials=file)
    hop = "smtp://ada@smart.example:587?tls=required"
    found = await find(hop, addresses={"smart.example": ("192.0.2.5",)}, config=config)
    assert (found.user, found.password, found.hosts[0].port) == ("ada", "pencil box", 587)
    assert found.tls.required
    missing = await find(hop, config=config)
    assert isinstance(missing, NoHosts)
    assert not missing.permanent


async def test_an_lmtp_next_hop():
    found = await find("lmtp://127.0.0.1:24")
    assert (found.protocol, found.hosts[0].addresses) == ("lmtp", ("127.0.0.1",))
