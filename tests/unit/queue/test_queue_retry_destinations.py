"""Mail that waits for its destination: lines, lanes, rules, pace, and what a long backlog costs."""

from __future__ import annotations

import asyncio
import email
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from postillon.mail.address import parse_address
from postillon.mail.envelope import Envelope, Recipient
from postillon.mail.outcome import Deferred, Outcome, Status, reply
from postillon.queue import destinations
from postillon.queue.config import Mail, QueueConfig, QueueRule
from postillon.queue.ids import new_queue_id
from postillon.queue.rows import MESSAGE_COLUMNS, Lane, State
from postillon.queue.submit import Submission
from postillon.setting import hours, minutes
from support.mailqueue import MESSAGE, RELAYED, Office, office
from support.virtual import START, run

MINUTE = 60
HOUR = 3_600
DOWN = Deferred(Status("4.4.1", "no answer", host="mx.remote.example"), destination=True)
BUSY = Deferred(Status("4.2.0", "refused", reply(450, "4.2.0", "Busy"), "mx.remote.example"))
BULK = MESSAGE.replace(b"Subject:", b"List-Unsubscribe: <mailto:off@example.org>\r\nSubject:")
Answer = Callable[[int, str, str], Outcome]


def always(outcome: Outcome) -> Answer:
    return lambda now, destination, to: outcome


def down_until(hours_: float) -> Answer:
    end = START + round(hours_ * HOUR * 1000)
    return lambda now, destination, to: DOWN if now < end else RELAYED


def waiting(here: Office, where: str = "1 = 1") -> int:
    [(count,)] = here.rows(
        f"SELECT COUNT(*) FROM queue_recipient WHERE state = 'waiting' AND {where}"
    )
    return int(count)


def seconds(here: Office) -> list[float]:
    return [(item.at - START) / 1000 for item in here.agent.tries]


async def backlog(here: Office, count: int, destination: str = "remote.example") -> None:
    """Recipients that are due now, put there as if another worker had accepted them."""
    first = await here.submit(f"first@{destination}")
    [(queue_id,)] = here.rows("SELECT queue_id FROM queue_message")
    assert queue_id == first.queue_id
    rest = MESSAGE_COLUMNS.partition(",")[2]

    def operation(tx):  # type: ignore[no-untyped-def]
        for n in range(1, count):
            yield (
                f"INSERT INTO queue_message ({MESSAGE_COLUMNS}) SELECT queue_id + ?, {rest}"
                " FROM queue_message WHERE queue_id = ?",
                (n, queue_id),
            )
            yield (
                "INSERT INTO queue_recipient (queue_id, n, forward_path, original, notify, via,"
                " destination, state, due_at) VALUES (?, 0, ?, '', 0, 'remote', ?, 'waiting', ?)",
                (queue_id + n, f"u{n}@{destination}", destination, tx.now),
            )
        tx.announce("queue")

    await here.store.write(operation)


def test_domains_with_the_same_hosts_share_one_circuit(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.hosts = lambda destination: ("mx.provider.example",)
            here.agent.answer = down_until(2)
            for n in range(10):
                await here.submit(f"a@d{n}.example")
                await asyncio.sleep(30)
            before = len(here.agent.tries)
            await asyncio.sleep(2 * HOUR)
            assert here.empty()
            tries = [at for at in seconds(here) if at < 2 * HOUR]
            assert before <= 8
            assert len(tries) <= 25  # one destination's probes, not ten's

    run(scene())


def test_a_backlog_for_a_dead_destination_costs_one_message_a_probe(tmp_path: Path) -> None:
    """What is written and tried in an hour does not depend on the length of the backlog."""

    async def scene(count: int) -> tuple[int, int, int]:
        async with office(tmp_path / str(count)) as here:
            here.agent.answer = always(DOWN)
            await backlog(here, count)
            await asyncio.sleep(30 * MINUTE)
            assert waiting(here, "waits_for IS NULL") == 0
            tries, operations = len(here.agent.tries), here.store.batches[1]
            await asyncio.sleep(HOUR)
            probes = len(here.agent.tries) - tries
            return count, probes, here.store.batches[1] - operations

    results = [run(scene(count)) for count in (50, 2_000)]
    for _, probes, operations in results:
        assert probes <= 8
        assert operations <= 3 * probes + 3 * 40  # three a probe, and the leases of an hour
    assert abs(results[0][2] - results[1][2]) <= 12


def test_a_line_is_served_as_fast_as_the_destination_bears(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.seconds = 1.0
            await backlog(here, 300)
            await asyncio.sleep(40)
            assert here.empty()
            assert here.agent.most_at_once == 20
            assert len(here.agent.tries) == 300

    run(scene())


def test_a_row_says_what_is_known_and_goes_when_there_is_nothing_to_say(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await here.submit("a@good.example")
            await asyncio.sleep(1)
            assert await here.store.query(destinations.every()) == []
            here.agent.answer = down_until(1)
            await here.submit("a@remote.example")
            await asyncio.sleep(10)
            [row] = await here.store.query(destinations.every())
            assert row.key == "mx.remote.example:25"
            assert row.hosts == ("mx.remote.example",)
            assert row.status == DOWN.status
            assert row.down_since is not None
            assert await here.store.query(destinations.waiting(row.key)) == 1
            await asyncio.sleep(4 * HOUR)
            assert await here.store.query(destinations.every()) == []

    run(scene())


def test_in_a_line_the_sender_is_told_at_the_marks_and_given_up_without_a_try(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        config = QueueConfig(
            first_notice=hours(1),
            second_notice=hours(2),
            lifetime=hours(3),
            report_lifetime=hours(3),
        )
        async with office(tmp_path, config) as here:
            here.agent.answer = always(DOWN)
            await here.submit("first@remote.example")
            await asyncio.sleep(MINUTE)
            await here.submit("second@remote.example")  # never tried itself before its marks
            await asyncio.sleep(3 * HOUR + MINUTE)
            assert here.empty()
            found = [email.message_from_bytes(m) for m in await here.inbox("ada@example.org")]
            about = [m["Subject"] for m in found if "second@remote.example" in m.as_string()]
            assert len(about) == 3
            assert about[2].startswith("Not delivered")
            assert 20 <= len(here.agent.tries) <= 28  # one destination's probes
            tried = {path for item in here.agent.tries for path in item.to}
            assert tried == {"first@remote.example"}  # a probe that finds nobody is for no message

    run(scene())


def test_bulk_waits_behind_interactive_mail_but_never_starves(tmp_path: Path) -> None:
    async def scene() -> None:
        config = QueueConfig(max_active=4, max_per_destination=2, first_concurrency=1)
        async with office(tmp_path, config) as here:
            here.agent.answer = down_until(0.1)
            here.agent.seconds = 1.0
            for n in range(40):
                await here.submit(f"bulk{n}@remote.example", content=BULK)
            for n in range(60):
                await here.submit(f"one{n}@remote.example")
            assert here.rows("SELECT DISTINCT lane FROM queue_message") == [
                (int(Lane.BULK),), (int(Lane.INTERACTIVE),),
            ]  # fmt: skip
            await asyncio.sleep(HOUR)
            assert here.empty()
            order = [item.to[0][:3] for item in here.agent.tries if item.at >= START + 360_000]
            half = order[: len(order) // 2]
            assert half.count("one") > 3 * half.count("bul")
            assert half.count("bul") >= 2

    run(scene())


def test_many_recipients_make_a_message_bulk(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = always(BUSY)
            await here.submit(*(f"u{n}@remote.example" for n in range(50)))
            assert here.rows("SELECT lane FROM queue_message") == [(int(Lane.BULK),)]
            assert here.rows("SELECT DISTINCT lane FROM queue_recipient") == [(int(Lane.BULK),)]

    run(scene())


@pytest.mark.parametrize(
    ("rule", "tries"),
    [
        (QueueRule(match=("remote.example",), attempts=3), 3),
        (QueueRule(match=("mx.remote.example",), attempts=4), 4),
        (QueueRule(match=(".example",), mail=Mail.BULK, attempts=2), None),
        (QueueRule(match=("*",), lifetime=minutes(30)), 9),
    ],
)
def test_a_rule_bounds_tries_or_age_for_a_domain_a_host_or_a_kind_of_mail(
    tmp_path: Path, rule: QueueRule, tries: int | None
) -> None:
    async def scene() -> None:
        async with office(tmp_path, QueueConfig(rule=(rule,))) as here:
            here.agent.answer = always(BUSY)
            await here.submit("a@remote.example")
            await asyncio.sleep(HOUR)
            if tries is None:
                assert not here.empty()
                return
            assert here.empty()
            assert abs(len(here.agent.tries) - tries) <= (0 if rule.attempts else 2)
            [report] = await here.inbox("ada@example.org")
            assert b"Busy" in report

    run(scene())


def test_a_longer_lifetime_for_a_domain_counts_from_acceptance(tmp_path: Path) -> None:
    async def scene() -> None:
        rule = QueueRule(match=("remote.example",), lifetime=hours(5))
        config = QueueConfig(lifetime=hours(3), rule=(rule,))
        async with office(tmp_path, config) as here:
            here.agent.answer = always(BUSY)
            await here.submit("a@remote.example", "b@other.example")
            await asyncio.sleep(3 * HOUR + MINUTE)
            assert here.rows(
                "SELECT forward_path FROM queue_recipient WHERE state = 'waiting'"
            ) == [("a@remote.example",)]
            await asyncio.sleep(2 * HOUR)
            assert here.empty()

    run(scene())


def test_a_rate_holds_over_a_backlog(tmp_path: Path) -> None:
    async def scene() -> None:
        config = QueueConfig(rule=(QueueRule(match=("remote.example",), rate=30),))
        async with office(tmp_path, config) as here:
            for n in range(60):
                await here.submit(f"u{n}@remote.example")
            await here.submit("x@other.example")
            await asyncio.sleep(HOUR)
            assert here.empty()
            times = [
                (item.at - START) / 1000
                for item in here.agent.tries
                if item.destination == "remote.example"
            ]
            assert len(times) == 60
            for begin in range(0, 200, 10):
                assert sum(begin <= at < begin + 60 for at in times) <= 31
            assert max(times) <= 60 * 6  # slower than 2 s each only while its pace is learnt

    run(scene())


def test_too_many_at_once_is_no_outage(tmp_path: Path) -> None:
    """A host that turns some away while it serves others gets fewer, not nothing."""

    async def scene() -> None:
        async with office(tmp_path) as here:
            crowd = replace(DOWN, status=Status("4.3.2", "421 too many"))
            here.agent.seconds = 1.0
            here.agent.answer = lambda now, destination, to: (
                crowd if here.agent.at_once > 6 else RELAYED
            )
            for n in range(200):
                await here.submit(f"u{n}@remote.example")
            await asyncio.sleep(20 * MINUTE)
            assert here.empty()
            assert b"destination down" not in b"".join(here.logged)
            late = [item for item in here.agent.tries if item.at > START + 30_000]
            assert late

    run(scene())


def test_a_destination_that_is_held_gets_nothing_and_its_mail_does_not_expire(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        async with office(tmp_path, QueueConfig(lifetime=hours(3))) as here:
            await here.store.write(destinations.hold("remote.example"))  # the domain, not its hosts
            await here.submit("a@remote.example", "b@other.example")
            await asyncio.sleep(4 * HOUR)
            assert [item.destination for item in here.agent.tries] == ["other.example"]
            assert waiting(here, "waits_for = 'remote.example'") == 1
            assert await here.store.write(destinations.release("remote.example"))
            await asyncio.sleep(2)
            assert here.empty()
            assert here.agent.tries[-1].destination == "remote.example"

    run(scene())


def test_an_administrators_bounce_is_reported_within_a_second(tmp_path: Path) -> None:
    """The topic wakes the runner; the report does not wait for the next look."""

    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = down_until(24)
            accepted = await here.submit("a@remote.example")
            await asyncio.sleep(10)

            def bounce(tx):  # type: ignore[no-untyped-def] # what the verb writes
                yield (
                    "UPDATE queue_recipient SET state = ?, final_at = ?, due_at = ?"
                    " WHERE queue_id = ?",
                    (State.FAILED.value, tx.now, tx.now, accepted.queue_id),
                )
                tx.announce("queue")

            await here.store.write(bounce)
            await asyncio.sleep(1)
            assert len(await here.inbox("ada@example.org")) == 1

    run(scene())


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        (
            "SELECT queue_id FROM queue_recipient WHERE state NOT IN ('waiting', 'claimed')"
            " AND told < 4 AND due_at <= 5 ORDER BY due_at LIMIT 9",
            "queue_recipient_untold",
        ),
        (
            "SELECT MIN(due_at) FROM queue_recipient WHERE state = 'waiting' AND lane = 1"
            " AND due_at < 9",
            "queue_recipient_due",
        ),
        (
            "SELECT 1 FROM queue_recipient WHERE state = 'waiting' AND waits_for = 'a' LIMIT 1",
            "queue_recipient_line",
        ),
    ],
)
def test_looks_at_the_rows_are_led_by_an_index(tmp_path: Path, sql: str, index: str) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            plan = " ".join(str(row) for row in here.rows(f"EXPLAIN QUERY PLAN {sql}"))
            assert index in plan
            assert "SCAN" not in plan

    run(scene())


def test_a_line_keeps_its_order_over_a_restart(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path, QueueConfig(lease=hours(1))) as here:
            here.agent.answer = down_until(1)
            for n in range(30):
                await here.submit(f"u{n}@remote.example")
            await asyncio.sleep(MINUTE)
            await here.runner.stop()
            here.open()
            await here.runner.start()
            await asyncio.sleep(2 * HOUR)
            assert here.empty()

    run(scene())


def test_a_submitter_may_wish_for_a_shorter_lifetime_but_not_for_a_longer_one(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        async with office(tmp_path, QueueConfig(lifetime=hours(3))) as here:
            here.agent.answer = always(BUSY)
            for path, wish in (("short@remote.example", 60_000), ("long@remote.example", 10**12)):
                made = Submission(
                    Envelope(parse_address("ada@example.org"), (Recipient(parse_address(path)),)),
                    MESSAGE, b"", here.ids["ada@example.org"], {"via": "test"},
                    new_queue_id(here.loop.clock()), lifetime=wish,
                )  # fmt: skip
                await here.submitter.submit(made)
            await asyncio.sleep(2 * MINUTE)
            assert here.rows("SELECT forward_path FROM queue_recipient") == [
                ("long@remote.example",)
            ]
            await asyncio.sleep(3 * HOUR)
            assert here.empty()

    run(scene())
