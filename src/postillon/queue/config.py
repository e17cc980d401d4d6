"""When the queue tries again, when it stops, and how much it takes in hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from postillon.mail.wording.languages import WORDINGS
from postillon.setting import MIB, ConfigError, days, hours, minutes, seconds, setting

LEAST_LEASE = timedelta(seconds=30)


class Mail(Enum):
    """Which mail a rule is about."""

    ANY = "any"
    INTERACTIVE = "interactive"
    BULK = "bulk"
    REPORT = "report"  # all with a null reverse-path


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRule:
    """What is different for some destinations or some mail.

    The first rule that gives a key counts; a key that no rule gives has its value from `[queue]`.
    """

    match: tuple[str, ...] = setting(
        (),
        'Destinations: `"example.com"` is a domain or one of the hosts that take its mail,'
        ' `".example.com"` all below it, `"*"` all. Empty matches all.',
    )
    mail: Mail = setting(Mail.ANY, "Which mail the rule is about; `report`: null reverse-path.")
    lifetime: timedelta | None = setting(
        None,
        "Age at which it is given up. A longer one than the usual needs a match on the domain,"
        " since hosts are not known yet when mail is accepted.",
    )
    attempts: int | None = setting(
        None, "Deferrals of its own after which a recipient is given up; 0: age alone decides."
    )
    shortest_wait: timedelta | None = setting(None, "Least wait between two tries of a recipient.")
    longest_wait: timedelta | None = setting(None, "Longest wait between two tries of a recipient.")
    shortest_probe: timedelta | None = setting(
        None, "Least wait before a destination that is down is tried again."
    )
    longest_probe: timedelta | None = setting(
        None, "Longest wait before a destination that is down is tried again."
    )
    concurrency: int | None = setting(
        None, "Deliveries one worker makes to one destination at once.", unit="deliveries"
    )
    rate: int | None = setting(
        None, "Messages a minute to one destination, all workers together; 0: no bound."
    )

    def __post_init__(self) -> None:
        durations = (
            self.lifetime, self.shortest_wait, self.longest_wait, self.shortest_probe,
            self.longest_probe,
        )  # fmt: skip
        if any(given is not None and given <= timedelta() for given in durations):
            raise ConfigError("queue.rule", "durations must be positive")
        if self.concurrency is not None and self.concurrency < 1:
            raise ConfigError("queue.rule", "concurrency must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueConfig:
    """Patience with other servers, and the bounds of a worker (RFC 5321 section 4.5.4.1)."""

    lifetime: timedelta = setting(
        days(5), "Age at which a message that is still deferred fails and its sender is told."
    )
    report_lifetime: timedelta = setting(
        days(2), "The same for messages with a null reverse-path, such as reports."
    )
    attempts: int = setting(
        0, "Deferrals of its own after which a recipient is given up; 0: age alone decides."
    )
    longest_hold: timedelta = setting(
        days(60), "Longest time a submitter may let a message wait before it is sent; 0: none."
    )
    least_deliver_by: timedelta = setting(
        minutes(1), "Least time of a submitter's DELIVERBY that returns what is late."
    )
    first_notice: timedelta = setting(
        hours(4), "Age at which the sender is told of the delay; a try is made just before."
    )
    second_notice: timedelta = setting(days(1), "Age of the second notice of the delay.")
    shortest_wait: timedelta = setting(minutes(3), "Least wait between two tries of a recipient.")
    longest_wait: timedelta = setting(hours(2), "Longest wait between two tries of a recipient.")
    greylisted_wait: timedelta = setting(
        minutes(5), "Least wait after a reply that speaks of greylisting and names no time."
    )
    policy_wait: timedelta = setting(minutes(15), "Least wait after a deferral by policy (4.7.x).")
    full_wait: timedelta = setting(
        minutes(30), "Least wait after a mailbox was over its quota (4.2.2); four hours at most."
    )
    shortest_probe: timedelta = setting(
        seconds(60), "Least wait before a destination that is down is tried again."
    )
    longest_probe: timedelta = setting(
        minutes(15), "Longest wait before a destination that is down is tried again."
    )
    max_active: int = setting(
        500, "Deliveries one worker has in hand at once; the rest waits on disk.", unit="deliveries"
    )
    max_active_memory: int = setting(
        64 * MIB, "Content one worker keeps in memory for its deliveries.", unit="octets"
    )
    max_per_destination: int = setting(
        20, "Deliveries one worker makes to one destination at once.", unit="deliveries"
    )
    first_concurrency: int = setting(
        5, "The same towards a destination that is new; each success allows one more.",
        unit="deliveries",
    )  # fmt: skip
    rate: int = setting(
        0, "Messages a minute to one destination, all workers together; 0: no bound."
    )
    bulk_recipients: int = setting(
        50, "Recipients from which a message travels behind single ones; 0: never for that.",
        unit="recipients",
    )  # fmt: skip
    lease: timedelta = setting(
        minutes(5), "How long a worker that fell silent keeps what it had in hand."
    )
    crashes: int = setting(
        2, "Deaths of a worker with a message in hand after which the message is isolated."
    )
    returned_content: int = setting(
        1 * MIB, "Largest message returned whole in a report that asked for it.", unit="octets"
    )
    reports_per_domain: int = setting(
        100, "Reports to strangers of one domain that a worker sends in an hour.", unit="reports"
    )
    reports: int = setting(
        2_000, "Reports to strangers that a worker sends in an hour in all.", unit="reports"
    )
    reports_per_sender: int = setting(
        100,
        "Reports to one sender that a worker sends in an hour. Failures beyond it are told by one"
        " summary an hour.",
        unit="reports",
    )
    report_language: str = setting(
        "en", "Language of reports to senders whose own is not known: `en`, `fr` or `de`."
    )
    trace_days: int = setting(30, "Days for which the trace of a message is kept.", unit="days")
    rule: tuple[QueueRule, ...] = setting((), "As many as needed; their order counts.")

    def __post_init__(self) -> None:
        if not timedelta() < self.shortest_wait <= self.longest_wait <= self.lifetime:
            raise ConfigError("queue", "0 < shortest_wait <= longest_wait <= lifetime must hold")
        if not timedelta() < self.shortest_probe <= self.longest_probe <= self.lifetime:
            raise ConfigError("queue", "0 < shortest_probe <= longest_probe <= lifetime must hold")
        if not timedelta() < self.first_notice < self.second_notice:
            raise ConfigError("queue", "0 < first_notice < second_notice must hold")
        if min(self.greylisted_wait, self.policy_wait, self.full_wait) <= timedelta():
            raise ConfigError(
                "queue", "greylisted_wait, policy_wait and full_wait must be positive"
            )
        if self.report_language not in WORDINGS:
            known = ", ".join(sorted(WORDINGS))
            raise ConfigError("queue", f"report_language must be one of {known}")
        if self.reports_per_sender < 1:
            raise ConfigError("queue", "reports_per_sender must be at least 1")
        if self.report_lifetime <= timedelta():
            raise ConfigError("queue", "report_lifetime must be positive")
        if min(self.longest_hold, self.least_deliver_by) < timedelta():
            raise ConfigError("queue", "longest_hold and least_deliver_by must not be negative")
        if self.longest_hold >= timedelta(seconds=10**9):  # nine digits, RFC 4865 section 4
            raise ConfigError("queue", "longest_hold must be less than a thousand million seconds")
        if self.lease < LEAST_LEASE:
            raise ConfigError("queue", "lease must be at least 30 s, or live workers lose theirs")
        least = (self.max_active, self.max_per_destination, self.first_concurrency, self.crashes)
        if min(least) < 1:
            raise ConfigError(
                "queue",
                "max_active, max_per_destination, first_concurrency and crashes must be at least 1",
            )
