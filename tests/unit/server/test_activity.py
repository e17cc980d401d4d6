"""What charts show: counted in memory, written once a minute, read by the minute."""

from __future__ import annotations

from pathlib import Path

from postillon.meter import SILENT_METER
from postillon.server.activity import KEPT_DAYS, MINUTE_MS, ActivityMeter, activity, forget, write
from support.accounts import house


async def test_what_was_counted_stands_in_its_minute(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        meter = ActivityMeter(SILENT_METER)
        meter.count("smtp_messages", "mx", 2)
        meter.count("queue_tries", "relayed")
        meter.count("queue_tries", "expired")
        meter.count("smtp_logins", "failed")
        meter.count("imap_logins")
        meter.count("something else", "that no chart shows")
        meter.observe("smtp_submit", 0.002)
        meter.observe("smtp_submit", 0.004)
        await write(at.store, meter.take(), at.time)

        before, now = await activity(at.store, at.time(), 2)

        assert (now.accepted, now.relayed, now.failed) == (2, 1, 1)
        assert (now.logins, now.failed_logins, now.accepted_us) == (1, 1, 3_000)
        assert now.at == at.time() // MINUTE_MS * MINUTE_MS
        assert (before.accepted, before.accepted_us) == (0, 0)


async def test_all_workers_add_to_the_same_minute(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        for _ in range(2):
            meter = ActivityMeter(SILENT_METER)
            meter.count("delivered_local", n=3)
            await write(at.store, meter.take(), at.time)
            assert meter.take() == {}

        (now,) = await activity(at.store, at.time(), 1)

        assert now.delivered == 6


async def test_an_idle_server_writes_nothing_and_old_minutes_are_forgotten(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        await write(at.store, ActivityMeter(SILENT_METER).take(), at.time)
        assert await at.rows("SELECT COUNT(*) FROM activity") == [(0,)]

        await write(at.store, {"accepted": 1}, at.time)
        later = at.time() + (KEPT_DAYS + 1) * 24 * 60 * MINUTE_MS
        assert await at.store.write(lambda tx: forget(tx, at.time())) == 0
        assert await at.store.write(lambda tx: forget(tx, later)) == 1
