"""The health of the server as an administrator needs it: findings, each with its exact remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from postillon.admin import domains, queueing
from postillon.admin.desk import Desk
from postillon.server.check import Weight, check, on_loopback
from postillon.server.config import Configuration
from postillon.server.published import Checked, Names, Verdict, published

MAX_DOMAINS = 50  # whose DNS is looked up at one time


class Severity(Enum):
    ERROR = "error"  # something does not work
    WARNING = "warning"  # something will not, or not as meant
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """area: server, queue or dns. subject: a setting, a destination, a domain."""

    severity: Severity
    area: str
    subject: str
    what: str
    remedy: str
    since: int | None = None  # ms, where it is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The worst first; none means that all is well. examined: how many domains DNS was asked for."""

    complaints: tuple[Complaint, ...]
    domains: int
    examined: int


async def examine(desk: Desk, config: Configuration, dns: Names, now: int) -> Health:
    """Look at everything now. It takes as long as the slowest answer of DNS."""
    found = [
        Complaint(
            severity=Severity.ERROR if item.weight is Weight.ERROR else Severity.WARNING,
            area="server", subject=item.key, what=item.what, remedy=item.hint,
        )
        for item in await check(config)
    ]  # fmt: skip
    overview = await queueing.look(desk, config.queue, now)
    found += [
        Complaint(
            severity=Severity.WARNING, area="queue", subject=alert.subject or alert.kind,
            what=alert.words, remedy=alert.remedy, since=alert.began_at,
        )
        for alert in overview.alerts
    ]  # fmt: skip
    heard = any(
        listener.inherited or not (listener.unix or on_loopback(listener.address))
        for listener in config.listeners
    )
    every = [view for view in await domains.every(desk) if view.enabled]
    for view in every[:MAX_DOMAINS]:
        found += _of_dns(view.name, await published(view.name, config, dns), heard=heard)
    if not every:
        found.append(_no_domain())
    order = list(Severity)
    return Health(
        complaints=tuple(sorted(found, key=lambda item: order.index(item.severity))),
        domains=len(every),
        examined=min(len(every), MAX_DOMAINS),
    )


def _no_domain() -> Complaint:
    return Complaint(
        severity=Severity.ERROR, area="server", subject="domains",
        what="this server answers for no domain", remedy="add your domain",
    )  # fmt: skip


def _of_dns(domain: str, checked: list[Checked], *, heard: bool) -> list[Complaint]:
    wrong = [item for item in checked if item.verdict is not Verdict.RIGHT]
    return [_complaint(domain, item, heard=heard) for item in wrong]


def _complaint(domain: str, item: Checked, *, heard: bool) -> Complaint:
    """heard: somebody elsewhere can reach this server; else what DNS says of it hurts nobody yet."""
    what = {
        Verdict.MISSING: f"{item.name} has no {item.kind} record: {item.purpose}",
        Verdict.OTHER: f"{item.name} {item.kind} says {item.found}",
        Verdict.UNKNOWN: f"{item.name} {item.kind} could not be looked up: {item.found}",
    }[item.verdict]
    unknown = item.verdict is Verdict.UNKNOWN
    severity = Severity.ERROR if item.needed and not unknown else Severity.NOTE
    if unknown or item.kind == "TXT":
        severity = Severity.WARNING
    return Complaint(
        severity=severity if heard else Severity.NOTE,
        area="dns",
        subject=domain,
        what=what,
        remedy="see whether the resolver of this machine answers"
        if unknown
        else f"publish: {item.name} {item.kind} {item.value}",
    )
