"""Names looked up at a real server on loopback that answers, keeps silent and lies."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from postillon.net.config import ResolverConfig
from postillon.net.dns import DnsTemporary, Mx, NoSuchName
from postillon.net.resolver import Resolver
from postillon.setting import seconds
from support.dns import GARBAGE, SERVFAIL, SILENT, TRUNCATED, WRONG_NAME, Zone, serving

RECORDS = {
    ("a.example", "MX"): ["20 mx2.a.example.", "10 MX1.a.example."],
    ("null.example", "MX"): ["0 ."],
    ("mx1.a.example", "A"): ["192.0.2.1"],
    ("mx1.a.example", "AAAA"): ["2001:db8::1"],
    ("alias.example", "CNAME"): ["mx1.a.example."],
    ("loop.example", "CNAME"): ["loop.example."],
    ("text.example", "TXT"): ['"v=spf1 " "-all"'],
}


class Time:
    now = 1_790_000_000_000

    def __call__(self):
        return self.now


@asynccontextmanager
async def resolver(broken=None, **config):
    zone = Zone(dict(RECORDS), broken or {})
    time = Time()
    async with serving(zone) as server:
        config.setdefault("try_timeout", seconds(0.2))
        yield Resolver(ResolverConfig(servers=(server,), **config), time), zone, time


async def test_exchangers_come_by_preference_and_in_lower_case():
    async with resolver() as (asked, _, _):
        assert await asked.mx("a.example") == (Mx(10, "mx1.a.example"), Mx(20, "mx2.a.example"))
        assert await asked.mx("null.example") == (Mx(0, ""),)


async def test_addresses_of_both_families_through_a_cname():
    async with resolver() as (asked, _, _):
        assert await asked.addresses("alias.example") == ("2001:db8::1", "192.0.2.1")
    async with resolver(use_ipv6=False) as (asked, _, _):
        assert await asked.addresses("alias.example") == ("192.0.2.1",)


async def test_strings_of_a_txt_record_are_joined():
    async with resolver() as (asked, _, _):
        assert await asked.txt("text.example") == (b"v=spf1 -all",)


async def test_a_name_without_such_a_record_gives_nothing():
    async with resolver() as (asked, _, _):
        assert await asked.mx("mx1.a.example") == ()


async def test_only_nxdomain_says_that_a_name_does_not_exist():
    async with resolver() as (asked, _, _):
        with pytest.raises(NoSuchName):
            await asked.mx("nowhere.example")


@pytest.mark.parametrize("fault", [SERVFAIL, SILENT, GARBAGE])
async def test_a_failure_to_find_out_is_temporary(fault):
    async with resolver({"a.example": fault}) as (asked, _, _):
        with pytest.raises(DnsTemporary):
            await asked.mx("a.example")


async def test_records_of_another_name_are_not_believed():
    async with resolver({"a.example": WRONG_NAME}) as (asked, _, _):
        with pytest.raises(DnsTemporary):
            await asked.addresses("a.example")


async def test_a_cname_that_leads_to_itself_ends():
    async with resolver() as (asked, _, _):
        with pytest.raises(DnsTemporary):
            await asked.addresses("loop.example")


async def test_a_truncated_answer_is_asked_for_again_over_tcp():
    async with resolver({"a.example": TRUNCATED}) as (asked, zone, _):
        assert len(await asked.mx("a.example")) == 2
        assert [way for _, _, way in zone.asked] == ["udp", "tcp"]


async def test_one_family_that_fails_does_not_spoil_the_other():
    async with resolver({("mx1.a.example", "AAAA"): SERVFAIL}) as (asked, _, _):
        assert await asked.addresses("mx1.a.example") == ("192.0.2.1",)


async def test_answers_are_remembered_until_their_time_is_over():
    async with resolver() as (asked, zone, time):
        await asked.mx("a.example")
        await asked.mx("A.example")
        assert len(zone.asked) == 1
        time.now += 301_000
        await asked.mx("a.example")
        assert len(zone.asked) == 2
        asked.forget()
        await asked.mx("a.example")
        assert len(zone.asked) == 3


async def test_a_clock_set_back_does_not_make_answers_last_longer():
    async with resolver() as (asked, zone, time):
        time.now += 30 * 86_400_000
        await asked.mx("a.example")
        time.now -= 30 * 86_400_000
        await asked.mx("a.example")
        assert len(zone.asked) == 2


async def test_who_asks_the_same_at_once_shares_one_question():
    async with resolver() as (asked, zone, _):
        await asyncio.gather(*(asked.mx("a.example") for _ in range(20)))
        assert len(zone.asked) == 1


async def test_the_cache_is_bounded():
    async with resolver(cache_size=2) as (asked, zone, _):
        for name in ("a.example", "null.example", "text.example", "a.example"):
            await asked.mx(name)
        assert len(zone.asked) == 4


async def test_a_name_that_fits_no_question_cannot_exist():
    async with resolver() as (asked, zone, _):
        with pytest.raises(NoSuchName):
            await asked.mx("x" * 64 + ".example")
        assert zone.asked == []
