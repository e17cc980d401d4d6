"""Thirty days of other people's servers in seconds: all mail arrives once, or is given up and told."""

from __future__ import annotations

import asyncio
import email
import email.message
from collections import Counter

from tests.simulation.network import Network, Outage, Peer
from tests.simulation.world import DAY, HOUR, MINUTE, World, world
from tests.support.virtual import run

from postillon.mail.envelope import Notify
from postillon.store.verify import verify

DAYS = 30
EVERY = 24 * HOUR  # a round of mail
TOLD = Notify.FAILURE | Notify.DELAY


def hosts(network: Network) -> dict[str, Peer]:
    """One host for each kind of trouble; ten domains share the provider."""
    add = network.add
    troubles = [
        Outage(1 * DAY, 1 * DAY + 5 * MINUTE),
        Outage(3 * DAY, 3 * DAY + 8 * HOUR),
        Outage(9 * DAY, 11 * DAY, "silent"),
        Outage(20 * DAY, 20 * DAY + 4 * HOUR, "421"),
    ]
    return {
        "good": add(Peer("mx.good.example"), "good.example"),
        "shaky": add(Peer("mx.shaky.example", troubles), "shaky.example"),
        "grey": add(Peer("mx.grey.example", greylists_s=300.0), "grey.example"),
        "hinted": add(
            Peer(
                "mx.hinted.example", greylists_s=600.0,
                grey_words="451 4.7.1 Greylisted, try again in 600 seconds",
            ),
            "hinted.example",
        ),
        "slow": add(Peer("mx.slow.example", slow_s=40.0), "slow.example"),
        "full": add(
            Peer("mx.full.example", full={"some@full.example": 3 * DAY, "ever@full.example": 9e9}),
            "full.example",
        ),
        "narrow": add(Peer("mx.narrow.example", most_at_once=3), "narrow.example"),
        "provider": add(
            Peer("mx.provider.example", [Outage(5 * DAY, 6 * DAY)]),
            *(f"p{n}.example" for n in range(10)),
        ),
    }  # fmt: skip


async def send_round(here: World, number: int) -> list[str]:
    """A round of mail; gives the recipients, each unlike all others."""
    sent = [
        f"r{number}@{name}.example"
        for name in ("good", "shaky", "grey", "hinted", "slow", "narrow")
    ]
    sent += [f"r{number}@p{n}.example" for n in range(10)]
    for path in sent:
        await here.send(path, notify=TOLD)
    if number % 6 == 0:
        burst = [f"b{n}.r{number}@narrow.example" for n in range(20)]
        for path in burst:
            await here.send(path, notify=TOLD)
        sent += burst
    return sent


def test_a_month_of_outages_greylisting_slow_hosts_and_full_mailboxes() -> None:
    async def scene() -> None:
        async with world() as here:
            peers = hosts(here.network)
            here.network.dns_down.append(Outage(15 * DAY - HOUR, 15 * DAY + 2 * HOUR))
            sent: list[str] = []
            for path in ("some@full.example", "ever@full.example"):
                await here.send(path, notify=TOLD)
            for number in range(DAYS * DAY // EVERY):
                pause = number * EVERY - here.loop.time()
                await asyncio.sleep(max(0.0, pause))
                sent += await send_round(here, number)
            await asyncio.sleep(6 * DAY)
            assert here.waiting() == 0
            arrived = Counter(path for peer in peers.values() for _, path in peer.taken)
            assert set(arrived) == {*sent, "some@full.example"}
            assert set(arrived.values()) == {1}
            check_troubles(here, peers)
            await check_reports(here)
            assert await verify(here.store) == []

    run(scene())


def check_troubles(here: World, peers: dict[str, Peer]) -> None:
    """Each trouble cost what it must, and nobody else anything."""
    rounds = DAYS * DAY // EVERY
    assert not peers["good"].missed
    assert len(peers["good"].attempts) <= rounds + 1
    # An outage of a day at a provider of ten domains: one circuit for all their mail.
    assert 80 <= len(peers["provider"].missed) <= 130
    # Eight hours and two days and four hours of outages, one probe at a time.
    assert 200 <= len(peers["shaky"].missed) <= 330
    # Greylisting costs one more try, and no more than its time and a little.
    for name in ("grey", "hinted"):
        assert len(peers[name].deferred) == rounds
    first = {path: at for at, path in peers["hinted"].deferred}
    waits = [at - first[path] for at, path in peers["hinted"].taken]
    assert all(600 <= wait <= 600 * 1.15 + 5 for wait in waits)
    # A full mailbox is asked less and less often; the circuit of its host stays closed.
    assert 25 <= sum(path == "ever@full.example" for _, path in peers["full"].deferred) <= 60
    assert not peers["full"].missed
    # It takes three at once: six bursts of twenty, and we learn; it never counts as down for long.
    assert len(peers["narrow"].missed) <= 6 * 12


async def check_reports(here: World) -> None:
    """Who was kept waiting or given up was told, once for each; nobody else was."""
    reports = [email.message_from_bytes(item) for item in await here.inbox()]
    about = Counter((report["Subject"].split(":")[0], _recipient(report)) for report in reports)
    assert about["Not delivered", "ever@full.example"] == 1
    assert about["Delayed, still trying", "ever@full.example"] == 2
    assert sum(count for (kind, _), count in about.items() if kind == "Not delivered") == 1
    assert max(about.values()) <= 2


def _recipient(report: email.message.Message) -> str:
    line = next(x for x in report.as_string().splitlines() if x.startswith("Final-Recipient:"))
    return line.partition(";")[2].strip()


def test_domains_of_one_provider_share_one_probe_over_all_workers() -> None:
    async def scene() -> None:
        async with world(workers=3) as here:
            peer = here.network.add(
                Peer("mx.p.example", [Outage(0, 4 * HOUR)]), *(f"p{n}.example" for n in range(10))
            )
            for n in range(10):
                await here.send(*(f"u{m}@p{n}.example" for m in range(5)))
                await asyncio.sleep(MINUTE)
            await asyncio.sleep(5 * HOUR)
            assert here.waiting() == 0
            assert len(peer.taken) == 50
            assert len(peer.missed) <= 45  # as many as one message would have cost
            assert all(b - a > 20 for a, b in zip(peer.missed[5:], peer.missed[6:], strict=False))

    run(scene())


def test_mail_follows_its_domain_to_another_host_while_the_old_one_is_down() -> None:
    async def scene() -> None:
        async with world() as here:
            old = here.network.add(Peer("mx.old.example", [Outage(0, 9 * DAY)]), "d.example")
            new = here.network.add(Peer("mx.new.example"))
            for n in range(30):
                await here.send(f"u{n}@d.example")
            await asyncio.sleep(HOUR)
            here.network.domains["d.example"] = ["mx.new.example"]
            await asyncio.sleep(HOUR)
            assert here.waiting() == 0
            assert len(new.taken) == 30
            assert not old.taken
            assert here.rows("SELECT key FROM queue_destination WHERE down_since IS NOT NULL") == []

    run(scene())


def test_dns_that_fails_during_an_outage_moves_no_mail_and_stops_no_probe() -> None:
    async def scene() -> None:
        async with world() as here:
            peer = here.network.add(Peer("mx.far.example", [Outage(0, 3 * HOUR)]), "far.example")
            here.network.dns_down.append(Outage(HOUR, 2 * HOUR))
            for n in range(40):
                await here.send(f"u{n}@far.example")
            await asyncio.sleep(90 * MINUTE)
            in_line = "SELECT COUNT(*) FROM queue_recipient WHERE waits_for = 'mx.far.example:25'"
            assert here.rows(in_line) == [(40,)]
            await asyncio.sleep(2 * HOUR)
            assert here.waiting() == 0
            assert len(peer.taken) == 40
            assert len(peer.missed) <= 35

    run(scene())
