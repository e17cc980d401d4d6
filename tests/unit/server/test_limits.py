"""The limits that hold, and how much of each is in use."""

from __future__ import annotations

from pathlib import Path

from postillon.admin.desk import Desk
from postillon.meter import SILENT_METER
from postillon.receive.config import SmtpConfig
from postillon.server import activity
from postillon.server.activity import MINUTE_MS, ActivityMeter
from postillon.server.config import Configuration
from postillon.server.limits import SHOWN, Limits, LimitView, Unit, limits_of
from postillon.server.sections import ServerConfig
from support.accounts import House, house

CONFIG = Configuration(
    server=ServerConfig(hostname="mail.example.org", workers=3, max_connections=200),
    smtp=SmtpConfig(max_size=1_000_000),
)


async def limits(at: House) -> Limits:
    desk = Desk(at.store, at.directory, at.accounts, at.credentials)
    return await limits_of(desk, CONFIG, at.time())


def named(found: Limits, name: str) -> LimitView:
    return next(one for one in found.limits if one.setting == name)


async def test_each_limit_has_its_setting_its_value_and_its_unit(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        found = await limits(at)
        assert [one.setting for one in found.limits] == list(SHOWN)
        size = named(found, "smtp.max_size")
        assert (size.value, size.unit, size.changed, size.used) == (1e6, Unit.OCTETS, True, None)
        quiet = named(found, "auth.forget_after")
        assert (quiet.value, quiet.unit, quiet.changed) == (1_800.0, Unit.SECONDS, False)


async def test_connections_are_those_of_all_workers_in_the_last_whole_minute(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as at:
        for worker in ({"imap": 40}, {"imap": 30, "smtp": 5}):
            counts = {f"{activity.OPEN}{name}": n for name, n in worker.items()}
            await activity.write(at.store, counts, at.time)
        at.time.now += MINUTE_MS
        await activity.write(at.store, {f"{activity.OPEN}imap": 10}, at.time)

        found = await limits(at)

        assert [(one.protocol, one.open, one.peak) for one in found.connections] == [
            ("imap", 70, 70), ("smtp", 5, 5),
        ]  # fmt: skip
        all_ = named(found, "server.max_connections")
        assert (all_.value, all_.used, all_.of) == (200, 75, 600)
        at.time.now += MINUTE_MS
        (imap, smtp) = (await limits(at)).connections
        assert (imap.open, imap.peak, smtp.open, smtp.peak) == (10, 70, 0, 5)
        meter = ActivityMeter(SILENT_METER)
        meter.count("smtp_messages")
        await activity.write(at.store, meter.take(), at.time)
        (minute,) = await activity.activity(at.store, at.time(), 1)
        assert minute.accepted == 1  # charts go on as before


async def test_accounts_near_the_end_of_their_quota_are_named(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        for name, quota, used in (
            ("a", 1_000, 799), ("b", 1_000, 800), ("c", 10_000, 9_900), ("d", None, 5_000), ("e", 0, 0),
        ):  # fmt: skip
            owner = await at.accounts.create(f"{name}@example.org", quota=quota)

            def fill(tx: object, used: int = used, number: int = owner.id):  # type: ignore[no-untyped-def]
                yield ("UPDATE account SET used = ? WHERE account = ?", (used, number))

            await at.do(fill)
        found = await limits(at)
        assert [one.login[0] for one in found.full] == ["e", "c", "b"]
        assert found.full_number == 3
